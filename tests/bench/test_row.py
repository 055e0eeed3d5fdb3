import json

import pytest

from gptkit.bench.row import Row, Spread, ratios, rows_of


def test_a_ratio_is_the_baselines_time_by_ones_own_in_the_same_round() -> None:
    assert ratios([2.0, 9.0, 4.0], [1.0, 3.0, 8.0]) == (2.0, 3.0, 0.5)


def test_rounds_that_do_not_pair_are_an_error() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratios([1.0, 2.0], [1.0])


def test_a_spread_is_the_median_the_least_and_the_most() -> None:
    assert Spread.of([5.0, 1.0, 2.0]) == Spread(median=2.0, least=1.0, most=5.0)


def test_each_contestant_has_a_row_beside_the_baseline() -> None:
    seconds = {"plain": (2.0, 4.0), "ours": (1.0, 1.0)}
    plain, ours = rows_of("step", seconds, "plain", {"ours": {"tokens/s": 3.0}})
    assert (plain.ratios, ours.ratios, ours.baseline) == ((1.0, 1.0), (2.0, 4.0), "plain")
    assert (plain.facts, ours.facts) == ({}, {"tokens/s": 3.0})


def test_without_the_baseline_there_are_no_ratios() -> None:
    (row,) = rows_of("step", {"ours": (1.0,)}, "plain", {})
    assert (row.ratios, row.baseline) == ((), None)


def test_json_holds_the_times_and_their_spread() -> None:
    told = json.loads(json.dumps(Row("step", "ours", (1.0, 2.0, 6.0), (2.0, 1.0, 4.0), "plain").to_json()))
    assert told["seconds"] == [1.0, 2.0, 6.0]
    assert told["time"] == {"median": 2.0, "least": 1.0, "most": 6.0}
    assert told["ratio"] == {"median": 2.0, "least": 1.0, "most": 4.0}


def test_json_of_what_was_not_timed_has_no_time() -> None:
    told = Row("step", "ours", reason="off by 1").to_json()
    assert (told["reason"], "time" in told, "ratio" in told) == ("off by 1", False, False)
