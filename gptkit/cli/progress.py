"""Shows the progress of a run: a live bar on a terminal, plain lines elsewhere."""

import time
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress as Bar, TextColumn, TimeRemainingColumn

from gptkit.cli.terminal import printable
from gptkit.run.events import Chosen, Estimate, Evaluation, Event, Finished, Planned, Resized, Sample
from gptkit.run.prepare import PreparedRun
from gptkit.training.train import Step

# Reading a loss synchronises with the GPU. This is often enough to look live and too rare to slow training down.
SECONDS_BETWEEN_UPDATES = 0.25
# If evaluations, samples and saves take more than this share of a time budget, a hint is printed.
LARGE_SHARE = 0.5


class Progress:
    """Shows the events of one run, while its `bar` is entered as a context."""

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
        self.began = self.updated = self.latest = time.perf_counter()
        self.steps = self.tokens = 0

    def show(self, event: Event) -> None:
        """Show one event."""
        now = time.perf_counter()
        if not isinstance(event, Step):
            # The time before any other event was not spent training, so it does not count towards the rate.
            self.updated += now - self.latest
        self.latest = now
        match event:
            case Step():
                self.show_step(event)
            case Chosen(setting, value, reason):
                self.console.print(printable(f"{setting:<10} {value}: {reason}") + "\n")
            case Planned():
                self.total = event.max_iters
                self.console.print("\n".join(format_plan(event)) + "\n")
                self.bar.update(self.task, total=self.total)
            case Resized(max_iters):
                self.total = max_iters
                self.bar.update(self.task, total=self.total)
            case Estimate(seconds):
                self.console.print(f"about {format_duration(seconds)} for all steps, evaluations not counted")
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
                    f"{format_duration(seconds)} in all"
                )

    def show_step(self, step: Step) -> None:
        """Show how far the run has come."""
        self.steps += 1
        self.tokens += step.tokens
        now = time.perf_counter()
        if self.is_live:
            is_due = now - self.updated >= SECONDS_BETWEEN_UPDATES
        else:
            is_due = step.number % self.settings.log_interval == 0
        if not is_due and step.number != self.total:
            return
        rate = self.tokens / (now - self.updated)
        if self.is_live:
            self.bar.update(self.task, completed=step.number, loss=float(step.loss), rate=rate)
        else:
            left = format_duration((now - self.began) / self.steps * (self.total - step.number))
            self.console.print(
                f"step {step.number:>6,}  loss {float(step.loss):.4f}  {rate:,.0f} tokens/s  {left} left"
            )
        self.updated, self.tokens = now, 0


def format_plan(plan: Planned) -> list[str]:
    """Return the lines that explain a plan."""
    costs, share = plan.costs, plan.overhead / plan.budget
    follows = ""
    if plan.adjustable_until < plan.max_iters:
        follows = f", and from about step {plan.adjustable_until:,} on what is left of the schedule with it"
    eats = "; a longer train.eval_interval leaves more time for training" if share > LARGE_SHARE else ""
    budget = format_duration(plan.budget)
    return [
        f"time       {budget} in all, {plan.spent:.1f} s already spent on setup and measuring",
        f"a step     {costs.step:.4g} s, the mean of {plan.measured:,} trial steps, which were discarded",
        f"besides    evaluation {costs.evaluation:.2f} s, sample {costs.sample:.2f} s, final save and "
        f"plot {costs.ending:.2f} s: {plan.overhead:.1f} s in all, {share:.0%} of the time{eats}",
        f"so         {plan.max_iters:,} steps fit; their number is adjusted to the machine's speed{follows}",
    ]


def format_duration(seconds: float) -> str:
    """Return a time as hours, minutes and seconds."""
    return str(timedelta(seconds=round(seconds)))
