"""What a run will do and why, printed before its first step."""

import torch
from rich.console import Console

from gptkit.cli.terminal import printable
from gptkit.run.prepare import PreparedRun
from gptkit.run.time_budget import Budget
from gptkit.tuning.choose_attention import TimingResult
from gptkit.tuning.memory_check import MemoryCheck
from gptkit.tuning.step_memory import format_bytes
from gptkit.tuning.threads import SPIN, SPIN_ROUNDS, SPIN_ROUNDS_BUSY, Threads, threads_in_use

LONG_RUN_SECONDS = 3600


def announce(
    console: Console, prepared: PreparedRun, name: str, budget: Budget | None, busy_cpus: float | None
) -> None:
    """Print what the run will do and why, and a warning if it will take hours.

    Args:
        busy_cpus: Number of CPUs that other programs keep busy, if it is known.
    """
    data, sizes, parts = prepared.data, prepared.resolved.sizes, prepared.resolved.parts
    settings = prepared.resolved.train
    third_party = [plugin for plugin in prepared.plugins.loaded if plugin.origin != "built in"]
    steps = "as many as fit" if budget else f"{settings.max_iters:,}"
    interval = f"every {settings.eval_interval:,}" if settings.eval_interval else "at the end"
    lines = {
        "recipe": name,
        "plugins": ", ".join(f"{plugin.title} ({plugin.origin})" for plugin in third_party) or "none",
        "corpus": f"{parts['corpus'].name}: {data.characters:,} characters; "
        f"{len(data.train):,} tokens to train on, {len(data.validation):,} to validate on; "
        f"vocabulary {prepared.tokenizer.vocab_size:,} ({parts['tokenizer'].name})",
        "model": f"{sizes['n_layer']} layers, {sizes['n_head']} heads, {sizes['n_embd']} channels, "
        f"context {sizes['block_size']}: {prepared.model.n_parameters:,} parameters",
        "device": f"{prepared.device.value}: {prepared.device.reason}",
        "threads": describe_threads(threads_in_use(torch.get_num_threads()), busy_cpus),
        "dtype": f"{prepared.dtype.value}: {prepared.dtype.reason}",
        "memory": describe_memory(prepared.memory),
        "attention": "\n".join(chosen_attentions(prepared)),
        "steps": f"{steps} of {prepared.tokens_per_step:,} tokens, evaluated {interval}",
        "directory": str(prepared.out),
        "to stop": "Ctrl+C finishes the step and saves; a second Ctrl+C stops at once",
    }
    if prepared.begun:
        checkpoint = prepared.checkpoint
        lines["resumes"] = f"from {checkpoint.folder.name}" if checkpoint else "from the beginning"
    for title, line in lines.items():
        console.print(printable(f"{title:<10} {line}"))
    if budget is None and (seconds := prepared.least_seconds()) > LONG_RUN_SECONDS:
        console.print(
            f"\nThis will take {seconds / LONG_RUN_SECONDS:,.0f} hours or more on this device: the matrix "
            f"products alone take that long. `gptkit run gpt_tiny` takes minutes on a machine like this."
        )
    console.print()


def describe_threads(threads: Threads, busy_cpus: float | None) -> str:
    """Return how many threads compute, beside which other programs, and how they wait for one another."""
    beside = "" if busy_cpus is None else f", of which other programs keep {busy_cpus:.1f} busy"
    waiting = f"a waiting thread sleeps when {threads.spin} says"
    if threads.spin in {f"{SPIN}={SPIN_ROUNDS}", f"{SPIN}={SPIN_ROUNDS_BUSY}"}:
        waiting = f"a waiting thread soon sleeps and leaves its CPU to others ({threads.spin})"
    elif not threads.spin:
        waiting = f"a waiting thread spins, many times slower beside other programs: set {SPIN}={SPIN_ROUNDS}"
    return f"{threads.number} on {threads.usable:g} CPUs{beside}; {waiting}"


def describe_memory(check: MemoryCheck) -> str:
    """Return what a step takes and what is free, or why that is not known before a step is tried."""
    if check.estimate is None:
        return f"known when a step is tried: it cannot be estimated without one ({check.reason})"
    return f"{check.estimate} of {format_bytes(check.free)} free on {check.device}"


def chosen_attentions(prepared: PreparedRun) -> list[str]:
    """Return a line with each attention and its reason, then the lines of the tables that `auto` chose from."""
    reasons = {}
    for choice in (layer["attention"] for layer in prepared.resolved.layers):
        timing = next((each for each in prepared.timings if choice.key in each.keys), None)
        if timing is None:
            reason = "the default" if choice.place == "default" else f"chosen in {choice.place}"
        elif timing.chosen is timing.times[0]:
            reason = f"the fastest here, for auto in {choice.place}"
        else:
            reason = f"close to the fastest here, and keeps less in memory, for auto in {choice.place}"
        reasons[choice.name] = f"{choice.name}: {reason}"
    return ["; ".join(reasons.values()), *(line for timing in prepared.timings for line in table_of(timing))]


def table_of(timing: TimingResult) -> list[str]:
    """Return the lines of the table that an attention was chosen from."""
    width = max(len(each.name) for each in timing.times)
    least = timing.times[0].seconds or 0.0
    conditions = timing.conditions
    lines = [f"  {', '.join(timing.keys)}: one pass forward and backward, {conditions}; {origin_of(timing)}"]
    for each in timing.times:
        if each.seconds is None:
            lines.append(f"    {each.name:<{width}}  not chosen: {each.reason}")
        else:
            ratio = f"{each.seconds / least:.2f}×" if least else ""
            kept = f"{each.bytes_kept / 2**20:,.1f} MB kept"
            lines.append(f"    {each.name:<{width}}  {1e3 * each.seconds:10.3f} ms  {ratio:<6}  {kept}")
    return lines


def origin_of(timing: TimingResult) -> str:
    """Return when the times were measured, and where they are cached or why not."""
    if timing.measured_on is not None:
        return f"measured on {timing.measured_on.isoformat()} and kept in {timing.file}"
    if timing.storage_error:
        return f"measured now; it cannot be kept in {timing.file}: {timing.storage_error}"
    return "measured now"
