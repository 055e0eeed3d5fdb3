"""Errors: the lines a person reads and the exit code the command line gives."""

import pytest

from gptkit.errors import (
    CheckpointError,
    DataError,
    GptkitError,
    PluginError,
    Problem,
    RecipeError,
    UsageError,
    did_you_mean,
)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (GptkitError, 1),
        (PluginError, 1),
        (UsageError, 2),
        (RecipeError, 2),
        (DataError, 3),
        (CheckpointError, 4),
    ],
)
def test_each_error_has_its_exit_code(error: type[GptkitError], code: int) -> None:
    assert issubclass(error, GptkitError)
    assert error.exit_code == code


def test_a_problem_is_one_line_of_place_key_and_message() -> None:
    assert str(Problem("mine.toml:9", "model.n_head", "is missing")) == "mine.toml:9  model.n_head  is missing"


def test_a_problem_leaves_out_what_it_does_not_know() -> None:
    assert str(Problem("mine.toml:9", "", "not TOML")) == "mine.toml:9  not TOML"


def test_a_recipe_error_has_a_line_for_each_problem_and_none_twice() -> None:
    first, second = Problem("a:1", "x", "wrong"), Problem("a:2", "y", "worse")
    error = RecipeError([first, second, first])
    assert error.problems == (first, second)
    assert str(error) == "a:1  x  wrong\na:2  y  worse"


def test_problems_come_file_by_file_and_line_by_line() -> None:
    places = ["mine:10", "base:3", "mine:9", "--set a=1", "base:2", "mine"]
    error = RecipeError([Problem(place, "", "wrong") for place in places])
    assert [problem.where for problem in error.problems] == [
        "mine",
        "mine:9",
        "mine:10",
        "base:2",
        "base:3",
        "--set a=1",
    ]


def test_the_nearest_word_is_offered() -> None:
    assert did_you_mean("spda", ["naive", "sdpa", "fused"]) == " Did you mean 'sdpa'?"


@pytest.mark.parametrize("known", [[], ["naive", "fused"]])
def test_no_word_is_offered_where_none_is_near(known: list[str]) -> None:
    assert did_you_mean("spda", known) == ""
