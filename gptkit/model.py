"""The GPT: built parts, one after another."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gptkit.decoding.decoder import Decoder
from gptkit.decoding.generate import choose_decoder, stream
from gptkit.decoding.language_model import LanguageModel
from gptkit.decoding.sampling import Sampling
from gptkit.interfaces import AttentionContext, Block, Dims, LayerCache, Norm, ParameterGroups, Position
from gptkit.nn import Embedding, Linear


class GPT(LanguageModel):
    """A decoder-only transformer made of the parts it is given.

    Args:
        position: Says where each token stands.
        blocks: The layers, in order.
        norm: The last norm, before the head.

    Source:
        Radford et al. 2019, "Language Models are Unsupervised Multitask Learners".
    """

    def __init__(self, dims: Dims, position: Position, blocks: Sequence[Block], norm: Norm) -> None:
        super().__init__()
        self.dims = dims
        self.token_embedding = Embedding(dims.vocab_size, dims.n_embd)
        self.position = position
        self.blocks = nn.ModuleList(blocks)
        self.norm = norm
        self.head = Linear(dims.n_embd, dims.vocab_size)

    def forward(
        self,
        tokens: Int[Tensor, "B T"],
        start_pos: int | Int[Tensor, ""] = 0,
        caches: Sequence[LayerCache] | None = None,
    ) -> Float[Tensor, "B T V"]:
        """Return the logits of the token after each.

        Args:
            start_pos: Position of the first token, counted from 0.
            caches: What each layer keeps of the tokens before; none looks at these tokens alone.

        Raises:
            ValueError: If there are more tokens than the context holds.
        """
        contexts = self.contexts(tokens, start_pos, caches)
        x = self.position.embed(self.token_embedding(tokens), start_pos)
        for block, ctx in zip(self.blocks, contexts, strict=True):
            x = block(x, ctx)
        return self.head(self.norm(x))

    def contexts(
        self, tokens: Int[Tensor, "B T"], start_pos: int | Int[Tensor, ""], caches: Sequence[LayerCache] | None
    ) -> list[AttentionContext]:
        """Return where the tokens stand, for each layer."""
        T, longest = tokens.shape[1], self.dims.block_size
        if T > longest:
            raise ValueError(
                f"{T} tokens do not fit the context of {longest} (block_size): pass the last {longest}"
            )
        if caches is None:
            return [AttentionContext(start_pos, self.position)] * len(self.blocks)
        slots = torch.arange(longest, device=tokens.device)
        attn_mask = slots <= (slots[:T] + start_pos)[:, None]  # (T, S)
        return [AttentionContext(start_pos, self.position, cache, attn_mask) for cache in caches]

    def new_caches(self, batch_size: int) -> list[LayerCache]:
        """Return each layer's empty memory, for a whole context."""
        blocks = [block for block in self.blocks if isinstance(block, Block)]
        return [block.new_cache(batch_size, self.dims.block_size) for block in blocks]

    def generate(
        self,
        tokens: Int[Tensor, "B T"],
        max_new_tokens: int,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        generator: torch.Generator | None = None,
        use_cache: bool = True,
        decoder: Decoder | None = None,
    ) -> Int[Tensor, "B T2"]:
        """Return the tokens with new ones behind them.

        Args:
            temperature: Divides the logits; 0 takes the likeliest token.
            top_k: How many of the likeliest tokens may be drawn.
            top_p: Share of the probability that the likeliest tokens, which may be drawn, make up.
            generator: Source of the draws; PyTorch's own by default.
            use_cache: Whether each layer keeps the keys and values of earlier tokens. It changes the time,
                not the text.
            decoder: What computes the tokens, such as a `CompiledDecoder` of this model. It changes the time,
                not the text.

        Raises:
            ValueError: If there is no token to go on from, a number is out of its range, the logits hold a NaN,
                or the decoder is another model's.
        """
        new = stream(
            self,
            tokens,
            max_new_tokens,
            sampling=Sampling(temperature, top_k, top_p),
            generator=generator,
            decoder=choose_decoder(self, decoder, use_cache=use_cache),
        )
        return torch.cat([tokens, *(chunk.T for chunk in new)], dim=1)

    def parameter_groups(self) -> ParameterGroups:
        """Return the parameters by what they do."""
        inside = set(self.blocks.parameters())
        weights = [weight for weight in self.parameters() if weight.ndim > 1]
        return ParameterGroups(
            matrices=[weight for weight in weights if weight in inside],
            embeddings=[weight for weight in weights if weight not in inside],
            vectors=[weight for weight in self.parameters() if weight.ndim <= 1],
        )

    @property
    def n_parameters(self) -> int:
        """Number of weights that are trained."""
        return sum(weight.numel() for weight in self.parameters() if weight.requires_grad)
