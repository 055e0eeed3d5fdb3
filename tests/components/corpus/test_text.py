from collections.abc import Callable
from pathlib import Path

import pytest

from gptkit.components.corpus.text import TextCorpus
from gptkit.errors import DataError

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return what writes files by their relative paths, and returns the directory they are in."""

    def write(**files: bytes) -> Path:
        for name, content in files.items():
            file = tmp_path / name.replace("__", "/").replace("_txt", ".txt")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        return tmp_path

    return write


def read(path: Path) -> str:
    return TextCorpus(path=path).read()


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read(path)
    return str(caught.value)


def test_a_file_is_read(write: Write) -> None:
    assert read(write(a_txt="naïve".encode()) / "a.txt") == "naïve"


def test_a_directory_is_read_in_the_order_of_its_paths(write: Write) -> None:
    assert read(write(b_txt=b"third", a__z_txt=b"second", a__a_txt=b"first")) == "first\nsecond\nthird"


def test_a_glob_is_read_in_the_order_of_its_paths(write: Write) -> None:
    root = write(b_txt=b"second", a_txt=b"first", c=b"no text", deep__d_txt=b"third")
    assert read(root / "*.txt") == "first\nsecond"
    assert read(root / "**" / "*.txt") == "first\nsecond\nthird"


def test_hidden_files_and_directories_are_left_out(write: Write) -> None:
    root = write(**{"a_txt": b"shown", ".b_txt": b"hidden", ".git__c_txt": b"hidden"})
    assert read(root) == read(root / "**" / "*.txt") == "shown"


def test_a_hidden_file_is_read_when_it_is_named(write: Write) -> None:
    assert read(write(**{".b_txt": b"hidden"}) / ".b.txt") == "hidden"


def test_a_directory_may_be_called_what_a_glob_would_match_otherwise(write: Write) -> None:
    assert read(write(**{"books[1]__a_txt": b"one"}) / "books[1]") == "one"


def test_no_file_is_read_twice(write: Write) -> None:
    assert read(write(a__b__c_txt=b"once") / "a" / "**" / "**" / "*.txt") == "once"


def test_line_ends_and_byte_order_mark_stay_as_they_are(write: Write) -> None:
    assert read(write(a_txt=b"\xef\xbb\xbfone\r\ntwo\rthree\n") / "a.txt") == "\ufeffone\r\ntwo\rthree\n"


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_a_text_is_the_same_however_it_is_cut_into_pieces(
    write: Write, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr("gptkit.components.corpus.text.PIECE", size)
    text = "naïve €5 😀\0\r\n" * 5
    root = write(a_txt=text.encode(), b_txt=text.encode())
    corpus = TextCorpus(path=root, validation_share=0.3)
    assert "".join(corpus.pieces()) == corpus.text == f"{text}\n{text}"
    assert ("".join(corpus.train()) + "".join(corpus.validation()), corpus.cut) == (
        corpus.text,
        int(len(corpus.text) * 0.7),
    )
    file = write(c_txt=text.encode() + b"\xff" + text.encode()) / "c.txt"
    assert refusal(file).startswith(f"{file}: not UTF-8: byte 0xff at offset {len(text.encode())}. ")
    assert refusal(write(d_txt="€".encode()[:2]) / "d.txt").startswith(
        f"{root / 'd.txt'}: not UTF-8: byte 0xe2 at offset 0"
    )


def test_a_missing_path_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere.txt"
    assert refusal(missing) == f"{missing}: no such file, directory or match of a glob"


def test_a_glob_that_matches_nothing_is_named(write: Write) -> None:
    pattern = write(a_txt=b"text") / "*.md"
    assert refusal(pattern) == f"{pattern}: no such file, directory or match of a glob"


def test_an_empty_directory_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path) == f"{tmp_path}: holds no files"


def test_an_empty_file_is_named(write: Write) -> None:
    root = write(a_txt=b"text", b_txt=b"")
    assert refusal(root) == f"{root / 'b.txt'}: the file is empty"


def test_a_file_that_is_not_utf8_is_named_with_the_offset_of_the_byte(write: Write) -> None:
    file = write(a_txt=b"x" * 1234 + b"\xe9t\xe9") / "a.txt"
    assert refusal(file) == (f"{file}: not UTF-8: byte 0xe9 at offset 1,234. Convert the file to UTF-8 first")


def test_the_last_share_is_for_validation(write: Write) -> None:
    corpus = TextCorpus(path=write(a_txt=b"0123456789" * 10) / "a.txt", validation_share=0.25)
    train, validation = "".join(corpus.train()), "".join(corpus.validation())
    assert (len(train), len(validation)) == (75, 25)
    assert train + validation == corpus.text


def test_the_real_text_is_split_where_results_are_quoted() -> None:
    file = Path(__file__).parents[4] / "shared" / "data" / "tinyshakespeare.txt"
    if not file.is_file():
        pytest.skip("the real text is not beside this repository")
    corpus = TextCorpus(path=file)
    assert sum(map(len, corpus.train())) == 1_003_854
    assert sum(map(len, corpus.validation())) == 111_540
