"""What plugin authors may import: each name is written down, resolves, and is documented and annotated."""

import importlib
import inspect
from typing import Any

import pytest

from gptkit.registry.loader import BUILT_INS, Plugins

SURFACE = {
    "gptkit": ["GPT", "GptkitError", "Register", "__version__", "build", "hookimpl", "load", "train"],
    "gptkit.interfaces": [
        "KINDS",
        "Attention",
        "AttentionContext",
        "Block",
        "BlockParts",
        "ConstantSizeCache",
        "Corpus",
        "Dims",
        "FeedForward",
        "HasAuxiliaryLoss",
        "HasLimits",
        "HasPackedWeights",
        "HasReference",
        "HasTolerance",
        "KeyValueCache",
        "LayerCache",
        "Norm",
        "Optimizer",
        "ParameterGroups",
        "Position",
        "Probability",
        "RecurrentAttention",
        "RelativePosition",
        "Schedule",
        "Tokenizer",
        "Tolerance",
    ],
    "gptkit.nn": [
        "BlockParts",
        "Dropout",
        "Embedding",
        "InputCache",
        "KVCache",
        "Linear",
        "RepeatedKeys",
        "SoftmaxAttention",
        "TwoLayerFeedForward",
        "attention_in_tiles",
        "batched_attention",
        "causal_mask",
        "sdpa",
        "write_slots",
    ],
    "gptkit.optim": ["AdamW", "EagerOptimizer", "Muon", "TogetherOptimizer", "WarmupSchedule"],
    "gptkit.data": ["SplitCorpus", "decode_pieces", "download_once"],
    "gptkit.testing": ["contract", "reproduce"],
    # Every built-in part, whose names are those of the files in its folders.
    "gptkit.components": [entry.part.__name__ for entry in Plugins().registry if entry.owner in BUILT_INS],
}
SURFACE["gptkit.components"].sort()
# Without docstrings of their own: a string, a dict, the types of a function and of a number, and pluggy's marker.
CONSTANTS = {"__version__", "KINDS", "Probability", "Register", "hookimpl"}
NAMES = [(module, name) for module, names in SURFACE.items() for name in names if name not in CONSTANTS]


def sort_key(name: str) -> tuple[int, str]:
    """Return what sorts constants first, then classes, then functions, as ruff sorts `__all__`."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


@pytest.mark.parametrize("module", SURFACE)
def test_all_names_are_listed_sorted_and_there(module: str) -> None:
    found = importlib.import_module(module)
    assert found.__all__ == SURFACE[module]
    assert found.__all__ == sorted(found.__all__, key=sort_key)
    assert [name for name in found.__all__ if not hasattr(found, name)] == []


def unannotated(function: Any, *, is_method: bool) -> list[str]:
    """Return the parameters of a function that lack an annotation, and `return` if that does."""
    signature = inspect.signature(inspect.unwrap(function))
    parameters = list(signature.parameters.values())[1 if is_method else 0 :]
    missing = [each.name for each in parameters if each.annotation is each.empty]
    return missing + ["return"] * (signature.return_annotation is signature.empty)


@pytest.mark.parametrize(("module", "name"), NAMES, ids=[".".join(each) for each in NAMES])
def test_each_is_documented_and_annotated(module: str, name: str) -> None:
    found = getattr(importlib.import_module(module), name)
    assert inspect.getdoc(found)
    if inspect.isfunction(found):
        assert unannotated(found, is_method=False) == []
        return
    assert vars(found).get("__doc__"), "the docstring is inherited"
    for method, value in vars(found).items():
        # A dataclass writes its own methods, and only those named like words are for others to call.
        if inspect.isfunction(value) and (method == "__init__" or not method.startswith("_")):
            assert unannotated(value, is_method=True) == [], method
            assert method == "__init__" or inspect.getdoc(value), method
