"""What a recipe asks of the machine, ready to be timed: its model and its settings, on random tokens."""

import json
import string
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from gptkit.run.prepare import PreparedRun, prepare
from gptkit.seeds import generator

# 65, as many as the lecture's text has.
ALPHABET = string.ascii_letters + string.digits + "\n ."
CHARACTERS = 1_000_000

# The sizes and settings of recipes/gpt_small.toml, for where there is no recipe; a test holds them against it.
GPT_SMALL = """
[model]
n_layer = 6
n_head = 6
n_embd = 384
block_size = 256
dropout = 0.2
attention = "auto"
feed_forward = { use = "relu", expand = 4 }
norm = "layernorm"
position = "learned"
block = "pre_norm"

[data]
corpus = "python_docs"
tokenizer = "char"

[train]
batch_size = 64
max_iters = 5000
seed = 1337
optimizer = { use = "adamw", learning_rate = 3e-4 }
schedule = "constant"
"""


def workload(
    recipe: Path | None,
    *,
    overrides: Sequence[str] = (),
    plugins: Sequence[Path] = (),
    trust_plugins: bool = False,
    characters: int | None = None,
) -> PreparedRun:
    """Return a recipe made ready to run, as a run would, but for its text: random characters.

    Args:
        recipe: By default that of `gpt_small`.
        overrides: Changes to the recipe, each as `--set` takes them.
        plugins: Plugin files besides those that the recipe names.
        trust_plugins: Whether to run the plugin files of a run directory, where the recipe is one's.
        characters: Length of the text, besides one of each character.

    Raises:
        RecipeError: If the recipe is wrong; says everything that is.
        PluginError: If a plugin does not load, or a part of it cannot be built.
        UsageError: If plugin files are not trusted.
    """
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory()))
        text = directory / "text.txt"
        text.write_text(random_text(characters or CHARACTERS), encoding="utf-8", newline="")
        if recipe is None:
            recipe = directory / "gpt_small.toml"
            recipe.write_text(GPT_SMALL, encoding="utf-8")
        own = [
            f'data.corpus={{ use = "text", path = {json.dumps(str(text))} }}',
            'data.tokenizer={ use = "char" }',
        ]
        return prepare(recipe, overrides=[*overrides, *own], plugins=plugins, trust_plugins=trust_plugins)


def random_text(characters: int) -> str:
    """Return characters drawn from the alphabet; each of them occurs."""
    drawn = torch.randint(len(ALPHABET), (characters,), generator=generator(0, "bench", "text"))
    return ALPHABET + "".join(ALPHABET[i] for i in drawn.tolist())
