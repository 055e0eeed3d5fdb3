"""Compiles the decoding step of one token as a function of tensors alone."""

import copy
from collections.abc import Callable, Sequence
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.fx import GraphModule

from gptkit.decoding.cache_tensors import copy_state, with_tensors
from gptkit.decoding.decoder import LanguageModel, decode_one_token
from gptkit.interfaces import LayerCache

Compiled = Callable[..., Sequence[Tensor]]
Compiler = Callable[[GraphModule, list[Tensor]], Compiled]
BindWeights = Callable[[dict[str, Tensor]], Compiled]

# With one token the kernels are so short that the calls between them count.
QUICK_CALLS = {
    # Call the kernels from C++.
    "cpp_wrapper": True,
    # The decoder has compared the layout of all inputs already.
    "size_asserts": False,
    # Below this many elements, waking a second core takes longer than computing them.
    "cpp.min_chunk_size": 2048,
}


class DecodeStep(nn.Module):
    """One token through a model. The tensors of the caches are arguments, because export bakes in attributes."""

    def __init__(self, model: LanguageModel, caches: Sequence[LayerCache]) -> None:
        super().__init__()
        self.model, self.caches = model, caches

    def forward(
        self, token: Int[Tensor, " B"], start_pos: Int[Tensor, ""], *state: Tensor
    ) -> Float[Tensor, "B V"]:
        """Return the logits after a token at position `start_pos`.

        Args:
            state: The tensors of all caches, updated in place.
        """
        tensors = iter(state)
        inputs = [with_tensors(cache, tensors) for cache in self.caches]
        # A cache may replace its tensors rather than write into them: run on copies, then write the results back.
        caches = [copy.copy(cache) for cache in inputs]
        logits = decode_one_token(self.model, token, start_pos, caches)
        for target, source in zip(inputs, caches, strict=True):
            copy_state(target, source)
        return logits

    def tensors(self) -> dict[str, Tensor]:
        """Return the model's weights and buffers by name; shared ones under each of their names."""
        weights = self.named_parameters(remove_duplicate=False)
        return dict(weights) | dict(self.named_buffers(remove_duplicate=False))


def compile_step(decode_step: DecodeStep, example: list[Tensor], compiler: Compiler) -> BindWeights:
    """Export a decoding step and compile it for inputs with the layout of `example`.

    Returns a function that fills in weights and buffers by name; its result takes the inputs.

    Raises:
        NotImplementedError: If it cannot be compiled.
    """
    try:
        # Traced by running it: a part may be any Python whose control flow does not depend on tensor values.
        exported = torch.export.export(decode_step, tuple(example), strict=False)
        names = [spec.target for spec in exported.graph_signature.input_specs if spec.target is not None]
        # Tensors that are neither weights nor buffers, such as those that the step builds from numbers.
        constants = {name: each for name, each in exported.constants.items() if isinstance(each, Tensor)}

        def in_order(tensors: dict[str, Tensor]) -> list[Tensor]:
            return [(constants | tensors)[name].detach() for name in names]

        compiled = compiler(exported.graph_module, [*in_order(decode_step.tensors()), *example])
        return lambda tensors: partial(compiled, *in_order(tensors))
    except NotImplementedError:
        raise
    except Exception as error:
        # Any error: a third-party part may fail on fake tensors, and the compiler may refuse the graph.
        raise NotImplementedError(
            f"compiling the pass of one token failed: {type(error).__name__}: {error}"
        ) from error


def inductor(graph: GraphModule, example: list[Tensor]) -> Compiled:
    """Compile a graph for inputs with the layout of `example`. On a CPU this needs a C++ compiler."""
    is_cpu = example[0].device.type == "cpu"
    if is_cpu:
        split_biases(graph)
    return torch._inductor.standalone_compile(
        graph,
        [*example],
        dynamic_shapes="from_example_inputs",
        options={"config_patches": QUICK_CALLS if is_cpu else {}},
    )


def split_biases(graph: GraphModule) -> None:
    """Replace each linear layer with a bias by a product and a sum, in place.

    The compiler fuses the sum with what follows. A product that adds the bias copies it first, in a call of its
    own: 4 % of the time of a token.
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
