"""`gptkit plugins`: what was found, from where, and what failed."""

import importlib.metadata
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Gptkit = Callable[..., Any]

ROOT = Path(__file__).parents[2]
BROKEN = importlib.metadata.EntryPoint("broken", "nowhere_to_be_found:plugin", "gptkit")


def test_lists_a_named_file_with_what_it_offers(gptkit: Gptkit) -> None:
    file = ROOT / "plugins/parallel_block.py"
    assert f"parallel_block.py ({file}) offers block parallel" in gptkit("plugins", "--plugin", str(file)).out


def test_says_when_there_are_none(gptkit: Gptkit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [])
    told = gptkit("plugins").out
    assert told.startswith("gptkit's own: 25 plugins, 25 parts\n")
    assert "no others" in told


def test_installed_plugin_that_fails_is_told_and_does_not_stop_a_run(
    gptkit: Gptkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [BROKEN])
    (row,) = json.loads(gptkit("plugins", "--json").out)
    assert row["name"] == "broken"
    assert row["origin"] == "entry point nowhere_to_be_found:plugin"
    assert row["failure"].startswith("ModuleNotFoundError: No module named 'nowhere_to_be_found'")
    outcome = gptkit("run", "small.toml")
    assert outcome.code == 0
    assert outcome.err.startswith(
        "warning: plugin broken (entry point nowhere_to_be_found:plugin) does not load: "
    )


def test_recipe_that_needs_a_failed_plugin_names_it(gptkit: Gptkit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [BROKEN])
    outcome = gptkit("run", "small.toml", "--set", "model.norm=broken_norm")
    assert outcome.code == 2
    assert "Plugins that did not load, and may offer it: broken: ModuleNotFoundError" in outcome.err
