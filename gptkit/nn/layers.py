"""The two layers with weights that most parts use, initialised from N(0, 0.02) as in GPT-2.

Source:
    Radford et al. 2018, "Improving Language Understanding by Generative Pre-Training", section 4.1.
"""

from torch import Tensor, nn


def draw_weights(weight: Tensor) -> None:
    """Draw weights from N(0, 0.02) in place."""
    # On the meta device there is nothing to draw, and PyTorch would first import its compiler, for 1.5 seconds.
    if not weight.is_meta:
        nn.init.normal_(weight, std=0.02)


class Linear(nn.Linear):
    """`nn.Linear` with weights from N(0, 0.02) and biases of zero."""

    def reset_parameters(self) -> None:
        """Draw new weights."""
        draw_weights(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class Embedding(nn.Embedding):
    """`nn.Embedding` with weights from N(0, 0.02)."""

    def reset_parameters(self) -> None:
        """Draw new weights."""
        draw_weights(self.weight)
