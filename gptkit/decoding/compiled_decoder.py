"""Compiled decoding: seconds to compile, then little but the matrix products for each token."""

from collections.abc import Hashable

from jaxtyping import Float, Int
from torch import Tensor

from gptkit.decoding.cache_tensors import check_no_shared_storage, constants_of, tensors_of
from gptkit.decoding.compiled_step import BindWeights, Compiled, Compiler, DecodeStep, compile_step, inductor
from gptkit.decoding.decoder import CachedDecoder, LanguageModel
from gptkit.decoding.step_key import freeze, model_key


class CompiledDecoder(CachedDecoder):
    """Decodes with caches and compiles the step of one token, for a model of any parts.

    It compiles when the second token is asked for, once for each batch size. The prompt is not compiled: its
    length differs each time, and it is a single pass. Weights may change between texts. If a part, an attribute of
    a part or a dtype changed, the step is compiled again.

    `torch.compile` would check its guards and collect the weights for every token. Here the step is a function of
    tensors alone, and both happen once per text. This needs caches whose state is in tensors that are attributes,
    share no storage and keep their size.

    Args:
        compiler: Compiles the graph of the step.
    """

    # Between chunks the host checks which modules are in training mode and puts the text together.
    chunk = 32

    def __init__(self, model: LanguageModel, *, compiler: Compiler = inductor) -> None:
        super().__init__(model)
        self.compiler = compiler
        self.compiled: dict[Hashable, BindWeights] = {}

    def start(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B V"]:
        """Fill new caches; return the logits of the next token."""
        self.bound_step: Compiled | None = None
        return super().start(tokens)

    def step(self, token: Int[Tensor, " B"]) -> Float[Tensor, "B V"]:
        """Return the logits after one more token.

        Raises:
            NotImplementedError: If the step cannot be compiled.
        """
        self.bound_step = self.bound_step or self.bind_step(token)
        (logits,) = self.bound_step(token)
        self.start_pos += 1
        return logits

    def bind_step(self, token: Int[Tensor, " B"]) -> Compiled:
        """Return the compiled step with the current weights and this text's caches as inputs."""
        check_no_shared_storage(self.caches)
        decode_step = DecodeStep(self.model, self.caches)
        weights = decode_step.tensors()
        # Updated in place, so that each step reads what the one before wrote.
        state = (self.start_pos, *(tensor for cache in self.caches for tensor in tensors_of(cache).values()))
        layouts = [(x.shape, x.stride(), x.dtype, x.device) for x in (token, *state, *weights.values())]
        constants = [(type(cache), constants_of(cache)) for cache in self.caches]
        key = freeze([layouts, constants]), model_key(self.model)
        if key not in self.compiled:
            self.compiled[key] = compile_step(decode_step, [token, *state], self.compiler)
        run = self.compiled[key](weights)
        return lambda token: run(token, *state)
