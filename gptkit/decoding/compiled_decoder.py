"""Decoding that is compiled: seconds to begin with, and then little but the products with the weights."""

from collections.abc import Hashable

from jaxtyping import Float, Int
from torch import Tensor, nn

from gptkit.decoding.cache_tensors import Constant, check_apart, constants_of, tensors_of
from gptkit.decoding.compiled_step import Compiled, CompiledStep, Compiler, DecodeStep, by_inductor, compile_step
from gptkit.decoding.decoder import CachedDecoder
from gptkit.decoding.language_model import LanguageModel


class CompiledDecoder(CachedDecoder):
    """Keeps what each layer made of earlier tokens, and compiles the pass of one token, whatever its parts are.

    It is compiled at the second token that it is asked for, once for each number of rows. The first pass over a
    prompt is not: its length is another each time, and it is one pass. Weights may change from text to text; a
    model whose parts, their settings or precision changed is compiled anew.

    `torch.compile` would look at each token whether its code still suits the model, and gather the weights. Here
    the pass becomes a function of tensors alone, and that is done once for a text. So a memory's state must lie in
    tensors that are its attributes, apart from each other, and stay as large as they are.

    Args:
        compiler: What compiles the pass.
    """

    # Between two bursts the model is looked through for parts in training, and the text is put together.
    chunk = 32

    def __init__(self, model: LanguageModel, *, compiler: Compiler = by_inductor) -> None:
        super().__init__(model)
        self.compiler = compiler
        self.passes: dict[Hashable, CompiledStep] = {}

    def start(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B V"]:
        """Fill new memories."""
        self.run: Compiled | None = None
        return super().start(tokens)

    def step(self, token: Int[Tensor, " B"]) -> Float[Tensor, "B V"]:
        """Return the logits after one more token.

        Raises:
            NotImplementedError: If the pass cannot be compiled.
        """
        self.run = self.run or self.ready(token)
        (logits,) = self.run(token)
        self.start_pos += 1
        return logits

    def ready(self, token: Int[Tensor, " B"]) -> Compiled:
        """Return the compiled pass, given the weights as they are and this text's memories."""
        check_apart(self.caches)
        decode_step = DecodeStep(self.model, self.caches)
        weights = decode_step.tensors()
        # Written in place, so that each token finds them as the last one left them.
        rest = (self.start_pos, *(tensor for cache in self.caches for tensor in tensors_of(cache).values()))
        kind = (
            *(each for module in self.model.modules() for each in (module, *settings_of(module))),
            *(kind_of(tensor) for tensor in (token, *rest, *weights.values())),
            *(pair for cache in self.caches for pair in constants_of(cache).items()),
        )
        if kind not in self.passes:
            self.passes[kind] = compile_step(decode_step, [token, *rest], self.compiler)
        run = self.passes[kind].bind(weights)
        return lambda token: run(token, *rest)


def settings_of(module: nn.Module) -> list[Hashable]:
    """Return what a compiled pass takes for granted of a module besides its tensors."""
    return [(name, value) for name, value in vars(module).items() if isinstance(value, Constant)]


def kind_of(tensor: Tensor) -> Hashable:
    """Return what a compiled pass takes for granted of a tensor."""
    return tensor.shape, tensor.stride(), tensor.dtype, tensor.device
