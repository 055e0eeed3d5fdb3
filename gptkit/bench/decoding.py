"""Writing text: a prompt and new tokens behind it, choosing each and bringing all to the host included."""

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Int
from torch import Tensor

from gptkit.bench import hf_gpt2 as peers
from gptkit.bench.baseline import BASELINE, baseline, copy_weights, is_lectures, plain_model
from gptkit.bench.clock import Contestant, Rounds, interleaved
from gptkit.bench.row import Row, Spread, rows_of
from gptkit.bench.training import OURS
from gptkit.decoding.compiled_decoder import CompiledDecoder
from gptkit.decoding.cuda_graph_decoder import CudaGraphDecoder
from gptkit.interfaces import Dims
from gptkit.model import GPT
from gptkit.nn.eval_mode import evaluating
from gptkit.run.prepare import PreparedRun
from gptkit.seeds import generator
from gptkit.tuning.choose_compile import lacking
from gptkit.tuning.timing import clock

PROMPT_TOKENS, NEW_TOKENS = 16, 240
DRAWN = f"{OURS}, drawn"
COMPILED = f"{OURS}, compiled"
BATCHES = (1, 32)
BATCHES_ON_CUDA = (*BATCHES, 1024)
# Logits nearer than this share of the largest are as good as equal: either token is the likeliest. The models that
# are timed are untrained, and unsure enough for it to happen.
TIE = 1e-4

Write = Callable[[Int[Tensor, "B T"]], Int[Tensor, "B T2"]]


def batches(device: torch.device) -> tuple[int, ...]:
    """Return the numbers of texts to write at once."""
    return BATCHES_ON_CUDA if device.type == "cuda" else BATCHES


def lengths(dims: Dims) -> tuple[int, int]:
    """Return the number of tokens of the prompt and of new ones.

    They fit the context together, because beyond it each program goes on in its own way.
    """
    prompt = min(PROMPT_TOKENS, max(1, dims.block_size // 2))
    return prompt, min(NEW_TOKENS, dims.block_size - prompt)


def time_decoding(prepared: PreparedRun, batch_size: int, rounds: Rounds, *, name: str) -> list[Row]:
    """Return a row for each of those that can write with a model of a recipe's sizes; all but one write greedily.

    No time is reported of text that is not the uncached path's.

    Args:
        name: What the recipe is called.
    """
    device, dims = prepared.device.value, prepared.model.dims
    model = prepared.model.to(device).eval()
    prompt_tokens, new = lengths(dims)
    drawn = torch.randint(dims.vocab_size, (batch_size, prompt_tokens), generator=generator(0, "bench", "prompt"))
    prompt = drawn.to(device)
    writers: dict[str, Write] = {OURS: partial(model.generate, max_new_tokens=new, temperature=0.0)}
    fast = CudaGraphDecoder(model) if device.type == "cuda" else CompiledDecoder(model)
    if not lacking(device):
        writers[COMPILED] = partial(model.generate, max_new_tokens=new, temperature=0.0, decoder=fast)
    writers |= writers_beside(model, new)
    texts, took = {}, {}
    for writer, write in writers.items():
        began = clock(device)
        texts[writer] = write(prompt)
        # Compiled, the first time is most of it compiling.
        if writer != COMPILED:
            took[writer] = clock(device) - began
    is_same = is_lectures(model)
    # With the same weights, the baseline's text is the uncached path's, by another program.
    expected = texts.get(BASELINE) if is_same else None
    if expected is None:
        expected = model.generate(prompt, new, temperature=0.0, use_cache=False)
    held = texts if is_same else {writer: text for writer, text in texts.items() if writer.startswith(OURS)}
    reasons = {writer: disagreement(model, text, expected, prompt_tokens) for writer, text in held.items()}
    wrong = {writer: reason for writer, reason in reasons.items() if reason}
    if OURS not in wrong:
        writers[DRAWN] = partial(model.generate, max_new_tokens=new)
    contestants = [
        Contestant(writer, lambda write=write: write(prompt).cpu(), took=took.get(writer))
        for writer, write in writers.items()
        if writer not in wrong
    ]
    seconds = interleaved(contestants, rounds, device)
    facts = {
        writer: {"tokens/s": batch_size * new / Spread.of(found).median, "same weights": is_same}
        for writer, found in seconds.items()
    }
    group = f"decode {name}, {device} batch {batch_size}, {prompt_tokens} + {new} tokens"
    rows = rows_of(group, seconds, BASELINE, facts)
    return [*rows, *(Row(group, writer, reason=reason) for writer, reason in wrong.items())]


def writers_beside(model: GPT, new: int) -> dict[str, Write]:
    """Return how the baseline and the peer write, each as far as it is installed.

    They have the model's weights, where it is made of the lecture's parts.
    """
    device, is_same = next(model.parameters()).device, is_lectures(model)
    found: dict[str, Write] = {}
    if (program := baseline()) is not None:
        plain = plain_model(program, model.dims)
        if is_same:
            copy_weights(model, plain)
        found[BASELINE] = partial(plain.to(device).eval().generate, max_new_tokens=new, greedy=True)
    if peers.is_installed():
        peer = peers.peer_model(model.dims)
        if is_same:
            peers.copy_weights(model, peer)
        found[peers.PEER] = partial(peers.peer_generate, peer.to(device).eval(), max_new_tokens=new)
    return found


def disagreement(model: GPT, found: Int[Tensor, "B T"], expected: Int[Tensor, "B T2"], prompt_tokens: int) -> str:
    """Return where greedy text is not the uncached path's, or nothing; a tie may end either way.

    Args:
        expected: What the uncached path writes.
    """
    if found.shape != expected.shape:
        return f"it wrote text of shape {tuple(found.shape)}, expected {tuple(expected.shape)}"
    differs = found != expected
    for row in differs.any(dim=1).nonzero().flatten().tolist():
        at = int(differs[row].nonzero()[0])
        with evaluating(model):
            logits = model(expected[row : row + 1, :at][:, -model.dims.block_size :])[0, -1].float()
        theirs, ours = int(found[row, at]), int(expected[row, at])
        gap = float(logits[ours] - logits[theirs])
        if at < prompt_tokens or gap > TIE * float(logits.abs().max()):
            return (
                f"row {row} of its greedy text is not the uncached path's from token {at} on: {theirs}, expected "
                f"{ours}, whose logit is larger by {gap:.3g}"
            )
    return ""
