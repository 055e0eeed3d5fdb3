"""The curves of a run."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure


def loss_curves(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Return a figure of the training and validation loss against the step.

    Args:
        rows: Metrics as a run writes them, in any order.
    """
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    steps = [row for row in rows if "loss" in row]
    evaluations = [row for row in rows if "validation_loss" in row]
    axes.plot([row["step"] for row in steps], [row["loss"] for row in steps], color="0.8", label="each step")
    for key, label in (("train_loss", "train"), ("validation_loss", "validation")):
        axes.plot([row["step"] for row in evaluations], [row[key] for row in evaluations], marker=".", label=label)
    axes.set_xlabel("step")
    axes.set_ylabel("loss (nats per token)")
    axes.legend()
    axes.grid(visible=True, alpha=0.3)
    return figure


def to_png(figure: Figure) -> bytes:
    """Return a figure as a PNG file."""
    content = io.BytesIO()
    figure.savefig(content, dpi=120, format="png")
    return content.getvalue()
