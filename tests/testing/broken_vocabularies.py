"""Tokenizers that are broken where training reads them, where text is cut, token by token, or on resuming."""

from collections.abc import Sequence
from typing import Any, ClassVar

from gptkit.components.tokenizer.char import CharTokenizer
from tests.testing.mutant import CaughtBy


class DecodesATokenWithoutItsBlank(CharTokenizer):
    """Removes a blank from the end of a single token."""

    def decode(self, ids: Sequence[int]) -> str:
        text = super().decode(ids)
        return text.rstrip(" ") if len(ids) == 1 else text


class SavesKeysAsTexts(CharTokenizer):
    """Sorts ids that have become texts in JSON: 10 comes before 2."""

    def to_json(self) -> dict[str, Any]:
        return {str(i): character for i, character in enumerate(self.characters)}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> "SavesKeysAsTexts":
        tokenizer = cls([])
        tokenizer.characters = [saved[key] for key in sorted(saved)]
        tokenizer.ids = {character: i for i, character in enumerate(tokenizer.characters)}
        return tokenizer


class RemembersTextsInTheClass(CharTokenizer):
    """Looks texts up in the class, whatever the vocabulary of this tokenizer is."""

    texts: ClassVar[dict[str, list[int]]] = {}

    def encode(self, text: str) -> list[int]:
        return list(self.texts.setdefault(text, super().encode(text)))


CAUGHT_BY: CaughtBy = {
    DecodesATokenWithoutItsBlank: "encodes_its_own_text",
    SavesKeysAsTexts: "json_round_trips",
    RemembersTextsInTheClass: "round_trips",
}
