"""Prepares a run to continue where it stopped, or refuses because something it depends on has changed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gptkit.errors import CheckpointError, Problem, RecipeError, UsageError
from gptkit.recipe.read import Recipe
from gptkit.recipe.resolve import resolve
from gptkit.recipe.values import dotted_key, leaves
from gptkit.registry.loader import Plugins
from gptkit.run.prepare import PreparedRun, prepare_recipe
from gptkit.run.session import is_eval_pending
from gptkit.run.step_count import first_changed_step, schedule_of
from gptkit.storage.checkpoint import Checkpoint
from gptkit.storage.checkpoint_store import LAST
from gptkit.storage.run_writer import RunWriter
from gptkit.storage.trust import plugin_files

# None of them affects a weight, except max_iters and retimed, through the schedule.
FREE = (
    *("max_iters", "retimed", "keep", "device"),
    *("eval_interval", "log_interval", "sample_interval", "checkpoint_interval"),
)
# It affects no weight either, except in compiled code, which rounds bf16 elsewhere when it recomputes activations.
FREE_UNCOMPILED = "train.checkpoint_activations"
MAY_CHANGE = (
    f"What may: {', '.join(f'train.{name}' for name in FREE)}, {FREE_UNCOMPILED} where train.compile is false, "
    "and where data.corpus finds the same text"
)


def prepare_resume(
    root: Path,
    *,
    overrides: Sequence[str] = (),
    plugins: Sequence[Path] = (),
    trust_plugins: bool = False,
    checkpoint: str = LAST,
) -> PreparedRun:
    """Return a run prepared to continue, with its directory locked.

    Args:
        overrides: Changes to what may change, each as `--set` takes them.
        checkpoint: What to continue from: `last`, `best`, or a name such as `step-000100`. A run that was killed
            before its first checkpoint continues from its beginning.

    Raises:
        UsageError: If another process writes there, or plugin files are not trusted.
        CheckpointError: If this is no run directory, or it is damaged.
        RecipeError: If the recipe is not the one that the run began with; lists the differences.
        DataError: If the corpus is not the one that it began with, or cannot be read.
    """
    directory = RunWriter(root)
    directory.read()
    directory.lock()
    try:
        return prepare_locked(directory, overrides, plugins, trust_plugins, checkpoint)
    except BaseException:
        directory.close()
        raise


def prepare_locked(
    directory: RunWriter, overrides: Sequence[str], plugins: Sequence[Path], trust_plugins: bool, asked: str
) -> PreparedRun:
    """Return the run of a locked directory prepared to continue."""
    written, origin = directory.read(overrides), directory.origin()
    if changed := directory.changed_files():
        raise CheckpointError("\n".join(changed))
    saved = last_of(directory) if asked == LAST else directory.checkpoints.get(asked)
    found = Plugins(plugin_files(written, directory, plugins, trust_plugins=trust_plugins))
    if autos := resolve(written, found).autos:
        raise RecipeError([auto.unresolved() for auto in autos])
    prepared = prepare_recipe(written, found, directory.root, dtype=str(origin.get("dtype")))
    check_same_recipe(written, prepared, origin)
    prepared.data.check_same(origin.get("corpus"))
    if prepared.tokenizer.to_json() != directory.saved_tokenizer():
        raise CheckpointError(
            f"{directory.root}: the tokenizer makes another vocabulary of the same text than when the run began"
        )
    if saved is not None:
        check_steps(prepared, saved)
    directory.rewrite(prepared.resolved.document, written.plugins)
    return replace(prepared, begun=directory, checkpoint=saved)


def last_of(directory: RunWriter) -> Checkpoint | None:
    """Return the last checkpoint, or None if the run was killed before its first."""
    if directory.checkpoints.target(LAST) is not None:
        return directory.checkpoints.get(LAST)
    # Killed in its first save: a checkpoint that has its name is complete, though no pointer names it yet.
    names = directory.checkpoints.names()
    return directory.checkpoints.get(names[-1]) if names else None


def check_same_recipe(written: Recipe, prepared: PreparedRun, origin: Mapping[str, Any]) -> None:
    """Raise RecipeError if anything that may not change in the recipe has changed since the run began."""
    before, now = (fixed(document) for document in (origin.get("document"), prepared.resolved.document))
    places = prepared.resolved.places
    problems = [
        Problem(
            places.get(key) or str(written.path),
            key,
            f"was {before.get(key, 'not there')!r} when the run began, and is {now.get(key, 'not there')!r} now",
        )
        for key in [*before, *(key for key in now if key not in before)]
        if before.get(key) != now.get(key)
    ]
    if problems:
        raise RecipeError([*problems, Problem("", "", f"A run goes on with what it began with. {MAY_CHANGE}.")])


def fixed(document: Any) -> dict[str, Any]:
    """Return the values of a resolved recipe that may not change, by key."""
    # A run from before this key existed recomputed nothing.
    found = {FREE_UNCOMPILED: False} | {dotted_key(key): value for key, value in leaves(document)}
    free = {f"train.{name}" for name in FREE}
    if not found.get("train.compile"):
        free.add(FREE_UNCOMPILED)
    return {key: value for key, value in found.items() if key not in free and not key.startswith("data.corpus.")}


def check_steps(prepared: PreparedRun, saved: Checkpoint) -> None:
    """Check that steps are left, and that a new max_iters would have scaled the steps taken alike.

    Raises:
        CheckpointError: If the state of the checkpoint is damaged.
        RecipeError: If more steps than max_iters have been taken, or some would have been scaled differently.
        UsageError: If every step has been taken.
    """
    settings, state = prepared.resolved.train, saved.state()
    before, retimed, step = (state.get(key) for key in ("max_iters", "retimed", "step"))
    if not (isinstance(before, int) and isinstance(step, int) and 0 <= step <= before):
        raise CheckpointError(f"{saved.folder}: its state is not a run's: step {step!r} of {before!r}")
    try:
        # A checkpoint from before this key existed has none.
        old = schedule_of(prepared, before, tuple((int(first), int(total)) for first, total in retimed or ()))
    except (TypeError, ValueError, RecipeError):
        raise CheckpointError(f"{saved.folder}: its state is not a run's: retimed {retimed!r}") from None
    place = prepared.resolved.places.get("train.max_iters", "")
    if settings.max_iters < step:
        message = f"is {settings.max_iters:,} now, and {step:,} steps have been taken"
        raise RecipeError([Problem(place, "train.max_iters", message)])
    if step == settings.max_iters and not is_eval_pending(state):
        raise UsageError(
            f"{prepared.out} has taken all its {step:,} steps. To go on: --set train.max_iters={2 * step}"
        )
    new = schedule_of(prepared, settings.max_iters, settings.retimed)
    if (other := first_changed_step(old, new, step)) is not None:
        name = prepared.resolved.parts["schedule"].name
        message = (
            f"cannot change from {before:,} to {settings.max_iters:,} with schedule '{name}': it would have "
            f"scaled the learning rate of step {other + 1} by {new(other):.6g}, and it was {old(other):.6g}. A "
            "run goes on as if it had never stopped; 'constant', and 'wsd' before its decay, can"
        )
        raise RecipeError([Problem(place, "train.max_iters", message)])
