"""The keys that a recipe may hold."""

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field

from gptkit.errors import did_you_mean
from gptkit.interfaces import Dims
from gptkit.recipe.toml_lines import Key
from gptkit.recipe.train_settings import TrainSettings
from gptkit.registry.signature import Option, options

# The keys that decide which files are read.
FILE_KEYS = ("base", "plugins")
# The keys of each section that name a part. Each is called what its kind is called.
SLOTS = {
    "model": ("attention", "feed_forward", "norm", "position", "block"),
    "data": ("corpus", "tokenizer"),
    "train": ("optimizer", "schedule"),
}
# Of each kind, the part that a recipe gets when it chooses none.
DEFAULTS = {
    "attention": "sdpa",
    "feed_forward": "relu",
    "norm": "layernorm",
    "position": "learned",
    "block": "pre_norm",
    "corpus": "python_docs",
    "tokenizer": "char",
    "optimizer": "adamw",
    "schedule": "constant",
}
# The kinds that `[[model.layer]]` may choose for single layers.
LAYER_SLOTS = ("attention", "feed_forward", "norm", "block")
# The keys of each section that name no part. The vocabulary is the tokenizer's to say.
KEYS: dict[str, dict[str, Option]] = {
    "model": {name: option for name, option in options(Dims).items() if name != "vocab_size"},
    "data": {},
    "train": options(TrainSettings),
}
AT = Option("at", Annotated[list[int], Field(min_length=1)])


def names_part(key: Key) -> bool:
    """Return whether a key, such as `model.attention` or `model.layer[0].attention`, holds a part."""
    match key:
        case (str(section), str(slot)):
            return slot in SLOTS.get(section, ())
        case ("model", "layer", int(), str(slot)):
            return slot in SLOTS["model"]
    return False


def unknown(name: str, known: Mapping[str, Option], near: Sequence[str], owner: str) -> str:
    """Return what to say of a key that nobody takes."""
    if owner:
        takes = ", ".join(map(str, known.values())) or "no options"
        return f"'{owner}' takes {takes}, not '{name}'.{did_you_mean(name, near)}"
    if name == "vocab_size":
        return "no key of a recipe: the tokenizer says how many tokens there are"
    for section, keys in KEYS.items():
        if name in keys or name in SLOTS[section]:
            return f"unknown key. Did you mean '{section}.{name}'?"
    return f"unknown key.{did_you_mean(name, near)} Known: {', '.join(near)}."
