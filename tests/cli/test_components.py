"""`gptkit components`: what there is, in words and in JSON."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Gptkit = Callable[..., Any]

ROOT = Path(__file__).parents[2]


def test_lists_every_kind(gptkit: Gptkit) -> None:
    listed = gptkit("components").out
    for word in ("attention\n  fused", "  naive", "  sdpa", "optimizer\n  adamw", "schedule\n  constant"):
        assert word in listed


def test_lists_one_kind(gptkit: Gptkit) -> None:
    listed = gptkit("components", "norm").out
    assert [line.split()[0] for line in listed.splitlines()] == ["norm", "layernorm", "rmsnorm"]


def test_json_holds_options_with_types_and_defaults(gptkit: Gptkit) -> None:
    (swiglu,) = [part for part in json.loads(gptkit("components", "--json").out) if part["name"] == "swiglu"]
    assert swiglu["kind"] == "feed_forward"
    assert swiglu["options"][0] == {"name": "expand", "type": "int", "required": False, "default": 4}


def test_show_tells_options_origin_and_documentation(gptkit: Gptkit) -> None:
    told = gptkit("components", "show", "rope").out
    for words in ("position rope: RopePosition (", "rope.py:", "arXiv:2104.09864", "  theta: float = 10000.0"):
        assert words in told


def test_plugin_is_listed_with_its_file(gptkit: Gptkit) -> None:
    listed = gptkit("components", "block", "--plugin", str(ROOT / "plugins/parallel_block.py")).out
    assert "parallel         Attention and feed-forward side by side" in listed
    assert "(from parallel_block.py)" in listed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["attentoin"], "no kind of part is called 'attentoin'. Did you mean 'attention'? Known: attention, "),
        (["show", "swiglo"], "no part is called 'swiglo'. Did you mean 'swiglu'?"),
    ],
)
def test_unknown_names_exit_2(gptkit: Gptkit, arguments: list[str], message: str) -> None:
    outcome = gptkit("components", *arguments)
    assert outcome.code == 2
    assert message in outcome.err


def test_auto_is_listed_with_the_attentions_and_is_no_part(gptkit: Gptkit) -> None:
    listed = gptkit("components", "attention").out.splitlines()
    assert [line.split()[0] for line in listed] == ["attention", "fused", "naive", "sdpa", "tiled", "auto"]
    assert "auto" not in gptkit("components", "norm").out
    assert "auto" not in {part["name"] for part in json.loads(gptkit("components", "attention", "--json").out)}
    outcome = gptkit("components", "show", "auto")
    assert outcome.code == 2
    assert outcome.err.startswith(
        "'auto' is no part, but what a recipe may say for an attention. The one that trains "
    )
