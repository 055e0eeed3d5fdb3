"""`gptkit recipe`: list, copy, check, show and schema."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli

Gptkit = Callable[..., Any]

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "recipes").glob("*.toml"))


@pytest.mark.parametrize("recipe", SHIPPED, ids=lambda path: path.stem)
def test_every_recipe_of_ours_has_nothing_wrong(gptkit: Gptkit, recipe: Path) -> None:
    outcome = gptkit("recipe", "check", str(recipe))
    assert (outcome.code, outcome.out) == (0, f"{recipe}: nothing wrong\n")


def test_check_says_everything_at_once(gptkit: Gptkit) -> None:
    Path("wrong.toml").write_text(
        'base = "small.toml"\n[model]\nattention = "spda"\nn_heads = 2\n[trian]\nseed = 1\n'
    )
    outcome = gptkit("recipe", "check", "wrong.toml")
    assert outcome.code == 2
    assert outcome.err.splitlines() == [
        "wrong.toml:3  model.attention  no Attention is called 'spda'. Did you mean 'sdpa'? "
        "Known: fused, naive, sdpa, tiled.",
        "wrong.toml:4  model.n_heads  unknown key. Did you mean 'n_head'? Known: n_layer, n_head, n_embd, "
        "block_size, dropout, attention, feed_forward, norm, position, block, layer.",
        "wrong.toml:6  trian  unknown key. Did you mean 'train'? Known: model, data, train, base, plugins.",
    ]


def test_check_hears_what_parts_say_to_each_other(gptkit: Gptkit) -> None:
    outcome = gptkit("recipe", "check", "small.toml", "--set", "model.position=rope", "--set", "model.n_head=8")
    assert outcome.code == 2
    assert "model.position  rope rotates channels in pairs and needs an even head width, found 1" in outcome.err


def test_what_parts_say_is_told_with_all_else(gptkit: Gptkit) -> None:
    warmup = "train.schedule={ use = 'cosine', warmup = 9 }"
    outcome = gptkit("recipe", "check", "small.toml", "--set", "model.norm=nrom", "--set", warmup)
    assert outcome.err.splitlines() == [
        "--set model.norm=nrom  model.norm  no Norm is called 'nrom'. Known: layernorm, rmsnorm.",
        f"--set {warmup}  train.schedule  warmup = 9 must be below the number of steps, 4",
    ]


def test_show_is_the_recipe_with_all_filled_in_and_where_from(gptkit: Gptkit) -> None:
    told = gptkit("recipe", "show", "small.toml", "--set", "train.seed=7").out
    shown = tomli.loads(told)
    assert shown["model"]["attention"] == {"use": "sdpa", "qkv_bias": False, "out_bias": True, "qk_norm": False}
    lines = {line.partition("#")[0].strip(): line.partition("#")[2].strip() for line in told.splitlines()}
    assert lines["n_embd = 8"] == "small.toml:5"
    assert lines["seed = 7"] == "--set train.seed=7"
    assert lines["dropout = 0.0"] == "default"


def test_schema_knows_sections_parts_and_options(gptkit: Gptkit) -> None:
    schema = json.loads(gptkit("recipe", "schema").out)
    assert set(schema["properties"]) == {"base", "plugins", "model", "data", "train"}
    names, *tables = schema["properties"]["model"]["properties"]["feed_forward"]["anyOf"]
    assert names == {"enum": ["gelu", "relu", "relu2", "swiglu"]}
    assert tables[0]["properties"]["expand"] == {"default": 4, "exclusiveMinimum": 0, "type": "integer"}
    assert schema["additionalProperties"] is False


def test_schema_knows_auto_and_the_options_that_any_attention_takes(gptkit: Gptkit) -> None:
    model = json.loads(gptkit("recipe", "schema").out)["properties"]["model"]["properties"]
    for attention in (model["attention"], model["layer"]["items"]["properties"]["attention"]):
        names, *tables = attention["anyOf"]
        assert names["enum"] == ["fused", "naive", "sdpa", "tiled", "auto"]
        (auto,) = [table for table in tables if table["properties"]["use"] == {"const": "auto"}]
        assert auto["properties"]["qkv_bias"] == {"type": "boolean"}
        assert auto["additionalProperties"] is False
    assert "auto" not in model["norm"]["anyOf"][0]["enum"]


def test_auto_is_checked_and_shown_as_it_was_written(gptkit: Gptkit) -> None:
    def measured(*_: object) -> None:
        raise AssertionError("it measures")

    auto = ("small.toml", "--set", "model.attention={ use = 'auto', qkv_bias = true }")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gptkit.tuning.choose_attention.time_candidates", measured)
        assert gptkit("recipe", "check", *auto).out == "small.toml: nothing wrong\n"
        shown = gptkit("recipe", "show", *auto).out
    assert re.search(r'\[model.attention\]\nuse = "auto" +# --set .*\nqkv_bias = true +# --set .*\n\n', shown)
    outcome = gptkit("recipe", "check", "small.toml", "--set", "model.attention={ use = 'auto', windw = 3 }")
    assert outcome.code == 2
    assert "model.attention.windw  'auto' takes qkv_bias: bool = False, " in outcome.err


def test_list_names_each_shipped_recipe_with_its_first_line(gptkit: Gptkit) -> None:
    lines = gptkit("recipe", "list").out.splitlines()
    assert [line.split()[0] for line in lines] == [file.stem for file in SHIPPED]
    (tiny,) = (line for line in lines if line.startswith("gpt_tiny "))
    assert tiny.startswith("gpt_tiny         The model of gpt_small at a size that learns to write")


def test_a_shipped_recipe_is_found_by_name_unless_a_file_has_that_name(gptkit: Gptkit) -> None:
    assert gptkit("recipe", "check", "modern").out == f"{ROOT}/recipes/modern.toml: nothing wrong\n"
    assert gptkit("recipe", "show", "modern").out == gptkit("recipe", "show", f"{ROOT}/recipes/modern.toml").out
    # A run in a directory that is named after its recipe.
    Path("modern").mkdir()
    assert gptkit("recipe", "check", "modern").code == 0
    Path("gpt_tiny").write_text("n_layer = 3")
    outcome = gptkit("recipe", "check", "gpt_tiny")
    assert (outcome.code, outcome.err.partition("  ")[0]) == (2, "gpt_tiny")


def test_an_unknown_name_is_told_the_nearest_and_all(gptkit: Gptkit) -> None:
    known = ", ".join(file.stem for file in SHIPPED)
    said = f"recipe  no recipe is called 'gpt_tny'. Did you mean 'gpt_tiny'? Known: {known}.\n"
    for verb in (["run"], ["recipe", "check"], ["recipe", "show"], ["recipe", "copy"], ["bench"]):
        outcome = gptkit(*verb, "gpt_tny")
        assert (outcome.code, outcome.err) == (2, said)
    assert gptkit("run", "gpt_tny.toml").err == "recipe  no such file: gpt_tny.toml\n"


@pytest.mark.parametrize("recipe", SHIPPED, ids=lambda path: path.stem)
def test_a_copy_says_what_the_recipe_says(gptkit: Gptkit, recipe: Path) -> None:
    def shown(name: str) -> str:
        return re.sub(r" *# .*", "", gptkit("recipe", "show", name).out)

    outcome = gptkit("recipe", "copy", recipe.stem, "--out", "copies/mine.toml")
    written = [Path(line.removeprefix("wrote ")) for line in outcome.out.splitlines()]
    assert written[0] == Path("copies/mine.toml")
    assert sorted(written) == sorted(Path("copies").iterdir())
    assert shown("copies/mine.toml") == shown(str(recipe))
    text = written[0].read_text(encoding="utf-8")
    assert [line.find(" #") for line in text.splitlines()] == [
        line.find(" #") for line in recipe.read_text(encoding="utf-8").splitlines()
    ]


def test_copy_overwrites_nothing_and_keeps_a_base_that_is_there(gptkit: Gptkit) -> None:
    assert gptkit("recipe", "copy", "modern").out == "wrote modern.toml\nwrote gpt_small.toml\n"
    assert gptkit("recipe", "copy", "shakespeare").out == "wrote shakespeare.toml\n"
    there = "is there already, and nothing is overwritten. Choose another name or --out\n"
    assert gptkit("recipe", "copy", "modern").err == f"modern.toml {there}"
    assert gptkit("recipe", "copy", "modern", "--out", "gpt_small.toml").err == (
        "recipe  'modern' is based on gpt_small.toml, so its copy needs another name\n"
    )
    Path("gpt_small.toml").write_text("# mine")
    outcome = gptkit("recipe", "copy", "modern", "--out", "other.toml")
    assert (outcome.code, outcome.err) == (2, f"gpt_small.toml {there}")
    assert not Path("other.toml").exists()
