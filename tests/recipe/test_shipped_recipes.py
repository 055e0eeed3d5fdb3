"""The recipes that come with gptkit are what they say."""

import re
from pathlib import Path

import pytest

from gptkit.recipe.read import read
from gptkit.recipe.resolve import resolve
from gptkit.recipe.resolved import Resolved
from gptkit.registry.loader import Plugins

RECIPES = Path(__file__).parents[2] / "recipes"


def resolved(name: str) -> Resolved:
    recipe = read(RECIPES / f"{name}.toml")
    return resolve(recipe, Plugins(recipe.plugins))


def parts_of(recipe: Resolved) -> dict[str, str]:
    return {kind: choice.name for kind, choice in recipe.parts.items()}


@pytest.mark.parametrize("file", sorted(RECIPES.glob("*.toml")), ids=lambda file: file.stem)
def test_every_line_has_a_reason(file: Path) -> None:
    for line in file.read_text(encoding="utf-8").splitlines():
        assert not line or line.startswith(("[", "#")) or re.search(r"\s# \S", line), line


def test_gpt_small_is_the_lecture_s_model() -> None:
    recipe = resolved("gpt_small")
    assert recipe.sizes == {"n_layer": 6, "n_head": 6, "n_embd": 384, "block_size": 256, "dropout": 0.2}
    assert parts_of(recipe) == {
        "attention": "auto",
        "feed_forward": "relu",
        "norm": "layernorm",
        "position": "learned",
        "block": "pre_norm",
        "corpus": "python_docs",
        "tokenizer": "char",
        "optimizer": "adamw",
        "schedule": "constant",
    }
    assert recipe.parts["feed_forward"].options["expand"] == 4
    assert recipe.parts["optimizer"].options["learning_rate"] == 3e-4
    assert (recipe.train.batch_size, recipe.train.max_iters) == (64, 5000)


def test_gpt_tiny_is_the_same_architecture_smaller() -> None:
    tiny, small = resolved("gpt_tiny"), resolved("gpt_small")
    assert tiny.sizes == {"n_layer": 4, "n_head": 4, "n_embd": 128, "block_size": 64, "dropout": 0.0}
    for kind in ("feed_forward", "norm", "position", "block"):
        assert tiny.parts[kind].table() == small.parts[kind].table()
    assert (tiny.train.batch_size, tiny.train.max_iters) == (12, 2000)


def test_shakespeare_has_its_usual_rates() -> None:
    recipe = resolved("shakespeare")
    assert recipe.parts["corpus"].name == "tiny_shakespeare"
    optimizer = recipe.parts["optimizer"].options
    assert (optimizer["learning_rate"], optimizer["betas"][1], optimizer["weight_decay"]) == (1e-3, 0.99, 0.1)
    assert recipe.parts["schedule"].table() == {"use": "cosine", "warmup": 100, "floor": 0.1}
    assert recipe.train.grad_clip == 1.0


def test_modern_has_other_furniture() -> None:
    recipe = resolved("modern")
    assert {**parts_of(recipe)}.items() >= {
        "feed_forward": "swiglu",
        "norm": "rmsnorm",
        "position": "rope",
        "optimizer": "muon",
        "schedule": "wsd",
    }.items()


def test_cpu_3m_has_what_pays_in_three_minutes() -> None:
    recipe = resolved("cpu_3m")
    assert (
        parts_of(recipe).items()
        >= {
            "feed_forward": "relu2",
            "norm": "rmsnorm",
            "position": "rope",
            "corpus": "tiny_shakespeare",
            "optimizer": "muon",
            "schedule": "wsd",
        }.items()
    )
    assert recipe.layers[0]["attention"].options["qk_norm"] is True
    assert (recipe.sizes["n_layer"], recipe.sizes["block_size"], recipe.train.batch_size) == (3, 128, 8)
