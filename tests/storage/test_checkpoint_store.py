"""Checkpoints are whole or not there, pointers lead to whole ones, and any damage is named."""

import json
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from gptkit.errors import CheckpointError, NumericsError
from gptkit.storage import fault_injection as faults
from gptkit.storage.checkpoint import Checkpoint, to_json
from gptkit.storage.checkpoint_store import CheckpointStore
from gptkit.storage.snapshot import take
from tests.small import same_weights

FILES = ["manifest.json", "model.safetensors", "optimizer.safetensors", "state.json"]


def layer(weight: float) -> nn.Linear:
    """Return a model of one layer whose weights are all the same."""
    model = nn.Linear(2, 3)
    for each in model.parameters():
        nn.init.constant_(each, weight)
    return model


def momentum(model: nn.Module) -> torch.optim.Optimizer:
    """Return an optimizer with something to remember."""
    optimizer = torch.optim.AdamW(model.parameters())
    for weight in model.parameters():
        weight.grad = torch.ones_like(weight)
    optimizer.step()
    return optimizer


def save(run: CheckpointStore, step: int, *, best: bool = False, keep: int = 3, **state: Any) -> None:
    model = layer(step)
    run.save(take(step, model, torch.optim.AdamW(model.parameters()), state), best=best, keep=keep)


@pytest.fixture
def run(tmp_path: Path) -> CheckpointStore:
    return CheckpointStore(tmp_path)


def names(run: CheckpointStore) -> dict[str, str]:
    """Return the names in the directory, each pointer with what it names."""
    return {file.name: "" if file.is_dir() else file.read_text().strip() for file in sorted(run.folder.iterdir())}


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(CheckpointError) as caught:
        act()
    return str(caught.value)


def test_a_checkpoint_is_four_files_and_the_manifest_tells_their_sizes_and_hashes(run: CheckpointStore) -> None:
    save(run, 7, best=True, loss=1.5)
    folder = run.get("best").folder
    assert folder == run.get("last").folder == run.get("step-000007").folder == run.folder / "step-000007"
    assert sorted(file.name for file in folder.iterdir()) == FILES
    manifest = json.loads((folder / "manifest.json").read_text())
    assert {name: entry["size"] for name, entry in manifest["files"].items()} == {
        name: (folder / name).stat().st_size for name in FILES[1:]
    }
    assert Checkpoint(folder).state()["loss"] == 1.5
    model = layer(0)
    run.get("best").load_weights(model)
    assert same_weights(model, layer(7))


def test_weights_shared_by_two_layers_are_saved(run: CheckpointStore) -> None:
    saved, loaded = nn.Linear(2, 2), nn.Linear(2, 2)
    both = nn.Sequential(saved, saved)
    run.save(take(1, both, torch.optim.AdamW(both.parameters()), {}), best=False, keep=1)
    run.get("last").load_weights(nn.Sequential(loaded, loaded))
    assert same_weights(saved, loaded)


def test_the_latest_are_kept_and_the_best_however_old_it_is(run: CheckpointStore) -> None:
    for step in (1, 2, 3, 4, 5, 6):
        save(run, step, best=step == 2)
    kept = dict.fromkeys(("step-000002", "step-000004", "step-000005", "step-000006"), "")
    assert names(run) == {"best": "step-000002", "last": "step-000006", **kept}


def test_a_save_that_does_not_verify_removes_nothing(
    run: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(run, 1, best=True, keep=1)
    monkeypatch.setattr(Checkpoint, "problems", lambda self: ["rotten"])
    assert refusal(lambda: save(run, 2, best=True, keep=1)) == "rotten"
    assert (names(run)["best"], names(run)["last"], "step-000001" in names(run)) == (*["step-000001"] * 2, True)


def test_a_checkpoint_that_is_there_is_pointed_at_and_not_written_again(run: CheckpointStore) -> None:
    save(run, 1)
    before = (run.folder / "step-000001" / "model.safetensors").stat().st_mtime_ns
    save(run, 1, best=True)
    assert names(run) == {"best": "step-000001", "last": "step-000001", "step-000001": ""}
    assert (run.folder / "step-000001" / "model.safetensors").stat().st_mtime_ns == before


def test_a_damaged_checkpoint_is_written_again_when_its_step_comes_again(run: CheckpointStore) -> None:
    save(run, 1)
    (run.folder / "step-000001" / "state.json").write_text("{}")
    save(run, 1)
    assert run.problems() == {"step-000001": []}


def test_what_an_interrupted_save_left_is_no_checkpoint_and_is_removed(run: CheckpointStore) -> None:
    (run.folder / ".step-000001").mkdir()
    (run.folder / ".step-000001" / "half").touch()
    (run.folder / ".step-000009").mkdir()
    assert run.names() == []
    save(run, 1)
    assert names(run) == {"last": "step-000001", "step-000001": ""}


def test_every_file_is_on_the_disk_before_it_gets_its_name_and_the_name_before_a_pointer(
    run: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[tuple[str, str]] = []
    sync, replace = os.fsync, os.replace

    def fsync(descriptor: int) -> None:
        done.append(("fsync", Path(f"/proc/self/fd/{descriptor}").readlink().name))
        sync(descriptor)

    def rename(old: Path, new: Path) -> None:
        done.append(("rename", new.name))
        replace(old, new)

    monkeypatch.setattr("gptkit.storage.safe_write.os.fsync", fsync)
    monkeypatch.setattr("gptkit.storage.safe_write.os.replace", rename)
    save(run, 1, best=True)
    folder = run.folder.name
    assert done == [
        *(("fsync", name) for name in FILES[1:]),
        ("fsync", "manifest.json"),
        ("fsync", ".step-000001"),
        ("rename", "step-000001"),
        ("fsync", folder),
        *(
            step
            for pointer in ("best", "last")
            for step in (("fsync", f".{pointer}"), ("rename", pointer), ("fsync", folder))
        ),
        ("fsync", folder),
    ]


def flipped(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def deleted(file: Path) -> None:
    file.unlink()


def a_directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


def a_link(file: Path) -> None:
    file.rename(file.with_name("elsewhere"))
    shutil.move(file.with_name("elsewhere"), file.parents[1] / "elsewhere")
    file.symlink_to(file.parents[1] / "elsewhere")


def a_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


@pytest.mark.parametrize("damage", [flipped, truncated, emptied, deleted, a_directory, a_link, a_pipe])
@pytest.mark.parametrize("name", FILES)
def test_any_damage_to_any_file_is_named_and_nothing_of_it_is_loaded(
    run: CheckpointStore, name: str, damage: Callable[[Path], None]
) -> None:
    save(run, 1)
    save(run, 2, best=True)
    file = run.folder / "step-000002" / name
    damage(file)
    found = run.problems()
    assert found["step-000001"] == []
    assert found["step-000002"]
    assert str(file.parent) in found["step-000002"][0]
    model, optimizer = layer(0), torch.optim.AdamW(layer(0).parameters())
    checkpoint = run.get("best")
    acts = {
        "model.safetensors": lambda: checkpoint.load_weights(model),
        "optimizer.safetensors": lambda: checkpoint.load_optimizer(optimizer, {}),
        "state.json": checkpoint.state,
        "manifest.json": checkpoint.state,
    }
    assert str(file.parent) in refusal(acts[name])
    assert same_weights(model, layer(0))


def test_a_flip_of_any_byte_of_a_manifest_is_noticed(run: CheckpointStore) -> None:
    save(run, 1)
    file = run.folder / "step-000001" / "manifest.json"
    whole = file.read_bytes()
    for i in range(len(whole)):
        file.write_bytes(whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :])
        assert run.problems()["step-000001"], (i, whole[i : i + 1])


def test_a_file_besides_those_of_the_manifest_is_named(run: CheckpointStore) -> None:
    save(run, 1)
    (run.folder / "step-000001" / "model.pt").write_bytes(b"PK\x03\x04")
    assert run.problems() == {"step-000001": [f"{run.folder / 'step-000001' / 'model.pt'} is not in the manifest"]}


@pytest.mark.parametrize(
    "content",
    [
        {"format": 1, "step": 1, "files": {"../../secret": {"size": 1, "sha256": ""}}},
        {"format": 1, "step": 1, "files": {"/etc/passwd": {"size": 1, "sha256": ""}}},
        {"format": 1, "step": 1, "files": {}},
        {"format": 1, "step": "1", "files": {}},
        {},
    ],
)
def test_a_manifest_of_other_files_is_refused(run: CheckpointStore, content: dict[str, Any]) -> None:
    save(run, 1)
    file = run.folder / "step-000001" / "manifest.json"
    file.write_text(json.dumps(content))
    assert refusal(run.get("last").state) == (
        f"{file} is not a checkpoint's: expected model.safetensors, optimizer.safetensors, state.json"
    )


def test_a_manifest_of_another_format_is_refused(run: CheckpointStore) -> None:
    save(run, 1)
    file = run.folder / "step-000001" / "manifest.json"
    file.write_text(file.read_text().replace('"format": 1', '"format": 2'))
    assert refusal(run.get("last").state) == f"{file} is of format 2, and this gptkit reads format 1"


def test_a_manifest_that_vouches_for_nothing_of_a_file_is_refused(run: CheckpointStore) -> None:
    save(run, 1)
    file = run.folder / "step-000001" / "manifest.json"
    manifest = json.loads(file.read_text())
    manifest["files"]["state.json"] = None
    file.write_bytes(to_json(manifest))
    assert refusal(run.get("last").state) == f"{file} does not say the size and the sha256 of state.json"


@pytest.mark.parametrize("content", ["../../other/checkpoints/step-000002", "/etc", "..", "", "step-1", "\x1b[2J"])
def test_a_pointer_cannot_lead_out_of_the_run(run: CheckpointStore, content: str) -> None:
    save(run, 1)
    (run.folder / "last").write_text(content)
    assert refusal(lambda: run.get("last")) == (
        f"{run.folder / 'last'} points at {content!r}, expected a checkpoint such as step-000100"
    )


def test_a_pointer_at_nothing_is_named_with_what_is_whole(run: CheckpointStore) -> None:
    save(run, 1)
    (run.folder / "last").write_text("step-000099\n")
    assert refusal(lambda: run.get("last")) == (
        f"{run.folder / 'last'} points at step-000099, which is not there. Whole are: step-000001"
    )


@pytest.mark.parametrize("asked", ["last", "step-000002"])
def test_a_checkpoint_that_is_a_link_is_refused(run: CheckpointStore, tmp_path: Path, asked: str) -> None:
    save(run, 1)
    (run.folder / "step-000001").rename(tmp_path / "elsewhere")
    (run.folder / "step-000002").symlink_to(tmp_path / "elsewhere")
    (run.folder / "last").write_text("step-000002\n")
    assert "step-000002" in refusal(lambda: run.get(asked).state())


def test_a_pointer_that_is_a_link_is_refused(run: CheckpointStore, tmp_path: Path) -> None:
    save(run, 1)
    (run.folder / "last").rename(tmp_path / "elsewhere")
    (run.folder / "last").symlink_to(tmp_path / "elsewhere")
    assert refusal(lambda: run.get("last")) == (
        f"{run.folder / 'last'} cannot be read: it is a link, and a link may lead anywhere"
    )


def test_a_checkpoint_that_was_never_saved_is_named_with_those_that_were(run: CheckpointStore) -> None:
    save(run, 1)
    reason = "its run was stopped before it saved one"
    assert refusal(lambda: run.get("best")) == (
        f"{run.folder.parent} has no checkpoint 'best': {reason}. Whole are: step-000001"
    )
    assert refusal(lambda: run.get("worst")).startswith(f"{run.folder.parent} has no checkpoint 'worst'. Whole")


@pytest.mark.parametrize("model", [nn.Linear(3, 3), nn.Linear(2, 3, bias=False), nn.Sequential(nn.Linear(2, 3))])
def test_weights_of_another_model_are_named(run: CheckpointStore, model: nn.Module) -> None:
    save(run, 1)
    file = run.folder / "step-000001" / "model.safetensors"
    for act in (run.get("last").load_weights, run.get("last").check_fit):
        assert refusal(partial(act, model)).startswith(f"{file} does not fit the model: ")


def test_weights_that_are_not_finite_are_not_saved(run: CheckpointStore) -> None:
    model = layer(1)
    nn.init.constant_(model.bias, float("nan"))
    with pytest.raises(NumericsError, match=r"^after step 3: the weight bias is not finite, and is not saved$"):
        take(3, model, torch.optim.AdamW(model.parameters()), {})


def test_a_snapshot_is_a_copy_that_training_does_not_reach(run: CheckpointStore) -> None:
    model = layer(1)
    optimizer = momentum(model)
    snapshot = take(1, model, optimizer, {})
    kept = {name: tensor.clone() for name, tensor in snapshot.optimizer.items()}
    before = {name: tensor.clone() for name, tensor in snapshot.weights.items()}
    optimizer.step()
    assert all(torch.equal(snapshot.weights[name], before[name]) for name in before)
    assert all(torch.equal(snapshot.optimizer[name], kept[name]) for name in kept)


def test_a_disk_that_is_full_leaves_the_checkpoint_before(
    run: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(run, 1, best=True)
    monkeypatch.setenv("GPTKIT_FAULT", "ENOSPC@write:2")
    faults.reached.clear()
    with pytest.raises(OSError, match="No space left on device"):
        save(run, 2, best=True)
    assert (run.get("best").folder.name, run.problems()["step-000001"]) == ("step-000001", [])
