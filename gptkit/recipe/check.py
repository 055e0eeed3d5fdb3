"""Finds everything that is wrong with a recipe, including what its parts refuse, before weights are allocated."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from gptkit.errors import PluginError, Problem, RecipeError
from gptkit.interfaces import KINDS, AttentionContext, Dims, HasLimits
from gptkit.model import GPT
from gptkit.recipe.assemble import Assembler
from gptkit.recipe.read import Recipe
from gptkit.recipe.resolve import resolve
from gptkit.recipe.resolved import Auto, Choice
from gptkit.recipe.values import dotted_key
from gptkit.registry.blame import format_error
from gptkit.registry.loader import Plugins

# The vocabulary is known only once the data is read; few parts use its size in their constructor.
ANY_VOCABULARY = 256


def check_recipe(recipe: Recipe, plugins: Plugins) -> Assembler:
    """Check a recipe and return the assembler that builds its parts.

    Raises:
        RecipeError: With everything that is wrong, in the recipe itself and in what its parts refuse.
    """
    try:
        assembler = Assembler(resolve(recipe, plugins), plugins.registry)
    except RecipeError as error:
        raise RecipeError([*error.problems, *other_refusals(recipe, plugins, error.problems)]) from None
    check_parts(assembler)
    return assembler


def other_refusals(recipe: Recipe, plugins: Plugins, known: Iterable[Problem]) -> Iterable[Problem]:
    """Return the problems that the parts of a recipe raise, apart from values that are known to be wrong."""
    wrong = [re.escape(problem.key) for problem in known]
    is_wrong = re.compile(rf"(?:{'|'.join(wrong)})(?:[.\[]|$)")
    leaves = {key: leaf for key, leaf in recipe.leaves.items() if not is_wrong.match(dotted_key(key))}
    try:
        resolved = resolve(replace(recipe, leaves=leaves), plugins)
    except RecipeError:
        return ()  # too little is left to build anything
    try:
        check_parts(Assembler(resolved, plugins.registry))
    except RecipeError as error:
        # The default that replaces a wrong value is not the user's choice.
        return [problem for problem in error.problems if problem.where != "default"]
    return ()


def check_parts(assembler: Assembler) -> None:
    """Build every part except corpus and tokenizer on the meta device, which takes no memory for weights.

    Raises:
        RecipeError: With the message of each part that refuses what the recipe asks of it.
    """
    dims = Dims(**assembler.resolved.sizes, vocab_size=ANY_VOCABULARY)
    stand_ins = {auto.key: stand_in(assembler, auto, dims) for auto in assembler.resolved.autos}
    resolved = assembler.resolved.with_stand_ins(stand_ins)
    assembler = Assembler(resolved, assembler.registry)
    builds: list[Callable[[], Any]] = [
        partial(assembler.part, resolved.parts["position"], dims),
        partial(assembler.part, resolved.parts["norm"], dims),
        *(partial(assembler.block, dims, i) for i in range(dims.n_layer)),
        assembler.optimizer,
        assembler.schedule,
    ]
    built, refusals = zip(*map(build_on_meta, builds), strict=True)
    if any(refusals):
        raise RecipeError(problem for error in refusals if error for problem in error.problems)
    position, norm, *blocks = built[: dims.n_layer + 2]
    if None in (position, norm, *blocks):
        return
    with torch.device("meta"):
        model = GPT(dims, position, blocks, norm)
    if problems := [each for each in limits_exceeded(model, resolved.layers) if each.key not in stand_ins]:
        raise RecipeError(problems)


def build_on_meta(build: Callable[[], Any]) -> tuple[Any | None, RecipeError | None]:
    """Return the part built on the meta device, or the error of one that refuses what the recipe asks of it."""
    try:
        with torch.device("meta"):
            return build(), None
    except RecipeError as error:
        return None, error
    except PluginError:
        # It may need real tensors. If it cannot be built with them either, `Assembler.model` raises.
        return None, None


def limits_exceeded(model: GPT, layers: Sequence[Mapping[str, Choice]]) -> Iterator[Problem]:
    """Yield a problem for each part that declares that it cannot train or decode in a model on the meta device."""
    if not any(isinstance(part, HasLimits) for part in model.modules()):
        # Without them there is nothing to ask, and contexts without data take PyTorch a second to make.
        return
    tokens = torch.zeros(1, model.dims.block_size, dtype=torch.int64, device="meta")
    contexts = [model.contexts(tokens, 0, None)]
    # A third-party cache may need real tensors.
    with suppress(Exception), torch.device("meta"):
        contexts.append(model.contexts(tokens[:, :1], 0, model.new_caches(1)))
    for block, layer, *each in zip(model.blocks, layers, *contexts, strict=True):
        for part in block.modules():
            if isinstance(part, HasLimits):
                choice = layer[next((kind for kind in layer if isinstance(part, KINDS[kind])), "block")]
                reasons = [reason_of(part, ctx, choice) for ctx in each]
                yield from (Problem(choice.place, choice.key, reason) for reason in reasons if reason)


def reason_of(part: HasLimits, ctx: AttentionContext, choice: Choice) -> str | None:
    """Return why a part refuses a context; raises PluginError if it fails to say."""
    try:
        return part.refusal(ctx)
    except Exception as error:
        raise PluginError(f"{choice.key}: '{choice.name}' fails in refusal: {format_error(error)}") from error


def stand_in(assembler: Assembler, auto: Auto, dims: Dims) -> Choice:
    """Return the first candidate of `auto` that can be built, to check all that does not depend on the choice.

    Raises:
        RecipeError: If none can be built.
    """
    refusals = {}
    for choice in auto.candidates:
        _, error = build_on_meta(partial(assembler.part, choice, dims))
        if error is None:
            return choice
        refusals[choice.name] = str(error.__cause__ or error)
    each = "; ".join(f"{name}: {why}" for name, why in {**refusals, **auto.refused}.items())
    raise RecipeError([Problem(auto.place, auto.key, f"no attention that equals 'naive' can be built: {each}")])
