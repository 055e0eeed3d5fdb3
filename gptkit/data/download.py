"""Downloads a text once and stores it in the user's cache directory."""

import hashlib
import http.client
import urllib.request

from gptkit.errors import DataError
from gptkit.user_cache import cache_directory, store_file


def download_once(url: str, sha256: str, name: str) -> bytes:
    """Return the content of a URL, from the cache if it was downloaded before.

    Args:
        sha256: Expected SHA-256 of the content, in hexadecimal.
        name: Name of the corpus. The cached file is `NAME.txt`; errors begin with it.

    Raises:
        DataError: If the file cannot be downloaded or stored, or its SHA-256 is another.
    """
    file = cache_directory() / f"{name}.txt"
    if not file.is_file():
        try:
            with urllib.request.urlopen(url, timeout=30) as response:
                content: bytes = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise DataError(
                f"{name}: cannot download {url}: {getattr(error, 'reason', error)}. Save that page as "
                f'{file} by hand, or choose corpus = "python_docs", which needs no network'
            ) from error
        check_sha256(content, sha256, f"{name}: {url}")
        try:
            store_file(content, file)
        except OSError as error:
            raise DataError(
                f"{name}: cannot keep {file}: {error.strerror}. Set GPTKIT_CACHE to a directory"
            ) from error
    content = file.read_bytes()
    check_sha256(content, sha256, f"{name}: {file}")
    return content


def check_sha256(content: bytes, expected: str, source: str) -> None:
    """Raise DataError unless the content has the expected SHA-256, naming `source`."""
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise DataError(
            f"{source} is not the text it should be: its sha256 is {found}, expected {expected}. "
            "Remove the file if you have one, and download it again"
        )
