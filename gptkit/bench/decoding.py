"""Times generation: prefill, one new token after another, and copying the text to the host."""

from collections.abc import Callable, Mapping
from functools import partial

import torch
from jaxtyping import Int
from torch import Tensor

from gptkit.bench import hf_gpt2
from gptkit.bench.baseline import BASELINE, baseline, copy_weights, has_lecture_parts, plain_model
from gptkit.bench.clock import Rounds, TimedCall, time_interleaved
from gptkit.bench.result import BenchResult, Details, Spread, results_of
from gptkit.bench.training import GPTKIT
from gptkit.decoding.compiled_decoder import CompiledDecoder
from gptkit.decoding.cuda_graph_decoder import CudaGraphDecoder
from gptkit.interfaces import Dims
from gptkit.model import GPT
from gptkit.nn.eval_mode import evaluating
from gptkit.run.prepare import PreparedRun
from gptkit.seeds import generator
from gptkit.tuning.machine import lacking
from gptkit.tuning.timing import clock

PROMPT_TOKENS, NEW_TOKENS = 16, 240
DRAWN = f"{GPTKIT}, drawn"
COMPILED = f"{GPTKIT}, compiled"
BATCHES = (1, 32)
BATCHES_ON_CUDA = (*BATCHES, 1024)
# Logits that differ by less than this share of the largest are a tie, and either token may be chosen. Ties happen,
# because the timed models are untrained.
TIE = 1e-4

Tokens = Int[Tensor, "B T"]
Write = Callable[[Tokens], Int[Tensor, "B T2"]]


def batches(device: torch.device) -> tuple[int, ...]:
    """Return the batch sizes at which decoding is timed."""
    return BATCHES_ON_CUDA if device.type == "cuda" else BATCHES


def lengths(dims: Dims) -> tuple[int, int]:
    """Return the number of prompt tokens and of new tokens.

    Together they fit the context, because the programs differ in what they do beyond it.
    """
    prompt = min(PROMPT_TOKENS, max(1, dims.block_size // 2))
    return prompt, min(NEW_TOKENS, dims.block_size - prompt)


def time_decoding(prepared: PreparedRun, batch_size: int, rounds: Rounds, *, name: str) -> list[BenchResult]:
    """Return a result for each program that can run a model of a recipe's sizes; all but one decode greedily.

    A program gets no time if its text is not that of the uncached path.

    Args:
        name: Name of the recipe.
    """
    device = prepared.device.value
    model = prepared.model.to(device).eval()
    prompt_tokens, new_tokens = lengths(model.dims)
    prompt = draw_prompt(model.dims, batch_size, prompt_tokens).to(device)
    writers = greedy_writers(model, new_tokens)
    texts, seconds_once = write_once(writers, prompt)
    wrong = reasons_against(model, texts, prompt, new_tokens)
    if GPTKIT not in wrong:
        writers[DRAWN] = partial(model.generate, max_new_tokens=new_tokens)
    calls = [
        TimedCall(writer, lambda write=write: write(prompt).cpu(), earlier_seconds=seconds_once.get(writer))
        for writer, write in writers.items()
        if writer not in wrong
    ]
    timings = time_interleaved(calls, rounds, device)
    same_weights = has_lecture_parts(model)
    details = {
        writer: Details(
            tokens_per_second=batch_size * new_tokens / Spread.of(own).median, same_weights=same_weights
        )
        for writer, own in timings.seconds.items()
    }
    group = f"decode {name}, {device} batch {batch_size}, {prompt_tokens} + {new_tokens} tokens"
    results = results_of(group, timings, BASELINE, details)
    return [*results, *(BenchResult(group, writer, reason=reason) for writer, reason in wrong.items())]


def draw_prompt(dims: Dims, batch_size: int, length: int) -> Tokens:
    """Return prompts of random tokens, on the CPU."""
    return torch.randint(dims.vocab_size, (batch_size, length), generator=generator(0, "bench", "prompt"))


def greedy_writers(model: GPT, new_tokens: int) -> dict[str, Write]:
    """Return how each program decodes greedily: gptkit, gptkit compiled where possible, and the references."""
    device = next(model.parameters()).device
    write = partial(model.generate, max_new_tokens=new_tokens, temperature=0.0)
    writers: dict[str, Write] = {GPTKIT: write}
    if not lacking(device):
        decoder = CudaGraphDecoder(model) if device.type == "cuda" else CompiledDecoder(model)
        writers[COMPILED] = partial(write, decoder=decoder)
    return writers | reference_writers(model, new_tokens)


def reference_writers(model: GPT, new_tokens: int) -> dict[str, Write]:
    """Return how the baseline and transformers' GPT-2 decode greedily, as far as they are installed.

    They get the model's weights if it is made of the lecture's parts.
    """
    device, same_weights = next(model.parameters()).device, has_lecture_parts(model)
    writers: dict[str, Write] = {}
    if (program := baseline()) is not None:
        plain = plain_model(program, model.dims)
        if same_weights:
            copy_weights(model, plain)
        writers[BASELINE] = partial(plain.to(device).eval().generate, max_new_tokens=new_tokens, greedy=True)
    if hf_gpt2.is_installed():
        gpt2 = hf_gpt2.build(model.dims)
        if same_weights:
            hf_gpt2.copy_weights(model, gpt2)
        writers[hf_gpt2.NAME] = partial(hf_gpt2.generate, gpt2.to(device).eval(), max_new_tokens=new_tokens)
    return writers


def write_once(writers: Mapping[str, Write], prompt: Tokens) -> tuple[dict[str, Tensor], dict[str, float]]:
    """Return each program's text, and the seconds it took; of the compiled one none, because it was compiling."""
    texts, seconds = {}, {}
    for writer, write in writers.items():
        began = clock(prompt.device)
        texts[writer] = write(prompt)
        if writer != COMPILED:
            seconds[writer] = clock(prompt.device) - began
    return texts, seconds


def reasons_against(model: GPT, texts: Mapping[str, Tensor], prompt: Tokens, new_tokens: int) -> dict[str, str]:
    """Return why a greedy text is wrong, by program; the right ones are left out."""
    # With the same weights, the baseline's text is that of the uncached path, by an independent program.
    expected = texts.get(BASELINE) if has_lecture_parts(model) else None
    if expected is None:
        expected = model.generate(prompt, new_tokens, temperature=0.0, use_cache=False)
    # Programs with other weights write another text.
    comparable = [writer for writer in texts if has_lecture_parts(model) or writer.startswith(GPTKIT)]
    reasons = {writer: disagreement(model, texts[writer], expected, prompt.shape[1]) for writer in comparable}
    return {writer: reason for writer, reason in reasons.items() if reason}


def disagreement(model: GPT, text: Tokens, expected: Int[Tensor, "B T2"], prompt_tokens: int) -> str:
    """Return where a greedy text differs from the expected one, or an empty string; a tie may end either way.

    Args:
        expected: The text of the uncached path.
    """
    if text.shape != expected.shape:
        return f"it wrote text of shape {tuple(text.shape)}, expected {tuple(expected.shape)}"
    differs = text != expected
    for row in differs.any(dim=1).nonzero().flatten().tolist():
        at = int(differs[row].nonzero()[0])
        with evaluating(model):
            logits = model(expected[row : row + 1, :at][:, -model.dims.block_size :])[0, -1].float()
        theirs, ours = int(text[row, at]), int(expected[row, at])
        gap = float(logits[ours] - logits[theirs])
        if at < prompt_tokens or gap > TIE * float(logits.abs().max()):
            return (
                f"row {row} of its greedy text is not the uncached path's from token {at} on: {theirs}, expected "
                f"{ours}, whose logit is larger by {gap:.3g}"
            )
    return ""
