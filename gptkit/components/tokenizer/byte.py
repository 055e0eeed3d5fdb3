from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Integer

from gptkit.hookspecs import Register, hookimpl
from gptkit.interfaces import Tokenizer


class ByteTokenizer(Tokenizer):
    """One token for each byte of UTF-8: 256 tokens, and any text can be encoded."""

    @property
    def vocab_size(self) -> int:
        """Number of bytes, 256."""
        return 256

    def encode(self, text: str) -> list[int]:
        """Return the bytes of the text in UTF-8."""
        return list(text.encode("utf-8"))

    def encode_array(self, text: str) -> Integer[np.ndarray, " N"]:
        """Return the bytes of the text in UTF-8, as an array."""
        return np.frombuffer(text.encode("utf-8"), dtype=np.uint8)

    def safe_cut(self, text: str) -> int:
        """Return the end: the bytes of a character do not depend on its neighbours."""
        return len(text)

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of the bytes, with U+FFFD where they are not UTF-8."""
        return bytes(ids).decode("utf-8", errors="replace")

    def to_json(self) -> dict[str, Any]:
        """Return an empty dict: all byte tokenizers are the same."""
        return {}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> "ByteTokenizer":
        """Return a byte tokenizer."""
        return cls([])


@hookimpl
def gptkit_register(register: Register) -> None:
    register("byte", ByteTokenizer)
