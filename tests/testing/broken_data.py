"""Broken tokenizers and corpora."""

import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from gptkit.components.tokenizer.byte import ByteTokenizer
from gptkit.components.tokenizer.char import CharTokenizer
from tests.testing.mutant import CaughtBy
from tests.testing.right_parts import BottlesCorpus


class DropsWhatItDoesNotKnow(CharTokenizer):
    def encode(self, text: str) -> list[int]:
        return [self.ids[character] for character in text if character in self.ids]


class DropsTheLastCharacter(CharTokenizer):
    def encode(self, text: str) -> list[int]:
        return super().encode(text[:-1]) if len(text) > 1 else super().encode(text)


class LowersCapitals(ByteTokenizer):
    def encode(self, text: str) -> list[int]:
        return super().encode(text.lower())


class RaisesKeyError(CharTokenizer):
    def encode(self, text: str) -> list[int]:
        return [self.ids[character] for character in text]


class RefusesInSilence(CharTokenizer):
    def encode(self, text: str) -> list[int]:
        if not set(text) <= set(self.characters):
            raise ValueError
        return super().encode(text)


class KnowsAsciiAlone(CharTokenizer):
    def encode(self, text: str) -> list[int]:
        if not text.isascii():
            raise ValueError("a character is not of ASCII")
        return super().encode(text)


class ReadsTheFirstPieceAlone(CharTokenizer):
    def __init__(self, text: Iterable[str]) -> None:
        super().__init__([next(iter(text), "")])


class ReadsItsTextTwice(CharTokenizer):
    """An iterator can be read only once."""

    def __init__(self, text: Iterable[str]) -> None:
        self.length = sum(map(len, text))
        super().__init__(text)


class CountsFromOne(CharTokenizer):
    def encode(self, text: str) -> list[int]:
        return [i + 1 for i in super().encode(text)]

    def decode(self, ids: Sequence[int]) -> str:
        return super().decode([i - 1 for i in ids])


class GivesNumpyNumbers(CharTokenizer):
    def encode(self, text: str) -> list[int]:
        return list(np.array(super().encode(text), dtype=np.int64))


class DecodesWholeTextOnly(ByteTokenizer):
    def decode(self, ids: Sequence[int]) -> str:
        return bytes(ids).decode("utf-8")


class DecodesNothingToAMark(CharTokenizer):
    def decode(self, ids: Sequence[int]) -> str:
        return super().decode(ids) or "<|endoftext|>"


class LosesItsVocabulary(CharTokenizer):
    def to_json(self) -> dict[str, Any]:
        return {"characters": ""}


class SavesItsVocabularyInAnotherOrder(CharTokenizer):
    def __init__(self, text: Iterable[str]) -> None:
        self.characters = list(dict.fromkeys("".join(text)))
        self.ids = {character: i for i, character in enumerate(self.characters)}

    def to_json(self) -> dict[str, Any]:
        return {"characters": "".join(sorted(self.characters))}


class SavesASet(CharTokenizer):
    def to_json(self) -> dict[str, Any]:
        return {"characters": set(self.characters)}


class ShufflesItsVocabulary(CharTokenizer):
    def __init__(self, text: Iterable[str]) -> None:
        super().__init__(text)
        random.SystemRandom().shuffle(self.characters)
        self.ids = {character: i for i, character in enumerate(self.characters)}


class AlternatesItsIds(CharTokenizer):
    def encode(self, text: str) -> list[int]:
        self.characters.reverse()
        self.ids = {character: i for i, character in enumerate(self.characters)}
        return super().encode(text)


class GivesBytes(BottlesCorpus):
    def train(self) -> Iterator[str]:
        yield self.text.encode()  # type: ignore[misc]


class HasNoValidation(BottlesCorpus):
    def validation(self) -> Iterator[str]:
        yield ""


class YieldsNothing(BottlesCorpus):
    def train(self) -> Iterator[str]:
        yield from ()


class ShufflesAnew(BottlesCorpus):
    def train(self) -> Iterator[str]:
        lines = self.text[: self.cut].splitlines(keepends=True)
        random.SystemRandom().shuffle(lines)
        yield from lines


class CanBeReadOnce(BottlesCorpus):
    def __init__(self) -> None:
        super().__init__()
        self.lines = iter(self.text[: self.cut].splitlines(keepends=True))

    def train(self) -> Iterator[str]:
        yield from self.lines


class ValidatesOnTheEndOfTraining(BottlesCorpus):
    def train(self) -> Iterator[str]:
        yield self.text


CAUGHT_BY: CaughtBy = {
    DropsWhatItDoesNotKnow: "round_trips",
    DropsTheLastCharacter: "round_trips encodes_its_own_text",
    LowersCapitals: "round_trips encodes_its_own_text",
    RaisesKeyError: "refuses_clearly",
    RefusesInSilence: "refuses_clearly",
    KnowsAsciiAlone: "encodes_its_own_text",
    ReadsTheFirstPieceAlone: "encodes_its_own_text",
    ReadsItsTextTwice: "encodes_its_own_text",
    CountsFromOne: "ids_are_in_the_vocabulary",
    GivesNumpyNumbers: "ids_are_in_the_vocabulary",
    DecodesWholeTextOnly: "every_id_is_text",
    DecodesNothingToAMark: "every_id_is_text",
    LosesItsVocabulary: "json_round_trips",
    SavesItsVocabularyInAnotherOrder: "json_round_trips",
    SavesASet: "json_round_trips",
    ShufflesItsVocabulary: "is_a_function_of_the_text",
    AlternatesItsIds: "is_a_function_of_the_text",
    GivesBytes: "gives_text",
    HasNoValidation: "gives_text keeps_validation_apart",
    YieldsNothing: "gives_text",
    ShufflesAnew: "gives_the_same_again",
    CanBeReadOnce: "gives_the_same_again",
    ValidatesOnTheEndOfTraining: "keeps_validation_apart",
}
