from gptkit.data import SplitCorpus, decode_pieces, download_once
from gptkit.hookspecs import Register, hookimpl

URL = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"


class TinyShakespeareCorpus(SplitCorpus):
    """Shakespeare's plays, 1.1 MB of 65 distinct characters. Downloaded once, then read from the cache.

    The cache is `$GPTKIT_CACHE`, or else `gptkit` in the user's cache directory.

    Source:
        Karpathy 2015, https://github.com/karpathy/char-rnn.
    """

    def read(self) -> str:
        """Return the text, downloading it the first time.

        Raises:
            DataError: If it cannot be downloaded, or its SHA-256 is wrong.
        """
        return "".join(decode_pieces([download_once(URL, SHA256, "tiny_shakespeare")], URL))


@hookimpl
def gptkit_register(register: Register) -> None:
    register("tiny_shakespeare", TinyShakespeareCorpus)
