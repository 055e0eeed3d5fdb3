"""`gptkit sample`: text from a trained model."""

from typing import Annotated

import typer

from gptkit.cli import terminal
from gptkit.cli.options import Overrides, PluginFiles, RunDirectory, TrustPlugins


def sample(
    run: RunDirectory,
    prompt: Annotated[
        str | None, typer.Option(help="What to go on from; by default a newline.", show_default=False)
    ] = None,
    tokens: Annotated[int, typer.Option(help="The most tokens to write.")] = 500,
    temperature: Annotated[float, typer.Option(help="Divides the logits; 0 takes the likeliest token.")] = 1.0,
    top_k: Annotated[int | None, typer.Option(help="Draw from this many of the likeliest tokens.")] = None,
    top_p: Annotated[
        float | None, typer.Option(help="Draw from the likeliest tokens that make up this share.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Every draw comes from it.")] = 1337,
    samples: Annotated[int, typer.Option(min=1, help="How many texts to write.")] = 1,
    stop: Annotated[str | None, typer.Option(help="Stop before this text.")] = None,
    overrides: Overrides = None,
    plugins: PluginFiles = None,
    trust_plugins: TrustPlugins = False,
    checkpoint: Annotated[str, typer.Option(help="best, last, or a name such as step-000100.")] = "best",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    cache: Annotated[bool, typer.Option(help="Keep the keys and values of earlier tokens.")] = True,
    compile: Annotated[
        bool, typer.Option("--compile", help="Compile first, up to a minute; the text is the same, and sooner.")
    ] = False,
) -> None:
    """Let the model of a run write on from a prompt.

    When the context is full, its older half is dropped and the rest stands at its start again.
    """
    # Imported here because it needs torch, and `gptkit --help` must not wait for that.
    from torch._dynamo.exc import TorchDynamoException

    from gptkit.api import load
    from gptkit.decoding.compiled_decoder import CompiledDecoder
    from gptkit.decoding.cuda_graph_decoder import CudaGraphDecoder
    from gptkit.decoding.text import default_prompt, stream_text
    from gptkit.errors import GptkitError, UsageError
    from gptkit.tuning.choose_compile import lacking
    from gptkit.tuning.choose_device import choose_device

    try:
        where = choose_device(device).value
    except ValueError as error:
        raise UsageError(f"--device: {error}") from None
    if compile and (lack := lacking(where)):
        raise UsageError(f"--compile: {lack}. To go on without compiling, leave it out")
    if trust_plugins:
        terminal.complain(f"running the plugin files that {run} carries, as you trust them")
    trained = load(
        run,
        checkpoint=checkpoint,
        overrides=overrides or (),
        plugins=plugins or (),
        trust_plugins=trust_plugins,
        device=where,
    )
    fast = CudaGraphDecoder if where.type == "cuda" else CompiledDecoder
    # One for all samples, which is compiled once.
    decoder = fast(trained.model) if compile else None
    begin = default_prompt(trained.tokenizer) if prompt is None else prompt
    for number in range(samples):
        try:
            pieces = stream_text(
                trained.model,
                trained.tokenizer,
                begin,
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
        terminal.write("" if prompt is None else prompt)
        try:
            for piece in pieces:
                terminal.write(piece)
        except ValueError as error:
            raise GptkitError(str(error)) from None
        except (TorchDynamoException, NotImplementedError) as error:
            if not compile:
                raise
            raise GptkitError(f"--compile: this model cannot be compiled here: {error}") from None
        print()
