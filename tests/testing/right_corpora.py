"""A right corpus of lines that are all different, which is easy to break in one place."""

import random

from gptkit.data import SplitCorpus

WORDS = "a bell can drift every fair grey hour into joined kept lanes more near old paths quiet rain sea tall wide"


class VariedCorpus(SplitCorpus):
    """400 lines of seven words, drawn with a seed of their own."""

    def read(self) -> str:
        draw = random.Random(7)
        return "".join(f"{' '.join(draw.choices(WORDS.split(), k=7))}.\n" for _ in range(400))
