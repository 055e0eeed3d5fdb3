"""Compiled decoding: the same text, compiled once for all that is alike."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.fx import GraphModule

from gptkit.components.attention.fused import FusedAttention
from gptkit.components.attention.sdpa import SdpaAttention
from gptkit.components.attention.tiled import TiledAttention
from gptkit.components.position.rope import RopePosition
from gptkit.decoding.compiled_decoder import CompiledDecoder
from gptkit.decoding.compiled_step import Compiled, split_biases
from gptkit.interfaces import Dims, LayerCache, Norm
from gptkit.model import GPT
from gptkit.nn import KVCache
from tests.small import small_model

PROMPT = torch.tensor([[3, 1, 4], [1, 5, 9]])


class Counting:
    """Leaves a pass as it was exported, and counts them."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, graph: GraphModule, example: list[Tensor]) -> Compiled:
        self.count += 1
        return graph


@pytest.fixture
def model() -> GPT:
    """Return a model whose likeliest token is clearly so, because decoders differ in the last bits."""
    return small_model(std=0.5).double().eval()


def same_text(model: GPT, decoder: CompiledDecoder, *, rows: int = 2, new: int = 12) -> bool:
    """Return whether greedy and drawn text is that of the uncached path."""
    ways: list[dict[str, Any]] = [{"temperature": 0.0}, {"temperature": 0.7, "top_k": 4}]
    return all(
        torch.equal(
            *(
                model.generate(PROMPT[:rows], new, generator=torch.Generator().manual_seed(5), **options, **how)
                for how in ({"decoder": decoder}, {"use_cache": False})
            )
        )
        for options in ways
    )


@pytest.mark.parametrize(
    "parts", [(), (SdpaAttention,), (TiledAttention,), (FusedAttention, RopePosition)], ids=str
)
def test_text_is_the_same_and_no_token_is_compiled_anew(parts: tuple[type, ...]) -> None:
    model = small_model(*parts, std=0.5).double().eval()
    compiler = Counting()
    decoder = CompiledDecoder(model, compiler=compiler)
    assert all(same_text(model, decoder, new=new) for new in (1, 5, 40))
    assert compiler.count == 1


@pytest.mark.usefixtures("annotations")
def test_each_number_of_rows_is_compiled_once(model: GPT) -> None:
    compiler = Counting()
    decoder = CompiledDecoder(model, compiler=compiler)
    assert all(same_text(model, decoder, rows=rows) for rows in (1, 2, 1, 2))
    assert compiler.count == 2


def in_place(model: GPT) -> None:
    model.load_state_dict(small_model(std=0.4).double().state_dict())


def another_weight(model: GPT) -> None:
    model.head.weight = small_model(std=0.3).double().head.weight


def weights_moved(model: GPT) -> None:
    for weight in model.parameters():
        weight.data = 1.5 * weight.data


def another_precision(model: GPT) -> None:
    model.float()


def another_part(model: GPT) -> None:
    model.blocks[0].attention = small_model(FusedAttention, std=0.5).double().eval().blocks[0].attention


def another_setting(model: GPT) -> None:
    last: Any = model.norm
    last.norm.eps = 1e6


def weights_tied(model: GPT) -> None:
    model.head.weight = model.token_embedding.weight


@pytest.mark.parametrize(
    ("change", "compiled"),
    [
        (in_place, 1),
        (another_weight, 1),
        (weights_moved, 1),
        (another_precision, 2),
        (another_part, 2),
        (another_setting, 2),
        (weights_tied, 1),
    ],
)
def test_the_model_may_change_between_texts(model: GPT, change: Callable[[GPT], None], compiled: int) -> None:
    compiler = Counting()
    decoder = CompiledDecoder(model, compiler=compiler)
    before = drawn(model, decoder)
    change(model)
    assert same_text(model, decoder)
    assert compiler.count == compiled
    if change not in (another_precision, another_part):
        assert not torch.equal(drawn(model, decoder), before)


class Scaling(Norm):
    """Multiplies by options that it keeps in containers and in an object."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.factors: Any = (2.0, 1.0)
        self.layout: Any = {"shift": [0.5]}
        self.config: Any = SimpleNamespace(power=1)

    def forward(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
        return (x * self.factors[0] + self.layout["shift"][0]) ** self.config.power


def changed_tuple(norm: Scaling) -> None:
    norm.factors = (-3.0, 1.0)


def changed_list_in_place(norm: Scaling) -> None:
    norm.layout["shift"][0] = 40.0


def another_object(norm: Scaling) -> None:
    norm.config = SimpleNamespace(power=3)


def another_hook(norm: Scaling) -> None:
    norm.register_forward_hook(lambda module, inputs, y: -y)


def nothing(norm: Scaling) -> None:
    norm.factors, norm.layout = (norm.factors[0], 1.0), {"shift": [0.5]}


@pytest.mark.parametrize(
    ("change", "compiled"),
    [(changed_tuple, 2), (changed_list_in_place, 2), (another_object, 2), (another_hook, 2), (nothing, 1)],
)
def test_a_changed_option_of_any_type_is_compiled_anew(
    model: GPT, change: Callable[[Scaling], None], compiled: int
) -> None:
    model.norm = norm = Scaling(model.dims)
    compiler = Counting()
    decoder = CompiledDecoder(model, compiler=compiler)
    assert same_text(model, decoder)
    change(norm)
    assert same_text(model, decoder)
    assert compiler.count == compiled


def drawn(model: GPT, decoder: CompiledDecoder) -> Int[Tensor, "B T"]:
    return model.generate(PROMPT, 12, generator=torch.Generator().manual_seed(5), decoder=decoder)


class Rolling(KVCache):
    """Puts new tensors in place of its own."""

    def update(
        self, k: Float[Tensor, "B H T D"], v: Float[Tensor, "B H T D"], start_pos: int | Int[Tensor, ""]
    ) -> tuple[Float[Tensor, "B H S D"], Float[Tensor, "B H S D"]]:
        self.keys, self.values = self.keys.clone(), self.values.clone()
        return super().update(k, v, start_pos)


def test_a_memory_may_replace_its_tensors(model: GPT, monkeypatch: pytest.MonkeyPatch) -> None:
    def rolling(batch_size: int) -> list[LayerCache]:
        return [Rolling(batch_size, 2, 8, 4, like=model.head.weight) for _ in model.blocks]

    monkeypatch.setattr(model, "new_caches", rolling)
    assert same_text(model, CompiledDecoder(model, compiler=Counting()))


class Listing(Rolling):
    """Keeps what it was given in a list."""

    def __init__(self, *args: int, like: Tensor) -> None:
        super().__init__(*args, like=like)
        self.all: list[Tensor] = []


class Numbering(Rolling):
    """Counts outside its tensors."""

    number = 0

    def update(self, k, v, start_pos):  # type: ignore[no-untyped-def]
        self.number += 1
        return super().update(k, v, start_pos)


class Growing(Rolling):
    """Keeps a tensor that grows."""

    def __init__(self, *args: int, like: Tensor) -> None:
        super().__init__(*args, like=like)
        self.seen = like.new_zeros(1)

    def update(self, k, v, start_pos):  # type: ignore[no-untyped-def]
        self.seen = torch.cat((self.seen, self.seen[:1]))
        return super().update(k, v, start_pos)


class Sharing(KVCache):
    """Writes keys where values are."""

    def __init__(self, *args: int, like: Tensor) -> None:
        super().__init__(*args, like=like)
        self.values = self.keys.view_as(self.keys)


@pytest.mark.parametrize(
    ("cache", "message"),
    [
        (Listing, r"whose state is in tensors, and Listing\.all is \[\]: make it a tensor"),
        (Numbering, r"whose state is in tensors, and Numbering\.number was 1 and is 2: make it a tensor"),
        (Growing, r"that stay as large as they are, and Growing\.seen was float64 \(2,\) and is float64 \(3,\): "),
        (Sharing, r"whose tensors lie apart, and Sharing\.values shares its storage with Sharing\.keys: copy one"),
    ],
)
def test_a_memory_that_would_be_wrong_when_compiled_is_refused(
    model: GPT, monkeypatch: pytest.MonkeyPatch, cache: type[KVCache], message: str
) -> None:
    def caches(batch_size: int) -> list[LayerCache]:
        return [cache(batch_size, 2, 8, 4, like=model.head.weight) for _ in model.blocks]

    monkeypatch.setattr(model, "new_caches", caches)
    with pytest.raises(NotImplementedError, match=f"^this decoder needs caches {message}"):
        model.generate(PROMPT, 3, decoder=CompiledDecoder(model, compiler=Counting()))


def test_each_text_has_memories_that_are_looked_at(model: GPT, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = iter((KVCache, Sharing))

    def caches(batch_size: int) -> list[LayerCache]:
        kind = next(kinds)
        return [kind(batch_size, 2, 8, 4, like=model.head.weight) for _ in model.blocks]

    monkeypatch.setattr(model, "new_caches", caches)
    decoder = CompiledDecoder(model, compiler=Counting())
    model.generate(PROMPT, 3, decoder=decoder)
    with pytest.raises(NotImplementedError, match=r"shares its storage"):
        model.generate(PROMPT, 3, decoder=decoder)


class Looking(Norm):
    """Does one thing or another, as its input is."""

    def forward(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
        return x if x.sum() > 0 else -x


def test_a_part_whose_course_hangs_on_numbers_is_refused(model: GPT) -> None:
    model.norm = Looking(model.dims)
    with pytest.raises(NotImplementedError, match=r"^compiling the pass of one token failed: \w+: "):
        model.generate(PROMPT, 3, decoder=CompiledDecoder(model))


def test_biases_apart_do_not_change_a_pass() -> None:
    layers = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2, bias=False), nn.Linear(2, 2)).double()
    x = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    exported = torch.export.export(layers, (x,))
    split_biases(exported.graph_module)
    called = [node.target for node in exported.graph_module.graph.nodes if node.op == "call_function"]
    linear, add = torch.ops.aten.linear.default, torch.ops.aten.add.Tensor
    assert called == [linear, add, torch.ops.aten.relu.default, linear, linear, add]
    torch.testing.assert_close(exported.module()(x), layers(x))
