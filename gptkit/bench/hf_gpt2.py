"""A peer: the GPT-2 of `transformers`, where that is installed, at the same size."""

import importlib.util
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn import functional as F

from gptkit.bench.baseline import norms
from gptkit.interfaces import Dims
from gptkit.model import GPT

PEER = "transformers"


def is_installed() -> bool:
    """Return whether there is a peer here."""
    return importlib.util.find_spec("transformers") is not None


def peer_model(dims: Dims) -> Any:
    """Return `GPT2LMHeadModel` of some sizes, on the CPU: its attention as it comes, a head of its own."""
    # It need not be installed.
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
        # Its own are tokens that this vocabulary lacks.
        bos_token_id=None,
        eos_token_id=None,
    )
    return transformers.GPT2LMHeadModel(config)


@torch.no_grad()
def copy_weights(model: GPT, peer: Any) -> None:
    """Give the peer's model the weights of one that is made of the lecture's parts; its head has no bias."""
    position: Any = model.position
    body = peer.transformer
    body.wte.weight.copy_(model.token_embedding.weight)
    body.wpe.weight.copy_(position.table.weight)
    body.ln_f.load_state_dict(norms(model)[-1].state_dict())
    peer.lm_head.weight.copy_(model.head.weight)
    for layer, block in zip(body.h, model.blocks, strict=True):
        own: Any = block
        layer.ln_1.load_state_dict(own.norm_1.norm.state_dict())
        layer.ln_2.load_state_dict(own.norm_2.norm.state_dict())
        # Its layers keep their weights the other way round.
        layer.attn.c_attn.weight.copy_(own.attention.qkv.weight.T)
        layer.attn.c_attn.bias.zero_()
        for theirs, ours in (
            (layer.attn.c_proj, own.attention.out),
            (layer.mlp.c_fc, own.feed_forward.widen),
            (layer.mlp.c_proj, own.feed_forward.narrow),
        ):
            theirs.weight.copy_(ours.weight.T)
            theirs.bias.copy_(ours.bias)


def peer_step(
    peer: Any, optimizer: torch.optim.Optimizer, text: Int[Tensor, " N"], batch_size: int, block_size: int
) -> None:
    """Take one step on sequences drawn from a text, as its users write it."""
    starts = torch.randint(len(text) - block_size, (batch_size,))
    x = torch.stack([text[i : i + block_size] for i in starts]).to(peer.device)
    y = torch.stack([text[i + 1 : i + block_size + 1] for i in starts]).to(peer.device)
    logits = peer(input_ids=x, use_cache=False).logits
    loss = F.cross_entropy(logits.flatten(0, 1), y.flatten())
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


def peer_generate(peer: Any, tokens: Int[Tensor, "B T"], max_new_tokens: int) -> Int[Tensor, "B T2"]:
    """Return the tokens with the likeliest ones behind them."""
    return peer.generate(
        tokens,
        attention_mask=torch.ones_like(tokens),
        do_sample=False,
        max_new_tokens=max_new_tokens,
        min_new_tokens=max_new_tokens,
        pad_token_id=0,
    )
