from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes

from gptkit.run.loss_curves import loss_curves

ROWS = [
    {"step": 1, "loss": 4.0},
    {"step": 2, "train_loss": 3.0, "validation_loss": 3.5},
    {"step": 2, "loss": 3.1},
    {"step": 4, "train_loss": 2.0, "validation_loss": 2.5},
]


def axes_of(rows: list[dict[str, float]]) -> Axes:
    (axes,) = loss_curves(rows).axes
    return axes


def test_each_loss_is_a_curve_against_the_step() -> None:
    curves = {line.get_label(): np.asarray(line.get_xydata()).T.tolist() for line in axes_of(ROWS).lines}
    assert curves == {
        "each step": [[1, 2], [4.0, 3.1]],
        "train": [[2, 4], [3.0, 2.0]],
        "validation": [[2, 4], [3.5, 2.5]],
    }


def test_axes_are_labelled_with_their_units() -> None:
    axes = axes_of(ROWS)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("step", "loss (nats per token)")
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["each step", "train", "validation"]


@pytest.mark.parametrize("rows", [[], ROWS[:1], [{"step": 1, "loss": float("nan")}]])
def test_a_run_that_was_cut_short_or_diverged_can_be_drawn(rows: list[dict[str, float]], tmp_path: Path) -> None:
    loss_curves(rows).savefig(tmp_path / "loss.png")
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")
