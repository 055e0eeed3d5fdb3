"""A run as a person watches it: a live bar on a terminal, plain lines elsewhere."""

import time
from datetime import timedelta
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from gptkit.cli.terminal import printable
from gptkit.events import Chosen, Estimate, Evaluation, Finished, Sample
from gptkit.experiment import Experiment
from gptkit.run import Event
from gptkit.train import Step

# Reading a loss waits for a GPU to finish its step: often enough to look alive, too rarely to slow it down.
SECONDS_BETWEEN_LOOKS = 0.25


class Progress:
    """Shows the events of one run."""

    def __init__(self, console: Console, experiment: Experiment) -> None:
        self.console, self.settings = console, experiment.resolved.train
        self.is_live = console.is_terminal
        self.bar = Bar(
            TextColumn("step"),
            MofNCompleteColumn(),
            BarColumn(),
            TextColumn("loss {task.fields[loss]:.4f}  {task.fields[rate]:,.0f} tokens/s"),
            TimeRemainingColumn(),
            console=console,
            disable=not self.is_live,
            refresh_per_second=4,
        )
        self.task = self.bar.add_task("steps", total=self.settings.max_iters, loss=float("nan"), rate=0.0)
        self.began = self.looked = self.latest = time.perf_counter()
        self.tokens = 0
        self.first: int | None = None

    def __enter__(self) -> "Progress":
        """Start the bar."""
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the bar."""
        self.bar.stop()

    def show(self, event: Event) -> None:
        """Show one event."""
        now = time.perf_counter()
        if not isinstance(event, Step):
            # What led up to any other event was not training: it does not count towards its rate.
            self.looked += now - self.latest
        self.latest = now
        match event:
            case Step():
                self.show_step(event)
            case Chosen(setting, value, reason):
                self.console.print(printable(f"{setting:<10} {value}: {reason}") + "\n")
            case Estimate(seconds):
                self.console.print(f"about {spell(seconds)} for all steps, evaluations not counted")
            case Evaluation():
                self.console.print(
                    f"step {event.step:>6,}  train {event.train_loss:.4f}  validation {event.validation_loss:.4f} "
                    f"nats  {event.bits_per_character:.4f} bits per character{'  best' if event.is_best else ''}"
                )
            case Sample(step, text):
                shown = printable(text) if self.is_live else text
                self.console.print(f"\nwritten after step {step:,}:\n{shown}\n")
            case Finished(best, seconds):
                self.console.print(
                    f"best validation loss {best.validation_loss:.4f} nats per token, after step {best.step:,}; "
                    f"{spell(seconds)} in all"
                )

    def show_step(self, step: Step) -> None:
        """Show how far the run has come."""
        self.tokens += step.tokens
        self.first = step.number - 1 if self.first is None else self.first
        now = time.perf_counter()
        is_last = step.number == self.settings.max_iters
        if self.is_live and (is_last or now - self.looked >= SECONDS_BETWEEN_LOOKS):
            rate = self.tokens / (now - self.looked)
            self.bar.update(self.task, completed=step.number, loss=float(step.loss), rate=rate)
            self.looked, self.tokens = now, 0
        elif not self.is_live and (is_last or step.number % self.settings.log_interval == 0):
            rate = self.tokens / (now - self.looked)
            left = (now - self.began) / (step.number - self.first) * (self.settings.max_iters - step.number)
            self.console.print(
                f"step {step.number:>6,}  loss {float(step.loss):.4f}  {rate:,.0f} tokens/s  {spell(left)} left"
            )
            self.looked, self.tokens = now, 0


def spell(seconds: float) -> str:
    """Return a time as hours, minutes and seconds."""
    return str(timedelta(seconds=round(seconds)))
