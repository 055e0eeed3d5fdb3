"""`gptkit bench`: a table for people, a picture, a file for programs, and no time for what is wrong."""

import json
import re
from pathlib import Path

import pytest

from gptkit.bench import baseline as baselines
from gptkit.bench.baseline import baseline
from gptkit.bench.contexts import EarlyEnd, Failed, TooLarge, TooSlow
from gptkit.cli.bench_report import format_early_end
from gptkit.tuning.matmul_rate import matmul_peak
from tests.cli.conftest import Gptkit

BROKEN = """
import gptkit
from gptkit.components.attention.sdpa import SdpaAttention

class Unscaled(SdpaAttention):
    def attend(self, q, k, v, attn_mask=None):
        return super().attend(2 * q, k, v, attn_mask)

@gptkit.hookimpl
def gptkit_register(register):
    register("unscaled", Unscaled)
"""
QUICK = ("bench", "small.toml", "--repeats", "1")


@pytest.fixture(autouse=True)
def nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what is compiled: the shape checker that tests run under cannot be compiled."""
    monkeypatch.setattr("gptkit.bench.decoding.lacking", lambda device: "the checker cannot be compiled")


@pytest.fixture(autouse=True)
def in_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure little, on small products and short contexts, and leave transformers' GPT-2 out."""
    monkeypatch.setattr("gptkit.cli.bench.AT_LEAST", 0.0)
    monkeypatch.setattr("gptkit.bench.contexts.LAST_ELSEWHERE", 128)
    monkeypatch.setattr("gptkit.tuning.matmul_rate.PRODUCTS", ((256, 256, 256),))
    monkeypatch.setattr("gptkit.bench.decoding.BATCHES", (2,))
    monkeypatch.setattr("gptkit.bench.workload.CHARACTERS", 2000)
    monkeypatch.setattr("gptkit.bench.hf_gpt2.is_installed", lambda: False)
    matmul_peak.cache_clear()


def test_it_prints_a_table_draws_a_picture_and_writes_a_file(gptkit: Gptkit, tmp_path: Path) -> None:
    outcome = gptkit(*QUICK, "--only", "attention,train,decode", "--out", "a.png", "--json", "a.json")
    assert (outcome.code, outcome.err) == (0, "")
    groups = [
        "attend forward, cpu float32 4x2x8x4",
        "attend backward, cpu float32 4x2x8x4",
        "attend forward and backward, cpu float32 4x2x8x4",
        "attend forward and backward, cpu float32 1x2x128x4",
        "train step small, cpu 4x8",
        "decode small, cpu batch 2, 4 + 4 tokens",
    ]
    assert re.findall(r"^(?:attend|train|decode) .*", outcome.out, re.M) == groups
    assert re.search(r"^attention  \w+: (?:the default|chosen in .+)$", outcome.out, re.M)
    time = r" +[\d.]+ (?:s|ms|µs) \(\S+ \S+–\S+ \S+\)"
    ratio = r" +[\d.]+ \([\d.]+–[\d.]+\) times as fast as"
    row = rf"^  sdpa{time}{ratio} naive  [\d.,]+ GFLOP/s, \d+% of the peak  [\d.]+ MB"
    assert len(re.findall(f"{row}$", outcome.out, re.M)) == 2
    assert len(re.findall(rf"{row}  [\d.]+ MB kept$", outcome.out, re.M)) == 2
    assert re.search(rf"^  gptkit{time}{ratio} plain  [\d,]+ tokens/s  fp32$", outcome.out, re.M)
    assert re.search(rf"^  plain{time}  +[\d,]+ tokens/s$", outcome.out, re.M)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    rows = json.loads((tmp_path / "a.json").read_text())
    assert list(dict.fromkeys(row["group"] for row in rows)) == groups
    assert all(len(row["seconds"]) == 1 and row["reason"] == "" for row in rows)


def test_an_attention_that_is_wrong_has_its_reason_in_the_place_of_a_time(gptkit: Gptkit, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(BROKEN)
    outcome = gptkit(*QUICK, "--only", "attention", "--plugin", "broken.py", "--json", "a.json")
    assert outcome.code == 1
    told = re.findall(r"^  unscaled +(.*)", outcome.out, re.M)
    assert len(told) == 3
    assert all(each.startswith("not timed: output is off by ") for each in told)
    assert "\nunscaled: stopped at a context of 128: output is off by " in outcome.out
    assert outcome.out.endswith("\nnot everything is correct: what has no time has a reason\n")
    assert "sdpa" in outcome.out
    assert (tmp_path / "bench.png").is_file()
    wrong = [row for row in json.loads((tmp_path / "a.json").read_text()) if row["name"] == "unscaled"]
    assert [row["seconds"] for row in wrong] == [[], [], []]


def test_an_attention_without_attend_is_timed_whole(gptkit: Gptkit) -> None:
    file = Path(__file__).parents[2] / "plugins" / "sliding_window.py"
    outcome = gptkit(*QUICK, "--only", "attention", "--plugin", str(file))
    assert outcome.code == 0
    assert len(re.findall(r"^whole .*, cpu float32 4x2x8x4$", outcome.out, re.M)) == 3
    assert len(re.findall(r"^  sliding_window ", outcome.out, re.M)) == 3


def test_it_says_so_where_there_is_no_baseline_and_no_gpt2(
    gptkit: Gptkit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(baselines, "FILES", (tmp_path / "plain_gpt.py",))
    baseline.cache_clear()
    outcome = gptkit(*QUICK, "--only", "train,decode")
    baseline.cache_clear()
    assert outcome.code == 0
    assert f"none, so no ratios: there is no {tmp_path / 'plain_gpt.py'}\n" in outcome.out
    assert "none: transformers is not installed (pip install 'gptkit[bench]')\n" in outcome.out
    assert "times as fast as" not in outcome.out.partition("dtype")[2].partition("\n")[2]
    assert "  plain" not in outcome.out
    assert not (tmp_path / "bench.png").exists()


def test_the_first_step_of_a_run_is_a_line_that_the_start_can_wait_for(gptkit: Gptkit) -> None:
    from gptkit.bench.startup import STEP

    outcome = gptkit("run", "small.toml", "--set", "train.max_iters=1", "--out", "run")
    lines = [line for line in outcome.out.splitlines() if line.startswith(STEP)]
    assert re.match(r"step +1  loss ", lines[0])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ("--only", "train,decoed"),
            "--only train,decoed: 'decoed' cannot be timed. Did you mean 'decode'? "
            "Known: attention, train, decode, startup.\n",
        ),
        (("--repeats", "0"), "--repeats must be 1 or more, found 0\n"),
        (("--out", "none/a.png"), "--out none/a.png: there is no directory none\n"),
        (("--out", "."), "--out .: that is a directory, expected a file's name\n"),
        (("--json", "none/a.json"), "--json none/a.json: there is no directory none\n"),
        (
            ("--only", "train", "--out", "a.png"),
            "--out a.png: the plot shows the attentions, which --only train leaves out\n",
        ),
        (("--plugin", "none.py"), "none.py  plugins  no such plugin file\n"),
        (("--set", "model.attention=spda"), "no Attention is called 'spda'. Did you mean 'sdpa'?"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_timed(
    gptkit: Gptkit, arguments: tuple[str, ...], told: str
) -> None:
    outcome = gptkit("bench", "small.toml", *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert told in outcome.err


def test_a_recipe_that_is_not_there(gptkit: Gptkit) -> None:
    outcome = gptkit("bench", "none.toml")
    assert (outcome.code, outcome.err) == (2, "recipe  no such file: none.toml\n")


@pytest.mark.parametrize(
    ("end", "told"),
    [
        (
            TooSlow(1024, 40.0, 20.0),
            "stopped before a context of 1,024: a pass could take 40 s, and 20 s is the limit",
        ),
        (
            TooLarge(1024, 3 * 2**30, 2**30),
            "stopped before a context of 1,024: a pass could need 3 GB, and 1 GB are free",
        ),
        (Failed(1024, "off by 1", is_wrong=True), "stopped at a context of 1,024: off by 1"),
    ],
)
def test_why_a_curve_ends_early_is_told(end: EarlyEnd, told: str) -> None:
    assert format_early_end(end) == told
