import errno
import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from gptkit.components.corpus import tiny_shakespeare
from gptkit.components.corpus.tiny_shakespeare import TinyShakespeareCorpus
from gptkit.data.download import check_sha256
from gptkit.errors import DataError

CONTENT = b"First Citizen:\nBefore we proceed any further, hear me speak.\n"


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Keep downloads in an empty directory."""
    monkeypatch.setenv("GPTKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(tiny_shakespeare, "SHA256", hashlib.sha256(CONTENT).hexdigest())
    return tmp_path / "cache"


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Put the text where it is downloaded from."""
    file = tmp_path / "input.txt"
    file.write_bytes(CONTENT)
    monkeypatch.setattr(tiny_shakespeare, "URL", file.as_uri())
    return file


def refusal() -> str:
    with pytest.raises(DataError) as caught:
        TinyShakespeareCorpus().read()
    return str(caught.value)


def files(directory: Path) -> list[str]:
    return [file.name for file in directory.glob("*")]


def test_the_text_is_downloaded_and_kept(home: Path, cache: Path) -> None:
    assert TinyShakespeareCorpus().read() == CONTENT.decode()
    assert files(cache) == ["tiny_shakespeare.txt"]


def test_the_text_is_downloaded_once(home: Path) -> None:
    first = TinyShakespeareCorpus().read()
    home.unlink()
    assert TinyShakespeareCorpus().read() == first


def test_another_text_at_its_home_is_refused_and_not_kept(home: Path, cache: Path) -> None:
    home.write_bytes(b"<html>moved</html>")
    found = hashlib.sha256(b"<html>moved</html>").hexdigest()
    assert refusal() == (
        f"tiny_shakespeare: {home.as_uri()} is not the text it should be: its sha256 is {found}, expected "
        f"{tiny_shakespeare.SHA256}. Remove the file if you have one, and download it again"
    )
    assert files(cache) == []


def test_a_kept_file_that_was_changed_is_refused(home: Path, cache: Path) -> None:
    TinyShakespeareCorpus().read()
    (cache / "tiny_shakespeare.txt").write_bytes(CONTENT[:-1])
    assert f"tiny_shakespeare: {cache / 'tiny_shakespeare.txt'} is not the text it should be" in refusal()


def test_without_a_network_the_error_says_what_to_do_instead(home: Path, cache: Path) -> None:
    home.unlink()
    message = refusal()
    assert message.startswith(f"tiny_shakespeare: cannot download {home.as_uri()}: ")
    assert message.endswith(
        f'Save that page as {cache / "tiny_shakespeare.txt"} by hand, or choose corpus = "python_docs", which '
        "needs no network"
    )
    assert files(cache) == []


class HalfAnswer(BaseHTTPRequestHandler):
    """Hangs up before all that was promised is sent."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[:10])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def half_server() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), HalfAnswer) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/input.txt"
        thread.join()


def test_a_connection_that_breaks_off_leaves_no_half_file(
    half_server: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiny_shakespeare, "URL", half_server)
    assert f"cannot download {half_server}" in refusal()
    assert files(cache) == []


def test_a_full_disk_leaves_no_half_text(home: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Path.write_bytes

    def write_half(file: Path, content: bytes) -> int:
        whole(file, content[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write_half)
    assert "No space left on device" in refusal()
    monkeypatch.setattr(Path, "write_bytes", whole)
    assert TinyShakespeareCorpus().read() == CONTENT.decode()


def test_a_cache_that_cannot_be_written_is_named(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GPTKIT_CACHE", str(tmp_path / "file"))
    assert str(tmp_path / "file") in refusal()


def test_the_quoted_text_is_the_one_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    file = Path(__file__).parents[4] / "shared" / "data" / "tinyshakespeare.txt"
    if not file.is_file():
        pytest.skip("the real text is not beside this repository")
    check_sha256(file.read_bytes(), tiny_shakespeare.SHA256, "the real text")
