"""Text to tokens, and tokens to batches; `SplitCorpus` is the base of corpora that hold out the end of one text.

Imports `interfaces`; knows no recipe and no registry. Plugin authors may import every name in `__all__`.
"""

from gptkit.data.download import download_once
from gptkit.data.split_corpus import SplitCorpus, decode_pieces, decode_utf8

__all__ = ["SplitCorpus", "decode_pieces", "decode_utf8", "download_once"]
