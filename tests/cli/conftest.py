"""The command line, called as the console script calls it."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

SMALL = """
[model]
n_layer = 1
n_head = 2
n_embd = 8
block_size = 8

[train]
batch_size = 4
max_iters = 4
log_interval = 2
eval_interval = 2
"""


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


Gptkit = Callable[..., Outcome]


@pytest.fixture
def gptkit(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Gptkit:
    """Return a function that runs a command in an empty directory that holds `small.toml`."""
    from gptkit.cli import main

    monkeypatch.chdir(tmp_path)
    # Half a second of products, for no more than a warning of runs that take hours.
    monkeypatch.setattr("gptkit.run.prepare.matmul_rate", lambda device, dtype: 1e12)
    (tmp_path / "small.toml").write_text(SMALL)

    def call(*arguments: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["gptkit", *arguments])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        told = capsys.readouterr()
        return Outcome(code, told.out, told.err)

    return call
