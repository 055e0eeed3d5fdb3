"""A run as a person watches it: a live bar on a terminal, plain lines elsewhere."""

import time
from datetime import timedelta
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress as Bar, TextColumn, TimeRemainingColumn

from gptkit.cli.terminal import printable
from gptkit.run.events import Chosen, Estimate, Evaluation, Finished, Planned, Resized, Sample
from gptkit.run.loop import Event
from gptkit.run.prepare import PreparedRun
from gptkit.training.train import Step

# Reading a loss waits for a GPU to finish its step: often enough to look alive, too rarely to slow it down.
SECONDS_BETWEEN_LOOKS = 0.25
# Of a budget of time: when looking at a model takes more of it than this, something is said.
LARGE_SHARE = 0.5


class Progress:
    """Shows the events of one run."""

    def __init__(self, console: Console, prepared: PreparedRun) -> None:
        self.console, self.settings = console, prepared.resolved.train
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
        self.total = self.settings.max_iters
        self.task = self.bar.add_task("steps", total=self.total, loss=float("nan"), rate=0.0)
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
            case Planned():
                self.total = event.max_iters
                self.console.print("\n".join(told_of(event)) + "\n")
                self.bar.update(self.task, total=self.total)
            case Resized(max_iters):
                self.total = max_iters
                self.bar.update(self.task, total=self.total)
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
        is_last = step.number == self.total
        if self.is_live and (is_last or now - self.looked >= SECONDS_BETWEEN_LOOKS):
            rate = self.tokens / (now - self.looked)
            self.bar.update(self.task, completed=step.number, loss=float(step.loss), rate=rate)
            self.looked, self.tokens = now, 0
        elif not self.is_live and (is_last or step.number % self.settings.log_interval == 0):
            rate = self.tokens / (now - self.looked)
            left = (now - self.began) / (step.number - self.first) * (self.total - step.number)
            self.console.print(
                f"step {step.number:>6,}  loss {float(step.loss):.4f}  {rate:,.0f} tokens/s  {spell(left)} left"
            )
            self.looked, self.tokens = now, 0


def told_of(plan: Planned) -> list[str]:
    """Return what to say of a plan, line by line."""
    costs, share = plan.costs, plan.looks / plan.budget
    follows = (
        "to its end"
        if plan.free >= plan.max_iters
        else f"up to about step {plan.free:,}, where the schedule begins to depend on it"
    )
    eats = "; with a longer train.eval_interval more of it would be training" if share > LARGE_SHARE else ""
    return [
        f"time       {spell(plan.budget)} in all, {plan.spent:.1f} s of them gone with setting up and measuring",
        f"a step     {costs.step:.4g} s, the mean of {plan.measured:,} that were taken and thrown away",
        f"besides    evaluation {costs.evaluation:.2f} s, sample {costs.sample:.2f} s, at the end saving and "
        f"drawing {costs.ending:.2f} s: {plan.looks:.1f} s for all that are due, {share:.0%} of the time{eats}",
        f"so         {plan.max_iters:,} steps fit; their number follows the machine's speed {follows}",
    ]


def spell(seconds: float) -> str:
    """Return a time as hours, minutes and seconds."""
    return str(timedelta(seconds=round(seconds)))
