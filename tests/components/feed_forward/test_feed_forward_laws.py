import pytest
import torch

from gptkit.plugins import Plugins
from gptkit.registry import Entry
from tests.small import small_dims

feed_forwards = pytest.mark.parametrize(
    "entry", Plugins().registry.of("feed_forward"), ids=lambda entry: entry.name
)


@feed_forwards
def test_a_position_does_not_see_another(entry: Entry) -> None:
    part = entry.part(small_dims()).double()
    x = torch.randn(2, 5, 8).double()
    changed = x.clone()
    changed[1, 3] += 10
    unlike = ~torch.isclose(part(x), part(changed), rtol=1e-12, atol=1e-12).all(-1)
    assert unlike.nonzero().tolist() == [[1, 3]]


@feed_forwards
def test_dropout_is_off_in_eval(entry: Entry) -> None:
    part, x = entry.part(small_dims(dropout=0.5)), torch.randn(2, 5, 8)
    without = entry.part(small_dims())
    without.load_state_dict(part.state_dict())
    assert torch.equal(part.eval()(x), without(x))


@feed_forwards
def test_dropout_zeroes_its_share_of_the_output_in_training(entry: Entry) -> None:
    part, x = entry.part(small_dims(dropout=0.5)), torch.randn(20, 50, 8)
    dropped = part(x) == 0
    assert dropped.float().mean() == pytest.approx(0.5, abs=0.05)
    torch.testing.assert_close(part(x)[~dropped].abs().max() > 0, torch.tensor(True))


@feed_forwards
def test_expand_and_bias_are_options(entry: Entry) -> None:
    narrow, wide = (
        entry.part(small_dims(n_embd=24), expand=expand, bias=bias) for expand, bias in ((2, False), (8, True))
    )
    assert sum(weight.numel() for weight in narrow.parameters()) == 2 * 2 * 24 * 24
    assert {weight.ndim for weight in narrow.parameters()} == {2}
    assert sum(weight.numel() for weight in wide.parameters() if weight.ndim == 2) == 2 * 8 * 24 * 24
    assert {weight.ndim for weight in wide.parameters()} == {1, 2}
