"""What parts are built from: layers, dropout, the key/value cache, base classes and shared attention kernels.

Imports `interfaces` and torch; knows no recipe and no registry. Plugin authors may import every name in `__all__`.
"""

from gptkit.interfaces import BlockParts
from gptkit.nn.dropout import Dropout
from gptkit.nn.feed_forward import TwoLayerFeedForward
from gptkit.nn.input_cache import InputCache
from gptkit.nn.kv_cache import KVCache
from gptkit.nn.layers import Embedding, Linear
from gptkit.nn.repeated_keys import RepeatedKeys
from gptkit.nn.slots import write_slots
from gptkit.nn.softmax_attention import SoftmaxAttention, batched_attention, causal_mask, sdpa
from gptkit.nn.tiled_attention import attention_in_tiles

__all__ = [
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
]
