"""The GPT: built parts, one after another."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gptkit.generate import LanguageModel
from gptkit.interfaces import Block, Dims, Memory, Norm, ParameterGroups, Place, Position
from gptkit.layers import Embedding, Linear


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
        first: int | Int[Tensor, ""] = 0,
        memories: Sequence[Memory] | None = None,
    ) -> Float[Tensor, "B T V"]:
        """Return the logits of the token after each.

        Args:
            first: Position of the first token, counted from 0.
            memories: What each layer keeps of the tokens before; none looks at these tokens alone.

        Raises:
            ValueError: If there are more tokens than the context holds.
        """
        places = self.places(tokens, first, memories)
        x = self.position.embed(self.token_embedding(tokens), first)
        for block, at in zip(self.blocks, places, strict=True):
            x = block(x, at)
        return self.head(self.norm(x))

    def places(
        self, tokens: Int[Tensor, "B T"], first: int | Int[Tensor, ""], memories: Sequence[Memory] | None
    ) -> list[Place]:
        """Return where the tokens stand, for each layer."""
        T, longest = tokens.shape[1], self.dims.block_size
        if T > longest:
            raise ValueError(
                f"{T} tokens do not fit the context of {longest} (block_size): pass the last {longest}"
            )
        if memories is None:
            return [Place(first, self.position)] * len(self.blocks)
        slots = torch.arange(longest, device=tokens.device)
        visible = slots <= (slots[:T] + first)[:, None]  # (T, S)
        return [Place(first, self.position, memory, visible) for memory in memories]

    def new_memories(self, batch_size: int) -> list[Memory]:
        """Return each layer's empty memory, for a whole context."""
        blocks = [block for block in self.blocks if isinstance(block, Block)]
        return [block.new_memory(batch_size, self.dims.block_size) for block in blocks]

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
