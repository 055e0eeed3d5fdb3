"""`gptkit run`, from the first line it prints to the last, and everything that it refuses."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.attention_timings import Costs, write_strangers

Gptkit = Callable[..., Any]


def test_run_says_what_it_will_do_then_does_it(gptkit: Gptkit) -> None:
    outcome = gptkit("run", "small.toml", "--out", "mine", "--set", "model.attention=naive")
    assert outcome.code == 0, outcome.err
    for line in (
        r"recipe     small.toml --set model.attention=naive",
        r"plugins    none",
        r"corpus     python_docs: [\d,]+ characters; [\d,]+ tokens to train on, [\d,]+ to validate on",
        r"; vocabulary \d+ \(char\)",
        r"model      1 layers, 2 heads, 8 channels, context 8: [\d,]+ parameters",
        r"device     \w+: ",
        r"dtype      \w+: ",
        r"attention  naive: chosen in --set model.attention=naive",
        r"steps      4 of 32 tokens, evaluated every 2",
        r"to stop    Ctrl\+C",
        r"step      2  loss \d\.\d{4}  [\d,]+ tokens/s  0:00:0\d left",
        r"step      4  train \d\.\d{4}  validation \d\.\d{4} nats  \d\.\d{4} bits per character",
        r"written after step 4:",
        r"best validation loss \d\.\d{4} nats per token, after step [24]; 0:00:\d\d in all",
        r"  gptkit sample mine --prompt",
    ):
        assert re.search(line, outcome.out), f"{line!r} is not in:\n{outcome.out}"
    assert "  best\n" in outcome.out


def test_run_directory_is_named_by_recipe_time_and_hash(gptkit: Gptkit) -> None:
    assert gptkit("run", "small.toml").code == 0
    (made,) = Path("runs").iterdir()
    assert re.fullmatch(r"small-\d{8}-\d{6}-[0-9a-f]{8}", made.name)


def test_commands_to_type_next_work(gptkit: Gptkit) -> None:
    outcome = gptkit("run", "small.toml", "--out", "mine")
    commands = re.findall(r"^  gptkit (.*)$", outcome.out, re.MULTILINE)
    assert len(commands) == 3
    for command in commands:
        words = [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', command)]
        assert gptkit(*words).code == 0


def test_output_has_no_colours_where_it_is_no_terminal(gptkit: Gptkit) -> None:
    assert "\x1b" not in gptkit("run", "small.toml").out


def test_run_of_hours_says_so_before_it_begins(gptkit: Gptkit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gptkit.run.prepare.matmul_rate", lambda device, dtype: 1e-3)
    outcome = gptkit("run", "small.toml")
    assert re.search(r"This will take [\d,]+ hours or more on this device.*`gptkit run gpt_tiny`", outcome.out)
    assert outcome.out.index("This will take") < outcome.out.index("step      2")


def test_interrupt_exits_130_and_says_where_the_run_is(gptkit: Gptkit, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(prepared: object, stop: object, budget: object) -> Iterator[object]:
        Path("mine").mkdir()
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr("gptkit.run.loop.run", interrupted)
    outcome = gptkit("run", "small.toml", "--out", "mine")
    assert outcome.code == 130
    assert outcome.out.endswith("stopped at once. To resume from the last save: gptkit resume mine\n")


PLUGINS = {
    "raises.py": "import gptkit\nraise RuntimeError('out of luck')\n",
    "exits.py": "import sys\nsys.exit(3)\n",
    "syntax.py": "def\n",
    "nothing.py": "x = 1\n",
    "misspelt.py": "import gptkit\n\n@gptkit.hookimpl\ndef gptkit_registre(register):\n    pass\n",
    "taken.py": """
import gptkit
from gptkit.components.norm.rmsnorm import RMSNorm

@gptkit.hookimpl
def gptkit_register(register):
    register("rmsnorm", RMSNorm)
""",
    "misfit.py": """
import gptkit

class Thing:
    pass

@gptkit.hookimpl
def gptkit_register(register):
    register("thing", Thing)
""",
    "kwargs.py": """
import gptkit
from gptkit.components.norm.rmsnorm import RMSNorm

class OpenNorm(RMSNorm):
    def __init__(self, dims, **options):
        super().__init__(dims)

@gptkit.hookimpl
def gptkit_register(register):
    register("open", OpenNorm)
""",
}

PLUGIN_FAULTS = [
    ("missing.py", 2, r"missing.py  plugins  no such plugin file"),
    ("raises.py", 1, r"plugin raises.py \(.*\) does not load: RuntimeError: out of luck \(.*raises.py:2\)"),
    ("exits.py", 1, r"plugin exits.py \(.*\) does not load: SystemExit: 3 \(.*exits.py:2\)"),
    ("syntax.py", 1, r"plugin syntax.py \(.*\) does not load: SyntaxError: invalid syntax \(.*syntax.py:1\)"),
    ("nothing.py", 1, r"does not load: it offers nothing: mark a function gptkit_register\(register\)"),
    ("misspelt.py", 1, r"does not load: unknown hook 'gptkit_registre' in plugin"),
    (
        "taken.py",
        1,
        r"the norm name 'rmsnorm' is taken: gptkit.components.norm.rmsnorm offers .* and taken.py offers",
    ),
    ("misfit.py", 1, r"Thing \(.*misfit.py:4\) inherits 0 of the interfaces, not one"),
    ("kwargs.py", 1, r"OpenNorm \(.*kwargs.py:5\) does not fit Norm: its constructor takes \*\*options"),
]


@pytest.mark.parametrize(("name", "code", "message"), PLUGIN_FAULTS)
def test_faulty_plugin_is_named_and_nothing_is_written(gptkit: Gptkit, name: str, code: int, message: str) -> None:
    if name in PLUGINS:
        Path(name).write_text(PLUGINS[name])
    outcome = gptkit("run", "small.toml", "--plugin", name)
    assert outcome.code == code
    assert re.search(message, outcome.err), outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert not Path("runs").exists()


def write_corpora() -> None:
    Path("empty.txt").touch()
    Path("short.txt").write_text("abcdefgh" * 5)
    Path("latin.txt").write_bytes(b"caf\xe9 " * 100)
    Path("same.txt").write_text("a" * 1000)


DATA_FAULTS = [
    ("nowhere.txt", r"nowhere.txt: no such file, directory or match of a glob"),
    ("empty.txt", r"empty.txt: the file is empty"),
    ("short.txt", r"the validation text is too short: 4 tokens, and a context of 8 \(model.block_size\) needs 9"),
    ("latin.txt", r"latin.txt: not UTF-8: byte 0xe9 at offset 3"),
    ("same.txt", r"the corpus holds only one distinct character, 'a': there is nothing to predict"),
]


@pytest.mark.parametrize(("name", "message"), DATA_FAULTS)
def test_faulty_corpus_exits_3_and_nothing_is_written(gptkit: Gptkit, name: str, message: str) -> None:
    write_corpora()
    outcome = gptkit("run", "small.toml", "--set", "data.corpus.use=text", "--set", f"data.corpus.path={name}")
    assert outcome.code == 3
    assert re.search(message, outcome.err), outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert not Path("runs").exists()


RECIPE_FAULTS = [
    ("model.attention=spda", r"model.attention  no Attention is called 'spda'. Did you mean 'sdpa'\?"),
    ("model.n_embd=9", r"model.n_embd  n_embd = 9 is not divisible by n_head = 2: .* would be 8 or 10"),
    ("model.n_layer=0", r"model.n_layer  takes n_layer: int, found 0: it must be greater than 0"),
    ("model.n_layer=two", r"model.n_layer  takes n_layer: int, found 'two': it must be a valid integer"),
    ("train.bacth_size=2", r"train.bacth_size  unknown key. Did you mean 'batch_size'\?"),
    (
        "model.norm.epz=1",
        r"model.norm.epz  'layernorm' takes eps: float = 1e-05, .*not 'epz'. Did you mean 'eps'\?",
    ),
    ("train.device=tpu", r"train.device  PyTorch knows no device 'tpu'"),
    ("train.dtype=fp16", r"train.dtype  fp16 is trained on CUDA alone"),
    ("nonsense", r"--set nonsense  expected KEY=VALUE"),
]


@pytest.mark.parametrize(("override", "message"), RECIPE_FAULTS)
def test_faulty_recipe_exits_2_and_nothing_is_written(gptkit: Gptkit, override: str, message: str) -> None:
    outcome = gptkit("run", "small.toml", "--set", "train.device=cpu", "--set", override)
    assert outcome.code == 2
    assert re.search(message, outcome.err), outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert not Path("runs").exists()


def test_directory_with_content_is_refused(gptkit: Gptkit) -> None:
    Path("mine").mkdir()
    Path("mine/thesis.txt").write_text("precious")
    outcome = gptkit("run", "small.toml", "--out", "mine")
    assert (outcome.code, outcome.err) == (
        2,
        "mine has something in it: a run starts in a new or an empty directory\n",
    )
    assert [file.name for file in Path("mine").iterdir()] == ["thesis.txt"]


FAILING_PART = """
import gptkit
from gptkit.components.norm.rmsnorm import RMSNorm

class LateNorm(RMSNorm):
    def forward(self, x):
        return x.view(3, 5)

@gptkit.hookimpl
def gptkit_register(register):
    register("late", LateNorm)
"""


def test_part_that_fails_at_work_is_named_before_anything_is_written(gptkit: Gptkit) -> None:
    Path("late.py").write_text(FAILING_PART)
    outcome = gptkit("run", "small.toml", "--plugin", "late.py", "--set", "model.norm=late")
    assert outcome.code == 1
    assert re.match(r"norm 'late' of late.py fails at .*late.py:7: RuntimeError: shape '\[3, 5\]'", outcome.err)
    assert not Path("runs").exists()


def test_time_is_told_of_before_the_first_step_and_kept(gptkit: Gptkit, monkeypatch: pytest.MonkeyPatch) -> None:
    # A sample of 500 tokens takes longer than the budget while other work keeps the machine busy.
    monkeypatch.setattr("gptkit.run.loop.SAMPLE_TOKENS", 4)
    outcome = gptkit("run", "small.toml", "--out", "mine", "--time", "8s", "--set", "train.eval_interval=0")
    assert outcome.code == 0, outcome.err
    for line in (
        r"recipe     small.toml --set train.eval_interval=0 --time 8s",
        r"steps      as many as fit of 32 tokens",
        r"time       0:00:08 in all, \d\.\d s already spent on setup and measuring",
        r"a step     [\d.e-]+ s, the mean of [\d,]+ trial steps, which were discarded",
        r"besides    evaluation \d+\.\d\d s, sample \d+\.\d\d s, final save and plot \d+\.\d\d s: "
        r"\d+\.\d s in all, \d+% of the time",
        r"so         [\d,]+ steps fit; their number is adjusted to the machine's speed\n",
        r"best validation loss .*; 0:00:(0\d|1\d) in all",
    ):
        assert re.search(line, outcome.out), f"{line!r} is not in:\n{outcome.out}"
    assert outcome.out.index("steps fit") < outcome.out.index("step      2")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--time", "3"], r"--time 3: expected a duration with its units, such as 90s, 3m or 1h30m\n"),
        (["--time", "0.01s"], r"--time of 0\.01 s is too short for one step: .* Expected at least: --time \d+s\n"),
        (
            ["--time", "9s", "--set", "train.max_iters=5"],
            r"--time and --set train.max_iters=5: both say how many .*\n",
        ),
    ],
)
def test_time_that_cannot_be_kept_is_refused_and_nothing_is_written(
    gptkit: Gptkit, arguments: list[str], message: str
) -> None:
    outcome = gptkit("run", "small.toml", *arguments)
    assert outcome.code == 2
    assert re.fullmatch(message, outcome.err), outcome.err
    assert [path.name for path in Path().iterdir()] == ["small.toml"]


def test_time_that_is_up_too_early_is_told_of_and_exits_6(gptkit: Gptkit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gptkit.run.time_pace.TimeController.is_up", property(lambda self: self.taken == 2))
    outcome = gptkit("run", "small.toml", "--out", "mine", "--time", "60s", "--set", "train.schedule=cosine")
    assert outcome.code == 6
    assert re.search(
        r"the time is up, with [\d,]+ of [\d,]+ steps not taken: the machine stood still for longer than the rest "
        r"of the run\nstopped after step 2 and saved. To resume: gptkit",
        outcome.out,
    )


def test_the_table_that_auto_chose_from_is_printed_before_the_first_step(
    gptkit: Gptkit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GPTKIT_CACHE", str(tmp_path / "cache"))
    Costs(monkeypatch, {"fused": 0.003, "naive": 0.002, "sdpa": 0.005, "tiled": 0.009})
    plugin = str(write_strangers(tmp_path, "wrong"))
    auto = ("small.toml", "--plugin", plugin, "--set", "model.attention=auto")
    first = gptkit("run", *auto, "--out", "mine")
    assert first.code == 0, first.err
    table = (
        r"attention  naive: the fastest here, for auto in --set model\.attention=auto\n"
        r"  model\.attention: one pass forward and backward, 4 of 4 rows, .*, which all share; measured now\n"
        r"    naive       2\.000 ms  1\.00×   [\d.]+ MB kept\n"
        r"    fused       3\.000 ms  1\.50×   [\d.]+ MB kept\n"
        r"    sdpa        5\.000 ms  2\.50×   [\d.]+ MB kept\n"
        r"    tiled       9\.000 ms  4\.50×   [\d.]+ MB kept\n"
        r"    wrong  not chosen: output is off by .*\n"
        r"steps  "
    )
    assert re.search(table, first.out), first.out
    assert first.out.index("not chosen") < first.out.index("step      2")
    again = gptkit("run", *auto, "--out", "again").out
    kept = r"; measured on \d{4}-\d\d-\d\d and kept in .*\.json\n"
    assert re.search(table.replace(r"; measured now\n", kept), again), again
    assert "one pass" not in gptkit("run", "mine/resolved.toml", "--trust-plugins", "--out", "third").out


def test_two_tables_are_told_by_their_keys(
    gptkit: Gptkit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GPTKIT_CACHE", str(tmp_path / "cache"))
    Costs(monkeypatch, {"fused": 0.003, "naive": 0.002, "sdpa": 0.005, "tiled": 0.009})
    recipe = Path("small.toml").read_text().replace("n_layer = 1", 'n_layer = 3\nattention = "auto"')
    layers = (
        '\n[[model.layer]]\nat = [0]\nattention = "auto"\n[[model.layer]]\nat = [1]\nattention.qkv_bias = true\n'
    )
    Path("small.toml").write_text(recipe + layers)
    told = gptkit("run", "small.toml").out
    assert "\n  model.attention, model.layer[0].attention: one pass" in told
    assert "\n  model.layer[1].attention: one pass" in told
