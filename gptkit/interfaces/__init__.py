"""The nine interfaces of parts, and the types that they exchange. A part is a class that inherits an interface.

The positional parameters of an interface's constructor are what the model passes to every part of that kind. The
keyword-only, annotated parameters that a part adds are its options in a recipe.

Axes: B batch, T time, S time of the keys (S >= T), C channels (n_embd), H heads, D head width (C = H·D),
V vocabulary.
"""

from gptkit.interfaces.attention import (
    Attention,
    AttentionContext,
    ConstantSizeCache,
    KeyValueCache,
    LayerCache,
    RecurrentAttention,
)
from gptkit.interfaces.auxiliary_loss import HasAuxiliaryLoss
from gptkit.interfaces.block import Block, BlockParts
from gptkit.interfaces.corpus import Corpus
from gptkit.interfaces.dims import Dims, Probability
from gptkit.interfaces.feed_forward import FeedForward
from gptkit.interfaces.limits import HasLimits
from gptkit.interfaces.norm import Norm
from gptkit.interfaces.optimizer import HasPackedWeights, Optimizer, ParameterGroups
from gptkit.interfaces.position import Position, RelativePosition
from gptkit.interfaces.reference import HasReference
from gptkit.interfaces.schedule import Schedule
from gptkit.interfaces.tokenizer import Tokenizer
from gptkit.interfaces.tolerance import HasTolerance, Tolerance

__all__ = [
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
]

# Each interface by its name in recipes, on the command line and as a folder of components.
KINDS: dict[str, type] = {
    "attention": Attention,
    "feed_forward": FeedForward,
    "norm": Norm,
    "position": Position,
    "block": Block,
    "tokenizer": Tokenizer,
    "corpus": Corpus,
    "optimizer": Optimizer,
    "schedule": Schedule,
}
