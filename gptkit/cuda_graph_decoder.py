"""Decoding by CUDA graphs: many tokens, drawn on the device, for one word from the host."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gptkit.decoder import Decoder
from gptkit.incremental import IncrementalModel, decode_one_token, prefill
from gptkit.interfaces import Memory
from gptkit.memory_state import constants_of, copy_state
from gptkit.sampling import Sampling, as_burst


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
        burst: How many tokens a graph computes.
        compile: Whether the pass of one token goes through `torch.compile` before it is recorded.

    Raises:
        ValueError: If `burst` is less than 1.
    """

    memories: Sequence[Memory]
    first: Int[Tensor, ""]
    logits: Float[Tensor, "B V"]

    def __init__(self, model: IncrementalModel, *, burst: int = 32, compile: bool = True) -> None:
        super().__init__(model)
        if burst < 1:
            raise ValueError(f"burst must be 1 or more, found {burst}")
        self.burst = burst
        self.recorded: dict[tuple[int, Sampling], Recorded] = {}
        self.recorded_for: tuple[object, ...] = ()
        # Compiled, there are fewer kernels, and a graph takes as long as it has kernels.
        compiled: Any = torch.compile(decode_one_token, fullgraph=True, dynamic=False)
        self.decode = compiled if compile else decode_one_token

    def start(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B V"]:
        """Fill the memories anew."""
        memories, logits = prefill(self.model, tokens)
        weights = (*self.model.parameters(), *self.model.buffers())
        made_for = (logits.shape, logits.dtype, *(weight.data_ptr() for weight in weights))
        if made_for == self.recorded_for:
            for kept, new in zip(self.memories, memories, strict=True):
                copy_state(kept, new)
            self.first.fill_(tokens.shape[1])
        else:
            for memory in memories:
                constants_of(memory)
            self.recorded.clear()
            self.recorded_for, self.memories = made_for, memories
            self.first = torch.tensor(tokens.shape[1], device=tokens.device)
        self.logits = logits
        return logits

    def step(self, token: Int[Tensor, " B"]) -> Float[Tensor, "B V"]:
        """Return the logits after one more token, without a graph."""
        logits = self.decode(self.model, token, self.first, self.memories)
        self.first += 1
        return logits

    def go_on(
        self, token: Int[Tensor, " B"], count: int, sampling: Sampling, noise: Float[Tensor, "N B V"] | None
    ) -> Int[Tensor, "N B"]:
        """Replay a burst, or single passes where fewer tokens are wanted."""
        size = count if count == self.burst else 1
        # A graph is recorded and launched on the current device, which need not be the model's.
        with torch.cuda.device_of(token):
            if (size, sampling) not in self.recorded:
                self.recorded[size, sampling] = self.record(size, sampling)
            burst, drawn = self.recorded[size, sampling], []
            for i in range(0, count, size):
                burst.token.copy_(token)
                if burst.noise is not None and noise is not None:
                    burst.noise.copy_(noise[i : i + size])
                # The next replay overwrites what this one drew.
                drawn.append(burst.replay().clone())
                # No token, -1, is refused when all of this is read; until then it must not be looked up.
                token = drawn[-1][-1].clamp(min=0)
        return torch.cat(drawn)

    def record(self, count: int, sampling: Sampling) -> Recorded:
        """Return a burst of `count` tokens, ready to be replayed."""
        token = torch.zeros(len(self.logits), dtype=torch.int64, device=self.logits.device)
        noise = None if sampling.temperature == 0 else self.logits.new_ones(count, *self.logits.shape)

        def run(first: Int[Tensor, ""], memories: Sequence[Memory]) -> Int[Tensor, "N B"]:
            tokens, scores = [token], []
            for i in range(count):
                logits = self.decode(self.model, tokens[-1], first, memories)
                first += 1
                chosen, score = sampling.choose(logits, None if noise is None else noise[i])
                tokens.append(chosen)
                scores.append(score)
            return as_burst(tokens[1:], scores)

        return Recorded(token, noise, self.graph(run))

    def graph(
        self, run: Callable[[Int[Tensor, ""], Sequence[Memory]], Int[Tensor, "N B"]]
    ) -> Callable[[], Int[Tensor, "N B"]]:
        """Return a function that does on the device what `run` does with this decoder's memories."""
        # Kernels are compiled and chosen in a pass before, on a stream of its own, which may not be recorded.
        # It runs on copies: a memory may not forgive being written twice.
        warm_up = torch.cuda.Stream()
        warm_up.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(warm_up):
            run(self.first.clone(), copy.deepcopy(self.memories))
        torch.cuda.current_stream().wait_stream(warm_up)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            drawn = run(self.first, self.memories)

        def replay() -> Int[Tensor, "N B"]:
            graph.replay()
            return drawn

        return replay
