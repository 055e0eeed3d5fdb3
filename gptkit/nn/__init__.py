"""What parts are made of: layers, dropout, the key/value cache, the bases of attentions and feed-forwards.

Imports `interfaces` and torch; knows no recipe and no registry. Plugin authors may import every name in `__all__`.
"""

from gptkit.nn.dropout import Dropout
from gptkit.nn.feed_forward import TwoLayerFeedForward
from gptkit.nn.kv_cache import KVCache
from gptkit.nn.layers import Embedding, Linear
from gptkit.nn.softmax_attention import SoftmaxAttention, batched_attention, causal_mask, sdpa

__all__ = [
    "Dropout",
    "Embedding",
    "KVCache",
    "Linear",
    "SoftmaxAttention",
    "TwoLayerFeedForward",
    "batched_attention",
    "causal_mask",
    "sdpa",
]
