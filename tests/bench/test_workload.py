from pathlib import Path
from typing import Any

import pytest

from gptkit.bench.startup import TINY
from gptkit.bench.workload import ALPHABET, GPT_SMALL, prepare_workload, random_text
from gptkit.errors import RecipeError
from gptkit.recipe.read import read
from gptkit.recipe.resolve import resolve
from gptkit.registry.loader import Plugins
from tests.attention_timings import time_little
from tests.bench.conftest import SmallWorkload

RECIPES = Path(__file__).parents[2] / "recipes"


def document(recipe: Path) -> dict[str, Any]:
    return resolve(read(recipe), Plugins()).document


def test_the_default_is_gpt_small(tmp_path: Path) -> None:
    (tmp_path / "default.toml").write_text(GPT_SMALL, encoding="utf-8")
    assert document(tmp_path / "default.toml") == document(RECIPES / "gpt_small.toml")


@pytest.mark.exhaustive
def test_without_a_recipe_it_is_the_lectures_model(monkeypatch: pytest.MonkeyPatch) -> None:
    time_little(monkeypatch)
    prepared = prepare_workload(None, characters=5000)
    assert prepared.model.n_parameters == 10_788_929
    assert prepared.tokens_per_step == 64 * 256


def test_a_start_has_the_sizes_of_gpt_tiny() -> None:
    tiny = document(RECIPES / "gpt_tiny.toml")
    expected = {key: str(tiny[key.split(".")[0]][key.split(".")[1]]) for key in TINY}
    expected["model.attention"] = tiny["model"]["attention"]["use"]
    assert TINY == {**expected, "train.max_iters": "1"}


def test_the_text_holds_65_characters_whatever_its_length() -> None:
    assert len(set(ALPHABET)) == 65
    text = random_text(100)
    assert (len(text), set(text)) == (165, set(ALPHABET))
    assert random_text(100) == text


def test_the_recipes_parts_and_settings_are_kept_but_for_its_text(small_workload: SmallWorkload) -> None:
    prepared = small_workload("model.norm=rmsnorm", "train.batch_size=3", 'data.tokenizer="byte"')
    assert prepared.resolved.parts["norm"].name == "rmsnorm"
    assert (prepared.resolved.train.batch_size, prepared.tokenizer.vocab_size) == (3, 65)
    assert len(prepared.data.train) + len(prepared.data.validation) == 2065


def test_a_recipe_that_is_wrong_is_an_error_as_elsewhere(small_workload: SmallWorkload) -> None:
    with pytest.raises(RecipeError, match="no Attention is called 'spda'"):
        small_workload("model.attention=spda")
