"""Where a run stands: its model, its optimizer, how many steps were taken, and the directory that keeps it all."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any

from gptkit.errors import CheckpointError
from gptkit.run.events import Evaluation
from gptkit.run.loss_curves import loss_curves, to_png
from gptkit.run.prepare import PreparedRun
from gptkit.run.step_count import sized
from gptkit.storage.checkpoint import Checkpoint
from gptkit.storage.fault_injection import reach
from gptkit.storage.snapshot import take
from gptkit.training.train import Step, new_scaler, train


class Session:
    """One run in this process, from its first step or from a checkpoint on.

    Args:
        step: How many steps have been taken.
        eval_pending: Whether what is due after that step, an evaluation or a sample, is not done yet.
        best: The best evaluation so far.
        is_cut: Whether it ends here for want of time, before its last step.
    """

    def __init__(self, prepared: PreparedRun, *, is_timed: bool = False) -> None:
        self.is_timed, self.is_cut = is_timed, False
        self.prepared, self.settings = prepared, prepared.resolved.train
        self.model = prepared.model
        self.optimizer = prepared.assembler.optimizer().build(self.model.parameter_groups())
        self.scaler = new_scaler(prepared.device.value, prepared.dtype.value)
        self.schedule = prepared.assembler.schedule()
        self.step, self.eval_pending, self.best = 0, False, None
        self.directory = prepared.directory()
        try:
            if prepared.checkpoint is not None:
                self.restore(prepared.checkpoint)
            self.directory.metrics.keep(self.is_past)
        except BaseException:
            self.directory.close()
            raise
        self.first, self.saved = self.step, (self.step, self.eval_pending) if prepared.checkpoint else None
        self.written = self.settings.max_iters

    step: int
    eval_pending: bool
    best: Evaluation | None
    saved: tuple[int, bool] | None

    def restore(self, checkpoint: Checkpoint) -> None:
        """Stand where a checkpoint was saved.

        Raises:
            CheckpointError: If it is damaged, or not of such a run.
        """
        state = checkpoint.state()
        try:
            self.step, self.eval_pending = int(state["step"]), is_eval_pending(state)
            self.best = evaluation_of(state["best"]) if state["best"] is not None else None
            self.scaler.load_state_dict(state["scaler"])
            optimizer = state["optimizer"]
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(f"{checkpoint.folder}: its state is not a run's: {error!r}") from error
        checkpoint.load_weights(self.model)
        checkpoint.load_optimizer(self.optimizer, optimizer)

    def is_past(self, row: dict[str, Any]) -> bool:
        """Return whether a row of metrics was written by what this run has done."""
        step = row.get("step")
        if not isinstance(step, int) or step > self.step:
            return False
        # An evaluation that was not followed by a sample is done once more, together with it.
        return not (step == self.step and self.eval_pending and "validation_loss" in row)

    @property
    def is_anything_due(self) -> bool:
        """Whether anything is due after the last step: a row of metrics, a look at the model or a checkpoint."""
        settings = self.settings
        intervals = (settings.log_interval, settings.eval_interval, settings.sample_interval)
        return any(map(self.is_due, (*intervals, settings.checkpoint_interval)))

    def steps(self) -> Iterator[Step]:
        """Yield the steps that are left, each after it is taken."""
        steps = train(
            self.model,
            self.prepared.data.train_on(self.prepared.device.value),
            self.optimizer,
            # Looked up at each step, because a time budget may change the schedule and the end as the run goes on.
            lambda step: self.schedule(step),  # noqa: PLW0108
            replace(self.settings, max_iters=sys.maxsize),
            dtype=self.prepared.dtype.value,
            first=self.step,
            scaler=self.scaler,
        )
        while not self.is_over:
            reach("step")
            step = next(steps)
            self.step, self.eval_pending = step.number, True
            self.prepared.data.release()
            yield step

    def change_max_iters(self, max_iters: int) -> None:
        """Have another number of steps in all, with a schedule that would have scaled those taken as it was."""
        self.prepared = sized(self.prepared, max_iters)
        self.settings, self.schedule = self.prepared.resolved.train, self.prepared.assembler.schedule()

    @property
    def is_over(self) -> bool:
        """Whether every step has been taken."""
        return self.step >= self.settings.max_iters

    def is_due(self, interval: int) -> bool:
        """Return whether something that is done every so many steps, and after the last, is due; 0 is never."""
        return self.is_over or self.is_cut or is_due(self.step, interval)

    def save(self, *, best: bool = False) -> None:
        """Begin to save how things stand, unless that is saved already.

        Raises:
            CheckpointError: If the save before failed.
            NumericsError: If a weight is not finite.
        """
        if self.saved == (self.step, self.eval_pending):
            return
        if self.written != self.settings.max_iters:
            # Before the checkpoint that is of so many: whoever goes on finds a number that every checkpoint bears.
            self.directory.rewrite(self.prepared.resolved.document, self.directory.read().plugins)
            self.written = self.settings.max_iters
        state = {
            "eval_pending": self.eval_pending,
            "best": asdict(self.best) if self.best else None,
            "scaler": self.scaler.state_dict(),
            "max_iters": self.settings.max_iters,
        }
        snapshot = take(self.step, self.model, self.optimizer, state)
        self.directory.save(snapshot, best=best, keep=self.settings.keep)
        self.saved = (self.step, self.eval_pending)

    def last_good(self) -> str:
        """Return a sentence about the last checkpoint."""
        with suppress(CheckpointError):
            self.directory.wait()
        try:
            return f"The last good checkpoint is {self.directory.checkpoint('last').folder}"
        except CheckpointError:
            return "No checkpoint was saved yet"

    def close(self, *, at_once: bool) -> None:
        """Leave the directory to others.

        Args:
            at_once: Whether to wait for nothing. What is being saved is then lost, and nothing else; the directory
                stays this process's to its end.
        """
        if at_once:
            return
        with suppress(CheckpointError):
            self.directory.wait()
        with suppress(OSError):  # A picture that finds no room is no reason to end otherwise.
            self.directory.write_loss_curves(to_png(loss_curves(self.directory.metrics.rows())))
        self.directory.close()


def is_eval_pending(state: Mapping[str, Any]) -> bool:
    """Return whether a checkpoint was saved before its step's evaluation or sample was done."""
    # Runs of 0.1 call it `is_owed`.
    return bool(state["eval_pending"] if "eval_pending" in state else state["is_owed"])


def evaluation_of(saved: dict[str, Any]) -> Evaluation:
    """Return the evaluation that a checkpoint saved, or raise what shows that it saved none."""
    losses = {name: float(saved[name]) for name in ("train_loss", "validation_loss", "bits_per_character")}
    return Evaluation(step=int(saved["step"]), is_best=bool(saved["is_best"]), **losses)


def is_due(step: int, interval: int) -> bool:
    """Return whether something that is done every so many steps is done after this one; 0 is never."""
    return interval > 0 and step % interval == 0
