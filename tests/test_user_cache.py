"""The cache is one place for all of gptkit, and a file in it is whole or not there."""

from pathlib import Path

import pytest

from gptkit.user_cache import cache_directory, store_file


def test_it_is_where_the_users_caches_are_unless_it_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GPTKIT_CACHE", str(tmp_path / "own"))
    assert cache_directory() == tmp_path / "own"
    monkeypatch.delenv("GPTKIT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_directory() == tmp_path / "gptkit"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_directory() == Path.home() / ".cache" / "gptkit"


def test_a_file_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    file = tmp_path / "some" / "where" / "file.txt"
    for content in (b"first", b"second"):
        store_file(content, file)
        assert file.read_bytes() == content
    assert list(file.parent.iterdir()) == [file]


def test_what_cannot_be_kept_leaves_the_earlier_file_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file.txt"
    store_file(b"first", file)

    def half(path: Path, content: bytes) -> int:
        path.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(OSError, match="No space left on device"):
        store_file(b"second", file)
    assert file.read_text() == "first"
    assert list(tmp_path.iterdir()) == [file]
