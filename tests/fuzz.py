"""Coverage-guided fuzzing of all that reads a stranger's file: `python -m tests.fuzz recipe -max_total_time=3600`.

Needs atheris, which is no dependency of ours. What is neither a value nor an error of ours is a crash, which the
fuzzer writes down; it then becomes a test. Options are libFuzzer's.
"""

import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import atheris  # type: ignore[import-not-found, import-untyped, unused-ignore]

with atheris.instrument_imports(include=["gptkit", "tomli", "tomli_w", "json"]):
    import json

    import tomli
    import tomli_w
    import torch

    from gptkit import api
    from gptkit.api import load
    from gptkit.components.optimizer.adamw import AdamWOptimizer
    from gptkit.errors import CheckpointError, GptkitError
    from gptkit.recipe.assemble import Assembler
    from gptkit.recipe.check import check_parts
    from gptkit.recipe.read import override, read
    from gptkit.recipe.resolve import resolve
    from gptkit.recipe.values import key_lines
    from gptkit.registry.loader import Plugins
    from gptkit.run.session import Session
    from gptkit.storage.checkpoint import MANIFEST, OPTIMIZER, STATE, WEIGHTS, Checkpoint, to_json
    from gptkit.storage.run_writer import RunWriter
    from gptkit.training.train import new_scaler
    from tests.small import finish, write_recipe

ROOT = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
PLUGINS = Plugins()


def recipe(content: bytes) -> None:
    """Read bytes as a recipe, resolve it, and write it again."""
    file = ROOT / "fuzzed.toml"
    file.write_bytes(content)
    with suppress(GptkitError):
        override(content.decode("utf-8", errors="replace"))
    with suppress(GptkitError):
        written = read(file)
        key_lines(written.text.removeprefix("\ufeff"))
        resolved = resolve(written, PLUGINS)
        assert tomli.loads(tomli_w.dumps(resolved.document)) == resolved.document
        if resolved.sizes["n_layer"] < 50:
            check_parts(Assembler(resolved, PLUGINS.registry))


def checkpoint(content: bytes) -> None:
    """Put bytes in the place of one file of a run, and do with the run what anybody might."""
    which, content = content[:1], content[1:]
    names = [MANIFEST, WEIGHTS, OPTIMIZER, STATE, "../last", "../../tokenizer.json", "../../origin.json"]
    names += ["../../resolved.toml", "../../metrics.jsonl"]
    number = which[0] if which else 0
    name, is_vouched_for = names[number % 16 % len(names)], number >= 128
    run = ROOT / "run"
    folder = run / "checkpoints" / "step-000002"
    file = folder / name
    before = {path: path.read_bytes() for path in (file, folder / MANIFEST)}
    try:
        file.write_bytes(content)
        if is_vouched_for and name in (WEIGHTS, OPTIMIZER, STATE):
            manifest = json.loads(before[folder / MANIFEST])
            manifest["files"][name] = {"size": len(content), "sha256": sha256(content).hexdigest()}
            (folder / MANIFEST).write_bytes(to_json(manifest))
        for look in LOOKS[name in (WEIGHTS, OPTIMIZER, STATE, MANIFEST)]:
            with suppress(GptkitError):
                look(run)
    finally:
        for path, kept in before.items():
            path.write_bytes(kept)


def session_of(run: Path) -> None:
    """Stand where a run was saved."""
    session = Session.__new__(Session)
    session.model = MODEL
    session.optimizer = AdamWOptimizer().build(session.model.parameter_groups())
    session.scaler = new_scaler(torch.device("cpu"), "fp32")
    session.restore(RunWriter(run).checkpoints.get("last"))


def rows_of(run: Path) -> None:
    """Keep some rows of metrics."""
    rows = RunWriter(run).metrics.rows()
    session = Session.__new__(Session)
    session.step, session.eval_pending = 1, True
    assert all(isinstance(session.is_past(row), bool) for row in rows)


# What is done with a run whose own file was changed, and with one of whose last checkpoint a file was changed.
LOOKS: tuple[list[Callable[[Path], object]], ...] = (
    [lambda run: load(run, checkpoint="last"), lambda run: RunWriter(run).verify(), rows_of],
    [session_of, lambda run: RunWriter(run).verify()],
)

if __name__ == "__main__":
    target = {"recipe": recipe, "checkpoint": checkpoint}[sys.argv.pop(1)]
    finish(write_recipe(ROOT), ROOT / "run", ["train.max_iters=2", "train.sample_interval=0"])
    vars(api)["Plugins"] = lambda files: PLUGINS
    MODEL = load(ROOT / "run").model
    assert Checkpoint(ROOT / "run" / "checkpoints" / "step-000002").problems() == []
    try:
        session_of(ROOT / "run")
    except CheckpointError as error:
        raise SystemExit(f"the run that is fuzzed is not whole: {error}") from error
    atheris.Setup(sys.argv, target)
    try:
        atheris.Fuzz()
    finally:
        shutil.rmtree(ROOT)
