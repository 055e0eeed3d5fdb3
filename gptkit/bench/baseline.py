"""The baseline, `benchmarks/plain_gpt.py`: the lecture's program; and gptkit's weights copied to its layout."""

import importlib.util
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from gptkit.components.block.pre_norm import PreNormBlock
from gptkit.components.feed_forward.relu import ReluFeedForward
from gptkit.components.norm.layernorm import LayerNorm
from gptkit.components.position.learned import LearnedPosition
from gptkit.interfaces import Dims
from gptkit.model import GPT
from gptkit.nn import SoftmaxAttention

BASELINE = "plain"
HERE = Path(__file__).parent
# In an installed wheel, and in the repository.
FILES = (HERE / "plain_gpt.py", HERE.parents[1] / "benchmarks" / "plain_gpt.py")


@cache
def baseline() -> ModuleType | None:
    """Return the baseline's module, or None if it is not installed."""
    file = next((file for file in FILES if file.is_file()), None)
    if file is None:
        return None
    spec = importlib.util.spec_from_file_location("gptkit_plain_gpt", file)
    assert spec is not None, "it is a Python file"
    assert spec.loader is not None, "it is a Python file"
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def plain_model(program: ModuleType, dims: Dims) -> Any:
    """Return the baseline's model at the given sizes, on the CPU."""
    return program.PlainGPT(
        n_layer=dims.n_layer,
        n_head=dims.n_head,
        n_embd=dims.n_embd,
        block_size=dims.block_size,
        vocab_size=dims.vocab_size,
        dropout=dims.dropout,
    )


def has_lecture_parts(model: GPT) -> bool:
    """Return whether a model is made of the lecture's parts, so that its weights fit the baseline."""
    blocks = [block for block in model.blocks if isinstance(block, PreNormBlock)]
    return (
        len(blocks) == len(model.blocks)
        and isinstance(model.position, LearnedPosition)
        and type(model.norm) is LayerNorm
        and all(
            isinstance(block.attention, SoftmaxAttention)
            and block.attention.qkv.bias is None
            and block.attention.out.bias is not None
            and type(block.norm_1) is type(block.norm_2) is LayerNorm
            and type(block.feed_forward) is ReluFeedForward
            and block.feed_forward.widen.out_features == 4 * model.dims.n_embd
            and block.feed_forward.widen.bias is not None
            for block in blocks
        )
        and all(norm.bias is not None and norm.eps == 1e-5 for norm in layer_norms(model))
    )


def layer_norms(model: GPT) -> list[nn.LayerNorm]:
    """Return every `nn.LayerNorm` in a model."""
    return [module for module in model.modules() if isinstance(module, nn.LayerNorm)]


@torch.no_grad()
def copy_weights(model: GPT, plain: Any) -> None:
    """Copy the weights of a model made of the lecture's parts into the baseline's model."""
    position: Any = model.position
    plain.tokens.load_state_dict(model.token_embedding.state_dict())
    plain.positions.load_state_dict(position.table.state_dict())
    plain.norm.load_state_dict(layer_norms(model)[-1].state_dict())
    plain.head.load_state_dict(model.head.state_dict())
    for layer, block in zip(plain.layers, model.blocks, strict=True):
        own: Any = block
        layer.norm_1.load_state_dict(own.norm_1.norm.state_dict())
        layer.norm_2.load_state_dict(own.norm_2.norm.state_dict())
        layer.attention.proj.load_state_dict(own.attention.out.state_dict())
        layer.feed_forward[0].load_state_dict(own.feed_forward.widen.state_dict())
        layer.feed_forward[2].load_state_dict(own.feed_forward.narrow.state_dict())
        n_head = len(layer.attention.heads)
        # (3 · H · D, C) -> (3, H, D, C)
        packed = own.attention.qkv.weight.unflatten(0, (3, n_head, -1))
        for h, head in enumerate(layer.attention.heads):
            for linear, weight in zip((head.query, head.key, head.value), packed[:, h], strict=True):
                linear.weight.copy_(weight)
