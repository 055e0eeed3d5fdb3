"""Positions that are wrong far from 0, in low precision, for grouped keys, at a distance, or without gradients."""

import torch
from torch import Tensor

from gptkit.components.position.learned import LearnedPosition
from tests.testing.mutant import CaughtBy
from tests.testing.right_positions import Pair, SpelledOutRope

StartPos = int | Tensor


class TurnsKeysFromZero(SpelledOutRope):
    """Turns keys as if the pass began at 0."""

    def rotate(self, q: Tensor, k: Tensor, start_pos: StartPos) -> Pair:
        return super().rotate(q, k, start_pos)[0], super().rotate(q, k, 0)[1]


class TurnsAllByTheFirst(SpelledOutRope):
    """Turns every position by the angle of the first, which is right for one token."""

    def angles(self, positions: Tensor, dtype: torch.dtype) -> Tensor:
        return super().angles(positions[:1].expand_as(positions), dtype)


class TurnsNothingWithoutGradients(SpelledOutRope):
    """Leaves keys as they are without gradients, for its cache to turn."""

    def rotate(self, q: Tensor, k: Tensor, start_pos: StartPos) -> Pair:
        return super().rotate(q, k, start_pos) if torch.is_grad_enabled() else (q, k)


class TurnsFartherWithoutGradients(SpelledOutRope):
    """Begins one position later without gradients, which no distance shows."""

    def rotate(self, q: Tensor, k: Tensor, start_pos: StartPos) -> Pair:
        return super().rotate(q, k, start_pos if torch.is_grad_enabled() else start_pos + 1)


class LearnsByTheLength(LearnedPosition):
    """Counts positions from the end of a pass."""

    def embed(self, x: Tensor, start_pos: StartPos) -> Tensor:
        last = self.table.num_embeddings - 1
        positions = (start_pos + x.shape[1] - 1 - torch.arange(x.shape[1], device=x.device)).clamp(max=last)
        return x + self.table(positions)


CAUGHT_BY: CaughtBy = {
    TurnsKeysFromZero: "starts_anywhere",
    TurnsAllByTheFirst: "starts_anywhere",
    TurnsNothingWithoutGradients: "gradients_are_right",
    TurnsFartherWithoutGradients: "gradients_are_right",
    LearnsByTheLength: "starts_anywhere",
}
