"""`gptkit sample`: prints text from a trained model."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from gptkit.cli import terminal
from gptkit.cli.options import Overrides, PluginFiles, RunDirectory, TrustPlugins
from gptkit.errors import GptkitError, UsageError

if TYPE_CHECKING:
    import torch


def sample(
    run: RunDirectory,
    prompt: Annotated[
        str | None, typer.Option(help="Text to continue; by default a newline.", show_default=False)
    ] = None,
    tokens: Annotated[int, typer.Option(help="Maximum number of new tokens.")] = 500,
    temperature: Annotated[float, typer.Option(help="Divides the logits; 0 picks the likeliest token.")] = 1.0,
    top_k: Annotated[int | None, typer.Option(help="Draw only from this many of the likeliest tokens.")] = None,
    top_p: Annotated[
        float | None, typer.Option(help="Draw only from the likeliest tokens that have this total probability.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of all draws.")] = 1337,
    samples: Annotated[int, typer.Option(min=1, help="Number of texts.")] = 1,
    stop: Annotated[str | None, typer.Option(help="Stop before this text.")] = None,
    overrides: Overrides = None,
    plugins: PluginFiles = None,
    trust_plugins: TrustPlugins = False,
    checkpoint: Annotated[str, typer.Option(help="best, last, or a name such as step-000100.")] = "best",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    cache: Annotated[bool, typer.Option(help="Keep the keys and values of earlier tokens.")] = True,
    compile: Annotated[
        bool, typer.Option("--compile", help="Compile first, which takes up to a minute: the same text, faster.")
    ] = False,
) -> None:
    """Print text from the trained model of a run.

    When the context is full, the older half is dropped and the newer half moves to the start.
    """
    from gptkit.api import load
    from gptkit.decoding.compiled_decoder import CompiledDecoder
    from gptkit.decoding.cuda_graph_decoder import CudaGraphDecoder
    from gptkit.decoding.text import default_prompt, stream_text

    target = find_device(device, compile=compile)
    if trust_plugins:
        terminal.print_error(f"running the plugin files that {run} carries, because of --trust-plugins")
    trained = load(
        run,
        checkpoint=checkpoint,
        overrides=overrides or (),
        plugins=plugins or (),
        trust_plugins=trust_plugins,
        device=target,
    )
    fastest = CudaGraphDecoder if target.type == "cuda" else CompiledDecoder
    # One decoder for all samples, so that it compiles once.
    decoder = fastest(trained.model) if compile else None
    for number in range(samples):
        try:
            pieces = stream_text(
                trained.model,
                trained.tokenizer,
                default_prompt(trained.tokenizer) if prompt is None else prompt,
                tokens,
                seed=seed,
                sample_index=number,
                temperature=temperature,
                top_k=top_k,
                top_p=top_p,
                stop=stop,
                use_cache=cache,
                decoder=decoder,
            )
        except ValueError as error:
            raise UsageError(str(error)) from None
        if samples > 1:
            print(f"--- sample {number + 1} of {samples} ---")
        terminal.print_text(prompt or "")
        print_pieces(pieces, is_compiled=compile)


def find_device(name: str, *, compile: bool) -> "torch.device":
    """Return the device to sample on.

    Raises:
        UsageError: If there is no such device, or nothing to compile for it with.
    """
    from gptkit.tuning.machine import choose_device, lacking

    try:
        device = choose_device(name).value
    except ValueError as error:
        raise UsageError(f"--device: {error}") from None
    if compile and (lack := lacking(device)):
        raise UsageError(f"--compile: {lack}. To sample without compiling, leave it out")
    return device


def print_pieces(pieces: Iterator[str], *, is_compiled: bool) -> None:
    """Print a text as it is generated.

    Raises:
        GptkitError: If the logits are not numbers, or the model cannot be compiled.
    """
    from torch._dynamo.exc import TorchDynamoException

    try:
        for piece in pieces:
            terminal.print_text(piece)
    except ValueError as error:
        raise GptkitError(str(error)) from None
    except (TorchDynamoException, NotImplementedError) as error:
        if not is_compiled:
            raise
        raise GptkitError(f"--compile: this model cannot be compiled here: {error}") from None
    print()
