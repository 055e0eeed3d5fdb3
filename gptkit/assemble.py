"""Turns the names in a resolved recipe into parts. Nothing else in gptkit does."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import torch

from gptkit.errors import GptkitError, PluginError, Problem, RecipeError
from gptkit.interfaces import (
    Attention,
    Block,
    Corpus,
    Dims,
    FeedForward,
    Norm,
    Optimizer,
    Parts,
    Position,
    Schedule,
    Tokenizer,
)
from gptkit.leaves import spell
from gptkit.model import GPT
from gptkit.plugins import Plugins, explain
from gptkit.recipe import Recipe
from gptkit.registry import Entry, Registry, describe
from gptkit.resolve import resolve
from gptkit.resolved import Auto, Choice, Resolved
from gptkit.seeds import seeded

CPU = torch.device("cpu")
# Before the data is read, the size of the vocabulary is not known, and hardly any part asks for it.
ANY_VOCABULARY = 256


class Assembler:
    """Builds the parts that a recipe chose.

    Each part's first weights are drawn from a seed of its own, so that to swap one part leaves the weights
    of all others as they were.
    """

    def __init__(self, resolved: Resolved, registry: Registry) -> None:
        self.resolved, self.registry = resolved, registry

    def model(self, vocab_size: int) -> GPT:
        """Return the model, on the CPU."""
        dims = Dims(**self.resolved.sizes, vocab_size=vocab_size)
        parts = self.resolved.parts
        position: Position = self.part(parts["position"], dims)
        blocks = [self.block(dims, i) for i in range(dims.n_layer)]
        norm: Norm = self.part(parts["norm"], dims, layer=dims.n_layer)
        with seeded(CPU, self.resolved.train.seed, "weights"):
            return GPT(dims, position, blocks, norm)

    def block(self, dims: Dims, i: int) -> Block:
        """Return the block of a layer."""
        return self.part(self.resolved.layers[i]["block"], dims, LayerParts(self, dims, i), layer=i)

    def corpus(self) -> Corpus:
        """Return the corpus."""
        return self.part(self.resolved.parts["corpus"])

    def optimizer(self) -> Optimizer:
        """Return what makes the optimizer."""
        return self.part(self.resolved.parts["optimizer"])

    def schedule(self) -> Schedule:
        """Return the schedule of the learning rate."""
        return self.part(self.resolved.parts["schedule"], self.resolved.train.max_iters)

    def tokenizer(self, text: Iterable[str]) -> Tokenizer:
        """Return the tokenizer, made from a text."""
        return self.part(self.resolved.parts["tokenizer"], text)

    def saved_tokenizer(self, saved: dict[str, Any]) -> Tokenizer:
        """Return the tokenizer that a run saved."""
        choice = self.resolved.parts["tokenizer"]
        part: type[Tokenizer] = self.registry.get(choice.kind, choice.name).part
        return part.from_json(saved)

    def part(self, choice: Choice, *handed: object, layer: int = 0, nth: int = 0) -> Any:
        """Return a chosen part.

        Raises:
            RecipeError: If it cannot do what the recipe asks of it, or is not settled yet.
            PluginError: If it fails in any other way.
        """
        if isinstance(choice, Auto):
            raise RecipeError([choice.unsettled()])
        entry = self.registry.get(choice.kind, choice.name)
        try:
            with seeded(CPU, self.resolved.train.seed, "weights", choice.kind, layer, nth):
                part = entry.part(*handed, **choice.options)
        except GptkitError:
            raise
        except ValueError as error:
            said = f"{error}{self.others(entry, handed)}"
            raise RecipeError([Problem(choice.place, choice.key, said)]) from error
        except Exception as error:
            raise PluginError(
                f"{choice.key}: '{choice.name}' of {entry.owner}, {describe(entry.part)}, cannot be built: "
                f"{explain(error)}"
            ) from error
        return part

    def others(self, entry: Entry, handed: Sequence[object]) -> str:
        """Return which other parts can do what one cannot; nothing, if only its options keep it from it."""
        if not any(isinstance(each, Dims) for each in handed) or can_be_built(entry, handed):
            return ""
        able = [other.name for other in self.registry.of(entry.kind) if can_be_built(other, handed)]
        return f". These can: {', '.join(able)}" if able else ""

    def check(self) -> None:
        """Build every part but those that read data, without memory for weights, to see that each can be.

        Raises:
            RecipeError: With what every part that cannot do what the recipe asks of it has to say.
        """
        dims = Dims(**self.resolved.sizes, vocab_size=ANY_VOCABULARY)
        if self.resolved.autos:
            stand_ins = {auto.key: self.stand_in(auto, dims) for auto in self.resolved.autos}
            Assembler(self.resolved.standing_in(stand_ins), self.registry).check()
            return
        builds: list[Callable[[], object]] = [
            lambda: self.part(self.resolved.parts["position"], dims),
            lambda: self.part(self.resolved.parts["norm"], dims),
            *(lambda i=i: self.block(dims, i) for i in range(dims.n_layer)),
            self.optimizer,
            self.schedule,
        ]
        with torch.device("meta"):
            problems = [problem for build in builds for problem in problems_of(build)]
        if problems:
            raise RecipeError(problems)

    def stand_in(self, auto: Auto, dims: Dims) -> Choice:
        """Return a candidate of `auto` that can be built, for what holds whichever is chosen.

        Raises:
            RecipeError: If none can be.
        """
        refusals = {}
        for choice in auto.candidates:
            refusals[choice.name] = self.refusal(choice, dims)
            if not refusals[choice.name]:
                return choice
        each = "; ".join(f"{name}: {why}" for name, why in {**refusals, **auto.refused}.items())
        raise RecipeError(
            [Problem(auto.place, auto.key, f"no attention that equals 'naive' can be built: {each}")]
        )

    def refusal(self, choice: Choice, dims: Dims) -> str:
        """Return why a part cannot do what the recipe asks of it, as far as its constructor says; or nothing."""
        try:
            with torch.device("meta"):
                self.part(choice, dims)
        except RecipeError as error:
            return str(error.__cause__ or error)
        except PluginError:
            pass  # It may need real numbers to be built.
        return ""


class LayerParts(Parts):
    """Builds the parts that a recipe chose for one layer."""

    def __init__(self, assembler: Assembler, dims: Dims, layer: int) -> None:
        self.assembler, self.dims, self.layer = assembler, dims, layer
        self.built: Counter[str] = Counter()

    def attention(self) -> Attention:
        """Return a new attention."""
        return self.next("attention")

    def feed_forward(self) -> FeedForward:
        """Return a new feed-forward."""
        return self.next("feed_forward")

    def norm(self) -> Norm:
        """Return a new norm."""
        return self.next("norm")

    def next(self, kind: str) -> Any:
        """Return a new part of a kind."""
        self.built[kind] += 1
        choice = self.assembler.resolved.layers[self.layer][kind]
        return self.assembler.part(choice, self.dims, layer=self.layer, nth=self.built[kind])


def can_be_built(entry: Entry, handed: Sequence[object]) -> bool:
    """Return whether a part with its default options takes what it is handed."""
    try:
        with torch.device("meta"):
            entry.part(*handed)
    # A stranger's part may raise anything, and is then no help.
    except Exception:
        return False
    return True


def problems_of(build: Callable[[], object]) -> Iterable[Problem]:
    """Return what is wrong with the recipe for a part that is built on the meta device."""
    try:
        build()
    except RecipeError as error:
        return error.problems
    except PluginError:
        # A part may need real numbers to be built. If it cannot be built with them either, `model` says so.
        pass
    return ()


def assembler_of(recipe: Recipe, plugins: Plugins) -> Assembler:
    """Return the assembler of a recipe that has nothing wrong with it.

    Raises:
        RecipeError: With everything that is wrong, in the recipe itself and in what its parts say of it.
    """
    try:
        assembler = Assembler(resolve(recipe, plugins), plugins.registry)
    except RecipeError as error:
        raise RecipeError([*error.problems, *said_by_parts(recipe, plugins, error.problems)]) from None
    assembler.check()
    return assembler


def said_by_parts(recipe: Recipe, plugins: Plugins, known: Iterable[Problem]) -> Iterable[Problem]:
    """Return what the parts of a recipe say of it, those left out that it gets wrong."""
    wrong = [re.escape(problem.key) for problem in known]
    is_wrong = re.compile(rf"(?:{'|'.join(wrong)})(?:[.\[]|$)")
    leaves = {key: leaf for key, leaf in recipe.leaves.items() if not is_wrong.match(spell(key))}
    try:
        resolved = resolve(replace(recipe, leaves=leaves), plugins)
    except RecipeError:
        return ()  # too little is left to build anything
    try:
        Assembler(resolved, plugins.registry).check()
    except RecipeError as error:
        # What a part says that only stands in for a wrong one is nobody's problem.
        return [problem for problem in error.problems if problem.where != "default"]
    return ()
