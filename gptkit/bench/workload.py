"""A recipe's model and settings on random text, ready to be timed."""

import json
import string
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from gptkit.run.prepare import PreparedRun, prepare
from gptkit.seeds import generator
from gptkit.testing.case import Case
from gptkit.training.precision import DTYPES

# 65 characters, as in the lecture's text.
ALPHABET = string.ascii_letters + string.digits + "\n ."
CHARACTERS = 1_000_000

# The sizes and settings of recipes/gpt_small.toml, used without a recipe; a test compares the two.
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


def prepare_workload(
    recipe: Path | None,
    *,
    overrides: Sequence[str] = (),
    plugins: Sequence[Path] = (),
    trust_plugins: bool = False,
    characters: int | None = None,
) -> PreparedRun:
    """Prepare a recipe as a run does, but on a text of random characters.

    Args:
        recipe: The default is `gpt_small`.
        overrides: Changes to the recipe, each as in `--set`.
        plugins: Plugin files besides those that the recipe names.
        trust_plugins: Whether to run the plugin files that a run directory carries, if the recipe is in one.
        characters: Length of the text, not counting one of each character.

    Raises:
        RecipeError: If the recipe is wrong; names every problem.
        PluginError: If a plugin does not load or one of its parts cannot be built.
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


def training_case(prepared: PreparedRun) -> Case:
    """Return the shape, dtype and device of the attentions of a recipe's model in training."""
    dims = prepared.model.dims
    return Case(
        B=prepared.resolved.train.batch_size,
        H=dims.n_head,
        T=dims.block_size,
        D=dims.head_width,
        dtype=DTYPES[prepared.dtype.value],
        device=prepared.device.value,
    )


def random_text(characters: int) -> str:
    """Return characters drawn from the alphabet, after one of each."""
    drawn = torch.randint(len(ALPHABET), (characters,), generator=generator(0, "bench", "text"))
    return ALPHABET + "".join(ALPHABET[i] for i in drawn.tolist())
