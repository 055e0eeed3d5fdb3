"""Settles `attention = "auto"`: a name takes its place, of the attention that measured fastest, or nearly so."""

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import torch

from gptkit.assemble import Assembler
from gptkit.attention import SoftmaxAttention
from gptkit.errors import Problem, RecipeError
from gptkit.interfaces import Dims
from gptkit.plugins import Plugins
from gptkit.recipe import Recipe
from gptkit.resolve import resolve
from gptkit.resolved import Auto, Resolved

if TYPE_CHECKING:
    from gptkit.conditions import Conditions
    from gptkit.contest import Row

# Share by which one time may be longer than another and still count as close to it.
TIE = 0.1


@dataclass(frozen=True)
class Contest:
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


def settle(
    written: Recipe, plugins: Plugins, resolved: Resolved, *, device: torch.device, dtype: str, vocab_size: int
) -> tuple[Resolved, tuple[Contest, ...]]:
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
    from gptkit.conditions import Conditions  # noqa: PLC0415

    dims, train = Dims(**resolved.sizes, vocab_size=vocab_size), resolved.train
    conditions = Conditions(
        dims, train.batch_size, dtype, device, compile=train.compile is True, deterministic=train.deterministic
    )
    contests = tuple(hold(group, plugins, resolved, conditions) for group in groups.values())
    names = {key: contest.chosen.name for contest in contests for key in contest.keys}
    return resolve(written, plugins, names), contests


def hold(group: list[Auto], plugins: Plugins, resolved: Resolved, conditions: "Conditions") -> Contest:
    """Return what came of measuring, or of having measured, every candidate of `auto`."""
    from gptkit.contest import Row, compete  # noqa: PLC0415
    from gptkit.contest_cache import file_for, keep_rows, kept, key_of  # noqa: PLC0415
    from gptkit.rival import Rival  # noqa: PLC0415

    auto, position = group[0], resolved.parts["position"]
    assembler = Assembler(resolved, plugins.registry)
    titles = {plugin.name: plugin.title for plugin in plugins.loaded}
    rivals = []
    for choice in auto.candidates:
        entry, build = (
            plugins.registry.get(choice.kind, choice.name),
            partial(assembler.part, choice, conditions.dims),
        )
        rivals.append(Rival(choice.name, titles.get(entry.owner, entry.owner), entry.part, choice.options, build))
    is_whole = any(rival.part.forward is not SoftmaxAttention.forward for rival in rivals)
    conditions = replace(conditions, is_whole=is_whole)
    key = key_of(rivals, conditions, repr(position.table()))
    if found := kept(key):
        rows, origin = found[0], f"measured on {found[1]} and kept in {file_for(key)}"
    else:
        rows = compete(rivals, conditions, assembler.part(position, conditions.dims).to(conditions.device))
        trouble = keep_rows(key, rows)
        origin = f"measured now; {trouble}" if trouble else "measured now"
    rows = sorted([*rows, *(Row(name, None, why) for name, why in auto.refused.items())], key=order)
    if rows[0].seconds is None:
        each = "; ".join(f"{row.name}: {row.why}" for row in rows)
        message = f"no attention that equals 'naive' holds its contract here ({conditions}): {each}"
        raise RecipeError([Problem(auto.place, auto.key, message)])
    return Contest(tuple(each.key for each in group), auto.place, str(conditions), origin, tuple(rows))


def order(row: "Row") -> tuple[bool, float, str]:
    """Return what sorts the fastest first; equals by name, so that the choice is the same each time."""
    return row.seconds is None, row.seconds or 0.0, row.name
