"""`attention = "auto"`: who is chosen, who never is, what is written, and that nothing is measured twice."""

import json
import re
from pathlib import Path

import pytest
import tomli
import torch

import gptkit
from gptkit.api import load
from gptkit.cli.run_summary import origin_of
from gptkit.errors import RecipeError
from gptkit.recipe.check import check_recipe
from gptkit.recipe.read import read
from gptkit.registry.loader import Plugins
from gptkit.run.loop import run
from gptkit.run.prepare import PreparedRun, prepare
from gptkit.run.resume import prepare_resume
from gptkit.testing.targets import parts_of_recipe
from tests.attention_timings import AUTO, Costs, write_auto, write_strangers
from tests.small import finish

COSTS = {"fused": 3.0, "naive": 2.0, "sdpa": 5.0, "tiled": 9.0}
LAYERS = AUTO.replace("n_layer = 1", "n_layer = 3")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GPTKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("gptkit.run.loop.SAMPLE_TOKENS", 8)
    monkeypatch.setattr("gptkit.run.session.to_png", lambda figure: b"")
    return tmp_path / "cache"


@pytest.fixture
def costs(monkeypatch: pytest.MonkeyPatch) -> Costs:
    return Costs(monkeypatch, COSTS)


def never(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let it be an error to measure."""

    def measured(*_: object) -> None:
        raise AssertionError("it measures")

    monkeypatch.setattr("gptkit.tuning.choose_attention.time_candidates", measured)


def names(prepared: PreparedRun) -> list[str]:
    return [layer["attention"].name for layer in prepared.resolved.layers]


def times(prepared: PreparedRun) -> dict[str, float | str]:
    (timing,) = prepared.timings
    return {each.name: each.reason or each.seconds or 0.0 for each in timing.times}


def test_the_fastest_is_chosen_and_all_times_are_told_the_fastest_first(tmp_path: Path, costs: Costs) -> None:
    prepared = prepare(write_auto(tmp_path))
    assert names(prepared) == ["naive"]
    assert type(prepared.model.blocks[0].attention).__name__ == "NaiveAttention"
    assert list(times(prepared).items()) == [("naive", 2.0), ("fused", 3.0), ("sdpa", 5.0), ("tiled", 9.0)]
    (timing,) = prepared.timings
    assert (timing.keys, timing.chosen.name, origin_of(timing)) == (("model.attention",), "naive", "measured now")


def test_other_times_choose_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Costs(monkeypatch, {"fused": 1.0, "naive": 2.0, "sdpa": 5.0, "tiled": 9.0})
    assert names(prepare(write_auto(tmp_path))) == ["fused"]


def test_of_those_close_to_the_fastest_the_one_that_keeps_the_least_is_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Costs(monkeypatch, {"fused": 1.0, "naive": 1.09, "sdpa": 1.05, "tiled": 1.09})
    prepared = prepare(write_auto(tmp_path))
    assert names(prepared) == ["tiled"]
    # The queries, keys and values: of 4 rows of 16 positions, 8 channels each.
    (timing,) = prepared.timings
    assert timing.chosen.bytes_kept < min(each.bytes_kept for each in timing.times if each.name != "tiled")
    assert timing.chosen.bytes_kept >= 4 * (4 * 16 * 3 * 8)


def test_who_is_further_from_the_fastest_is_not_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Costs(monkeypatch, {"fused": 1.0, "naive": 1.11, "sdpa": 1.11, "tiled": 1.11})
    assert names(prepare(write_auto(tmp_path))) == ["fused"]


NEVER = {
    "wrong": r"output is off by .* \(B=4 H=2 T=16 S=16 D=4 .* float32 on cpu\)$",
    "wrong_whole": r"output is off by ",
    "declares": r"it declares a tolerance, and what 'auto' chooses must not change the results",
    "never_drops": r"0\.0000 of the weights is dropped, expected 0\.2",
    "no_dropout": r"ValueError: it has no dropout$",
    "no_training": r"NotImplementedError: it is for inference$",
    "tires": r"RuntimeError: it is tired$",
    "leaves": r"SystemExit: 3$",
}


@pytest.mark.parametrize("name", NEVER)
def test_who_does_not_hold_the_contract_is_never_chosen_and_its_row_says_why(
    name: str, tmp_path: Path, costs: Costs
) -> None:
    prepared = prepare(write_auto(tmp_path), plugins=[write_strangers(tmp_path, name)])
    assert names(prepared) == ["naive"]
    assert re.match(NEVER[name], str(times(prepared)[name]))


def test_a_stranger_that_holds_the_contract_may_be_chosen(tmp_path: Path, costs: Costs) -> None:
    prepared = prepare(write_auto(tmp_path), plugins=[write_strangers(tmp_path, "good")])
    assert names(prepared) == ["good"]


def test_where_nobody_holds_the_contract_the_recipe_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gptkit.tuning.attention_timing.reason_against", lambda attention, case: "it is wrong")
    with pytest.raises(RecipeError) as caught:
        prepare(write_auto(tmp_path))
    assert re.fullmatch(
        r".*small.toml:8  model.attention  no attention that equals 'naive' holds its contract here \(4 of 4 "
        r"rows, 16 of 16 positions, .*\): fused: it is wrong; naive: it is wrong; sdpa: it is wrong; "
        r"tiled: it is wrong",
        str(caught.value),
    )


def test_what_was_chosen_is_written_and_neither_a_rerun_nor_a_resumed_run_measures(
    tmp_path: Path, costs: Costs, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = finish(write_auto(tmp_path), tmp_path / "run", ["train.max_iters=2"])
    document = tomli.loads((root / "resolved.toml").read_text())
    assert document["model"]["attention"] == {
        "use": "naive",
        "qkv_bias": False,
        "out_bias": True,
        "qk_norm": False,
    }
    assert 'attention = "auto"' in (root / "recipe.toml").read_text()
    never(monkeypatch)
    (tmp_path / "cache" / "attention").rename(tmp_path / "gone")
    again = prepare(root / "resolved.toml", out=tmp_path / "again")
    assert (names(again), again.timings) == (["naive"], ())
    for _ in run(prepare_resume(root, overrides=["train.max_iters=3"])):
        pass
    assert tomli.loads((root / "resolved.toml").read_text())["model"]["attention"]["use"] == "naive"


def test_the_second_run_takes_the_times_of_the_first_and_says_of_which_day(
    tmp_path: Path, costs: Costs, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    first = prepare(write_auto(tmp_path))
    never(monkeypatch)
    second = prepare(write_auto(tmp_path))
    assert (names(second), times(second)) == (names(first), times(first))
    (file,) = (cache / "attention").iterdir()
    day = json.loads(file.read_text())["day"]
    assert origin_of(second.timings[0]) == f"measured on {day} and kept in {file}"


CHANGES = [
    "train.batch_size=3",
    "model.block_size=8",
    "model.n_head=4",
    "model.dropout=0.2",
    "model.position=rope",
    "model.attention.qkv_bias=true",
    "train.dtype=bf16",
    "train.deterministic=true",
]


@pytest.mark.parametrize("change", CHANGES)
def test_under_other_conditions_it_is_measured_anew(
    change: str, tmp_path: Path, costs: Costs, cache: Path
) -> None:
    prepare(write_auto(tmp_path))
    costs.costs["fused"] = 1.0
    assert names(prepare(write_auto(tmp_path), overrides=[change])) == ["fused"]
    assert len(list((cache / "attention").iterdir())) == 2
    assert not torch.are_deterministic_algorithms_enabled()


def test_another_plugin_of_the_same_name_is_measured_anew(tmp_path: Path, costs: Costs) -> None:
    good = write_strangers(tmp_path, "good")
    assert names(prepare(write_auto(tmp_path), plugins=[good])) == ["good"]
    good.write_text(good.read_text().replace("dropout_p=dropout", "dropout_p=0.0"))
    assert names(prepare(write_auto(tmp_path), plugins=[good])) == ["naive"]


def test_layers_with_the_same_options_share_one_measurement(
    tmp_path: Path, costs: Costs, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = '[[model.layer]]\nat = [1]\nattention = "auto"\n\n[data]'
    prepared = prepare(write_auto(tmp_path, LAYERS.replace("[data]", layer)))
    assert names(prepared) == ["naive"] * 3
    assert [timing.keys for timing in prepared.timings] == [("model.attention", "model.layer[0].attention")]
    (table,) = prepared.resolved.document["model"]["layer"]
    assert table == {
        "at": [1],
        "attention": {"use": "naive", "qkv_bias": False, "out_bias": True, "qk_norm": False},
    }


def test_layers_with_options_of_their_own_keep_them(tmp_path: Path, costs: Costs) -> None:
    layer = "[[model.layer]]\nat = [1, 2]\nattention = { qkv_bias = true }\n\n[data]"
    recipe = LAYERS.replace("[data]", layer).replace('"auto"', '{ use = "auto", out_bias = false }')
    prepared = prepare(write_auto(tmp_path, recipe))
    assert names(prepared) == ["naive"] * 3
    options = [dict(each["attention"].options) for each in prepared.resolved.layers]
    own, others = (
        {"qkv_bias": False, "out_bias": False, "qk_norm": False},
        {"qkv_bias": True, "out_bias": False, "qk_norm": False},
    )
    assert options == [own, others, others]
    assert len(prepared.timings) == 2


def test_auto_may_stand_in_single_layers_alone(tmp_path: Path, costs: Costs) -> None:
    layer = '[[model.layer]]\nat = [2]\nattention = "auto"\n\n[data]'
    recipe = LAYERS.replace("[data]", layer).replace('attention = "auto"', 'attention = "sdpa"', 1)
    assert names(prepare(write_auto(tmp_path, recipe))) == ["sdpa", "sdpa", "naive"]


def test_who_lacks_an_option_that_the_recipe_gives_is_not_chosen(tmp_path: Path, costs: Costs) -> None:
    strangers = write_strangers(tmp_path, "poor", "good")
    prepared = prepare(write_auto(tmp_path), overrides=["model.attention.qkv_bias=true"], plugins=[strangers])
    assert names(prepared) == ["good"]
    assert times(prepared)["poor"] == "'poor' takes no options, not 'qkv_bias'."


def test_build_settles_as_a_run_would(tmp_path: Path, costs: Costs, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = write_auto(tmp_path)
    model = gptkit.build(recipe, vocab_size=7)
    assert type(model.blocks[0].attention).__name__ == "NaiveAttention"
    never(monkeypatch)
    assert type(gptkit.build(recipe, vocab_size=9).blocks[0].attention).__name__ == "NaiveAttention"


def test_nothing_is_measured_where_nothing_is_trained(
    tmp_path: Path, costs: Costs, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = finish(write_auto(tmp_path), tmp_path / "run", ["train.max_iters=2"])
    never(monkeypatch)
    said = (
        "--set model.attention=auto  model.attention  'auto' is settled by timing training, before a run's first "
        "step. Here name one: fused, naive, sdpa, tiled"
    )
    for use in (lambda: load(root, overrides=["model.attention=auto"]), lambda: resumed(root)):
        with pytest.raises(RecipeError) as caught:
            use()
        assert str(caught.value) == said


def resumed(root: Path) -> PreparedRun:
    return prepare_resume(root, overrides=["model.attention=auto", "train.max_iters=3"])


def test_a_recipe_is_checked_without_measuring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    never(monkeypatch)
    plugins = Plugins([write_strangers(tmp_path, "no_dropout")])
    resolved = check_recipe(read(write_auto(tmp_path)), plugins).resolved
    assert resolved.document["model"]["attention"] == {"use": "auto"}


def test_where_nobody_can_be_built_the_check_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = STRANGER_ALONE
    (tmp_path / "alone.py").write_text(text)
    recipe = write_auto(tmp_path, AUTO.replace('"auto"', '{ use = "auto", tile = 3 }'))
    with pytest.raises(RecipeError) as caught:
        check_recipe(read(recipe), Plugins([tmp_path / "alone.py"]))
    said = str(caught.value)
    assert (
        f"{recipe}:8  model.attention  no attention that equals 'naive' can be built: bricks: no tile of 3" in said
    )
    assert (
        "sdpa: 'sdpa' takes qkv_bias: bool = False, out_bias: bool = True, qk_norm: bool = False, not 'tile'"
        in said
    )


STRANGER_ALONE = """
import gptkit
from gptkit.components.attention.fused import FusedAttention


class BricksAttention(FusedAttention):
    def __init__(self, dims, *, tile: int = 1):
        super().__init__(dims)
        if dims.head_width % tile:
            raise ValueError(f"no tile of {tile}")


@gptkit.hookimpl
def gptkit_register(register):
    register("bricks", BricksAttention)
"""


def test_check_proves_everybody_who_may_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    never(monkeypatch)
    recipe = write_auto(tmp_path, AUTO.replace('"auto"', '{ use = "auto", qkv_bias = true }'))
    strangers = write_strangers(tmp_path, "poor", "good")
    parts = parts_of_recipe(read(recipe), Plugins([strangers]), torch.device("cpu"))
    attentions = {
        part.name: part.options
        for part in parts
        if part.name in {"fused", "naive", "sdpa", "tiled", "good", "poor"}
    }
    assert attentions == {name: {"qkv_bias": True} for name in ("fused", "good", "naive", "sdpa", "tiled")}
