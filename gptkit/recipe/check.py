"""Finds everything that is wrong with a recipe, including what its parts refuse, before any weight exists."""

import re
from collections.abc import Callable, Iterable
from dataclasses import replace

import torch

from gptkit.errors import PluginError, Problem, RecipeError
from gptkit.interfaces import Dims
from gptkit.recipe.assemble import Assembler
from gptkit.recipe.read import Recipe
from gptkit.recipe.resolve import resolve
from gptkit.recipe.resolved import Auto, Choice
from gptkit.recipe.values import spell
from gptkit.registry.loader import Plugins

# The size of the vocabulary is known once the data is read, and hardly any part asks for it.
ANY_VOCABULARY = 256


def assembler_of(recipe: Recipe, plugins: Plugins) -> Assembler:
    """Return the assembler of a recipe that has nothing wrong with it.

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
    """Return what the parts of a recipe refuse, leaving out the values that are wrong already."""
    wrong = [re.escape(problem.key) for problem in known]
    is_wrong = re.compile(rf"(?:{'|'.join(wrong)})(?:[.\[]|$)")
    leaves = {key: leaf for key, leaf in recipe.leaves.items() if not is_wrong.match(spell(key))}
    try:
        resolved = resolve(replace(recipe, leaves=leaves), plugins)
    except RecipeError:
        return ()  # too little is left to build anything
    try:
        check_parts(Assembler(resolved, plugins.registry))
    except RecipeError as error:
        # A default that stands in for a wrong value is not the user's choice.
        return [problem for problem in error.problems if problem.where != "default"]
    return ()


def check_parts(assembler: Assembler) -> None:
    """Build every part except corpus and tokenizer on the meta device, which takes no memory for weights.

    Raises:
        RecipeError: With what each part that cannot do what the recipe asks of it says.
    """
    resolved = assembler.resolved
    dims = Dims(**resolved.sizes, vocab_size=ANY_VOCABULARY)
    if resolved.autos:
        stand_ins = {auto.key: stand_in(assembler, auto, dims) for auto in resolved.autos}
        check_parts(Assembler(resolved.standing_in(stand_ins), assembler.registry))
        return
    builds: list[Callable[[], object]] = [
        lambda: assembler.part(resolved.parts["position"], dims),
        lambda: assembler.part(resolved.parts["norm"], dims),
        *(lambda i=i: assembler.block(dims, i) for i in range(dims.n_layer)),
        assembler.optimizer,
        assembler.schedule,
    ]
    with torch.device("meta"):
        problems = [problem for build in builds for problem in problems_of(build)]
    if problems:
        raise RecipeError(problems)


def problems_of(build: Callable[[], object]) -> Iterable[Problem]:
    """Return what a part refuses when it is built on the meta device."""
    try:
        build()
    except RecipeError as error:
        return error.problems
    except PluginError:
        # A part may need real numbers to be built. If it cannot be built with them either, `model` says so.
        pass
    return ()


def stand_in(assembler: Assembler, auto: Auto, dims: Dims) -> Choice:
    """Return the first candidate of `auto` that can be built, to check all that does not depend on the choice.

    Raises:
        RecipeError: If none can be built.
    """
    refusals = {}
    for choice in auto.candidates:
        refusals[choice.name] = refusal(assembler, choice, dims)
        if not refusals[choice.name]:
            return choice
    each = "; ".join(f"{name}: {why}" for name, why in {**refusals, **auto.refused}.items())
    raise RecipeError([Problem(auto.place, auto.key, f"no attention that equals 'naive' can be built: {each}")])


def refusal(assembler: Assembler, choice: Choice, dims: Dims) -> str:
    """Return why a part's constructor refuses what the recipe asks of it, or an empty string."""
    try:
        with torch.device("meta"):
            assembler.part(choice, dims)
    except RecipeError as error:
        return str(error.__cause__ or error)
    except PluginError:
        pass  # It may need real numbers to be built.
    return ""
