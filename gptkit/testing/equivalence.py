"""Equal to the reference: a softmax attention has the output of `NaiveAttention`, and all of its gradients."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from gptkit.attention import SoftmaxAttention
from gptkit.components.attention.naive import NaiveAttention
from gptkit.interfaces import Memory, Place, Position
from gptkit.testing.accuracy import assert_as_accurate
from gptkit.testing.case import Build, Case
from gptkit.testing.passes import results


class Earlier(Memory):
    """Keys and values that stand before those of a pass."""

    def __init__(self, keys: Float[Tensor, "B H S D"], values: Float[Tensor, "B H S D"]) -> None:
        self.keys, self.values = keys, values

    def append(
        self, k: Float[Tensor, "B H T D"], v: Float[Tensor, "B H T D"], first: object
    ) -> tuple[Float[Tensor, "B H S D"], Float[Tensor, "B H S D"]]:
        """Return the keys and values behind those that stand before them."""
        return torch.cat((self.keys.to(k), k), dim=2), torch.cat((self.values.to(v), v), dim=2)


class FlippedQueries(Position):
    """Turns queries end for end, so that an attention which does not ask its place to is seen."""

    def turn(
        self, q: Float[Tensor, "B H T D"], k: Float[Tensor, "B H T D"], first: object
    ) -> tuple[Float[Tensor, "B H T D"], Float[Tensor, "B H T D"]]:
        """Return the queries with their channels in reverse, and the keys."""
        return q.flip(-1), k


def equals_reference(build: Build[SoftmaxAttention], case: Case) -> None:
    """Assert that an attention with the reference's weights has its output and every one of its gradients."""
    part = case.build(build)
    draw_weights(part, case)
    reference, oracle = reference_of(part, case), reference_of(part, case).double()
    earlier = (case.scale / 2 * case.draw(name, case.B, case.H, case.earlier, case.D) for name in "kv")
    at = Place(case.earlier, FlippedQueries(case.dims()), Earlier(*earlier), case.visible())
    exact = results(oracle, case, at)
    # A query that weighs one key alone passes hardly a gradient on, and what is left is rounding.
    alone = results(oracle, case, Place(visible=torch.eye(case.T, dtype=torch.bool, device=case.device)))
    sizes = {name: torch.maximum(exact[name].abs().max(), alone[name].abs().max()) for name in exact}
    assert_as_accurate(results(part, case, at), results(reference, case, at), exact, sizes, case)


def draw_weights(part: SoftmaxAttention, case: Case) -> None:
    """Draw weights that halve the scale of what they multiply, and biases other than zero."""
    # With the small weights of a new part, all keys weigh nearly the same, and hardly a mistake would show.
    # With larger ones, half precision could not tell the scores apart.
    with torch.no_grad():
        for name, weight in part.named_parameters():
            weight.copy_(case.draw(name, *weight.shape) / (2 * math.sqrt(weight.shape[-1])))


def reference_of(part: SoftmaxAttention, case: Case) -> NaiveAttention:
    """Return the reference with a part's weights."""
    biases = (part.qkv.bias is not None, part.out.bias is not None)
    reference = NaiveAttention(case.dims(), qkv_bias=biases[0], out_bias=biases[1])
    reference = reference.to(case.device, case.dtype).eval()
    found, expected = shapes(part), shapes(reference)
    if found != expected:
        raise AssertionError(f"its weights are {found}, those of a softmax attention are {expected} ({case})")
    reference.load_state_dict(part.state_dict())
    return reference


def shapes(part: SoftmaxAttention) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor that a checkpoint of a part holds."""
    return {name: tuple(weight.shape) for name, weight in part.state_dict().items()}
