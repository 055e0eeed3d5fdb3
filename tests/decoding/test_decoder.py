"""Decoders: the same text, greedy or drawn, within the context and past it."""

import re
from itertools import count
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from gptkit.decoding.cache_tensors import tensors_of
from gptkit.decoding.cuda_graph_decoder import CudaGraphDecoder
from gptkit.decoding.decoder import CachedDecoder, Decoder, UncachedDecoder
from gptkit.decoding.sampling import Sampling
from gptkit.interfaces import LayerCache
from gptkit.model import GPT
from gptkit.nn import KVCache, SoftmaxAttention
from gptkit.nn.cuda_capture import WARM_UP_PASSES, capture_stream
from gptkit.registry.loader import Plugins
from tests.cuda_stand_in import replace_cuda
from tests.small import small_model

PROMPT = torch.tensor([[3, 1, 4], [1, 5, 9]])

kernels = pytest.mark.parametrize(
    "kernel",
    [entry.part for entry in Plugins().registry.of("attention") if issubclass(entry.part, SoftmaxAttention)],
)


class Replaying(CudaGraphDecoder):
    """Replays by computing again, so that bursts are tried without a GPU."""

    def graph(self, run):  # type: ignore[no-untyped-def]
        return run


@pytest.fixture
def model() -> GPT:
    """Return a model whose likeliest token is clearly so, because decoders differ in the last bits."""
    return small_model(std=0.5).double().eval()


def texts(model: GPT, decoder: Decoder, length: int = 40) -> list[Tensor]:
    """Return greedy text, drawn text, and drawn text of one row, in that order."""
    seeded = torch.Generator().manual_seed
    return [
        model.generate(PROMPT, length, temperature=0.0, decoder=decoder),
        model.generate(PROMPT, length, generator=seeded(5), decoder=decoder),
        model.generate(PROMPT[:1], length, top_k=3, generator=seeded(6), decoder=decoder),
    ]


def same(ours: list[Tensor], theirs: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_a_graph_takes_no_tensors_that_share_memory(model: GPT, monkeypatch: pytest.MonkeyPatch) -> None:
    def sharing(batch_size: int) -> list[LayerCache]:
        caches = GPT.new_caches(model, batch_size)
        for each in caches:
            vars(each)["values"] = vars(each)["keys"]
        return caches

    monkeypatch.setattr(model, "new_caches", sharing)
    with pytest.raises(NotImplementedError, match="shares its storage with"):
        texts(model, Replaying(model, chunk=2, compile=False), 2)


@pytest.mark.parametrize("chunk", [1, 2, 3, 4, 50])
def test_bursts_do_not_change_the_text(model: GPT, chunk: int) -> None:
    assert same(texts(model, Replaying(model, chunk=chunk, compile=False)), texts(model, UncachedDecoder(model)))


@pytest.mark.usefixtures("annotations")
def test_the_caller_may_stop_anywhere(model: GPT) -> None:
    whole = texts(model, UncachedDecoder(model))
    decoder = Replaying(model, chunk=4, compile=False)
    for length in (1, 2, 5, 6, 7, 11):
        cut = [text[:, : 3 + length] for text in whole]
        assert same(texts(model, decoder, length), cut)


def test_a_burst_is_recorded_once_for_each_way_of_drawing(model: GPT) -> None:
    decoder = Replaying(model, chunk=3, compile=False)
    for seed in (1, 2):
        model.generate(PROMPT, 40, generator=torch.Generator().manual_seed(seed), decoder=decoder)
    assert sorted(size for size, _ in decoder.captured) == [1, 3]
    model.generate(PROMPT, 40, temperature=0.0, decoder=decoder)
    assert sorted(size for size, _ in decoder.captured) == [1, 1, 3, 3]


def test_a_burst_is_recorded_anew_for_weights_that_were_moved(model: GPT) -> None:
    decoder = Replaying(model, chunk=3, compile=False)
    model.generate(PROMPT, 9, decoder=decoder)
    caches = decoder.caches
    model.generate(PROMPT, 9, decoder=decoder)
    assert decoder.caches is caches
    model.head.weight = small_model(std=0.3).double().head.weight
    text = model.generate(PROMPT, 9, temperature=0.0, decoder=decoder)
    assert decoder.caches is not caches
    assert torch.equal(text, model.generate(PROMPT, 9, temperature=0.0, use_cache=False))


def test_a_burst_is_recorded_anew_for_a_changed_option(model: GPT) -> None:
    decoder, norm = Replaying(model, chunk=3, compile=False), cast("Any", model.norm)
    recorded = []
    for factors in ((1.0, 2.0), (1.0, 2.0), (1.0, 3.0)):
        norm.factors = factors
        model.generate(PROMPT, 9, decoder=decoder)
        recorded.append(decoder.caches)
    assert recorded[0] is recorded[1]
    assert recorded[1] is not recorded[2]


def test_weights_that_were_changed_in_place_are_seen(model: GPT) -> None:
    decoder = Replaying(model, chunk=3, compile=False)
    before = texts(model, decoder)
    model.load_state_dict(small_model(std=0.4).double().state_dict())
    assert same(texts(model, decoder), texts(model, UncachedDecoder(model)))
    assert not same(texts(model, decoder), before)


class Rolling(KVCache):
    """Puts new tensors in place of its own."""

    def update(self, k, v, start_pos):  # type: ignore[no-untyped-def]
        self.keys, self.values = self.keys.clone(), self.values.clone()
        return super().update(k, v, start_pos)


def addresses(decoder: CachedDecoder) -> list[int]:
    return [tensor.data_ptr() for cache in decoder.caches for tensor in tensors_of(cache).values()]


def test_a_memory_that_replaces_its_tensors_stays_where_it_was_recorded(
    model: GPT, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rolling(batch_size: int) -> list[LayerCache]:
        return [Rolling(batch_size, 2, 8, 4, like=model.head.weight) for _ in model.blocks]

    monkeypatch.setattr(model, "new_caches", rolling)
    decoder = Replaying(model, chunk=3, compile=False)
    with torch.no_grad():
        decoder.start(PROMPT)
        recorded = addresses(decoder)
        for token in (1, 2):
            decoder.decode_chunk(torch.tensor([token, token]), 2, Sampling(temperature=0.0), None)
    assert addresses(decoder) == recorded
    assert same(texts(model, decoder), texts(model, UncachedDecoder(model)))


class Growing(KVCache):
    """Keeps its length in a list, which no graph can replay."""

    def __init__(self) -> None:
        super().__init__(2, 2, 8, 4, like=torch.zeros((), dtype=torch.float64))
        self.lengths = [0]


class Counting(KVCache):
    """Keeps a number beside its tensors."""

    def __init__(self, number: int) -> None:
        super().__init__(2, 2, 8, 4, like=torch.zeros((), dtype=torch.float64))
        self.number = number


def test_a_memory_whose_state_is_not_in_tensors_is_refused(model: GPT, monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = Replaying(model, chunk=3, compile=False)
    monkeypatch.setattr(model, "new_caches", lambda _: [Growing(), Growing()])
    with pytest.raises(NotImplementedError, match=r"^this decoder needs caches .* Growing.lengths is \[0\]: "):
        model.generate(PROMPT, 3, decoder=decoder)


def test_a_memory_that_counts_outside_its_tensors_is_refused(model: GPT, monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = Replaying(model, chunk=3, compile=False)
    numbers = count()
    monkeypatch.setattr(model, "new_caches", lambda _: [Counting(number) for number in [next(numbers)] * 2])
    with pytest.raises(NotImplementedError, match=r"Counting.number was 0 and is 1: "):
        model.generate(PROMPT, 7, decoder=decoder)


def test_a_decoder_of_another_model_is_refused(model: GPT) -> None:
    message = "the CachedDecoder is another model's: make one of this model"
    with pytest.raises(ValueError, match=f"^{message}$"):
        model.generate(PROMPT, 1, decoder=CachedDecoder(small_model()))


def test_a_decoder_and_no_cache_is_a_contradiction(model: GPT) -> None:
    message = "use_cache = False, but a CachedDecoder is given: leave out one of the two"
    with pytest.raises(ValueError, match=f"^{message}$"):
        model.generate(PROMPT, 1, use_cache=False, decoder=CachedDecoder(model))


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("chunk", [1, 4, 50])
def test_weights_that_are_no_numbers_are_refused(model: GPT, chunk: int, temperature: float) -> None:
    decoder = Replaying(model, chunk=chunk, compile=False)
    # In the midst of a burst: the prompt's last token stands at position 2.
    with torch.no_grad():
        model.get_parameter("position.table.weight")[4] = torch.nan
    with pytest.raises(ValueError, match=r"^no token can be drawn: the model's logits are not all numbers"):
        model.generate(PROMPT, 6, temperature=temperature, decoder=decoder)


def test_a_burst_of_no_token_is_refused(model: GPT) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape('chunk must be 1 or more, found 0')}$"):
        CudaGraphDecoder(model, chunk=0)


@torch.no_grad()
def test_the_warm_up_stays_within_the_context_and_changes_no_cache(
    model: GPT, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture_stream.cache_clear()
    replace_cuda(monkeypatch)
    decoder, reference, greedy = (
        CudaGraphDecoder(model, chunk=4, compile=False),
        UncachedDecoder(model),
        Sampling(0.0),
    )
    token, _ = greedy.choose(reference.start(PROMPT), None)
    expected = reference.decode_chunk(token, 4, greedy, None)
    decoder.start(PROMPT)
    caches, positions = decoder.caches, []
    model.register_forward_pre_hook(lambda _, given: positions.append(int(given[1])))
    # The stand-in computes while it captures, and its replay does nothing.
    assert torch.equal(decoder.decode_chunk(token, 4, greedy, None), expected)
    assert positions == [3, 4, 5, 6] * (WARM_UP_PASSES + 1)
    assert decoder.caches is caches
    assert int(decoder.start_pos) == 7
    capture_stream.cache_clear()


@pytest.mark.cuda
@pytest.mark.parametrize("chunk", [1, 4, 32])
@kernels
def test_graphs_do_not_change_the_text(kernel: type[SoftmaxAttention], chunk: int) -> None:
    model = small_model(kernel, std=0.5).double().cuda().eval()
    prompt = PROMPT.cuda()
    decoder = CudaGraphDecoder(model, chunk=chunk, compile=False)
    for new in (40, 9):
        assert torch.equal(
            model.generate(prompt, new, temperature=0.0, decoder=decoder),
            model.generate(prompt, new, temperature=0.0, use_cache=False),
        )
        drawn = [
            model.generate(prompt, new, generator=torch.Generator().manual_seed(5), decoder=each)
            for each in (decoder, UncachedDecoder(model))
        ]
        assert torch.equal(*drawn)


@pytest.mark.cuda
def test_a_graph_recorded_under_autocast_reads_no_cast_that_is_gone() -> None:
    model = small_model(std=0.5).cuda().eval()
    decoder, prompt = CudaGraphDecoder(model, chunk=4, compile=False), PROMPT.cuda()
    for _ in range(2):
        with torch.autocast("cuda", torch.bfloat16):
            text = model.generate(prompt, 5, temperature=0.0, decoder=decoder)
            expected = model.generate(prompt, 5, temperature=0.0)
        # What the casts were in is overwritten.
        torch.full((2**20,), torch.nan, device="cuda")
        assert torch.equal(text, expected)
        with torch.no_grad():
            model.get_parameter("head.weight").neg_()


@pytest.mark.cuda
def test_a_burst_waits_for_the_host_only_when_it_is_read() -> None:
    model = small_model(std=0.5).cuda().eval()
    decoder = CudaGraphDecoder(model, chunk=4, compile=False)
    model.generate(PROMPT.cuda(), 5, temperature=0.0, decoder=decoder)
    with torch.no_grad():
        greedy = Sampling(temperature=0.0)
        token, _ = greedy.choose(decoder.start(PROMPT.cuda()), None)
        torch.cuda.set_sync_debug_mode("error")
        try:
            decoder.decode_chunk(token, 4, greedy, None)
        finally:
            torch.cuda.set_sync_debug_mode("default")
