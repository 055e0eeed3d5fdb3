"""The state of a run in this process: model, optimizer, number of steps taken, and its directory."""

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from threading import Thread
from typing import Any

from gptkit.decoding.text import default_prompt, stream_text
from gptkit.errors import CheckpointError, NumericsError
from gptkit.recipe.train_settings import Retimed, TrainSettings
from gptkit.run.events import Evaluation, Sample
from gptkit.run.loss_curves import loss_curves, to_png
from gptkit.run.prepare import PreparedRun
from gptkit.run.step_count import with_length
from gptkit.run.time_budget import intervals
from gptkit.storage.checkpoint import Checkpoint
from gptkit.storage.snapshot import take
from gptkit.training.evaluate import train_loss, validation_loss
from gptkit.training.train import Step, new_scaler


class Session:
    """A new or resumed run.

    Args:
        prepared: Its `max_iters` and schedule may change during the run.
    """

    def __init__(self, prepared: PreparedRun) -> None:
        self.prepared, self.model = prepared, prepared.model
        self.optimizer = prepared.assembler.optimizer().build(self.model.parameter_groups())
        self.scaler = new_scaler(prepared.device.value, prepared.dtype.value)
        self.schedule = prepared.assembler.schedule()
        # Number of steps taken, and whether the evaluation or sample due after the last one is still to be done.
        self.step, self.eval_pending = 0, False
        self.best: Evaluation | None = None
        # Whether the run ends here, before its last step, because its time is up.
        self.is_cut = False
        # Waits for the last step, and raises NumericsError if it was not finite.
        self.confirm: Callable[[], None] = lambda: None
        # The step and eval_pending of the last checkpoint.
        self.saved: tuple[int, bool] | None = None
        self.directory = prepared.directory()
        try:
            if prepared.checkpoint is not None:
                self.restore(prepared.checkpoint)
            self.directory.metrics.keep(self.is_past)
        except BaseException:
            self.directory.close()
            raise
        self.first, self.written_length = self.step, self.settings.length

    @property
    def settings(self) -> TrainSettings:
        """The `[train]` table of the recipe."""
        return self.prepared.resolved.train

    def restore(self, checkpoint: Checkpoint) -> None:
        """Load everything that a checkpoint saved.

        Raises:
            CheckpointError: If it is damaged, or another kind of run saved it.
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
        self.saved = (self.step, self.eval_pending)

    def is_past(self, row: dict[str, Any]) -> bool:
        """Return whether a row of metrics belongs to the steps taken."""
        step = row.get("step")
        if not isinstance(step, int) or step > self.step:
            return False
        # If the evaluation or the sample after it was interrupted, both are done again.
        return not (step == self.step and self.eval_pending and "validation_loss" in row)

    @property
    def is_over(self) -> bool:
        """Whether every step has been taken."""
        return self.step >= self.settings.max_iters

    def is_due(self, interval: int) -> bool:
        """Return whether something done every `interval` steps, and after the last one, is due; 0 is never."""
        return self.is_over or self.is_cut or is_due(self.step, interval)

    @property
    def is_anything_due(self) -> bool:
        """Whether a row of metrics, an evaluation, a sample or a checkpoint is due."""
        return any(map(self.is_due, (self.settings.log_interval, *intervals(self.settings))))

    def change_length(self, max_iters: int, retimed: Retimed) -> None:
        """Change the total number of steps and the schedule, which must scale all steps taken as before."""
        self.prepared = with_length(self.prepared, max_iters, retimed)
        self.schedule = self.prepared.assembler.schedule()

    def log(self, step: Step, tokens_per_second: float) -> None:
        """Append a step's row of metrics."""
        auxiliary = {} if step.auxiliary_loss is None else {"auxiliary_loss": float(step.auxiliary_loss)}
        row = {"step": step.number, "loss": float(step.loss), **auxiliary, "learning_rate": step.learning_rate}
        self.directory.metrics.append({**row, "tokens_per_second": round(tokens_per_second)})

    def evaluate(self) -> Evaluation:
        """Return the losses of the model as it is now.

        Raises:
            NumericsError: If the validation loss is not finite.
        """
        data = self.prepared.data
        validation = validation_loss(self.model, data.validation)
        data.release()
        if not math.isfinite(validation):
            raise NumericsError(f"after step {self.step}: the validation loss is {validation:g}")
        return Evaluation(
            step=self.step,
            train_loss=train_loss(self.model, data.train),
            validation_loss=validation,
            bits_per_character=validation / math.log(2) / data.characters_per_token,
            is_best=self.best is None or validation < self.best.validation_loss,
        )

    def generate_sample(self, max_new_tokens: int) -> Sample:
        """Return a sample of the model as it is now."""
        tokenizer, seed = self.prepared.tokenizer, self.settings.seed
        prompt = default_prompt(tokenizer)
        pieces = stream_text(self.model, tokenizer, prompt, max_new_tokens, seed=seed, sample_index=self.step)
        return Sample(self.step, "".join(pieces))

    def save(self, *, best: bool = False) -> None:
        """Start to save a checkpoint in the background, unless this state is saved already.

        Raises:
            CheckpointError: If the save before this one failed.
            NumericsError: If a step taken or a weight is not finite.
        """
        if self.saved == (self.step, self.eval_pending):
            return
        self.confirm()
        if self.written_length != self.settings.length:
            # Write resolved.toml first, so that it is never older than the checkpoint.
            self.directory.rewrite(self.prepared.resolved.document, self.directory.read().plugins)
            self.written_length = self.settings.length
        state = {
            "eval_pending": self.eval_pending,
            "best": asdict(self.best) if self.best else None,
            "scaler": self.scaler.state_dict(),
            "max_iters": self.settings.max_iters,
            "retimed": self.settings.retimed,
        }
        snapshot = take(self.step, self.model, self.optimizer, state)
        self.directory.save(snapshot, best=best, keep=self.settings.keep)
        self.saved = (self.step, self.eval_pending)

    def last_good(self) -> str:
        """Return a sentence about the last checkpoint."""
        with suppress(CheckpointError):
            self.directory.saver.wait()
        try:
            return f"The last good checkpoint is {self.directory.checkpoints.get('last').folder}"
        except CheckpointError:
            return "No checkpoint was saved yet"

    def close(self, *, at_once: bool) -> None:
        """Draw the loss curves, and unlock the directory once the last save is done.

        Args:
            at_once: Draw nothing and wait for nothing; a process that ends now loses the save under way.
        """
        if at_once:
            # In a notebook the process goes on, and the directory must not stay locked.
            Thread(target=self.directory.close, name="gptkit-unlock", daemon=True).start()
            return
        with suppress(OSError):  # A full disk must not hide how the run ended.
            self.directory.write_loss_curves(to_png(loss_curves(self.directory.metrics.rows())))
        self.directory.close()


def is_eval_pending(state: Mapping[str, Any]) -> bool:
    """Return whether a checkpoint was saved before its step's evaluation or sample was done."""
    # Runs of 0.1 call it `is_owed`.
    return bool(state["eval_pending"] if "eval_pending" in state else state["is_owed"])


def evaluation_of(saved: dict[str, Any]) -> Evaluation:
    """Return the evaluation in a checkpoint's state; raises KeyError, TypeError or ValueError if it is none."""
    losses = {name: float(saved[name]) for name in ("train_loss", "validation_loss", "bits_per_character")}
    return Evaluation(step=int(saved["step"]), is_best=bool(saved["is_best"]), **losses)


def is_due(step: int, interval: int) -> bool:
    """Return whether something done every `interval` steps is due after this one; 0 is never."""
    return interval > 0 and step % interval == 0
