"""A mixture of experts, with a loss that balances them."""

from collections.abc import Mapping, Sequence
from typing import Annotated

import torch
from jaxtyping import Float, Int
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor
from torch.nn import functional as F

import gptkit
from gptkit.hookspecs import Register
from gptkit.interfaces import Dims, FeedForward, HasAuxiliaryLoss, HasPackedWeights
from gptkit.nn import Dropout, Linear


class MixtureOfExperts(FeedForward, HasAuxiliaryLoss, HasPackedWeights):
    """Each position goes to the `top_k` experts that a router gives the largest probability, weighted by it.

    No expert has a limit, so a position depends on no other. Every expert computes every position, and the weights
    of those not chosen are 0: one graph of large products, which saves no time over a dense layer as wide as all
    experts together. A kernel that skips them would.

    Args:
        experts: Number of experts, each a feed-forward of its own.
        top_k: Number of experts of each position.
        expand: Width of an expert, in multiples of `n_embd`.
        balance: Weight of the load-balancing loss, which is 1 where all experts get equally many positions.

    Raises:
        ValueError: If `top_k` is larger than `experts`.

    Source:
        Shazeer et al. 2017, arXiv:1701.06538, section 2; Fedus et al. 2021, arXiv:2101.03961, equations 2 and 4.
    """

    def __init__(
        self,
        dims: Dims,
        *,
        experts: Annotated[int, Field(ge=2)] = 4,
        top_k: PositiveInt = 2,
        expand: PositiveInt = 4,
        balance: NonNegativeFloat = 0.01,
    ) -> None:
        super().__init__(dims)
        if top_k > experts:
            raise ValueError(f"top_k = {top_k}, but there are only experts = {experts}: take at most {experts}")
        self.experts, self.top_k, self.balance = experts, top_k, balance
        self.n_embd, self.width = dims.n_embd, expand * dims.n_embd
        self.router = Linear(dims.n_embd, experts, bias=False)
        self.widen = Linear(dims.n_embd, experts * self.width, bias=False)
        self.narrow = Linear(self.width, experts * dims.n_embd, bias=False)
        self.resid_dropout = Dropout(dims.dropout)

    def forward(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
        """Transform each position, and report the balance in training."""
        probabilities = self.router(x).softmax(dim=-1)  # (B, T, E)
        largest, chosen = probabilities.topk(self.top_k)  # (B, T, K)
        if self.training:
            self.report_loss(self.balance * self.imbalance(probabilities, chosen))
        weights = torch.zeros_like(probabilities).scatter(-1, chosen, largest)  # (B, T, E)
        inner = F.gelu(self.widen(x)).unflatten(-1, (self.experts, self.width))  # (B, T, E, W)
        narrow = self.narrow.weight.unflatten(0, (self.experts, self.n_embd))  # (E, C, W)
        return self.resid_dropout(torch.einsum("btew,ecw->btc", inner * weights.unsqueeze(-1), narrow))

    def imbalance(self, probabilities: Float[Tensor, "B T E"], chosen: Int[Tensor, "B T K"]) -> Float[Tensor, ""]:
        """Return 1 if all experts are chosen equally often, and up to `experts` if one gets everything."""
        share = F.one_hot(chosen, self.experts).to(probabilities.dtype).mean(dim=(0, 1, 2))  # (E,)
        return self.experts * (share * probabilities.mean(dim=(0, 1))).sum()

    def packed_rows(self) -> Mapping[Tensor, Sequence[int]]:
        """Return the rows of each expert's matrices."""
        return {
            self.widen.weight: self.experts * (self.width,),
            self.narrow.weight: self.experts * (self.n_embd,),
        }


@gptkit.hookimpl
def gptkit_register(register: Register) -> None:
    """Offer `mixture_of_experts`."""
    register("mixture_of_experts", MixtureOfExperts)
