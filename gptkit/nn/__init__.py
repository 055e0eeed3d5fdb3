"""What parts are built from: layers, dropout, the key/value cache, base classes and shared attention kernels.

Imports `interfaces` and torch; knows no recipe and no registry. Plugin authors may import every name in `__all__`.
"""

from gptkit.interfaces import BlockParts
from gptkit.nn.dropout import Dropout
from gptkit.nn.feed_forward import TwoLayerFeedForward
from gptkit.nn.kv_cache import KVCache
from gptkit.nn.layers import Embedding, Linear
from gptkit.nn.softmax_attention import SoftmaxAttention, batched_attention, causal_mask, sdpa
from gptkit.nn.tiled_attention import attention_in_tiles

__all__ = [
    "BlockParts",
    "Dropout",
    "Embedding",
    "KVCache",
    "Linear",
    "SoftmaxAttention",
    "TwoLayerFeedForward",
    "attention_in_tiles",
    "batched_attention",
    "causal_mask",
    "sdpa",
]
