"""Settles `attention = "auto"`: a name takes its place, of the attention that measured fastest, or nearly so."""

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import torch

from gptkit.errors import Problem, RecipeError
from gptkit.interfaces import Dims
from gptkit.nn import SoftmaxAttention
from gptkit.recipe.assemble import Assembler
from gptkit.recipe.read import Recipe
from gptkit.recipe.resolve import resolve
from gptkit.recipe.resolved import Auto, Resolved
from gptkit.registry.loader import Plugins

if TYPE_CHECKING:
    from gptkit.tuning.attention_timing import Row
    from gptkit.tuning.timing_conditions import TimingConditions

# Share by which one time may be longer than another and still count as close to it.
TIE = 0.1


@dataclass(frozen=True)
class TimingResult:
    """What an attention was chosen from.

    Args:
        keys: The keys of the recipe that say `auto` with the same options.
        place: Where the first of them was written.
        conditions: Under which they were timed, in words.
        origin: Whether that was now, or on which day.
        rows: The fastest first, and last those that may not be chosen.
    """

    keys: tuple[str, ...]
    place: str
    conditions: str
    origin: str
    rows: "tuple[Row, ...]"

    @property
    def chosen(self) -> "Row":
        """The row of the attention that was chosen.

        Times that are close change places from one day to the next. What is kept for the backward pass does not.
        """
        least = self.rows[0].seconds or 0.0
        close = [row for row in self.rows if row.seconds is not None and row.seconds <= (1 + TIE) * least]
        return min(close, key=lambda row: row.kept)


def resolve_auto(
    written: Recipe, plugins: Plugins, resolved: Resolved, *, device: torch.device, dtype: str, vocab_size: int
) -> tuple[Resolved, tuple[TimingResult, ...]]:
    """Return a recipe with a name in each place of `auto`, and what the names were chosen from.

    Whoever has the same options shares one measurement, in all layers. What was measured on this machine before,
    with the same parts under the same conditions, is not measured again.

    Raises:
        RecipeError: If no attention that equals `naive` holds its contract here.
    """
    groups: dict[str, list[Auto]] = {}
    for auto in resolved.autos:
        groups.setdefault(repr(sorted(auto.options.items())), []).append(auto)
    if not groups:
        return resolved, ()
    # Imported here because the contract's machinery takes a while to import, and few recipes say `auto`.
    from gptkit.tuning.timing_conditions import TimingConditions  # noqa: PLC0415

    dims, train = Dims(**resolved.sizes, vocab_size=vocab_size), resolved.train
    conditions = TimingConditions(
        dims, train.batch_size, dtype, device, compile=train.compile is True, deterministic=train.deterministic
    )
    timings = tuple(time_group(group, plugins, resolved, conditions) for group in groups.values())
    names = {key: timing.chosen.name for timing in timings for key in timing.keys}
    return resolve(written, plugins, names), timings


def time_group(
    group: list[Auto], plugins: Plugins, resolved: Resolved, conditions: "TimingConditions"
) -> TimingResult:
    """Return what came of measuring, or of having measured, every candidate of `auto`."""
    from gptkit.tuning.attention_timing import Row, time_candidates  # noqa: PLC0415
    from gptkit.tuning.candidate import Candidate  # noqa: PLC0415
    from gptkit.tuning.timing_cache import file_for, keep_rows, kept, key_of  # noqa: PLC0415

    auto, position = group[0], resolved.parts["position"]
    assembler = Assembler(resolved, plugins.registry)
    titles = {plugin.name: plugin.title for plugin in plugins.loaded}
    candidates = []
    for choice in auto.candidates:
        entry, build = (
            plugins.registry.get(choice.kind, choice.name),
            partial(assembler.part, choice, conditions.dims),
        )
        candidates.append(
            Candidate(choice.name, titles.get(entry.owner, entry.owner), entry.part, choice.options, build)
        )
    is_whole = any(candidate.part.forward is not SoftmaxAttention.forward for candidate in candidates)
    conditions = replace(conditions, is_whole=is_whole)
    key = key_of(candidates, conditions, repr(position.table()))
    if found := kept(key):
        rows, origin = found[0], f"measured on {found[1]} and kept in {file_for(key)}"
    else:
        rows = time_candidates(
            candidates, conditions, assembler.part(position, conditions.dims).to(conditions.device)
        )
        trouble = keep_rows(key, rows)
        origin = f"measured now; {trouble}" if trouble else "measured now"
    rows = sorted([*rows, *(Row(name, None, why) for name, why in auto.refused.items())], key=order)
    if rows[0].seconds is None:
        each = "; ".join(f"{row.name}: {row.why}" for row in rows)
        message = f"no attention that equals 'naive' holds its contract here ({conditions}): {each}"
        raise RecipeError([Problem(auto.place, auto.key, message)])
    return TimingResult(tuple(each.key for each in group), auto.place, str(conditions), origin, tuple(rows))


def order(row: "Row") -> tuple[bool, float, str]:
    """Return what sorts the fastest first; equals by name, so that the choice is the same each time."""
    return row.seconds is None, row.seconds or 0.0, row.name
