import json

import pytest

from gptkit.bench.clock import Timings
from gptkit.bench.result import BenchResult, Details, Spread, results_of, speed_ratios


def test_a_ratio_is_the_baselines_time_by_ones_own_in_the_same_round() -> None:
    assert speed_ratios([2.0, 9.0, 4.0], [1.0, 3.0, 8.0]) == (2.0, 3.0, 0.5)


def test_rounds_that_do_not_pair_are_an_error() -> None:
    with pytest.raises(ValueError, match="shorter"):
        speed_ratios([1.0, 2.0], [1.0])


def test_a_spread_is_the_median_the_least_and_the_most() -> None:
    assert Spread.of([5.0, 1.0, 2.0]) == Spread(median=2.0, least=1.0, most=5.0)


def test_each_name_has_a_result_beside_the_baseline() -> None:
    seconds = {"plain": (2.0, 4.0), "ours": (1.0, 1.0)}
    plain, ours = results_of("step", Timings(seconds), "plain", {"ours": Details(tokens_per_second=3.0)})
    assert (plain.ratios, ours.ratios, ours.baseline) == ((1.0, 1.0), (2.0, 4.0), "plain")
    assert (plain.details, ours.details) == (Details(), Details(tokens_per_second=3.0))


def test_without_the_baseline_there_are_no_ratios() -> None:
    (row,) = results_of("step", Timings({"ours": (1.0,)}), "plain", {})
    assert (row.ratios, row.baseline) == ((), None)


def test_json_holds_the_times_and_their_spread() -> None:
    told = json.loads(json.dumps(BenchResult("step", "ours", (1.0, 2.0, 6.0), (2.0, 1.0, 4.0), "plain").to_json()))
    assert told["seconds"] == [1.0, 2.0, 6.0]
    assert told["time"] == {"median": 2.0, "least": 1.0, "most": 6.0}
    assert told["ratio"] == {"median": 2.0, "least": 1.0, "most": 4.0}


def test_json_of_what_was_not_timed_has_no_time() -> None:
    told = BenchResult("step", "ours", reason="off by 1").to_json()
    assert (told["reason"], "time" in told, "ratio" in told) == ("off by 1", False, False)


def test_json_holds_the_details_that_are_known() -> None:
    details = Details(peak_bytes=0, flops=3.0, peak_flops=6.0, same_weights=False)
    assert details.to_json() == {
        "peak bytes": 0,
        "FLOP/s": 3.0,
        "share of peak": 0.5,
        "peak FLOP/s": 6.0,
        "same weights": False,
    }
