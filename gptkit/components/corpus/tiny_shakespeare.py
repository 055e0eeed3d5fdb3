"""The corpus of "Let's build GPT"."""

import hashlib
import http.client
import urllib.request
from pathlib import Path

from gptkit.cache import cache_directory, keep
from gptkit.corpus import SplitCorpus, decode_utf8
from gptkit.errors import DataError
from gptkit.hookspecs import Register, hookimpl

URL = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
TIMEOUT_SECONDS = 30


class TinyShakespeareCorpus(SplitCorpus):
    """1.1 MB of Shakespeare's plays, 65 distinct characters; downloaded once, checked and kept.

    Kept in `$GPTKIT_CACHE`, or else `gptkit` in the user's cache directory.

    Source:
        Karpathy 2015, https://github.com/karpathy/char-rnn.
    """

    def read(self) -> str:
        """Return the text, downloading it the first time.

        Raises:
            DataError: If it is not there and cannot be downloaded, or is not what it should be.
        """
        file = cache_directory() / "tiny_shakespeare.txt"
        if not file.is_file():
            text = download(file)
            try:
                keep(text, file)
            except OSError as error:
                raise DataError(
                    f"tiny_shakespeare: cannot keep {file}: {error.strerror}. Set GPTKIT_CACHE to a directory"
                ) from error
        content = file.read_bytes()
        check(content, str(file))
        return decode_utf8(content, str(file))


def download(file: Path) -> bytes:
    """Return the text from its home on the web."""
    try:
        with urllib.request.urlopen(URL, timeout=TIMEOUT_SECONDS) as response:
            content: bytes = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise DataError(
            f"tiny_shakespeare: cannot download {URL}: {getattr(error, 'reason', error)}. Save that page as "
            f'{file} by hand, or choose corpus = "python_docs", which needs no network'
        ) from error
    check(content, URL)
    return content


def check(content: bytes, source: str) -> None:
    """Raise DataError unless the content is the text that results are quoted on."""
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise DataError(
            f"tiny_shakespeare: {source} is not the text it should be: its sha256 is {found}, expected {SHA256}. "
            "Remove the file if you have one, and download it again"
        )


@hookimpl
def gptkit_register(register: Register) -> None:
    """Offer `tiny_shakespeare`."""
    register("tiny_shakespeare", TinyShakespeareCorpus)
