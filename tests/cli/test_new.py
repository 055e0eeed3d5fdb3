"""`gptkit new`: what it writes works as it stands, what it prints can be typed, and nothing is lost."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli

from gptkit.interfaces import KINDS
from gptkit.testing.check import LEVELS

Gptkit = Callable[..., Any]

SIZES = {"model.n_layer": 1, "model.n_head": 1, "model.n_embd": 8, "model.block_size": 8, "train.max_iters": 2}
each_kind = pytest.mark.parametrize("kind", KINDS)


def small(kind: str) -> list[str]:
    """Return what makes a run of the written recipe take two steps."""
    Path("words.text").write_text("".join(f"{n} green bottles, hanging on the wall;\n" for n in range(60)))
    values = [f"{key}={value}" for key, value in SIZES.items()]
    values += [] if kind == "schedule" else ["train.schedule.warmup=0"]
    values += [] if kind == "corpus" else ['data.corpus={ use = "text", path = "words.text" }']
    return [word for value in values for word in ("--set", value)]


def commands(told: str) -> list[str]:
    """Return the commands that were printed."""
    return [line.strip() for line in told.partition("Next:\n")[2].splitlines()]


def written(directory: Path) -> list[str]:
    """Return the files in a directory but those that were there before."""
    files = (path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file())
    return sorted(name for name in files if name != "small.toml")


@each_kind
def test_what_it_writes_trains_with_the_command_it_prints(gptkit: Gptkit, kind: str, tmp_path: Path) -> None:
    outcome = gptkit("new", kind, "zebra_2")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith("wrote zebra_2.py\nwrote zebra_2.toml\n\nZebra2")
    assert commands(outcome.out) == ["gptkit check zebra_2.py", "gptkit run zebra_2.toml"]
    assert written(tmp_path) == ["zebra_2.py", "zebra_2.toml"]
    run = gptkit(*shlex.split(commands(outcome.out)[1])[1:], *small(kind), "--out", "done")
    assert (run.code, run.err) == (0, "")
    (section,) = [table for table in tomli.loads(Path("done/resolved.toml").read_text()).values() if kind in table]
    assert section[kind]["use"] == "zebra_2"


@each_kind
def test_the_names_are_replaced_everywhere(gptkit: Gptkit, kind: str) -> None:
    gptkit("new", kind, "zebra")
    source, recipe = Path("zebra.py").read_text(encoding="utf-8"), Path("zebra.toml").read_text(encoding="utf-8")
    part = f"Zebra{KINDS[kind].__name__}"
    assert f"\nclass {part}({'SoftmaxAttention' if kind == 'attention' else KINDS[kind].__name__}):" in source
    assert f'register("zebra", {part})' in source
    assert f'\n{kind} = "zebra" ' in recipe
    for text in (source, recipe):
        assert not re.search(r"\bmine\b|Mine[A-Z]|KIND", text)


@each_kind
def test_the_recipe_says_why_on_every_line(gptkit: Gptkit, kind: str) -> None:
    gptkit("new", kind, "a_name_that_is_long_enough_to_push_reasons_away")
    lines = Path("a_name_that_is_long_enough_to_push_reasons_away.toml").read_text().splitlines()
    assert [line for line in lines if line and not re.match(r"\[|#|.{40,} # \S", line)] == []


@each_kind
def test_a_package_has_the_part_its_entry_point_a_test_and_a_recipe(
    gptkit: Gptkit, kind: str, tmp_path: Path
) -> None:
    outcome = gptkit("new", kind, "zebra_2", "--package")
    folder = tmp_path / "gptkit-zebra-2"
    assert written(folder) == [
        "README.md",
        "pyproject.toml",
        "src/gptkit_zebra_2/__init__.py",
        "tests/test_contract.py",
        "zebra_2.toml",
    ]
    assert commands(outcome.out) == [
        "pip install -e 'gptkit-zebra-2[dev]' && gptkit check zebra_2",
        "gptkit run gptkit-zebra-2/zebra_2.toml",
    ]
    project = tomli.loads((folder / "pyproject.toml").read_text())
    assert project["project"]["name"] == "gptkit-zebra-2"
    assert project["project"]["entry-points"] == {"gptkit": {"zebra_2": "gptkit_zebra_2"}}
    proof = (folder / "tests/test_contract.py").read_text()
    assert f'test_zebra_2 = contract("zebra_2", level="{LEVELS[-1]}")' in proof
    assert "plugins" not in tomli.loads((folder / "zebra_2.toml").read_text())
    for name in written(folder):
        assert not re.search(r"mine\b|Mine[A-Z]|KIND", (folder / name).read_text(encoding="utf-8")), name
    module = str(folder / "src/gptkit_zebra_2/__init__.py")
    run = gptkit("run", "gptkit-zebra-2/zebra_2.toml", "--plugin", module, *small(kind), "--out", "done")
    assert (run.code, run.err) == (0, "")


def test_another_directory_is_made_and_quoted(gptkit: Gptkit, tmp_path: Path) -> None:
    outcome = gptkit("new", "norm", "zebra", "--out", "my parts/norms")
    assert written(tmp_path) == ["my parts/norms/zebra.py", "my parts/norms/zebra.toml"]
    assert commands(outcome.out) == [
        "gptkit check 'my parts/norms/zebra.py'",
        "gptkit run 'my parts/norms/zebra.toml'",
    ]
    assert gptkit("recipe", "check", "my parts/norms/zebra.toml").code == 0
    packaged = commands(gptkit("new", "norm", "zebra", "--package", "--out", "my parts").out)
    assert packaged[0] == "pip install -e 'my parts/gptkit-zebra[dev]' && gptkit check zebra"


@pytest.mark.parametrize("there", ["zebra.py", "zebra.toml"])
def test_nothing_is_overwritten_and_then_nothing_is_written(gptkit: Gptkit, tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("mine, all mine")
    outcome = gptkit("new", "block", "zebra")
    message = f"{there} is there already, and nothing is overwritten. Choose another name or --out\n"
    assert (outcome.code, outcome.out, outcome.err) == (2, "", message)
    assert written(tmp_path) == [there]
    assert (tmp_path / there).read_text() == "mine, all mine"


def test_a_link_to_nowhere_is_not_written_through(gptkit: Gptkit, tmp_path: Path) -> None:
    (tmp_path / "zebra.py").symlink_to(tmp_path / "elsewhere.py")
    assert "zebra.py is there already" in gptkit("new", "block", "zebra").err
    assert not (tmp_path / "elsewhere.py").exists()


def test_a_file_of_a_package_is_not_overwritten_either(gptkit: Gptkit, tmp_path: Path) -> None:
    gptkit("new", "block", "zebra", "--package")
    before = {name: (tmp_path / name).read_text() for name in written(tmp_path)}
    outcome = gptkit("new", "norm", "zebra", "--package")
    assert outcome.err.startswith("gptkit-zebra/src/gptkit_zebra/__init__.py is there already, ")
    assert {name: (tmp_path / name).read_text() for name in written(tmp_path)} == before


def test_a_name_longer_than_a_file_may_have_is_told(gptkit: Gptkit) -> None:
    outcome = gptkit("new", "norm", "a" * 300)
    assert (outcome.code, outcome.err) == (2, f"{'a' * 300}.py: cannot be written: File name too long\n")


def test_a_directory_that_cannot_be_made_is_told(gptkit: Gptkit) -> None:
    outcome = gptkit("new", "norm", "zebra", "--out", "small.toml")
    assert (outcome.code, outcome.err) == (2, "small.toml/zebra.py: cannot be written: File exists\n")


NOT_A_NAME = (
    "cannot be a part's name: expected lower-case letters, digits and single underscores, a letter first, and no "
    "keyword of Python."
)

HIDDEN = "and a second one would hide it. Choose another name"


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        (
            "attentoin",
            "zebra",
            "no kind of part is called 'attentoin'. Did you mean 'attention'? Known: attention, feed_forward, "
            "norm, position, block, tokenizer, corpus, optimizer, schedule.",
        ),
        ("norm", "HotNorm-2", f"'HotNorm-2' {NOT_A_NAME} Did you mean 'hot_norm_2'?"),
        ("norm", "../hot", f"'../hot' {NOT_A_NAME} Did you mean 'hot'?"),
        ("norm", "class", f"'class' {NOT_A_NAME}"),
        ("norm", "2", f"'2' {NOT_A_NAME}"),
        ("norm", "", f"'' {NOT_A_NAME}"),
        ("norm", "heiß", f"'heiß' {NOT_A_NAME} Did you mean 'hei'?"),
        (
            "attention",
            "softmax",
            "'softmax' cannot be this part's name: its class would be SoftmaxAttention, and the file needs that "
            "of gptkit. Choose another",
        ),
        ("norm", "token", f"'token' is a module of Python already, {HIDDEN}"),
        ("norm", "torch", f"'torch' is a module of torch already, {HIDDEN}"),
        (
            "norm",
            "gptkit",
            "'gptkit' is a module of gptkit already, and a second one would hide it. Choose another",
        ),
    ],
)
def test_what_cannot_be_is_told_and_nothing_is_written(
    gptkit: Gptkit, tmp_path: Path, kind: str, name: str, message: str
) -> None:
    outcome = gptkit("new", kind, name)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith(message)
    assert written(tmp_path) == []


def test_a_taken_name_is_told_with_its_owner(gptkit: Gptkit) -> None:
    outcome = gptkit("new", "norm", "rmsnorm")
    assert outcome.code == 2
    assert re.fullmatch(
        r"the norm name 'rmsnorm' is taken: gptkit\.components\.norm\.rmsnorm offers RMSNorm "
        r"\(.*rmsnorm\.py:\d+\)\. Choose another\n",
        outcome.err,
    )


def test_a_name_of_another_kind_is_free(gptkit: Gptkit) -> None:
    assert gptkit("new", "block", "rmsnorm").code == 0


def test_a_package_may_be_called_what_a_module_is(gptkit: Gptkit) -> None:
    assert gptkit("new", "norm", "token", "--package").code == 0


def test_nothing_may_be_called_auto(gptkit: Gptkit) -> None:
    outcome = gptkit("new", "attention", "auto")
    assert outcome.code == 2
    assert outcome.err == "'auto' names no part: in a recipe it asks for the fastest attention. Choose another\n"
