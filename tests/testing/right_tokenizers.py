"""Right tokenizers that are easy to break in one place: of words, and of merged pairs of bytes."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from gptkit.interfaces import Tokenizer

# The first 256 ids are bytes.
BYTES = 256


class MergeTokenizer(Tokenizer):
    """Byte-pair encoding of a few merges, learnt from the joined text. Sennrich et al. 2016.

    Pairs are merged within words alone, and a word takes the blank before it.
    """

    merges: list[tuple[int, int]]

    def __init__(self, text: Iterable[str]) -> None:
        super().__init__(text)
        self.merges = self.learn(Counter(self.words("".join(text))))

    @staticmethod
    def words(text: str) -> list[str]:
        return re.findall(r"\s?\S+|\s", text)

    def learn(self, words: Counter[str]) -> list[tuple[int, int]]:
        """Take the eight commonest pairs one after another; of those as common, the least."""
        spelt = {word: list(word.encode("utf-8")) for word in words}
        merges: list[tuple[int, int]] = []
        for _ in range(8):
            pairs: Counter[tuple[int, int]] = Counter()
            for word, ids in spelt.items():
                for pair in pairwise(ids):
                    pairs[pair] += words[word]
            if not pairs:
                break
            merges.append(min(pairs, key=lambda pair: (-pairs[pair], pair)))
            spelt = {word: merged(ids, merges[-1], BYTES + len(merges) - 1) for word, ids in spelt.items()}
        return merges

    @property
    def vocab_size(self) -> int:
        return BYTES + len(self.merges)

    def encode(self, text: str) -> list[int]:
        ids: list[int] = []
        for word in self.words(text):
            spelt = list(word.encode("utf-8"))
            for i, pair in enumerate(self.merges, start=BYTES):
                spelt = merged(spelt, pair, i)
            ids += spelt
        return ids

    def spelling(self, i: int) -> bytes:
        return bytes([i]) if i < BYTES else b"".join(map(self.spelling, self.merges[i - BYTES]))

    def decode(self, ids: Sequence[int]) -> str:
        return b"".join(map(self.spelling, ids)).decode("utf-8", errors="replace")

    def to_json(self) -> dict[str, Any]:
        return {"merges": [list(pair) for pair in self.merges]}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> "MergeTokenizer":
        tokenizer = cls([])
        tokenizer.merges = [(first, second) for first, second in saved["merges"]]
        return tokenizer


def merged(ids: list[int], pair: tuple[int, int], new: int) -> list[int]:
    """Replace each pair by its new id, from the left."""
    found: list[int] = []
    for i in ids:
        if found and (found[-1], i) == pair:
            found[-1] = new
        else:
            found.append(i)
    return found
