"""The GPT: embeddings, position, blocks, norm, head."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from gptkit.decoding.decoder import Decoder, LanguageModel
from gptkit.decoding.generate import choose_decoder, stream
from gptkit.decoding.sampling import Sampling
from gptkit.interfaces import (
    AttentionContext,
    Block,
    ConstantSizeCache,
    Dims,
    HasPackedWeights,
    LayerCache,
    Norm,
    ParameterGroups,
    Position,
)
from gptkit.nn import Embedding, Linear


class GPT(LanguageModel):
    """A decoder-only transformer made of built parts.

    Args:
        position: Encodes positions, at the embeddings or in every attention.
        blocks: The layers, in order.
        norm: The final norm, before the head.

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
        segment_ids: Int[Tensor, "B T"] | None = None,
    ) -> Float[Tensor, "B T V"]:
        """Return the logits of the token after each of `tokens`.

        Args:
            segment_ids: Which of the texts packed into its row each token belongs to; None if a row is one text. A
                text is a stretch of equal ids, and no id comes back later in the row. Its tokens see only one
                another, but keep the positions that they have in the row. Padding is a text with an id of its own.

        Raises:
            ValueError: If there are more tokens than `block_size`, or if `segment_ids` has another shape than
                `tokens` or comes with caches, which hold one text a row.
        """
        contexts = self.contexts(tokens, start_pos, caches, segment_ids)
        x = self.position.embed(self.token_embedding(tokens), start_pos)
        for block, ctx in zip(self.blocks, contexts, strict=True):
            x = block(x, ctx)
        return self.head(self.norm(x))

    def contexts(
        self,
        tokens: Int[Tensor, "B T"],
        start_pos: int | Int[Tensor, ""],
        caches: Sequence[LayerCache] | None,
        segment_ids: Int[Tensor, "B T"] | None = None,
    ) -> list[AttentionContext]:
        """Return the context of each layer; raises ValueError as `forward` does."""
        T, longest = tokens.shape[1], self.dims.block_size
        if T > longest:
            raise ValueError(
                f"{T} tokens do not fit the context of {longest} (block_size): pass the last {longest}"
            )
        attn_mask = None
        if segment_ids is not None:
            check_segments(segment_ids, tokens, caches)
            attn_mask = segment_mask(segment_ids)
        elif caches is not None:
            slots = torch.arange(longest, device=tokens.device)
            attn_mask = slots <= (slots[:T] + start_pos)[:, None]  # (T, S)
        return [
            AttentionContext(
                start_pos,
                self.position,
                cache,
                None if isinstance(cache, ConstantSizeCache) else attn_mask,
                layer,
                tokens,
                segment_ids,
            )
            for layer, cache in enumerate([None] * len(self.blocks) if caches is None else caches)
        ]

    def new_caches(self, batch_size: int) -> list[LayerCache]:
        """Return an empty cache for each layer, with room for `block_size` positions.

        Raises:
            TypeError: If a block has no `new_cache`.
        """
        caches = []
        for i, block in enumerate(self.blocks):
            # Not isinstance(block, Block): a wrapper, such as torch.compile's, is no Block but passes the call on.
            new_cache = getattr(block, "new_cache", None)
            if new_cache is None:
                raise TypeError(
                    f"block {i}, {type(block).__name__}, has no new_cache(batch_size, length): inherit "
                    "gptkit.interfaces.Block, or generate with use_cache=False"
                )
            caches.append(new_cache(batch_size, self.dims.block_size))
        return caches

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
        """Return `tokens` followed by `max_new_tokens` generated ones.

        Args:
            temperature: Divides the logits; 0 always takes the likeliest token.
            top_k: Draw only from this many likeliest tokens.
            top_p: Draw only from the likeliest tokens that together have this probability.
            generator: Source of the draws; PyTorch's global one by default.
            use_cache: Whether each layer caches the keys and values of earlier tokens. Changes the time, not the
                text.
            decoder: Computes the tokens, for example a `CompiledDecoder` of this model. Changes the time, not the
                text.

        Raises:
            ValueError: If `tokens` is empty, an argument is out of range, the logits hold a NaN, or the decoder
                belongs to another model.
        """
        sampling = Sampling(temperature, top_k, top_p)
        decoder = choose_decoder(self, decoder, use_cache=use_cache)
        new = stream(decoder, tokens, max_new_tokens, sampling, generator)
        return torch.cat([tokens, *(chunk.T for chunk in new)], dim=1)

    def parameter_groups(self) -> ParameterGroups:
        """Return the parameters by role."""
        in_blocks = set(self.blocks.parameters())
        weights = [weight for weight in self.parameters() if weight.ndim > 1]
        packing = [part.packed_rows() for part in self.blocks.modules() if isinstance(part, HasPackedWeights)]
        return ParameterGroups(
            matrices=[weight for weight in weights if weight in in_blocks],
            embeddings=[weight for weight in weights if weight not in in_blocks],
            vectors=[weight for weight in self.parameters() if weight.ndim <= 1],
            packed={weight: rows for each in packing for weight, rows in each.items()},
        )

    @property
    def n_parameters(self) -> int:
        """Number of trained parameters."""
        return sum(weight.numel() for weight in self.parameters() if weight.requires_grad)


def segment_mask(segment_ids: Int[Tensor, "B T"]) -> Bool[Tensor, "B 1 T T"]:
    """Return the causal `attn_mask` of texts packed into rows: each token attends to those of its own text."""
    return (segment_ids[:, None, :, None] == segment_ids[:, None, None, :]).tril()


def check_segments(
    segment_ids: Int[Tensor, "..."], tokens: Int[Tensor, "B T"], caches: Sequence[LayerCache] | None
) -> None:
    """Raise ValueError unless there is an id for each token and no cache."""
    if segment_ids.shape != tokens.shape:
        raise ValueError(
            f"segment_ids has the shape {tuple(segment_ids.shape)}, expected that of tokens, {tuple(tokens.shape)}"
        )
    if caches is not None:
        raise ValueError("segment_ids cannot be given with caches, which hold one text a row: pass one of them")
