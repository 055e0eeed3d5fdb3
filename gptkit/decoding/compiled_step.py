"""The pass of one token as a function of tensors alone, compiled."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.fx import GraphModule

from gptkit.decoding.cache_tensors import copy_state, with_tensors
from gptkit.decoding.language_model import LanguageModel, decode_one_token
from gptkit.interfaces import LayerCache

Compiled = Callable[..., Sequence[Tensor]]
Compiler = Callable[[GraphModule, list[Tensor]], Compiled]

# At one token kernels are so short that what is between them counts.
QUICK_CALLS = {
    # What calls them is C++ too.
    "cpp_wrapper": True,
    # Inputs are of the kind that was compiled for: so they are chosen.
    "size_asserts": False,
    # To have a second core do a part of fewer numbers takes longer than to do it.
    "cpp.min_chunk_size": 2048,
}


class DecodeStep(nn.Module):
    """A model and its memories, whose tensors are given to each pass anew."""

    def __init__(self, model: LanguageModel, caches: Sequence[LayerCache]) -> None:
        super().__init__()
        self.model, self.caches = model, caches

    def forward(
        self, token: Int[Tensor, " B"], start_pos: Int[Tensor, ""], *state: Tensor
    ) -> Float[Tensor, "B V"]:
        """Return the logits after a token that stands at position `start_pos`.

        Args:
            state: The memories' tensors, which are written.
        """
        left = iter(state)
        kept = [with_tensors(cache, left) for cache in self.caches]
        caches = [copy.copy(cache) for cache in kept]
        logits = decode_one_token(self.model, token, start_pos, caches)
        for pair in zip(kept, caches, strict=True):
            copy_state(*pair)
        return logits

    def tensors(self) -> dict[str, Tensor]:
        """Return the model's weights and buffers by their names; those that have several, under each."""
        weights = self.named_parameters(remove_duplicate=False)
        return dict(weights) | dict(self.named_buffers(remove_duplicate=False))


@dataclass(frozen=True)
class CompiledStep:
    """A compiled pass.

    Args:
        run: Takes the tensors that have names, and then those that the pass itself takes.
        names: Of weights and constants, in that order.
        constants: Tensors that the pass made of nothing but numbers.
    """

    run: Compiled
    names: list[str]
    constants: dict[str, Tensor]

    def bind(self, tensors: dict[str, Tensor]) -> Compiled:
        """Return the pass, given weights by their names."""
        held = [(self.constants | tensors)[name].detach() for name in self.names]
        return lambda *rest: self.run(*held, *rest)


def compile_step(decode_step: DecodeStep, example: list[Tensor], compiler: Compiler) -> CompiledStep:
    """Return the pass compiled for inputs like these.

    Raises:
        NotImplementedError: If it cannot be compiled.
    """
    try:
        # Traced as it runs, so that a part may be any Python whose course does not hang on the tensors.
        exported = torch.export.export(decode_step, tuple(example), strict=False)
        names = [spec.target for spec in exported.graph_signature.input_specs if spec.target is not None]
        constants = {name: each for name, each in exported.constants.items() if isinstance(each, Tensor)}
        held = [(constants | decode_step.tensors())[name].detach() for name in names]
        return CompiledStep(compiler(exported.graph_module, [*held, *example]), names, constants)
    except NotImplementedError:
        raise
    except Exception as error:
        # Of many kinds: what a stranger's part does with tensors that hold nothing, and what a compiler refuses.
        raise NotImplementedError(
            f"compiling the pass of one token failed: {type(error).__name__}: {error}"
        ) from error


def by_inductor(graph: GraphModule, example: list[Tensor]) -> Compiled:
    """Return a graph compiled for inputs like these. On a CPU that takes a C++ compiler."""
    is_cpu = example[0].device.type == "cpu"
    if is_cpu:
        add_biases_apart(graph)
    compiled: Any = torch._inductor.standalone_compile(
        graph,
        [*example],
        dynamic_shapes="from_example_inputs",
        options={"config_patches": QUICK_CALLS if is_cpu else {}},
    )
    return compiled


def add_biases_apart(graph: GraphModule) -> None:
    """Make a product with a bias a product and a sum, in place.

    The sum becomes one with whatever follows, while a product that adds copies the bias first, in a call of its
    own: 4 % of a token's time.
    """
    linear = torch.ops.aten.linear.default
    for node in graph.graph.nodes:
        if node.target is linear and len(node.args) == 3:
            x, weight, bias = node.args
            with graph.graph.inserting_after(node):
                total = graph.graph.call_function(torch.ops.aten.add.Tensor, (node, bias))
            node.replace_all_uses_with(total)
            total.meta = copy.copy(node.meta)
            node.args, total.args = (x, weight), (node, bias)
    graph.recompile()
