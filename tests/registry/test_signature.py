"""Signatures: a constructor's keyword-only parameters are the options of a part."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, PositiveInt
from torch import Tensor

from gptkit.interfaces import Corpus, Dims, FeedForward, Probability
from gptkit.registry.signature import REQUIRED, Option, interface_errors, options, positional_parameters


class GatedFeedForward(FeedForward):
    """A feed-forward with an option of every kind."""

    def __init__(
        self,
        dims: Dims,
        *,
        path: Path,
        expand: PositiveInt = 4,
        gate: Literal["silu", "gelu"] = "silu",
        rates: tuple[Probability, Probability] = (0.1, 0.2),
        widths: tuple[int, ...] = (),
        limit: float | None = None,
    ) -> None:
        super().__init__(dims)

    def forward(self, x: Tensor) -> Tensor:
        return x


OPTIONS = options(GatedFeedForward)


@dataclass
class Window:
    """What no recipe can hold in one option."""

    width: int


def part(parameters: str) -> type:
    """Return a feed-forward whose constructor takes these parameters."""
    names: dict[str, Any] = {"FeedForward": FeedForward, "Dims": Dims, "Tensor": Tensor, "Window": Window}
    exec(
        f"class Part(FeedForward):\n"
        f"    def __init__(self, {parameters}): ...\n"
        f"    def forward(self, x): return x\n",
        names,
    )
    made: type = names["Part"]
    return made


def test_positional_parameters_are_handed_and_keyword_only_ones_are_options() -> None:
    assert positional_parameters(GatedFeedForward) == ["dims"]
    assert list(OPTIONS) == ["path", "expand", "gate", "rates", "widths", "limit"]
    assert OPTIONS["path"].default is REQUIRED
    assert OPTIONS["expand"].default == 4


def test_a_part_without_a_constructor_has_no_options() -> None:
    class Silence(Corpus):
        pass

    assert positional_parameters(Silence) == []
    assert options(Silence) == {}


@pytest.mark.parametrize(
    ("name", "text"),
    {
        "path": "path: Path",
        "expand": "expand: int = 4",
        "gate": "gate: 'silu' or 'gelu' = 'silu'",
        "rates": "rates: tuple of float, float = (0.1, 0.2)",
        "widths": "widths: tuple of int = ()",
        "limit": "limit: float or nothing = None",
    }.items(),
)
def test_an_option_reads_as_in_the_signature(name: str, text: str) -> None:
    assert str(OPTIONS[name]) == text


@pytest.mark.parametrize(
    ("name", "written", "value"),
    [
        ("path", "books", Path("books")),
        ("expand", 3, 3),
        ("gate", "gelu", "gelu"),
        ("rates", [0, 0.5], (0.0, 0.5)),
        ("widths", [1, 2, 3], (1, 2, 3)),
        ("limit", 1, 1.0),
    ],
)
def test_a_value_of_toml_becomes_what_the_annotation_asks_for(name: str, written: Any, value: Any) -> None:
    found = OPTIONS[name].validate(written)
    assert found == value
    assert type(found) is type(value) or isinstance(found, Path)


NOT_FINITE = Option("limit", float)


@pytest.mark.parametrize(
    ("option", "written", "message"),
    [
        (OPTIONS["expand"], "4", "takes expand: int = 4, found '4': it must be a valid integer"),
        (OPTIONS["expand"], 4.0, "takes expand: int = 4, found 4.0: it must be a valid integer"),
        (OPTIONS["expand"], True, "takes expand: int = 4, found true: it must be a valid integer"),
        (OPTIONS["expand"], 0, "takes expand: int = 4, found 0: it must be greater than 0"),
        (OPTIONS["path"], 7, "takes path: Path, found 7: it must be a valid string"),
        (
            OPTIONS["gate"],
            "relu",
            "takes gate: 'silu' or 'gelu' = 'silu', found 'relu': it must be 'silu' or 'gelu'",
        ),
        (
            OPTIONS["rates"],
            [0.1, 2.0],
            "takes rates: tuple of float, float = (0.1, 0.2), found [0.1, 2.0]: it must be less than 1 at item 1",
        ),
        (NOT_FINITE, float("nan"), "takes limit: float, found nan: it must be a finite number"),
        (NOT_FINITE, float("inf"), "takes limit: float, found inf: it must be a finite number"),
    ],
    ids=str,
)
def test_a_wrong_value_is_told_with_what_was_found_and_expected(
    option: Option, written: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        option.validate(written)


def test_an_option_has_a_json_schema_with_its_default() -> None:
    assert OPTIONS["expand"].schema() == {"type": "integer", "exclusiveMinimum": 0, "default": 4}
    assert OPTIONS["rates"].schema()["default"] == [0.1, 0.2]
    assert "default" not in OPTIONS["path"].schema()
    assert "default" not in OPTIONS["limit"].schema()


def test_a_part_that_fits_has_no_misfits() -> None:
    assert interface_errors(GatedFeedForward, FeedForward) == ()


MISFITS = {
    "dims: Dims, **rest": "its constructor takes **rest: name each option, so that a wrong one is an error",
    "dims: Dims, *sizes": "its constructor takes *sizes: name each parameter",
    "dims: Dims, *, expand=4": ("its option 'expand' has no annotation: without one a recipe cannot be checked"),
    "dims: Dims, *, widths: list[int] = [1]": ("its option 'widths' has a mutable default, [1]: use a tuple"),
    "": ("its constructor takes () by position, but a FeedForward is handed (dims): options go behind a *"),
    "dims: Dims, expand: int = 4": (
        "its constructor takes (dims, expand) by position, but a FeedForward is handed (dims): "
        "options go behind a *"
    ),
    "dims: Dims, *, scale: Tensor": "its option 'scale' is a Tensor, which a recipe cannot hold",
    "dims: Dims, *, window: Window": "its option 'window' is a Window, which a recipe cannot hold",
}


@pytest.mark.parametrize(("parameters", "sentence"), MISFITS.items(), ids=list(MISFITS))
def test_a_constructor_that_no_recipe_could_call_is_a_misfit(parameters: str, sentence: str) -> None:
    assert interface_errors(part(parameters), FeedForward) == (sentence,)


def test_an_abstract_method_that_is_left_is_a_misfit() -> None:
    class Half(FeedForward):
        pass

    assert interface_errors(Half, FeedForward) == ("it leaves forward undefined, which FeedForward asks for",)


def test_all_misfits_are_told_together() -> None:
    assert interface_errors(part("dims: Dims, *sizes, expand=4, **rest"), FeedForward) == (
        MISFITS["dims: Dims, *sizes"],
        MISFITS["dims: Dims, *, expand=4"],
        MISFITS["dims: Dims, **rest"],
    )


def test_a_range_is_checked_where_the_annotation_has_one() -> None:
    share = Option("share", Annotated[float, Field(gt=0, lt=1)], 0.1)
    with pytest.raises(ValueError, match=r"^takes share: float = 0.1, found 1: it must be less than 1$"):
        share.validate(1)
