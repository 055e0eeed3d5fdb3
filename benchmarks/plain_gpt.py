"""The baseline: the GPT of "Let's build GPT", written plainly and without gptkit.

float32, `nn.Dropout`, one `nn.Linear` for each of a head's queries, keys and values, no cache.

Source:
    Karpathy 2023, "Let's build GPT: from scratch, in code, spelled out" (the architecture and its sizes).
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F


class Head(nn.Module):
    """One head of causal self-attention."""

    mask: Tensor

    def __init__(self, n_embd: int, head_size: int, block_size: int, dropout: float) -> None:
        super().__init__()
        self.key = nn.Linear(n_embd, head_size, bias=False)
        self.query = nn.Linear(n_embd, head_size, bias=False)
        self.value = nn.Linear(n_embd, head_size, bias=False)
        self.register_buffer("mask", torch.tril(torch.ones(block_size, block_size)))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T D"]:
        """Return the output of this head."""
        T = x.shape[1]
        k, q = self.key(x), self.query(x)
        weights = q @ k.transpose(-2, -1) * k.shape[-1] ** -0.5  # (B, T, T)
        weights = weights.masked_fill(self.mask[:T, :T] == 0, float("-inf"))
        weights = self.dropout(F.softmax(weights, dim=-1))
        return weights @ self.value(x)


class MultiHead(nn.Module):
    """Several heads in parallel, and a projection."""

    def __init__(self, n_head: int, n_embd: int, block_size: int, dropout: float) -> None:
        super().__init__()
        self.heads = nn.ModuleList(Head(n_embd, n_embd // n_head, block_size, dropout) for _ in range(n_head))
        self.proj = nn.Linear(n_embd, n_embd)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
        """Return the attention output."""
        return self.dropout(self.proj(torch.cat([head(x) for head in self.heads], dim=-1)))


class Layer(nn.Module):
    """Attention, then a feed-forward network, each after a norm and with a residual connection."""

    def __init__(self, n_head: int, n_embd: int, block_size: int, dropout: float) -> None:
        super().__init__()
        self.attention = MultiHead(n_head, n_embd, block_size, dropout)
        self.feed_forward = nn.Sequential(
            nn.Linear(n_embd, 4 * n_embd), nn.ReLU(), nn.Linear(4 * n_embd, n_embd), nn.Dropout(dropout)
        )
        self.norm_1, self.norm_2 = nn.LayerNorm(n_embd), nn.LayerNorm(n_embd)

    def forward(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
        """Return the residual stream after this layer."""
        x = x + self.attention(self.norm_1(x))
        return x + self.feed_forward(self.norm_2(x))


class PlainGPT(nn.Module):
    """The whole model."""

    def __init__(
        self, *, n_layer: int, n_head: int, n_embd: int, block_size: int, vocab_size: int, dropout: float
    ) -> None:
        super().__init__()
        self.block_size = block_size
        self.tokens = nn.Embedding(vocab_size, n_embd)
        self.positions = nn.Embedding(block_size, n_embd)
        self.layers = nn.Sequential(*(Layer(n_head, n_embd, block_size, dropout) for _ in range(n_layer)))
        self.norm = nn.LayerNorm(n_embd)
        self.head = nn.Linear(n_embd, vocab_size)
        self.apply(draw_weights)

    def forward(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B T V"]:
        """Return the logits of the next token at each position."""
        x = self.tokens(tokens) + self.positions(torch.arange(tokens.shape[1], device=tokens.device))
        return self.head(self.norm(self.layers(x)))

    @torch.no_grad()
    def generate(self, tokens: Int[Tensor, "B T"], max_new_tokens: int, *, greedy: bool = False) -> Tensor:
        """Return the tokens followed by new ones; the whole context is recomputed for each."""
        for _ in range(max_new_tokens):
            logits = self(tokens[:, -self.block_size :])[:, -1]
            if greedy:
                new = logits.argmax(dim=-1, keepdim=True)
            else:
                new = torch.multinomial(F.softmax(logits, dim=-1), num_samples=1)
            tokens = torch.cat((tokens, new), dim=1)
        return tokens


def draw_weights(module: nn.Module) -> None:
    """Draw weights from N(0, 0.02) and set biases to zero."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)


def train_step(
    model: PlainGPT, optimizer: torch.optim.Optimizer, text: Int[Tensor, " N"], batch_size: int
) -> Float[Tensor, ""]:
    """Take one step on sequences drawn from a text, and return its loss."""
    starts = torch.randint(len(text) - model.block_size, (batch_size,))
    x = torch.stack([text[i : i + model.block_size] for i in starts])
    y = torch.stack([text[i + 1 : i + model.block_size + 1] for i in starts])
    logits = model(x.to(next(model.parameters()).device))
    loss = F.cross_entropy(logits.flatten(0, 1), y.to(logits.device).flatten())
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return loss
