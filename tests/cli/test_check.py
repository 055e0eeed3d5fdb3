"""`gptkit check`: reports what a plugin can do wrong as the plugin's fault, and still checks the rest."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from gptkit.cli.check import recipe_or_part
from tests.cli.conftest import Gptkit, Outcome

ROOT = Path(__file__).parents[2]
RELU = ("relu", "--only", "is_finite")
HEAD = """
import torch
import gptkit
from gptkit.interfaces import FeedForward, Norm
from gptkit.nn import Linear
from gptkit.components.feed_forward.relu import ReluFeedForward
from gptkit.components.norm.layernorm import LayerNorm

"""
HOOK = """

class Good(LayerNorm):
    \"\"\"As right as its parent.\"\"\"


@gptkit.hookimpl
def gptkit_register(register):
    register("mine", Mine)
    register("good", Good)
"""
Written = Callable[[str], Path]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """Return a function that writes a plugin file which offers `mine`, and `good`, which nothing is wrong with."""

    def write(body: str) -> Path:
        file = tmp_path / "mine.py"
        file.write_text(HEAD + body + HOOK, encoding="utf-8")
        return file

    return write


def row(outcome: Outcome, check: str) -> str:
    """Return what the table says of the first part's check, in one line."""
    found = re.findall(
        rf"^ +(?:held|broken|expected|not run|not applicable) +{check}\b.*(?:\n {{6}}.*)*", outcome.out, re.M
    )
    return re.sub(r"\s+", " ", found[0]).strip()


def line_of(file: Path, text: str) -> int:
    """Return the line of a file on which a text stands."""
    return next(n for n, line in enumerate(file.read_text().splitlines(), 1) if text in line)


def test_a_part_that_keeps_the_contract(gptkit: Gptkit) -> None:
    outcome = gptkit("check", *RELU)
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    assert lines[0].startswith("feed_forward relu: ReluFeedForward (")
    assert re.fullmatch(r"  held +is_finite +50 inputs +\d+\.\d s", lines[1])
    assert re.fullmatch(r"1 held, 0 broken, 0 not run, 0 not applicable; \d+\.\d s", lines[2])


def test_what_a_part_declares_is_told_beside_what_held(gptkit: Gptkit, written: Written) -> None:
    file = written(
        "from gptkit.components.attention.naive import NaiveAttention\n"
        "from gptkit.interfaces import HasTolerance, Tolerance\n\n"
        "class Mine(NaiveAttention, HasTolerance):\n    tolerance = Tolerance(cached=0.03)"
    )
    only = ("--only", "decodes_without_a_mask", "--only", "attend_forgets")
    outcome = gptkit("check", str(file), *only)
    assert re.search(r" s within 0\.03, as it declares$", row(outcome, "decodes_without_a_mask"))
    assert row(outcome, "attend_forgets").endswith(" s")
    _, mine = json.loads(gptkit("check", str(file), *only, "--json").out)
    assert {check["check"]: check["tolerance"] for check in mine["checks"]} == {
        "decodes_without_a_mask": 0.03,
        "attend_forgets": 0.0,
    }


def test_json_is_all_that_is_printed(gptkit: Gptkit, written: Written) -> None:
    file = written(
        "class Mine(LayerNorm):\n    def forward(self, x):\n        print('noise')\n        return x * 0"
    )
    outcome = gptkit("check", str(file), "--json", "--only", "varies_with_the_input")
    assert outcome.code == 1
    loading, mine, good = json.loads(outcome.out)
    assert [check["verdict"] for check in loading["checks"]] == ["held", "held", "held"]
    (check,) = mine["checks"]
    assert (check["check"], check["verdict"]) == ("varies_with_the_input", "broken")
    assert check["promise"] == "a different input gives a different output"
    assert good["checks"][0]["verdict"] == "held"


def test_a_failure_can_be_seen_again_by_the_line_that_it_prints(gptkit: Gptkit, written: Written) -> None:
    body = "class Mine(LayerNorm):\n    def forward(self, x):\n        return x.mean(dim=1, keepdim=True) + 0 * x"
    outcome = gptkit("check", str(written(body)), "--only", "positions_are_independent")
    told = row(outcome, "positions_are_independent")
    assert "position 0 alone: off by" in told
    (again,) = re.findall(
        r"gptkit (check mine --plugin (\S+) --only positions_are_independent --case '(.*)')", outcome.out
    )
    _, file, case = again
    assert json.loads(case) == {"B": 1, "H": 1, "T": 2, "D": 1} | {
        key: value for key, value in json.loads(case).items() if key not in "BHTD"
    }
    second = gptkit("check", "mine", "--plugin", file, "--only", "positions_are_independent", "--case", case)
    assert second.code == 1
    assert "position 0 alone: off by" in row(second, "positions_are_independent")


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ("**kwargs", "its constructor takes **kwargs: name each option, so that a wrong one is an error"),
        ("*, heat=1.0", "its option 'heat' has no annotation: without one a recipe cannot be checked"),
        ("*, sizes: list[int] = []", "its option 'sizes' has a mutable default, []: use a tuple"),
    ],
)
def test_a_constructor_that_no_recipe_could_call(
    gptkit: Gptkit, written: Written, options: str, fault: str
) -> None:
    body = f"class Mine(LayerNorm):\n    def __init__(self, dims, {options}):\n        super().__init__(dims)"
    file = written(body)
    outcome = gptkit("check", str(file), "--only", "is_finite")
    where = f"Mine ({file}:{line_of(file, 'class Mine')})"
    assert outcome.code == 1
    assert f"{where} does not fit Norm: {fault}" in outcome.out
    assert "norm good: Good" in outcome.out
    assert row(outcome, "is_finite").startswith("held")


def test_a_class_that_inherits_no_interface(gptkit: Gptkit, written: Written) -> None:
    file = written("class Mine:\n    pass")
    outcome = gptkit("check", str(file), "--only", "is_finite")
    assert outcome.code == 1
    assert f"Mine ({file}:{line_of(file, 'class Mine')}) inherits 0 of the interfaces, not one" in outcome.out
    assert row(outcome, "is_finite").startswith("held")


@pytest.mark.parametrize(
    ("forward", "check", "fault"),
    [
        ("x[..., :1]", "keeps_shape_and_dtype", "expected torch.float64 of shape"),
        ("x.float()", "keeps_shape_and_dtype", "the output: found torch.float32"),
        ("[x]", "keeps_shape_and_dtype", "the output is a list, not a tensor"),
        ("x / 0", "is_finite", "the output is"),
        (
            "torch.nn.functional.layer_norm(x.float(), x.shape[-1:]).to(x.dtype) * self.norm.weight",
            "gradients_are_right",
            "it computes in a lower precision than its float64 input",
        ),
        ("self.nothing(x)", "is_finite", "AttributeError: 'Mine' object has no attribute 'nothing'"),
        ("__import__('sys').exit(3)", "is_finite", "it calls sys.exit(3)"),
    ],
)
def test_a_forward_that_is_wrong(gptkit: Gptkit, written: Written, forward: str, check: str, fault: str) -> None:
    file = written(f"class Mine(LayerNorm):\n    def forward(self, x):\n        return {forward}")
    outcome = gptkit("check", str(file), "--only", check)
    assert outcome.code == 1
    assert fault in outcome.out
    assert f"norm mine: Mine ({file}:{line_of(file, 'class Mine')})" in outcome.out
    if "Error" in fault or "exit" in fault:
        assert f"raised at {file}:{line_of(file, 'return')}" in outcome.out
    assert re.search(rf"norm good.*\n +held +{check}", outcome.out)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
@pytest.mark.parametrize("needs", ["torch.zeros(1, device='cuda')", "__import__('triton')"])
def test_a_part_that_cannot_be_built_without_cuda_is_not_run_and_not_passed(
    gptkit: Gptkit, written: Written, needs: str
) -> None:
    body = (
        f"class Mine(LayerNorm):\n    def __init__(self, dims):\n        super().__init__(dims)\n        {needs}"
    )
    outcome = gptkit("check", "mine", "--plugin", str(written(body)), "--only", "is_finite")
    assert outcome.code == 1
    assert row(outcome, "is_finite").startswith(
        "not run is_finite it needs an accelerator and this machine has none: "
    )
    assert outcome.out.endswith("no proof of norm mine: nothing held\n")


@pytest.mark.parametrize("place", ["__init__(self, dims)", "forward(self, x)"])
def test_an_error_that_speaks_of_a_gpu_is_an_error(gptkit: Gptkit, written: Written, place: str) -> None:
    body = (
        f"class Mine(LayerNorm):\n    def {place}:\n        raise RuntimeError('no NVIDIA driver, CUDA or Triton')"
    )
    outcome = gptkit("check", "mine", "--plugin", str(written(body)), "--only", "is_finite")
    assert outcome.code == 1
    assert row(outcome, "is_finite").startswith("broken is_finite RuntimeError: no NVIDIA driver, CUDA or Triton")


def test_a_part_that_refuses_every_size_is_not_run(gptkit: Gptkit, written: Written) -> None:
    body = "class Mine(LayerNorm):\n    def __init__(self, dims):\n        raise ValueError('needs 999 channels')"
    outcome = gptkit("check", "mine", "--plugin", str(written(body)), "--only", "is_finite")
    assert outcome.code == 1
    assert "it can be built for none of the sizes that were tried: it refuses: needs 999 channels" in row(
        outcome, "is_finite"
    )


def test_a_plugin_that_prints(gptkit: Gptkit, written: Written) -> None:
    file = written("print('hello')\nMine = type('Mine', (LayerNorm,), {})")
    outcome = gptkit("check", str(file), "--only", "is_finite")
    assert outcome.code == 1
    line = line_of(file, "print(")
    assert row(outcome, "prints_nothing") == (
        f"broken prints_nothing it prints 'hello' when it is imported ({file}:{line})"
    )
    assert "hello" in outcome.err


def test_a_plugin_that_exits(gptkit: Gptkit, written: Written) -> None:
    file = written("import sys\nsys.exit(5)\nMine = LayerNorm")
    outcome = gptkit("check", str(file))
    assert outcome.code == 1
    assert row(outcome, "loads") == f"broken loads SystemExit: 5 ({file}:{line_of(file, 'sys.exit')})"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("import time\ntime.sleep(60)", r"it waits for more than 0\.2 seconds, after 0\.\d of CPU time"),
        ("while True:\n    pass", r"it takes more than 0\.2 seconds of CPU time"),
    ],
)
def test_a_plugin_that_hangs(
    gptkit: Gptkit, written: Written, monkeypatch: pytest.MonkeyPatch, body: str, told: str
) -> None:
    monkeypatch.setattr("gptkit.testing.examine.SECONDS", 0.2)
    file = written(f"{body}\nMine = LayerNorm")
    outcome = gptkit("check", str(file))
    assert outcome.code == 1
    assert re.fullmatch(rf"not run loads {told} \({re.escape(str(file))}:\d+\)", row(outcome, "loads"))
    assert outcome.out.endswith(f"no proof of plugin {file}: not tried: loads\n")


def test_a_part_that_hangs_in_one_check_is_tried_by_the_others(
    gptkit: Gptkit, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gptkit.testing.examine.SECONDS", 3.0)
    file = written(
        "class Mine(LayerNorm):\n    def forward(self, x):\n        while x.dtype == torch.bfloat16:\n"
        "            pass\n        return super().forward(x)"
    )
    outcome = gptkit(
        "check",
        str(file),
        "--only",
        "is_right_in_bfloat16",
        "--only",
        "first_weights_are_drawn",
        "--only",
        "is_finite",
    )
    assert outcome.code == 0
    mine, good = outcome.out.split("norm good")
    line = line_of(file, "while")
    assert re.search(
        rf"not run +is_right_in_bfloat16 +it takes more than 3 seconds of CPU time \({file}:({line}|{line + 1})\)",
        mine,
    )
    assert re.search(r"held +first_weights_are_drawn", mine)
    assert re.search(r"held +is_right_in_bfloat16", good)


def test_loading_alone_is_no_proof(gptkit: Gptkit, written: Written) -> None:
    body = "class Mine(LayerNorm):\n    def __init__(self, dims):\n        raise ValueError('not today')"
    outcome = gptkit("check", str(written(body)), "--only", "is_finite")
    assert outcome.code == 1
    assert outcome.out.endswith("no proof of norm mine: nothing held\n")


def test_a_part_that_needs_an_option_is_not_passed(gptkit: Gptkit, written: Written) -> None:
    body = "class Mine(LayerNorm):\n    def __init__(self, dims, *, heat: float):\n        super().__init__(dims)"
    file = written(body)
    outcome = gptkit("check", str(file), "--only", "is_finite")
    assert outcome.code == 1
    assert row(outcome, "is_built").startswith(
        "not run is_built it needs heat: float: gptkit check mine --plugin "
    )
    assert outcome.out.endswith(f"no proof of plugin {file}: not tried: is_built\n")


def test_an_input_that_a_part_refuses_is_counted(gptkit: Gptkit, written: Written) -> None:
    body = """
class Mine(LayerNorm):
    def forward(self, x):
        if x.shape[1] == 3:
            raise NotImplementedError("not three")
        return super().forward(x)
"""
    outcome = gptkit("check", "mine", "--plugin", str(written(body)), "--only", "is_finite")
    assert outcome.code == 0
    assert re.fullmatch(r"held is_finite 50 inputs \d+\.\d s [1-9]\d* refused", row(outcome, "is_finite"))


def test_a_cause_is_told_once(gptkit: Gptkit, written: Written) -> None:
    body = """
class Mine(LayerNorm):
    def forward(self, x):
        if x.shape[1] == 1:
            raise RuntimeError(f"not {len(x)}")
        return super().forward(x)
"""
    file = written(body)
    only = ("--only", "is_finite", "--only", "rows_are_independent", "--only", "keeps_shape_and_dtype")
    outcome = gptkit("check", "mine", "--plugin", str(file), *only)
    assert outcome.code == 1
    assert outcome.out.count("to reproduce") == 1
    cause = f"RuntimeError raised at {file}:{line_of(file, 'raise')}"
    assert row(outcome, "is_finite") == f"broken is_finite as keeps_shape_and_dtype: {cause}"
    assert row(outcome, "rows_are_independent") == f"broken rows_are_independent as keeps_shape_and_dtype: {cause}"


def test_a_failure_that_is_expected_is_no_failure_and_its_absence_is_one(gptkit: Gptkit, written: Written) -> None:
    body = "class Mine(LayerNorm):\n    def forward(self, x):\n        return super().forward(x) + x.mean(1, True)"
    file = written(body)
    asked = ("check", "mine", "--plugin", str(file), "--only", "positions_are_independent", "--only", "is_finite")
    assert gptkit(*asked).code == 1
    mixes = ("--expect-failure", "positions_are_independent=it mixes")
    outcome = gptkit(*asked, *mixes)
    assert (outcome.code, row(outcome, "positions_are_independent")) == (
        0,
        "expected positions_are_independent it mixes",
    )
    assert "1 held, 0 broken, 1 expected, 0 not run" in outcome.out
    outcome = gptkit(*asked, *mixes, "--expect-failure", "is_finite=no")
    assert outcome.code == 1
    assert row(outcome, "is_finite") == "broken is_finite it holds, and was expected to fail: no"


def test_a_part_that_fails_with_a_path_is_reported(gptkit: Gptkit, written: Written) -> None:
    body = """
from pathlib import Path
class Mine(LayerNorm):
    def __init__(self, dims, *, file: Path):
        super().__init__(dims)
    def forward(self, x):
        return x / 0
"""
    file = written(body)
    asked = ("check", "mine", "--plugin", str(file), "--set", "file=/dev/null", "--only", "is_finite")
    outcome = gptkit(*asked)
    assert outcome.code == 1
    assert f"""gptkit check mine --plugin {file} --set 'file="/dev/null"' --only is_finite --case""" in outcome.out


def test_a_reference_that_breaks_the_laws(gptkit: Gptkit, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        """
import torch
import gptkit
from gptkit.components.attention.fused import FusedAttention
from gptkit.components.attention.naive import NaiveAttention
from gptkit.interfaces import Attention, HasReference, AttentionContext

class Seer(NaiveAttention):
    def attend(self, q, k, v, attn_mask=None):
        return super().attend(q, k, v, torch.ones(1, 1, dtype=torch.bool))

class Mine(Attention, HasReference):
    def __init__(self, dims):
        super().__init__(dims)
        self.dims, self.inner = dims, Seer(dims)

    def forward(self, x, ctx=AttentionContext()):
        return self.inner(x, ctx)

    def new_cache(self, batch_size, length):
        return self.inner.new_cache(batch_size, length)

    def reference(self):
        return Seer(self.dims)

    def reference_weights(self, own):
        return {name.removeprefix("inner."): weight for name, weight in own.items()}

@gptkit.hookimpl
def gptkit_register(register):
    register("mine", Mine)
"""
    )
    outcome = gptkit(
        "check", str(file), "--only", "reference_keeps_the_laws", "--only", "equals_reference_in_float64"
    )
    assert outcome.code == 1
    told = row(outcome, "reference_keeps_the_laws")
    assert (
        f"its reference, Seer ({file}:{line_of(file, 'class Seer')}), breaks never_reads_the_future: the output"
        in told
    )
    assert row(outcome, "equals_reference_in_float64").startswith("held")


def test_the_parts_of_a_recipe_with_their_options(gptkit: Gptkit, tmp_path: Path) -> None:
    recipe = tmp_path / "windows.toml"
    recipe.write_text(
        f"""
base = "{ROOT}/recipes/gpt_tiny.toml"
plugins = ["{ROOT}/plugins/sliding_window.py"]

[model]
attention = {{ use = "sliding_window", window = 3 }}
layer = [{{ at = [0], attention = {{ use = "sliding_window", window = 2 }} }}, {{ at = [3], attention = "fused" }}]
"""
    )
    outcome = gptkit("check", str(recipe), "--only", "first_weights_are_drawn", "--json")
    assert outcome.code == 0
    titles = [each["part"].partition(":")[0] for each in json.loads(outcome.out)]
    assert titles == [
        "attention sliding_window",
        "feed_forward relu",
        "norm layernorm",
        "position learned",
        "block pre_norm",
        "attention sliding_window",
        "attention fused",
    ]


def test_an_option_is_given_as_a_recipe_would(gptkit: Gptkit) -> None:
    file = str(ROOT / "plugins/sliding_window.py")
    arguments = ("check", "sliding_window", "--plugin", file, "--only", "is_finite")
    assert gptkit(*arguments, "--set", "window=2").code == 0
    outcome = gptkit(*arguments, "--set", "window=0")
    assert outcome.code == 2
    assert outcome.err.startswith("--set window=0: 'sliding_window' takes window: int = 4, found 0: it must be")


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("rleu",), 2, "no part is called 'rleu'. Did you mean 'relu'? `gptkit components` lists them all.\n"),
        (("none.py",), 2, "none.py  plugins  no such plugin file\n"),
        (
            ("relu", "--only", "is_finit"),
            2,
            "--only is_finit: no check is called so. Did you mean 'is_finite'? Known: ",
        ),
        (
            ("relu", "--set", "expnd=2"),
            2,
            "--set expnd=2: 'relu' takes expand: int = 4, bias: bool = True. Did you mean",
        ),
        (("text",), 2, "'text' needs path: Path: give it with --set NAME=VALUE\n"),
        (("mine.py", "--set", "x=1"), 2, "--set gives options to one part: gptkit check NAME --plugin FILE --set"),
        (
            (*RELU, "--expect-failure", "is_finit=?"),
            2,
            "--expect-failure is_finit=?: no check is called 'is_finit'.",
        ),
        (
            (*RELU, "--expect-failure", "is_finite"),
            2,
            "--expect-failure is_finite: say why, as is_finite=REASON\n",
        ),
        ((*RELU, "--device", "cuda:9"), 2, "--device cuda:9: this machine has no device 'cuda:9'. It has: "),
        ((*RELU, "--device", "gpu"), 2, "--device gpu: PyTorch knows no device 'gpu'."),
        ((*RELU, "--case", '{"Q": 1}'), 2, '--case {"Q": 1}: an input is a JSON object of B, H, T, D, earlier, '),
        ((*RELU, "--case", "{"), 2, "--case {: "),
    ],
)
def test_a_command_that_cannot_be_followed(
    gptkit: Gptkit, arguments: tuple[str, ...], code: int, told: str
) -> None:
    outcome = gptkit("check", *arguments)
    assert (outcome.code, outcome.err[: len(told)]) == (code, told)


def test_a_deep_check_tries_ten_times_as_many_inputs(gptkit: Gptkit) -> None:
    outcome = gptkit("check", "wsd", "--only", "is_defined_throughout", "--deep")
    assert "500 inputs" in row(outcome, "is_defined_throughout")


def test_a_plugin_of_a_recipe_that_prints_does_not_spoil_json(
    gptkit: Gptkit, written: Written, tmp_path: Path
) -> None:
    file = written("print('hello')\nMine = type('Mine', (LayerNorm,), {})")
    recipe = tmp_path / "mine.toml"
    recipe.write_text(f'base = "{ROOT}/recipes/gpt_tiny.toml"\nplugins = ["{file}"]\nmodel.norm = "mine"\n')
    outcome = gptkit("check", str(recipe), "--json", "--only", "is_finite_at_rest")
    assert outcome.code == 0
    (norm,) = json.loads(outcome.out)
    assert norm["part"].startswith("norm mine: Mine (")
    assert "hello" in outcome.err


def test_plugins_that_a_run_directory_carries_are_not_run_untrusted(
    gptkit: Gptkit, written: Written, tmp_path: Path
) -> None:
    file = written("Mine = type('Mine', (LayerNorm,), {})")
    arguments = ("small.toml", "--plugin", str(file), "--set", "model.norm=mine", "--out", "run")
    assert gptkit("run", *arguments).code == 0
    asked = ("check", "run/resolved.toml", "--only", "is_finite_at_rest")
    outcome = gptkit(*asked)
    assert outcome.code == 2
    assert "carries plugin files, which are programs" in outcome.err
    trusted = gptkit(*asked, "--trust-plugins")
    assert (trusted.code, "norm mine: Mine" in trusted.out) == (0, True)


def test_a_plugin_of_a_recipe_that_hangs(
    gptkit: Gptkit, written: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gptkit.testing.examine.SECONDS", 0.2)
    file = written("import time\ntime.sleep(60)\nMine = LayerNorm")
    recipe = tmp_path / "mine.toml"
    recipe.write_text(f'base = "{ROOT}/recipes/gpt_tiny.toml"\nplugins = ["{file}"]\n')
    outcome = gptkit("check", str(recipe))
    assert outcome.code == 1
    assert outcome.err.startswith(f"{recipe}: to load its plugins, it waits for more than 0.2 seconds")


def test_a_name_is_a_part_first_and_a_shipped_recipe_otherwise(gptkit: Gptkit) -> None:
    assert recipe_or_part("sdpa", []) == "sdpa"
    assert recipe_or_part("gpt_tiny", []) == f"{ROOT}/recipes/gpt_tiny.toml"
    assert recipe_or_part("flex", []) == f"{ROOT}/recipes/flex.toml"
    assert recipe_or_part("flex", [ROOT / "plugins/flex.py"]) == "flex"
    outcome = gptkit("check", "gpt_tiny", "--set", "a=1")
    assert (outcome.code, outcome.err.partition(":")[0]) == (2, "--set gives options to one part")
