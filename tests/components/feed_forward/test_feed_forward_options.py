"""What every built-in feed-forward takes."""

import pytest

from gptkit.registry.loader import Plugins
from gptkit.registry.registry import Entry
from tests.small import small_dims

feed_forwards = pytest.mark.parametrize(
    "entry", Plugins().registry.of("feed_forward"), ids=lambda entry: entry.name
)


@feed_forwards
def test_expand_and_bias_are_options(entry: Entry) -> None:
    narrow, wide = (
        entry.part(small_dims(n_embd=24), expand=expand, bias=bias) for expand, bias in ((2, False), (8, True))
    )
    assert sum(weight.numel() for weight in narrow.parameters()) == 2 * 2 * 24 * 24
    assert {weight.ndim for weight in narrow.parameters()} == {2}
    assert sum(weight.numel() for weight in wide.parameters() if weight.ndim == 2) == 2 * 8 * 24 * 24
    assert {weight.ndim for weight in wide.parameters()} == {1, 2}
