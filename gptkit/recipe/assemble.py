"""Builds the parts that a resolved recipe names; no other file turns names into parts."""

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import torch

from gptkit.errors import GptkitError, PluginError, Problem, RecipeError
from gptkit.interfaces import Block, BlockParts, Corpus, Dims, Norm, Optimizer, Position, Schedule, Tokenizer
from gptkit.model import GPT
from gptkit.recipe.resolved import Auto, Choice, Resolved
from gptkit.recipe.retimed_schedule import RetimedSchedule
from gptkit.registry.blame import format_error
from gptkit.registry.registry import Entry, Registry, class_location
from gptkit.seeds import seeded

CPU = torch.device("cpu")


class Assembler:
    """Builds the parts that a recipe names.

    Each part draws its initial weights from a seed of its own, so that swapping one part leaves the weights of
    all others unchanged.
    """

    def __init__(self, resolved: Resolved, registry: Registry) -> None:
        self.resolved, self.registry = resolved, registry

    def model(self, vocab_size: int) -> GPT:
        """Build the model, on the CPU."""
        dims = Dims(**self.resolved.sizes, vocab_size=vocab_size)
        parts = self.resolved.parts
        position: Position = self.part(parts["position"], dims)
        blocks = [self.block(dims, i) for i in range(dims.n_layer)]
        norm: Norm = self.part(parts["norm"], dims, layer=dims.n_layer)
        with seeded(CPU, self.resolved.train.seed, "weights"):
            return GPT(dims, position, blocks, norm)

    def block(self, dims: Dims, i: int) -> Block:
        """Build the block of layer `i`, counted from 0.

        Raises:
            RecipeError: If the block does without a part that the recipe names; other exceptions as for `part`.
        """
        layer, last_norm = self.resolved.layers[i], self.resolved.parts["norm"]
        built: Counter[str] = Counter()

        def build(kind: str, dims: Dims) -> Any:
            built[kind] += 1
            return self.part(layer[kind], dims, layer=i, nth=built[kind])

        choice = layer["block"]
        parts = BlockParts(partial(build, "attention"), partial(build, "feed_forward"), partial(build, "norm"))
        block: Block = self.part(choice, dims, parts, layer=i)
        needed = ["attention", "feed_forward"]
        # A norm of the same kind stands at the model's end.
        if (layer["norm"].name, layer["norm"].options) != (last_norm.name, last_norm.options):
            needed.append("norm")
        if unused := [f"{kind} '{layer[kind].name}'" for kind in needed if not built[kind]]:
            message = (
                f"'{choice.name}' does not use the recipe's {' and '.join(unused)}, which would not be trained"
            )
            raise RecipeError([Problem(choice.place, choice.key, message)])
        return block

    def corpus(self) -> Corpus:
        """Build the corpus."""
        return self.part(self.resolved.parts["corpus"])

    def optimizer(self) -> Optimizer:
        """Build the part that makes the optimizer."""
        return self.part(self.resolved.parts["optimizer"])

    def schedule(self) -> Schedule:
        """Build the learning-rate schedule.

        Raises:
            RecipeError: If the recipe's `retimed` contradicts itself or `max_iters`.
        """
        train, choice = self.resolved.train, self.resolved.parts["schedule"]
        if not train.retimed:
            return self.part(choice, train.max_iters)
        schedule = self.part(choice, train.retimed[0][1])
        try:
            return RetimedSchedule(schedule, train.retimed, train.max_iters)
        except ValueError as error:
            place = self.resolved.places.get("train.retimed", "")
            raise RecipeError([Problem(place, "train.retimed", str(error))]) from None

    def tokenizer(self, text: Iterable[str]) -> Tokenizer:
        """Build the tokenizer from a text."""
        return self.part(self.resolved.parts["tokenizer"], text)

    def saved_tokenizer(self, saved: dict[str, Any]) -> Tokenizer:
        """Restore the tokenizer that a run saved."""
        choice = self.resolved.parts["tokenizer"]
        part: type[Tokenizer] = self.registry.get(choice.kind, choice.name).part
        return part.from_json(saved)

    def part(self, choice: Choice, *arguments: object, layer: int = 0, nth: int = 0) -> Any:
        """Build a part.

        Args:
            arguments: What the model hands every part of that kind, by position.
            layer: The layer that it belongs to, and `nth` its number among those of its kind there, for its seed.

        Raises:
            RecipeError: If it refuses what the recipe asks of it, or the choice is an unresolved `auto`.
            PluginError: If it fails in any other way.
        """
        if isinstance(choice, Auto):
            raise RecipeError([choice.unresolved()])
        entry = self.registry.get(choice.kind, choice.name)
        try:
            with seeded(CPU, self.resolved.train.seed, "weights", choice.kind, layer, nth):
                return entry.part(*arguments, **choice.options)
        except GptkitError:
            raise
        except ValueError as error:
            message = f"{error}{self.alternatives(entry, arguments)}"
            raise RecipeError([Problem(choice.place, choice.key, message)]) from error
        except Exception as error:
            raise PluginError(
                f"{choice.key}: '{choice.name}' of {entry.owner}, {class_location(entry.part)}, cannot be built: "
                f"{format_error(error)}"
            ) from error

    def alternatives(self, entry: Entry, arguments: Sequence[object]) -> str:
        """Return a sentence with the parts that take these sizes, or nothing if `entry` itself does by default."""
        if not any(isinstance(each, Dims) for each in arguments):
            return ""
        able = []
        for other in self.registry.of(entry.kind):
            # A third-party part may raise anything.
            with suppress(Exception), torch.device("meta"):
                other.part(*arguments)
                able.append(other.name)
        return f". These can: {', '.join(able)}" if able and entry.name not in able else ""
