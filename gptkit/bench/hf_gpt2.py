"""The GPT-2 of `transformers`, where it is installed, at the sizes of a recipe."""

import importlib.util
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn import functional as F

from gptkit.bench.baseline import layer_norms
from gptkit.interfaces import Dims
from gptkit.model import GPT

NAME = "transformers"


def is_installed() -> bool:
    """Return whether `transformers` is installed."""
    return importlib.util.find_spec("transformers") is not None


def build(dims: Dims) -> Any:
    """Return a `GPT2LMHeadModel` with its default attention and an untied head, on the CPU."""
    # Imported by name, because it is optional.
    transformers: Any = importlib.import_module("transformers")
    config = transformers.GPT2Config(
        vocab_size=dims.vocab_size,
        n_positions=dims.block_size,
        n_embd=dims.n_embd,
        n_layer=dims.n_layer,
        n_head=dims.n_head,
        activation_function="relu",
        resid_pdrop=dims.dropout,
        embd_pdrop=dims.dropout,
        attn_pdrop=dims.dropout,
        tie_word_embeddings=False,
        # The defaults are outside this vocabulary.
        bos_token_id=None,
        eos_token_id=None,
    )
    return transformers.GPT2LMHeadModel(config)


@torch.no_grad()
def copy_weights(model: GPT, gpt2: Any) -> None:
    """Copy the weights of a model made of the lecture's parts, except the head's bias, which GPT-2 lacks."""
    position: Any = model.position
    body = gpt2.transformer
    body.wte.weight.copy_(model.token_embedding.weight)
    body.wpe.weight.copy_(position.table.weight)
    body.ln_f.load_state_dict(layer_norms(model)[-1].state_dict())
    gpt2.lm_head.weight.copy_(model.head.weight)
    for layer, block in zip(body.h, model.blocks, strict=True):
        own: Any = block
        layer.ln_1.load_state_dict(own.norm_1.norm.state_dict())
        layer.ln_2.load_state_dict(own.norm_2.norm.state_dict())
        # GPT-2 stores its matrices transposed.
        layer.attn.c_attn.weight.copy_(own.attention.qkv.weight.T)
        layer.attn.c_attn.bias.zero_()
        for theirs, ours in (
            (layer.attn.c_proj, own.attention.out),
            (layer.mlp.c_fc, own.feed_forward.widen),
            (layer.mlp.c_proj, own.feed_forward.narrow),
        ):
            theirs.weight.copy_(ours.weight.T)
            theirs.bias.copy_(ours.bias)


def train_step(
    gpt2: Any, optimizer: torch.optim.Optimizer, text: Int[Tensor, " N"], batch_size: int, block_size: int
) -> None:
    """Take one step on sequences drawn from a text, as users of `transformers` write it."""
    starts = torch.randint(len(text) - block_size, (batch_size,))
    x = torch.stack([text[i : i + block_size] for i in starts]).to(gpt2.device)
    y = torch.stack([text[i + 1 : i + block_size + 1] for i in starts]).to(gpt2.device)
    logits = gpt2(input_ids=x, use_cache=False).logits
    loss = F.cross_entropy(logits.flatten(0, 1), y.flatten())
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


def generate(gpt2: Any, tokens: Int[Tensor, "B T"], max_new_tokens: int) -> Int[Tensor, "B T2"]:
    """Return the tokens followed by greedily chosen ones."""
    return gpt2.generate(
        tokens,
        attention_mask=torch.ones_like(tokens),
        do_sample=False,
        max_new_tokens=max_new_tokens,
        min_new_tokens=max_new_tokens,
        pad_token_id=0,
    )
