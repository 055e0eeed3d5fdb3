"""Resolves `attention = "auto"` to the fastest attention on this machine, or to a close one that keeps less."""

from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path

import torch

from gptkit.errors import Problem, RecipeError
from gptkit.interfaces import Dims
from gptkit.nn import SoftmaxAttention
from gptkit.recipe.assemble import Assembler
from gptkit.recipe.read import Recipe
from gptkit.recipe.resolve import resolve
from gptkit.recipe.resolved import Auto, Resolved
from gptkit.registry.loader import Plugins
from gptkit.tuning.attention_timing import AttentionTime, Candidate, time_candidates
from gptkit.tuning.timing_cache import FOLDER, key_of, load_times, store_times
from gptkit.tuning.timing_conditions import TimingConditions
from gptkit.user_cache import file_for

# Times within this share of the fastest count as equal.
TIE = 0.1


@dataclass(frozen=True)
class TimingResult:
    """The times that an attention was chosen from.

    Args:
        keys: The keys of the recipe that say `auto` with the same options.
        times: The fastest first; last those that may not be chosen.
        measured_on: The day, if they come from the cache; None if they were measured now.
        storage_error: Why they could not be cached; empty if they were.
    """

    keys: tuple[str, ...]
    conditions: TimingConditions
    times: tuple[AttentionTime, ...]
    file: Path
    measured_on: date | None = None
    storage_error: str = ""

    @property
    def chosen(self) -> AttentionTime:
        """The attention that keeps the least for backward, of those nearly as fast as the fastest.

        The order of close times changes from one day to the next; what an attention keeps does not.
        """
        least = self.times[0].seconds or 0.0
        close = [each for each in self.times if each.seconds is not None and each.seconds <= (1 + TIE) * least]
        return min(close, key=lambda each: each.bytes_kept)


def resolve_auto(
    written: Recipe, plugins: Plugins, resolved: Resolved, *, device: torch.device, dtype: str, vocab_size: int
) -> tuple[Resolved, tuple[TimingResult, ...]]:
    """Return a recipe with a name for each `auto`, and the times that the names were chosen from.

    All layers with the same options share one measurement. It is read from the cache where this machine has
    measured the same parts under the same conditions before.

    Raises:
        RecipeError: If no attention that equals `naive` holds its contract here.
    """
    groups: dict[str, list[Auto]] = {}
    for auto in resolved.autos:
        groups.setdefault(repr(sorted(auto.options.items())), []).append(auto)
    if not groups:
        return resolved, ()
    dims, train = Dims(**resolved.sizes, vocab_size=vocab_size), resolved.train
    conditions = TimingConditions(
        dims, train.batch_size, dtype, device, compile=train.compile is True, deterministic=train.deterministic
    )
    timings = tuple(time_group(group, plugins, resolved, conditions) for group in groups.values())
    names = {key: timing.chosen.name for timing in timings for key in timing.keys}
    return resolve(written, plugins, names), timings


def time_group(
    group: list[Auto], plugins: Plugins, resolved: Resolved, conditions: TimingConditions
) -> TimingResult:
    """Return the times of all candidates for several `auto` with the same options, cached or measured now."""
    auto, position = group[0], resolved.parts["position"]
    assembler = Assembler(resolved, plugins.registry)
    titles = {plugin.name: plugin.title for plugin in plugins.loaded}
    candidates = []
    for choice in auto.candidates:
        entry = plugins.registry.get(choice.kind, choice.name)
        owner, build = titles.get(entry.owner, entry.owner), partial(assembler.part, choice, conditions.dims)
        candidates.append(Candidate(choice.name, owner, entry.part, choice.options, build))
    is_whole = any(candidate.part.forward is not SoftmaxAttention.forward for candidate in candidates)
    conditions = replace(conditions, is_whole=is_whole)
    key = key_of(candidates, conditions, repr(position.table()))
    measured_on, storage_error = None, ""
    if found := load_times(key):
        times, measured_on = found
    else:
        built = assembler.part(position, conditions.dims).to(conditions.device)
        times = time_candidates(candidates, conditions, built)
        storage_error = store_times(key, times)
    refused = (AttentionTime(name, reason=reason) for name, reason in auto.refused.items())
    # Equal times by name, so that the choice is deterministic.
    times = sorted([*times, *refused], key=lambda time: (time.seconds is None, time.seconds or 0.0, time.name))
    if times[0].seconds is None:
        each = "; ".join(f"{each.name}: {each.reason}" for each in times)
        message = f"no attention that equals 'naive' holds its contract here ({conditions}): {each}"
        raise RecipeError([Problem(auto.place, auto.key, message)])
    keys = tuple(each.key for each in group)
    return TimingResult(keys, conditions, tuple(times), file_for(FOLDER, key), measured_on, storage_error)
