"""The names in a new plugin."""

import pytest

from gptkit.errors import UsageError
from gptkit.interfaces import KINDS
from gptkit.registry import scaffold
from gptkit.registry.scaffold import Draft, check_module, suggestion


@pytest.mark.parametrize(
    ("kind", "name", "class_name"),
    [
        ("norm", "hot", "HotNorm"),
        ("norm", "hot_norm", "HotNorm"),
        ("norm", "norm", "NormNorm"),
        ("feed_forward", "relu3", "Relu3FeedForward"),
        ("feed_forward", "my_feed_forward", "MyFeedForward"),
        ("block", "pre_and_post", "PreAndPostBlock"),
    ],
)
def test_a_class_is_called_by_its_name_and_its_interface(kind: str, name: str, class_name: str) -> None:
    draft = Draft(kind, name)
    assert draft.class_name == class_name
    assert f'register("{name}", {class_name})' in draft.plugin()[f"{name}.py"]


@pytest.mark.parametrize(
    ("name", "near"),
    [("HotNorm", "hot_norm"), ("hot-norm", "hot_norm"), ("hot__norm_", "hot_norm"), ("3d", None), ("Class", None)],
)
def test_the_nearest_name_is_suggested(name: str, near: str | None) -> None:
    assert suggestion(name) == (f" Did you mean '{near}'?" if near else "")
    with pytest.raises(UsageError, match=r"cannot be a part's name"):
        Draft("norm", name)


def test_an_installed_module_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaffold, "packages_distributions", lambda: {"gptkit_hot": ["gptkit-hot"]})
    with pytest.raises(UsageError, match=r"^'gptkit_hot' is a module of gptkit-hot already, "):
        check_module(Draft("norm", "hot").module)
    check_module("hot")


def test_every_kind_has_a_template() -> None:
    assert {kind: Draft(kind, "hot").template[:3] for kind in KINDS} == dict.fromkeys(KINDS, '"""')


@pytest.mark.parametrize("kind", KINDS)
def test_mine_is_a_name_like_any(kind: str) -> None:
    draft = Draft(kind, "mine")
    assert draft.plugin()["mine.py"] == draft.template
