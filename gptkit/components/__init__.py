"""The built-in parts: one file each, one folder for each interface. Every file is a plugin like any other."""

# By name, not by looking into the folders: what is offered is what is written here.
BUILT_INS = (
    "gptkit.components.attention.naive",
    "gptkit.components.attention.fused",
    "gptkit.components.attention.sdpa",
    "gptkit.components.feed_forward.relu",
    "gptkit.components.feed_forward.gelu",
    "gptkit.components.feed_forward.swiglu",
    "gptkit.components.feed_forward.relu2",
    "gptkit.components.norm.layernorm",
    "gptkit.components.norm.rmsnorm",
    "gptkit.components.position.learned",
    "gptkit.components.position.sinusoidal",
    "gptkit.components.position.rope",
    "gptkit.components.position.none",
    "gptkit.components.block.pre_norm",
    "gptkit.components.tokenizer.char",
    "gptkit.components.tokenizer.byte",
    "gptkit.components.corpus.text",
    "gptkit.components.corpus.tiny_shakespeare",
    "gptkit.components.corpus.python_docs",
    "gptkit.components.optimizer.adamw",
    "gptkit.components.optimizer.muon",
    "gptkit.components.schedule.constant",
    "gptkit.components.schedule.cosine",
    "gptkit.components.schedule.wsd",
)
