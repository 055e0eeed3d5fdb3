"""A model, a text and a recipe small enough to be made anew in every test."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gptkit.components.attention.naive import NaiveAttention
from gptkit.components.block.pre_norm import PreNormBlock
from gptkit.components.feed_forward.gelu import GeluFeedForward
from gptkit.components.norm.layernorm import LayerNorm
from gptkit.components.position.learned import LearnedPosition
from gptkit.interfaces import BlockParts, Dims, ParameterGroups, Position
from gptkit.model import GPT
from gptkit.nn import SoftmaxAttention
from gptkit.recipe.train_settings import TrainSettings
from gptkit.run.loop import run
from gptkit.run.prepare import prepare
from gptkit.seeds import seeded

# Threads only cost time at these sizes.
torch.set_num_threads(1)

TEXT = "".join(f"{n} green bottles, hanging on the wall;\n" for n in range(60))

RECIPE = """
[model]
n_layer = 1
n_head = 2
n_embd = 8
block_size = 16
dropout = 0.1

[data]
corpus = { use = "text", path = "text.txt" }

[train]
batch_size = 4
max_iters = 12
device = "cpu"
dtype = "fp32"
compile = false
eval_interval = 5
log_interval = 2
sample_interval = 6
checkpoint_interval = 4
optimizer = { use = "adamw", learning_rate = 1e-2 }
"""


def small_dims(**sizes: Any) -> Dims:
    sizes = {"n_layer": 2, "n_head": 2, "n_embd": 8, "block_size": 8, "vocab_size": 11} | sizes
    return Dims(**sizes)


def small_model(
    attention: type[SoftmaxAttention] = NaiveAttention,
    position: type[Position] = LearnedPosition,
    *,
    std: float = 0.1,
    **sizes: Any,
) -> GPT:
    """Return a model that is the same each time.

    Args:
        std: Of all its weights; larger ones make it surer of what it writes.
    """
    dims = small_dims(**sizes)
    with seeded(torch.device("cpu"), 0), torch.no_grad():
        parts = BlockParts(attention, GeluFeedForward, LayerNorm)
        blocks = [PreNormBlock(dims, parts) for _ in range(dims.n_layer)]
        model = GPT(dims, position(dims), blocks, LayerNorm(dims))
        for weight in model.parameters():
            weight.normal_(std=std)
    return model


def small_tokens(length: int = 300, vocab_size: int = 11) -> Tensor:
    """Return tokens of which each but a few follow from the one before."""
    places = torch.arange(length)
    return ((places + places // 50) % vocab_size).int()


def small_settings(**settings: Any) -> TrainSettings:
    given: dict[str, Any] = {"batch_size": 4, "max_iters": 4, "device": "cpu"} | settings
    return TrainSettings(**given)


def all_parameters(groups: ParameterGroups) -> list[Tensor]:
    return [*groups.matrices, *groups.embeddings, *groups.vectors]


def same_weights(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    """Return whether two models have the same weights, bit for bit."""
    ours, theirs = a.state_dict(), b.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def write_recipe(directory: Path, *, recipe: str = RECIPE, text: str = TEXT) -> Path:
    """Write a small recipe and the text it learns, and return the recipe's path."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "text.txt").write_text(text, encoding="utf-8", newline="")
    (directory / "small.toml").write_text(recipe, encoding="utf-8")
    return directory / "small.toml"


def finish(recipe: Path, out: Path, overrides: Sequence[str] = (), *, trust_plugins: bool = False) -> Path:
    """Run a recipe to its end and return the run directory."""
    for _ in run(prepare(recipe, overrides=overrides, out=out, trust_plugins=trust_plugins)):
        pass
    return out
