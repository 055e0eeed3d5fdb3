"""Turns the names in a resolved recipe into parts. Nothing else in gptkit does."""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import torch

from gptkit.errors import GptkitError, PluginError, Problem, RecipeError
from gptkit.interfaces import (
    Block,
    BlockParts,
    Corpus,
    Dims,
    Norm,
    Optimizer,
    Position,
    Schedule,
    Tokenizer,
)
from gptkit.model import GPT
from gptkit.recipe.resolved import Auto, Choice, Resolved
from gptkit.registry.blame import explain
from gptkit.registry.registry import Entry, Registry, describe
from gptkit.seeds import seeded

CPU = torch.device("cpu")


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
        """Return the block of a layer, counted from 0."""
        built: Counter[str] = Counter()

        def build(kind: str, dims: Dims) -> Any:
            built[kind] += 1
            return self.part(self.resolved.layers[i][kind], dims, layer=i, nth=built[kind])

        parts = BlockParts(partial(build, "attention"), partial(build, "feed_forward"), partial(build, "norm"))
        return self.part(self.resolved.layers[i]["block"], dims, parts, layer=i)

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


def can_be_built(entry: Entry, handed: Sequence[object]) -> bool:
    """Return whether a part with its default options takes what it is handed."""
    try:
        with torch.device("meta"):
            entry.part(*handed)
    # A stranger's part may raise anything, and is then no help.
    except Exception:
        return False
    return True
