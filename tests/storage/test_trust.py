"""What comes from a stranger is data: it is not run, it leads nowhere, and it takes no memory it does not have."""

import json
import os
import re
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import gptkit
from gptkit.cli.recipe import check, show
from gptkit.errors import CheckpointError, RecipeError, UsageError
from gptkit.recipe.read import read
from gptkit.run.prepare import prepare
from gptkit.run.resume import prepare_resume
from gptkit.storage import tensor_file
from gptkit.storage.run_writer import RunWriter
from gptkit.storage.safe_read import LIMIT, read_bytes, read_json
from tests.small import RECIPE, finish, write_recipe

PLUGIN = """
from pathlib import Path
from gptkit import hookimpl
from gptkit.components.norm.rmsnorm import RMSNorm

Path(__file__).with_name("ran").touch()

class Mine(RMSNorm):
    pass

@hookimpl
def gptkit_register(register):
    register("mine", Mine)
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with a plugin, and a run that carries it."""
    directory = tmp_path_factory.mktemp("trust")
    (directory / "mine.py").write_text(PLUGIN)
    recipe = write_recipe(
        directory, recipe=f'plugins = ["mine.py"]\n{RECIPE}'.replace("[data]", 'norm = "mine"\n[data]')
    )
    finish(recipe, directory / "run", ["train.max_iters=2", "train.sample_interval=0"])
    return directory


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    """Return a run that a test may change, whose plugin has not run yet."""
    return shutil.copytree(made, tmp_path / "made") / "run"


def ran(root: Path) -> bool:
    return (root / "plugins" / "ran").exists()


USES: dict[str, Callable[..., object]] = {
    "load": gptkit.load,
    "resume": lambda root, **named: prepare_resume(root, overrides=["train.max_iters=3"], **named),
    "run again": lambda root, **named: prepare(root / "resolved.toml", **named),
    "build": lambda root, **named: gptkit.build(root / "resolved.toml", vocab_size=5, **named),
    "check": lambda root, **named: check(root / "resolved.toml", **named),
    "show": lambda root, **named: show(root / "resolved.toml", **named),
}


@pytest.mark.parametrize("use", USES)
def test_plugin_files_that_a_run_carries_do_not_run_unless_trusted(root: Path, use: str) -> None:
    with pytest.raises(UsageError) as caught:
        USES[use](root)
    assert str(caught.value) == (
        f"{root} carries plugin files, which are programs: {root}/plugins/mine.py. They run only if you trust "
        "them, with --trust-plugins (in Python, trust_plugins=True), or if you name files of the same contents "
        "with --plugin"
    )
    assert not ran(root)
    USES[use](root, trust_plugins=True)
    assert ran(root)


@pytest.mark.parametrize("use", USES)
def test_a_file_of_the_same_contents_runs_in_their_place(root: Path, use: str, tmp_path: Path) -> None:
    (tmp_path / "same.py").write_text(PLUGIN)
    USES[use](root, plugins=[tmp_path / "same.py"])
    assert not ran(root)
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("use", USES)
def test_a_file_of_other_contents_does_not_vouch_for_them(root: Path, use: str, tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text(PLUGIN + "\n")
    with pytest.raises(UsageError, match="carries plugin files"):
        USES[use](root, plugins=[tmp_path / "other.py"])
    assert not ran(root)


def test_a_run_is_verified_without_running_what_it_carries(root: Path) -> None:
    assert not any(RunWriter(root).verify().values())
    assert not ran(root)


def test_a_plugin_file_that_was_changed_is_noticed_even_if_trusted(root: Path) -> None:
    (root / "plugins" / "mine.py").write_text(PLUGIN + "\n")
    message = f"{root}/plugins/mine.py is not what the run began with: its sha256 has changed"
    with pytest.raises(CheckpointError, match=f"^{re.escape(message)}$"):
        prepare_resume(root, trust_plugins=True)
    assert RunWriter(root).verify()["origin.json"] == [message]


def outside(root: Path) -> None:
    (root.parent / "evil.py").write_text(PLUGIN.replace("ran", "evil_ran"))


def edit(root: Path, old: str, new: str) -> None:
    file = root / "resolved.toml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    "name", ["../evil.py", "plugins/../../evil.py", "{root}/../evil.py", "plugins/link.py", "x.py"]
)
def test_a_plugin_of_a_run_is_in_the_run(root: Path, name: str) -> None:
    outside(root)
    (root / "plugins" / "link.py").symlink_to(root.parent / "evil.py")
    edit(root, "plugins/mine.py", name.format(root=root))
    with pytest.raises(CheckpointError, match=r"which is not of this run$"):
        gptkit.load(root, trust_plugins=True)
    assert not (root.parent / "evil_ran").exists()


def test_a_run_is_not_based_on_another_recipe(root: Path) -> None:
    file = root / "resolved.toml"
    file.write_text('base = "/dev/zero"\n' + file.read_text())
    with pytest.raises(
        CheckpointError, match=f"^{file} is based on another recipe, and a run's own is whole in itself$"
    ):
        gptkit.load(root, trust_plugins=True)


def test_a_recipe_is_a_file_of_a_recipes_size(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large.toml").write_bytes(b"#" * ((1 << 20) + 1))
    for base, reason in (
        ("/dev/zero", "it is no file"),
        (f"{tmp_path}/pipe", "it is no file"),
        (f"{tmp_path}/large.toml", "it is larger than 1,048,576 bytes"),
    ):
        (tmp_path / "mine.toml").write_text(f'base = "{base}"\n')
        with pytest.raises(RecipeError) as caught:
            read(tmp_path / "mine.toml")
        assert str(caught.value) == f"{tmp_path}/mine.toml:1  {base} cannot be read: {reason}"


@pytest.mark.parametrize("name", ["../../secret", "/etc/passwd", "plugins/../../secret", 5])
def test_hashes_of_files_outside_are_not_taken(root: Path, name: object) -> None:
    origin = json.loads((root / "origin.json").read_text())
    origin["files"] = {str(name): "0"}
    (root / "origin.json").write_text(json.dumps(origin))
    assert RunWriter(root).changed_files() == [
        f"{root}/origin.json names {str(name)!r}, which is no file of a run"
    ]


# Protocol 2 of the format that runs what it names.
PICKLE = b"\x80\x02cos\nsystem\nX\x0c\x00\x00\x00touch pwned!\x85R."


@pytest.mark.parametrize("content", [PICKLE, b"PK\x03\x04" + b"\0" * 100 + PICKLE])
def test_a_pickle_in_the_place_of_weights_is_refused_unread(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        tensor_file.read(file)
    assert str(caught.value) == (
        f"{file} cannot be read: it is a pickle, which can run any code, and gptkit opens none"
    )


def header(entries: object, data: bytes = b"", length: int | None = None) -> bytes:
    text = json.dumps(entries).encode() if not isinstance(entries, bytes) else entries
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(shape: object, begin: object, end: object, dtype: object = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


HOSTILE = {
    "a header larger than the file": (
        header({}, length=1 << 40),
        "no safetensors file: a header of 1,099,511,627,776 bytes",
    ),
    "a header larger than any": (header(b" " * ((16 << 20) + 1)), "a header of 16,777,217 bytes"),
    "no header": (b"abc", "no safetensors file"),
    "nothing": (b"", "no safetensors file: a header of 0 bytes"),
    "no JSON": (header(b"{"), "no safetensors file: "),
    "deep JSON": (header(b"[" * 100_000), "no safetensors file: "),
    "no object": (header([1]), "its header is no object"),
    "no tensor": (header({"a": 1}), "the entry of 'a' is no tensor's"),
    "a terabyte": (
        header({"a": entry([1 << 38], 0, 1 << 40)}),
        "its tensors take 1,099,511,627,776 bytes, and there are 0",
    ),
    "a shape that wraps": (header({"a": entry([1 << 62, 4], 0, 0)}), "does not take 0 bytes"),
    "a negative shape": (header({"a": entry([-1], 0, 4)}), "'a' has the shape [-1]"),
    "a true shape": (header({"a": entry([True], 0, 4)}, b"1234"), "'a' has the shape [True]"),
    "overlapping": (
        header({"a": entry([1], 0, 4), "b": entry([1], 2, 6)}, b"123456"),
        "overlap or leave a gap at byte 4",
    ),
    "a gap": (header({"a": entry([1], 4, 8)}, b"12345678"), "overlap or leave a gap at byte 0"),
    "more bytes": (header({"a": entry([1], 0, 4)}, b"12345678"), "its tensors take 4 bytes, and there are 8"),
    "an unknown type": (
        header({"a": entry([1], 0, 4, "F33")}, b"1234"),
        "'a' of F33 and shape [1] does not take 4 bytes",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_header_is_refused_before_memory_is_taken(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensor_file, "load_file", lambda file: pytest.fail("memory was taken"))
    content, told = HOSTILE[name]
    file = tmp_path / "model.safetensors"
    file.write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        tensor_file.read(file)
    assert str(caught.value).startswith(f"{file} cannot be read: ")
    assert told in str(caught.value)


def test_tensors_that_were_not_asked_for_are_refused_before_memory_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(tensor_file.to_bytes({"a": torch.ones(2), "b": torch.ones(3)}))
    monkeypatch.setattr(tensor_file, "load_file", lambda file: pytest.fail("memory was taken"))
    with pytest.raises(CheckpointError) as caught:
        tensor_file.read(file, {"a": (4,), "c": (1,)})
    assert str(caught.value) == (
        f"{file} does not fit the model: it lacks c; it has besides b; a is [2], expected [4]"
    )


def test_a_recipe_for_more_weights_than_the_file_has_is_refused_before_memory_is_taken(root: Path) -> None:
    edit(root, "n_embd = 8", "n_embd = 8000000")
    with pytest.raises(CheckpointError, match="does not fit the model: "):
        gptkit.load(root, trust_plugins=True)


def test_what_is_too_large_to_read_at_once_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    with file.open("wb") as opened:
        opened.truncate(LIMIT + 1)
    with pytest.raises(CheckpointError, match=f"^{file} cannot be read: it is larger than 67,108,864 bytes$"):
        read_bytes(file)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000, b"1" * 5000])
def test_what_is_no_json_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=f"^{tmp_path}/state.json cannot be read: not JSON: "):
        read_json(tmp_path / "state.json")


def test_json_that_is_no_object_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_bytes(b"[]")
    with pytest.raises(CheckpointError, match=r"cannot be read: expected an object, found list$"):
        read_json(tmp_path / "state.json")


def test_devices_and_pipes_are_not_opened_for_reading(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for file in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(CheckpointError, match=f"^{file} cannot be read: it is no file$"):
            read_bytes(file)
