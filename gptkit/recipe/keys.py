"""The keys that a recipe may hold."""

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field

from gptkit.errors import did_you_mean
from gptkit.interfaces import Dims
from gptkit.recipe.train_settings import TrainSettings
from gptkit.registry.signature import Option, options

# The keys that decide which files are read.
FILE_KEYS = ("base", "plugins")
# The keys of each section that name a part, each with the part for a recipe that names none. A key is its kind.
SLOTS = {
    "model": {
        "attention": "sdpa",
        "feed_forward": "relu",
        "norm": "layernorm",
        "position": "learned",
        "block": "pre_norm",
    },
    "data": {"corpus": "python_docs", "tokenizer": "char"},
    "train": {"optimizer": "adamw", "schedule": "constant"},
}
DEFAULTS = {kind: name for section in SLOTS.values() for kind, name in section.items()}
# The kinds that `[[model.layer]]` may choose for single layers.
LAYER_SLOTS = ("attention", "feed_forward", "norm", "block")
# The other keys of each section. The tokenizer determines the vocabulary.
KEYS: dict[str, dict[str, Option]] = {
    "model": {name: option for name, option in options(Dims).items() if name != "vocab_size"},
    "data": {},
    "train": options(TrainSettings),
}
AT = Option("at", Annotated[list[int], Field(min_length=1)])


def unknown(name: str, known: Mapping[str, Option], near: Sequence[str], owner: str) -> str:
    """Return the message for an unknown key.

    Args:
        near: Names that it may be a misspelling of.
        owner: The part whose options are known; empty for a section.
    """
    if owner:
        takes = ", ".join(map(str, known.values())) or "no options"
        return f"'{owner}' takes {takes}, not '{name}'.{did_you_mean(name, near)}"
    if name == "vocab_size":
        return "no key of a recipe: the tokenizer says how many tokens there are"
    for section, keys in KEYS.items():
        if name in keys or name in SLOTS[section]:
            return f"unknown key. Did you mean '{section}.{name}'?"
    return f"unknown key.{did_you_mean(name, near)} Known: {', '.join(near)}."
