"""Decoding by CUDA graphs: many tokens, drawn on the device, for one word from the host."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gptkit.decoding.cache_tensors import constants_of, copy_state
from gptkit.decoding.decoder import Decoder
from gptkit.decoding.language_model import LanguageModel, decode_one_token, prefill
from gptkit.decoding.sampling import Sampling, stack_tokens
from gptkit.interfaces import LayerCache


@dataclass(frozen=True)
class Recorded:
    """A burst that can be computed again: it reads `token` and `noise`, and `replay` returns what was drawn."""

    token: Int[Tensor, " B"]
    noise: Float[Tensor, "N B V"] | None
    replay: Callable[[], Int[Tensor, "N B"]]


class CudaGraphDecoder(Decoder):
    """Records the passes of a burst, sampling included, as one CUDA graph, and replays it.

    The host then starts one graph where it would start a hundred kernels for each token, which takes it longer
    than the device needs to run them. Tokens left over from whole bursts go through a graph of one pass.

    A graph reads and writes the memory it was recorded with. So a new window's keys and values are copied into
    that, a memory's state must lie in tensors that are its attributes, and a model whose weights were moved is
    recorded anew.

    Args:
        chunk: How many tokens a graph computes.
        compile: Whether the pass of one token goes through `torch.compile` before it is recorded.

    Raises:
        ValueError: If `chunk` is less than 1.
    """

    caches: Sequence[LayerCache]
    start_pos: Int[Tensor, ""]
    logits: Float[Tensor, "B V"]

    def __init__(self, model: LanguageModel, *, chunk: int = 32, compile: bool = True) -> None:
        super().__init__(model)
        if chunk < 1:
            raise ValueError(f"chunk must be 1 or more, found {chunk}")
        self.chunk = chunk
        self.recorded: dict[tuple[int, Sampling], Recorded] = {}
        self.recorded_for: tuple[object, ...] = ()
        # Compiled, there are fewer kernels, and a graph takes as long as it has kernels.
        compiled: Any = torch.compile(decode_one_token, fullgraph=True, dynamic=False)
        self.decode = compiled if compile else decode_one_token

    def start(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B V"]:
        """Fill the memories anew."""
        caches, logits = prefill(self.model, tokens)
        weights = (*self.model.parameters(), *self.model.buffers())
        made_for = (logits.shape, logits.dtype, *(weight.data_ptr() for weight in weights))
        if made_for == self.recorded_for:
            for kept, new in zip(self.caches, caches, strict=True):
                copy_state(kept, new)
            self.start_pos.fill_(tokens.shape[1])
        else:
            for cache in caches:
                constants_of(cache)
            self.recorded.clear()
            self.recorded_for, self.caches = made_for, caches
            self.start_pos = torch.tensor(tokens.shape[1], device=tokens.device)
        self.logits = logits
        return logits

    def step(self, token: Int[Tensor, " B"]) -> Float[Tensor, "B V"]:
        """Return the logits after one more token, without a graph."""
        logits = self.decode(self.model, token, self.start_pos, self.caches)
        self.start_pos += 1
        return logits

    def decode_chunk(
        self, token: Int[Tensor, " B"], count: int, sampling: Sampling, noise: Float[Tensor, "N B V"] | None
    ) -> Int[Tensor, "N B"]:
        """Replay a burst, or single passes where fewer tokens are wanted."""
        size = count if count == self.chunk else 1
        # A graph is recorded and launched on the current device, which need not be the model's.
        with torch.cuda.device_of(token):
            if (size, sampling) not in self.recorded:
                self.recorded[size, sampling] = self.record(size, sampling)
            chunk, drawn = self.recorded[size, sampling], []
            for i in range(0, count, size):
                chunk.token.copy_(token)
                if chunk.noise is not None and noise is not None:
                    chunk.noise.copy_(noise[i : i + size])
                # The next replay overwrites what this one drew.
                drawn.append(chunk.replay().clone())
                # No token, -1, is refused when all of this is read; until then it must not be looked up.
                token = drawn[-1][-1].clamp(min=0)
        return torch.cat(drawn)

    def record(self, count: int, sampling: Sampling) -> Recorded:
        """Return a burst of `count` tokens, ready to be replayed."""
        token = torch.zeros(len(self.logits), dtype=torch.int64, device=self.logits.device)
        noise = None if sampling.temperature == 0 else self.logits.new_ones(count, *self.logits.shape)

        def run(start_pos: Int[Tensor, ""], caches: Sequence[LayerCache]) -> Int[Tensor, "N B"]:
            tokens, scores = [token], []
            for i in range(count):
                logits = self.decode(self.model, tokens[-1], start_pos, caches)
                start_pos += 1
                chosen, score = sampling.choose(logits, None if noise is None else noise[i])
                tokens.append(chosen)
                scores.append(score)
            return stack_tokens(tokens[1:], scores)

        return Recorded(token, noise, self.graph(run))

    def graph(
        self, run: Callable[[Int[Tensor, ""], Sequence[LayerCache]], Int[Tensor, "N B"]]
    ) -> Callable[[], Int[Tensor, "N B"]]:
        """Return a function that does on the device what `run` does with this decoder's memories."""
        # Kernels are compiled and chosen in a pass before, on a stream of its own, which may not be recorded.
        # It runs on copies: a memory may not forgive being written twice.
        warm_up = torch.cuda.Stream()
        warm_up.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(warm_up):
            run(self.start_pos.clone(), copy.deepcopy(self.caches))
        torch.cuda.current_stream().wait_stream(warm_up)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            drawn = run(self.start_pos, self.caches)

        def replay() -> Int[Tensor, "N B"]:
            graph.replay()
            return drawn

        return replay
