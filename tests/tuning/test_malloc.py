"""What glibc does with freed memory, seen from outside: in how much memory a process has."""

import platform
from pathlib import Path

import pytest
import torch

from gptkit.model import GPT
from gptkit.recipe.resolved import Resolved
from gptkit.tuning import malloc, trial_step as trial_step_module
from gptkit.tuning.malloc import DEFAULT, KEEP, RELEASE, training_memory
from tests.program import run_program
from tests.small import finish, write_recipe

CPU = torch.device("cpu")
pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc that keeps memory")

RESIDENT = """
import resource, torch
from gptkit.tuning.malloc import training_memory
CPU = torch.device("cpu")
def resident():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS")) / 1024
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
torch.ones(2**24)
"""
# Frees forty tensors of 2 MB with small ones between them, and prints how many megabytes the process then lacks.
GAPS = """
kept = []
for _ in range(40):
    freed, small = torch.ones(2**19), torch.ones(2**11)
    kept.append((freed, small))
before = resident()
kept = [small for _, small in kept]
del freed
print(before - resident())
"""


def test_memory_between_other_tensors_is_given_back() -> None:
    program = f"{RESIDENT}memory = training_memory(CPU, recomputes=True)\nmemory.__enter__()\n{GAPS}"
    assert float(run_program(program)) > 0.9 * 80


def test_kept_memory_serves_the_next_tensor_and_goes_back_in_the_end() -> None:
    program = f"""{RESIDENT}
size = 2**26
before = resident()
with training_memory(CPU, recomputes=False):
    torch.ones(size)
    print(resident() - before)
    began = faults()
    # A little less: what the lines above took may have come out of it.
    torch.ones(size - 2**20)
    print(faults() - began)
print(resident() - before)
"""
    held, n_faults, left = map(float, run_program(program).split())
    # 256 MB, which are 65,536 pages if they are touched anew.
    assert held > 0.95 * 256
    assert n_faults < 1000
    assert left < 0.05 * 256


def test_a_policy_ends_with_its_context_whichever_ends_first(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[malloc.Policy] = []
    monkeypatch.setattr(malloc, "apply", told.append)
    kept, given_back = training_memory(CPU, recomputes=False), training_memory(CPU, recomputes=True)
    kept.__enter__()
    given_back.__enter__()
    kept.__exit__(None, None, None)
    given_back.__exit__(None, None, None)
    assert told == [KEEP, RELEASE, RELEASE, DEFAULT]
    assert malloc.active == [DEFAULT]


def test_a_run_trains_by_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told: list[malloc.Policy] = []
    found: list[list[malloc.Policy]] = []

    def seen(model: GPT, resolved: Resolved, dtype: str) -> float:
        found.append(malloc.active.copy())
        return 0.1

    monkeypatch.setattr(malloc, "apply", told.append)
    # A step that is tried before the first finds the memory that the others find.
    monkeypatch.setattr(trial_step_module, "trial_step", seen)
    finish(write_recipe(tmp_path), tmp_path / "run", ["train.checkpoint_activations=true"])
    assert found == [[DEFAULT, RELEASE]]
    assert told == [RELEASE, DEFAULT]


def test_without_glibc_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(malloc, "apply", lambda wanted: pytest.fail("there is no glibc"))
    with training_memory(CPU, recomputes=True), training_memory(CPU, recomputes=False):
        pass


def test_training_gives_back_on_a_cpu_and_only_if_it_recomputes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[malloc.Policy] = []
    monkeypatch.setattr(malloc, "apply", told.append)
    for recomputes in (True, False):
        for device in (CPU, torch.device("cuda")):
            with training_memory(device, recomputes=recomputes):
                pass
    assert told == [RELEASE, DEFAULT, KEEP, DEFAULT]
