"""Text to tokens, tokens to batches; and helpers for corpora: holding out text, decoding UTF-8, downloading.

Imports `interfaces`; knows no recipe and no registry. Plugin authors may import every name in `__all__`.
"""

from gptkit.data.download import download_once
from gptkit.data.split_corpus import SplitCorpus, decode_pieces

__all__ = ["SplitCorpus", "decode_pieces", "download_once"]
