"""Decoding through `torch.compile`: seconds to begin with, and then little but the products with the weights."""

from threading import Lock
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gptkit.decoder import CachedDecoder
from gptkit.incremental import IncrementalModel, decode_one_token
from gptkit.sampling import Sampling

# Two threads would put back each other's.
STANCE = Lock()


class CompiledDecoder(CachedDecoder):
    """Keeps what each layer made of earlier tokens, and compiles the pass of one token, whatever its parts are.

    It is compiled at the second token that it is asked for, once for each number of rows. The first pass over a
    prompt is not: its length is another each time, and it is one pass. Weights may change meanwhile.

    Args:
        backend: What `torch.compile` hands the graph to. Its own needs a C++ compiler on a CPU.
    """

    burst = 16

    def __init__(self, model: IncrementalModel, *, backend: str = "inductor") -> None:
        super().__init__(model)
        # What calls the kernels is C++ too: at one token they are so short that Python between them is a tenth.
        options: dict[str, Any] | None = {"cpp_wrapper": True} if backend == "inductor" and on_cpu(model) else None
        # Memories are arguments, so that new ones, of the same kind and shape, need no new code. Shapes are fixed:
        # a second batch size is compiled as such, and not for any size, which is slower.
        compiled: Any = torch.compile(
            decode_one_token, fullgraph=True, dynamic=False, backend=backend, options=options
        )
        self.compiled = compiled

    def step(self, token: Int[Tensor, " B"]) -> Float[Tensor, "B V"]:
        """Return the logits after one more token."""
        logits = self.compiled(self.model, token, self.first, self.memories)
        self.first += 1
        return logits

    def go_on(
        self, token: Int[Tensor, " B"], count: int, sampling: Sampling, noise: Float[Tensor, "N B V"] | None
    ) -> Int[Tensor, "N B"]:
        """Read one more token, and return those after it."""
        drawn = super().go_on(token, 1, sampling, noise)
        if count == 1:
            return drawn
        # Whether the code still suits the model was looked at for the first token, which takes a twentieth of a
        # token's time; until the last one only another thread could change that. The stance is the process's.
        with STANCE, torch.compiler.set_stance("default", skip_guard_eval_unsafe=True):
            rest = super().go_on(drawn[0], count - 1, sampling, None if noise is None else noise[1:])
        return torch.cat((drawn, rest))


def on_cpu(model: IncrementalModel) -> bool:
    """Return whether a model's weights are on the CPU."""
    return next(model.parameters()).device.type == "cpu"
