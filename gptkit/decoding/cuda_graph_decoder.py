"""Decoding by CUDA graphs: one launch from the host computes and samples a whole chunk of tokens."""

import copy
from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gptkit.decoding.cache_tensors import check_no_shared_storage, constants_of, copy_state
from gptkit.decoding.decoder import CachedDecoder, LanguageModel, decode_one_token, prefill
from gptkit.decoding.sampling import Sampling
from gptkit.decoding.step_key import model_key
from gptkit.nn.cuda_capture import capture, warm_up_passes

# Takes a token and the random numbers for those that follow, and returns these.
Replay = Callable[[Int[Tensor, " B"], Float[Tensor, "N B V"] | None], Int[Tensor, "N B"]]


class CudaGraphDecoder(CachedDecoder):
    """Captures the steps of a chunk, sampling included, as one CUDA graph, and replays it.

    The host launches one graph instead of a hundred kernels per token, which takes it longer than the device needs
    to run them. Tokens that do not fill a chunk go through a graph of one step.

    A graph reads and writes the addresses that it was captured with. The caches of a new window are therefore
    copied into the captured ones, whose state must be in tensors that are attributes. If the weights have moved,
    or a part or an attribute of a part changed, the graph is captured again.

    Args:
        chunk: Tokens per graph.
        compile: Whether the step of one token is compiled by `torch.compile` before it is captured.

    Raises:
        ValueError: If `chunk` is less than 1.
    """

    logits: Float[Tensor, "B V"]

    def __init__(self, model: LanguageModel, *, chunk: int = 32, compile: bool = True) -> None:
        super().__init__(model)
        if chunk < 1:
            raise ValueError(f"chunk must be 1 or more, found {chunk}")
        self.chunk = chunk
        self.captured: dict[tuple[int, Sampling], Replay] = {}
        self.captured_for: tuple[object, ...] = ()
        # Compiling fuses kernels, and the time of a graph grows with their number.
        if compile:
            self.decode = torch.compile(decode_one_token, fullgraph=True, dynamic=False)

    def start(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B V"]:
        """Fill the caches; return the logits of the next token."""
        caches, logits = prefill(self.model, tokens)
        weights = (*self.model.parameters(), *self.model.buffers())
        key = (logits.shape, logits.dtype, model_key(self.model), *(weight.data_ptr() for weight in weights))
        if key == self.captured_for:
            for captured, new in zip(self.caches, caches, strict=True):
                copy_state(captured, new)
            self.start_pos.fill_(tokens.shape[1])
        else:
            for cache in caches:
                # Raises if a cache has state that is not in tensors.
                constants_of(cache)
            check_no_shared_storage(caches)
            self.captured.clear()
            self.captured_for, self.caches = key, caches
            self.start_pos = torch.tensor(tokens.shape[1], device=tokens.device)
        self.logits = logits
        return logits

    def decode_chunk(
        self, token: Int[Tensor, " B"], count: int, sampling: Sampling, noise: Float[Tensor, "N B V"] | None
    ) -> Int[Tensor, "N B"]:
        """Replay a whole chunk, or single steps if fewer tokens are asked for."""
        size = count if count == self.chunk else 1
        # A graph is captured and launched on the current device, which may not be the model's.
        with torch.cuda.device_of(token):
            if (size, sampling) not in self.captured:
                self.captured[size, sampling] = self.capture(size, sampling)
            replay, drawn = self.captured[size, sampling], []
            for i in range(0, count, size):
                # The next replay overwrites these tokens.
                drawn.append(replay(token, None if noise is None else noise[i : i + size]).clone())
                # NO_TOKEN, -1, raises when the host reads it; until then it must not index the embedding.
                token = drawn[-1][-1].clamp(min=0)
        return torch.cat(drawn)

    def capture(self, count: int, sampling: Sampling) -> Replay:
        """Capture a chunk of `count` tokens; return a function that replays it."""
        own_token = torch.zeros(len(self.logits), dtype=torch.int64, device=self.logits.device)
        own_noise = None if sampling.temperature == 0 else self.logits.new_ones(count, *self.logits.shape)
        run = self.graph(partial(self.decode_in_place, own_token, count, sampling, own_noise))

        def replay(token: Int[Tensor, " B"], noise: Float[Tensor, "N B V"] | None) -> Int[Tensor, "N B"]:
            own_token.copy_(token)
            if own_noise is not None and noise is not None:
                own_noise.copy_(noise)
            return run()

        return replay

    def decode_in_place(
        self, token: Int[Tensor, " B"], count: int, sampling: Sampling, noise: Float[Tensor, "N B V"] | None
    ) -> Int[Tensor, "N B"]:
        """Decode a chunk as any decoder does, and write what it leaves in the caches to the addresses they had."""
        caches = self.caches
        # A cache may replace its tensors, but the next replay reads those that were there before this one.
        self.caches = [copy.copy(cache) for cache in caches]
        drawn = super().decode_chunk(token, count, sampling, noise)
        for target, source in zip(caches, self.caches, strict=True):
            copy_state(target, source)
        self.caches = caches
        return drawn

    def graph(self, run: Callable[[], Int[Tensor, "N B"]]) -> Callable[[], Int[Tensor, "N B"]]:
        """Capture `run`, which advances this decoder's caches; return a function that replays it."""
        caches, start_pos = self.caches, self.start_pos

        def run_on_copies() -> None:
            # Writing a position twice may spoil a cache, and further passes may leave the context.
            self.caches, self.start_pos = copy.deepcopy(caches), start_pos.clone()
            run()
            self.caches, self.start_pos = caches, start_pos

        graph, drawn = capture(run, partial(warm_up_passes, run_on_copies))

        def replay() -> Int[Tensor, "N B"]:
            graph.replay()
            return drawn

        return replay
