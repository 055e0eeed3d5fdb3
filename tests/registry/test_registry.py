"""The registry: a name and an interface lead to one part, whose owner is known."""

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from gptkit.errors import PluginError
from gptkit.interfaces import Dims, FeedForward, Norm
from gptkit.registry.registry import Registry, class_location, inherited_kind


class PlainFeedForward(FeedForward):
    """Return what comes in.

    More about it.
    """

    def __init__(self, dims: Dims, *, expand: int = 4) -> None:
        super().__init__(dims)

    def forward(self, x: Tensor) -> Tensor:
        return x


class OtherFeedForward(PlainFeedForward):
    """Another."""


class PlainNorm(Norm):
    """Return what comes in."""

    def forward(self, x: Tensor) -> Tensor:
        return x


class BothAtOnce(PlainNorm, FeedForward):
    """Two interfaces in one class."""


class Stranger:
    """No interface at all."""


class HalfFeedForward(FeedForward):
    """No forward, and any option."""

    def __init__(self, dims: Dims, **rest: int) -> None:
        super().__init__(dims)


def standing(part: type) -> str:
    """Return a class's name, file and line, as messages show it."""
    return f"{part.__name__} ({Path(__file__)}:{inspect.getsourcelines(part)[1]})"


def names(registry: Registry) -> list[tuple[str, str]]:
    return [(entry.kind, entry.name) for entry in registry]


def refused(registry: Registry, *offered: tuple[Any, Any]) -> str:
    """Return why a registry refuses what a plugin called `theirs` offers."""
    with pytest.raises(PluginError) as caught:
        registry.add_all(offered, owner="theirs")
    return str(caught.value)


@pytest.fixture
def registry() -> Registry:
    return Registry()


def test_a_part_is_found_by_kind_and_name(registry: Registry) -> None:
    (added,) = registry.add_all([("plain", PlainFeedForward)], owner="ours")
    found = registry.get("feed_forward", "plain")
    assert found == added
    assert (found.part, found.owner, found.summary) == (PlainFeedForward, "ours", "Return what comes in.")
    assert list(map(str, found.options.values())) == ["expand: int = 4"]


def test_parts_are_in_the_order_of_the_interfaces_and_then_of_their_names(registry: Registry) -> None:
    registry.add_all([("z", PlainNorm), ("b", PlainFeedForward), ("a", OtherFeedForward)], owner="ours")
    assert names(registry) == [("feed_forward", "a"), ("feed_forward", "b"), ("norm", "z")]
    assert [entry.name for entry in registry.of("feed_forward")] == ["a", "b"]


def test_two_kinds_may_use_one_name(registry: Registry) -> None:
    registry.add_all([("plain", PlainFeedForward), ("plain", PlainNorm)], owner="ours")
    assert registry.get("norm", "plain").part is PlainNorm


def test_an_unknown_name_is_told_with_the_nearest_and_all_others(registry: Registry) -> None:
    registry.add_all([("plain", PlainFeedForward), ("other", OtherFeedForward)], owner="ours")
    message = "no FeedForward is called 'plian'. Did you mean 'plain'? Known: other, plain."
    with pytest.raises(LookupError, match=f"^{re.escape(message)}$"):
        registry.get("feed_forward", "plian")


def test_a_taken_name_is_an_error_that_names_both_owners(registry: Registry) -> None:
    registry.add_all([("plain", PlainFeedForward)], owner="ours")
    assert refused(registry, ("plain", OtherFeedForward)) == (
        f"the feed_forward name 'plain' is taken: ours offers {standing(PlainFeedForward)}, "
        f"and theirs offers {standing(OtherFeedForward)}. Rename one"
    )
    assert registry.get("feed_forward", "plain").part is PlainFeedForward


def test_a_plugin_that_offers_one_name_twice_is_refused(registry: Registry) -> None:
    message = refused(registry, ("plain", PlainFeedForward), ("plain", OtherFeedForward))
    assert message.startswith("the feed_forward name 'plain' is taken: theirs offers ")


def test_a_plugin_with_one_bad_part_registers_none(registry: Registry) -> None:
    registry.add_all([("taken", PlainNorm)], owner="ours")
    for bad in [("taken", PlainNorm), ("half", HalfFeedForward), ("stranger", Stranger), ("text", "text")]:
        refused(registry, ("plain", PlainFeedForward), bad)
        assert names(registry) == [("norm", "taken")]


def test_a_class_that_does_not_fit_is_told_where_it_stands_and_all_that_is_wrong(registry: Registry) -> None:
    assert refused(registry, ("half", HalfFeedForward)) == (
        f"{standing(HalfFeedForward)} does not fit FeedForward: it leaves forward undefined, which FeedForward "
        "asks for; its constructor takes **rest: name each option, so that a wrong one is an error"
    )


@pytest.mark.parametrize(("part", "found"), [(Stranger, 0), (BothAtOnce, 2)])
def test_a_part_inherits_exactly_one_interface(registry: Registry, part: type, found: int) -> None:
    assert refused(registry, ("part", part)) == (
        f"{standing(part)} inherits {found} of the interfaces, not one: Attention, FeedForward, Norm, Position, "
        "Block, Tokenizer, Corpus, Optimizer, Schedule"
    )


def test_the_kind_is_that_of_the_interface() -> None:
    assert inherited_kind(PlainNorm) == "norm"


def test_an_offer_that_is_not_a_class_is_refused(registry: Registry) -> None:
    message = "'plain' is not a class: register(name, part) takes the class itself"
    assert refused(registry, ("plain", "plain")) == message


@pytest.mark.parametrize("name", [7, None, ""])
def test_an_offer_without_a_name_is_refused(registry: Registry, name: Any) -> None:
    message = f"{standing(PlainNorm)} is offered as {name!r}: register(name, part) takes a name first"
    assert refused(registry, (name, PlainNorm)) == message


def test_a_class_without_a_file_is_described_by_its_module() -> None:
    assert class_location(type("Made", (), {"__module__": "builtins"})) == "Made (builtins)"


def test_nobody_may_be_called_auto() -> None:
    registry = Registry()
    with pytest.raises(PluginError) as caught:
        registry.add_all([("fine", PlainNorm), ("auto", PlainNorm)], owner="mine.py")
    assert str(caught.value) == (
        f"{standing(PlainNorm)} is offered as 'auto', which names no part: in a recipe it asks for the attention "
        "that measures fastest. Choose another name"
    )
    assert names(registry) == []


def test_registering_reads_no_source(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(part: object) -> None:
        raise AssertionError(f"the source of {part} was read")

    for name in ("getsourcelines", "getsourcefile"):
        monkeypatch.setattr(inspect, name, refused)
    assert Registry().add_all([("plain", PlainNorm)], owner="mine.py")
