"""The built-in parts: a folder for each interface, a file for each part. Every file is a plugin like any other.

Imports only what plugins may: `interfaces`, `nn`, `optim`, `data`, `hookspecs`, `errors`; never another component.
`import X as X` tells type checkers that X is exported.
"""

from gptkit.components.attention.fused import FusedAttention as FusedAttention
from gptkit.components.attention.naive import NaiveAttention as NaiveAttention
from gptkit.components.attention.sdpa import SdpaAttention as SdpaAttention
from gptkit.components.attention.tiled import TiledAttention as TiledAttention
from gptkit.components.block.pre_norm import PreNormBlock as PreNormBlock
from gptkit.components.corpus.python_docs import PythonDocsCorpus as PythonDocsCorpus
from gptkit.components.corpus.text import TextCorpus as TextCorpus
from gptkit.components.corpus.tiny_shakespeare import TinyShakespeareCorpus as TinyShakespeareCorpus
from gptkit.components.feed_forward.gelu import GeluFeedForward as GeluFeedForward
from gptkit.components.feed_forward.relu import ReluFeedForward as ReluFeedForward
from gptkit.components.feed_forward.relu2 import Relu2FeedForward as Relu2FeedForward
from gptkit.components.feed_forward.swiglu import SwigluFeedForward as SwigluFeedForward
from gptkit.components.norm.layernorm import LayerNorm as LayerNorm
from gptkit.components.norm.rmsnorm import RMSNorm as RMSNorm
from gptkit.components.optimizer.adamw import AdamWOptimizer as AdamWOptimizer
from gptkit.components.optimizer.muon import MuonOptimizer as MuonOptimizer
from gptkit.components.position.learned import LearnedPosition as LearnedPosition
from gptkit.components.position.none import NoPosition as NoPosition
from gptkit.components.position.rope import RopePosition as RopePosition
from gptkit.components.position.sinusoidal import SinusoidalPosition as SinusoidalPosition
from gptkit.components.schedule.constant import ConstantSchedule as ConstantSchedule
from gptkit.components.schedule.cosine import CosineSchedule as CosineSchedule
from gptkit.components.schedule.wsd import WsdSchedule as WsdSchedule
from gptkit.components.tokenizer.byte import ByteTokenizer as ByteTokenizer
from gptkit.components.tokenizer.char import CharTokenizer as CharTokenizer

__all__ = [name for name in sorted(globals()) if isinstance(globals()[name], type)]
