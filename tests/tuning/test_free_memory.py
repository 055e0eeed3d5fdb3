"""The memory that is left is the least of what the machine and each control group have."""

from pathlib import Path

import pytest
import torch

from gptkit.tuning import free_memory as capacity
from gptkit.tuning.free_memory import free_memory

CPU = torch.device("cpu")
MACHINE = {"proc/meminfo": "MemTotal:  9000 kB\nMemAvailable:    5000 kB\nHugePages_Total:       0\n"}
FIRST = {
    "proc/self/cgroup": "12:pids:/job\n4:memory:/job/part\n0::/\n",
    "sys/memory/memory.limit_in_bytes": "9223372036854771712\n",
    "sys/memory/memory.usage_in_bytes": "100\n",
    "sys/memory/job/memory.limit_in_bytes": "3000\n",
    "sys/memory/job/memory.usage_in_bytes": "1200\n",
    "sys/memory/job/memory.stat": "cache 700\ninactive_file 200\n",
    "sys/pids/job/memory.limit_in_bytes": "1\n",
    "sys/pids/job/memory.usage_in_bytes": "1\n",
}
SECOND = {
    "proc/self/cgroup": "0::/user/run\n",
    "sys/user/memory.max": "max\n",
    "sys/user/memory.current": "5\n",
    "sys/user/run/memory.max": "1000\n",
    "sys/user/run/memory.current": "300\n",
}
# As a container sees its own group: by another's name for it, and with its files at the root.
INSIDE = {
    "proc/self/cgroup": "0::/machine/a1b2\n",
    "sys/memory.max": "1500\n",
    "sys/memory.current": "100\n",
    "sys/memory.stat": "inactive_file 50\n",
}


@pytest.mark.parametrize(
    ("files", "left"), [({}, 5000 * 1024), (FIRST, 2000), (SECOND, 700), (INSIDE, 1450)], ids=str
)
def test_limits_of_groups_and_of_those_above_them_are_obeyed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], left: int
) -> None:
    for name, text in (MACHINE | files).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(capacity, "PROCESS", tmp_path / "proc")
    monkeypatch.setattr(capacity, "CGROUPS", tmp_path / "sys")
    assert free_memory(CPU) == left


def test_where_nothing_is_told_it_is_all_that_the_machine_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = free_memory(CPU)
    monkeypatch.setattr(capacity, "PROCESS", tmp_path)
    assert free_memory(CPU) > before


@pytest.mark.cuda
def test_what_torch_holds_unused_is_free_on_cuda() -> None:
    device = torch.device("cuda")
    held = torch.ones(2**26, device=device)
    before = free_memory(device)
    del held
    assert free_memory(device) >= before + 2**28
