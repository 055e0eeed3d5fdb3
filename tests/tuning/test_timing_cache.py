"""What is kept of a measurement: all of it or nothing, and nothing damaged is believed."""

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest
import torch

import gptkit
from gptkit.cli.run_summary import origin_of
from gptkit.registry.loader import import_file
from gptkit.run.prepare import prepare
from gptkit.tuning.attention_timing import AttentionTime
from gptkit.tuning.source_hash import gptkit_hash, source_hash
from gptkit.tuning.timing_cache import BACKENDS, FOLDER, key_of, load_times, store_times
from gptkit.tuning.timing_conditions import TimingConditions
from gptkit.user_cache import file_for
from tests.attention_timings import Costs, write_auto
from tests.small import small_dims

KEY = {"torch": "2", "attentions": [{"name": "naive"}, {"name": "wrong"}]}
TIMES = [AttentionTime("naive", 0.25, "", 1024), AttentionTime("wrong", None, "it is wrong")]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GPTKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_what_was_kept_comes_back_with_its_day(cache: Path) -> None:
    assert load_times(KEY) is None
    assert store_times(KEY, TIMES) == ""
    assert load_times(KEY) == (TIMES, date.today())
    assert load_times({**KEY, "torch": "3"}) is None
    assert [file.parent for file in (cache / "attention").iterdir()] == [cache / "attention"]


def test_the_precision_of_products_counts_however_a_program_sets_it() -> None:
    conditions = TimingConditions(small_dims(), 4, "fp32", torch.device("cpu"))
    before = key_of([], conditions, "rope")
    for backend in BACKENDS:
        # PyTorch's older name for both can then no longer be read.
        was, backend.matmul.fp32_precision = backend.matmul.fp32_precision, "tf32"
        try:
            assert key_of([], conditions, "rope") != before
        finally:
            backend.matmul.fp32_precision = was
    assert key_of([], conditions, "rope") == before


def changed(**values: object) -> Callable[[str], str]:
    return lambda text: json.dumps({**json.loads(text), **values})


def with_row(**values: object) -> Callable[[str], str]:
    row = {"name": "naive", "seconds": 0.25, "reason": "", "bytes_kept": 1024} | values
    return changed(times=[row, {"name": "wrong", "seconds": None, "reason": "it is wrong", "bytes_kept": 0}])


DAMAGES = {
    "empty": lambda text: "",
    "half": lambda text: text[: len(text) // 2],
    "no table": lambda text: "[]",
    "nesting": lambda text: "[" * 100_000,
    "not UTF-8": lambda text: "\udcff",
    "another key": changed(key={"torch": "3"}),
    "no day": changed(day="yesterday"),
    "no rows": changed(times=None),
    "rows missing": changed(times=[]),
    "another name": with_row(name="sdpa"),
    "time in words": with_row(seconds="0.25"),
    "negative time": with_row(seconds=-1.0),
    "no number": with_row(seconds=float("nan")),
    "endless time": with_row(seconds=float("inf")),
    "neither time nor reason": with_row(seconds=None),
    "time and reason": with_row(reason="it is wrong"),
    "reason is no text": with_row(reason=0, seconds=None),
}


def test_a_whole_file_is_believed_however_it_was_written() -> None:
    store_times(KEY, TIMES)
    file = file_for(FOLDER, KEY)
    file.write_text(with_row()(file.read_text()))
    assert load_times(KEY) is not None


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_damaged_is_not_believed_and_can_be_written_anew(damage: str) -> None:
    store_times(KEY, TIMES)
    file = file_for(FOLDER, KEY)
    file.write_bytes(DAMAGES[damage](file.read_text()).encode("utf-8", "surrogateescape"))
    assert load_times(KEY) is None
    assert store_times(KEY, TIMES) == ""
    assert load_times(KEY) is not None


def test_a_damaged_file_is_measured_anew_and_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    Costs(monkeypatch, {"fused": 3.0, "naive": 2.0, "sdpa": 5.0, "tiled": 9.0})
    prepare(write_auto(tmp_path))
    (file,) = (cache / "attention").iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:100])
    assert prepare(write_auto(tmp_path)).timings[0].measured_on is None
    assert file.read_bytes() == whole


def test_a_directory_in_its_place_is_no_error(cache: Path) -> None:
    file_for(FOLDER, KEY).mkdir(parents=True)
    assert load_times(KEY) is None
    assert store_times(KEY, TIMES) == "Is a directory"
    assert list((cache / "attention").iterdir()) == [file_for(FOLDER, KEY)]


def test_where_nothing_can_be_kept_the_choice_is_made_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Costs(monkeypatch, {"fused": 3.0, "naive": 2.0, "sdpa": 5.0, "tiled": 9.0})
    (tmp_path / "cache").write_text("a file")
    (timing,) = prepare(write_auto(tmp_path)).timings
    assert timing.chosen.name == "naive"
    assert origin_of(timing).startswith(f"measured now; it cannot be kept in {tmp_path / 'cache'}")
    assert origin_of(timing).endswith(".json: Not a directory")


def test_the_hash_of_a_class_is_that_of_its_file_and_of_those_it_inherits(tmp_path: Path) -> None:
    file = tmp_path / "mother.py"
    file.write_text("class Mother:\n    pass\n")
    daughter = type("Daughter", (import_file(file).Mother,), {})
    before = source_hash(daughter)
    assert source_hash(daughter) == before != source_hash(int)
    file.write_text("class Mother:\n    x = 1\n")
    assert source_hash(daughter) != before


def test_the_hash_of_a_class_is_that_of_its_package_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "stranger"
    package.mkdir()
    (package / "__init__.py").write_text("from stranger import kernel\nclass Part:\n    pass\n")
    (package / "kernel.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    part = importlib.import_module("stranger").Part
    before = source_hash(part)
    (package / "kernel.py").write_text("wrong = True\n")
    assert source_hash(part) != before
    monkeypatch.delitem(sys.modules, "stranger")
    monkeypatch.delitem(sys.modules, "stranger.kernel")


@pytest.fixture
def own_hash() -> Iterator[None]:
    """Let gptkit's files be hashed anew after the test, which changes them."""
    yield
    gptkit_hash.cache_clear()


def test_other_code_of_gptkit_is_measured_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_hash: None
) -> None:
    Costs(monkeypatch, {"fused": 3.0, "naive": 2.0, "sdpa": 5.0, "tiled": 9.0})
    more = tmp_path / "more"
    more.mkdir()
    monkeypatch.setattr(gptkit, "__path__", [*gptkit.__path__, str(more)])
    gptkit_hash.cache_clear()
    days = [prepare(write_auto(tmp_path)).timings[0].measured_on]
    (more / "kernel.py").write_text("faster = True\n")
    # As in a new process.
    gptkit_hash.cache_clear()
    days += [prepare(write_auto(tmp_path)).timings[0].measured_on for _ in range(2)]
    assert days == [None, None, date.today()]
