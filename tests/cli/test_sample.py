"""`gptkit sample`: the same text however it is computed, and every refusal."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gptkit.run.loop import run
from gptkit.run.prepare import prepare
from tests.cli.conftest import SMALL
from tests.program import run_program

Gptkit = Callable[..., Any]


@pytest.fixture(scope="module")
def run_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run that tests only copy."""
    recipe = tmp_path_factory.mktemp("trained") / "small.toml"
    recipe.write_text(SMALL)
    prepared = prepare(recipe, out=recipe.with_name("mine"))
    assert list(run(prepared))
    return recipe.with_name("mine")


@pytest.fixture
def trained(gptkit: Gptkit, run_directory: Path) -> str:
    shutil.copytree(run_directory, "mine")
    return "mine"


@pytest.mark.parametrize("attention", ["naive", "fused", "sdpa", "tiled"])
@pytest.mark.parametrize("cache", ["--cache", "--no-cache"])
def test_greedy_text_does_not_depend_on_how_it_is_computed(
    gptkit: Gptkit, trained: str, attention: str, cache: str
) -> None:
    greedy = ["sample", trained, "--prompt", "The ", "--temperature", "0", "--tokens", "40"]
    expected = gptkit(*greedy)
    assert len(expected.out) == len("The ") + 40 + 1
    assert gptkit(*greedy, "--set", f"model.attention={attention}", cache).out == expected.out


def test_compile_and_no_cache_contradict_each_other(gptkit: Gptkit, trained: str) -> None:
    outcome = gptkit("sample", trained, "--compile", "--no-cache")
    assert (outcome.code, outcome.out) == (2, "")
    assert re.search(r"leave out one of the two", outcome.err)


@pytest.mark.exhaustive
def test_compiled_text_is_the_same(gptkit: Gptkit, trained: str) -> None:
    # In a process of its own, because what PyTorch uses of itself there is deprecated, which is an error in tests.
    command = ["sample", str(Path(trained).resolve()), "--tokens", "40", "--samples", "2", "--device", "cpu"]
    expected = gptkit(*command).out
    program = f"from gptkit.cli import main; import sys; sys.argv[1:] = {[*command, '--compile']!r}; main()"
    assert run_program(program) == expected


def test_a_model_that_cannot_be_compiled_is_told(
    gptkit: Gptkit, trained: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("no such kernel")

    monkeypatch.setattr("torch._inductor.standalone_compile", refuse)
    outcome = gptkit("sample", trained, "--compile", "--tokens", "3", "--device", "cpu")
    assert outcome.code == 1
    assert outcome.err == (
        "--compile: this model cannot be compiled here: compiling the pass of one token failed: "
        "RuntimeError: no such kernel\n"
    )


def test_without_a_compiler_it_says_what_is_missing(
    gptkit: Gptkit, trained: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gptkit.tuning.machine.lacking", lambda device: "there is no compiler")
    outcome = gptkit("sample", trained, "--compile", "--device", "cpu")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == "--compile: there is no compiler. To sample without compiling, leave it out\n"


def test_samples_do_not_depend_on_how_many_there_are(gptkit: Gptkit, trained: str) -> None:
    one = gptkit("sample", trained, "--prompt", "a", "--tokens", "9")
    two = gptkit("sample", trained, "--prompt", "a", "--tokens", "9", "--samples", "2")
    assert two.out.startswith(f"--- sample 1 of 2 ---\n{one.out}--- sample 2 of 2 ---\n")
    assert two.out.count(one.out) == 1


def test_seed_decides_the_text(gptkit: Gptkit, trained: str) -> None:
    texts = [gptkit("sample", trained, "--tokens", "30", "--seed", seed).out for seed in ("1", "1", "2")]
    assert texts[0] == texts[1] != texts[2]


def test_stop_ends_the_text_before_it(gptkit: Gptkit, trained: str) -> None:
    whole = gptkit("sample", trained, "--prompt", "a", "--tokens", "40").out[:-1]
    cut = gptkit("sample", trained, "--prompt", "a", "--tokens", "40", "--stop", whole[10:13]).out[:-1]
    assert cut == whole[: whole.index(whole[10:13], 1)]


REFUSALS = [
    (["--prompt", "日"], 2, r"character '日' at position 0 is not in the vocabulary of \d+ characters: '\\n !"),
    (["--prompt", ""], 2, r"the prompt is empty"),
    (["--temperature", "-1"], 2, r"temperature must be 0 or more and finite, found -1.0"),
    (["--top-k", "0"], 2, r"top_k must be 1 or more, found 0"),
    (["--top-p", "1.5"], 2, r"top_p must be above 0 and at most 1, found 1.5"),
    (["--tokens", "-1"], 2, r"the number of tokens must be 0 or more, found -1"),
    (["--stop", ""], 2, r"the text to stop at is empty"),
    (["--device", "tpu"], 2, r"--device: PyTorch knows no device 'tpu'"),
    (["--checkpoint", "worst"], 4, r"mine has no checkpoint 'worst'"),
    (["--set", "model.attention=spda"], 2, r"no Attention is called 'spda'"),
    (["--set", "model.n_embd=16"], 4, r"model.safetensors does not fit the model"),
]


@pytest.mark.parametrize(("arguments", "code", "message"), REFUSALS)
def test_refusals(gptkit: Gptkit, trained: str, arguments: list[str], code: int, message: str) -> None:
    outcome = gptkit("sample", trained, *arguments)
    assert outcome.code == code
    assert re.search(message, outcome.err), outcome.err
    assert outcome.out == ""


def test_what_is_no_run_directory_exits_4(gptkit: Gptkit) -> None:
    Path("thing").mkdir()
    assert gptkit("sample", "nowhere").err == "nowhere: no such run directory\n"
    outcome = gptkit("sample", "thing")
    assert (outcome.code, outcome.err) == (4, "thing is not a run directory: it has no resolved.toml\n")
