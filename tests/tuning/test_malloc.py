"""What glibc does with freed memory, seen from outside: in how much memory a process has."""

import platform
from pathlib import Path

import pytest
import torch

from gptkit.model import GPT
from gptkit.recipe.resolved import Resolved
from gptkit.tuning import malloc as allocator, trial_step as trial_step_module
from gptkit.tuning.malloc import GIVEN_BACK, KEPT, USUAL, policy, training_memory
from tests.program import run_program
from tests.small import finish, write_recipe

CPU = torch.device("cpu")
pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc that keeps memory")

RESIDENT = """
import resource, torch
from gptkit.tuning.malloc import GIVEN_BACK, KEPT, policy
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
    assert float(run_program(f"{RESIDENT}memory = policy(GIVEN_BACK)\nmemory.__enter__()\n{GAPS}")) > 0.9 * 80


def test_kept_memory_serves_the_next_tensor_and_goes_back_in_the_end() -> None:
    program = f"""{RESIDENT}
size = 2**26
before = resident()
with policy(KEPT):
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
    told: list[allocator.Policy] = []
    monkeypatch.setattr(allocator, "put_in_force", told.append)
    kept, given_back = policy(KEPT), policy(GIVEN_BACK)
    kept.__enter__()
    given_back.__enter__()
    kept.__exit__(None, None, None)
    given_back.__exit__(None, None, None)
    assert told == [KEPT, GIVEN_BACK, GIVEN_BACK, USUAL]
    assert allocator.in_force == [USUAL]


def test_a_run_trains_by_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told: list[allocator.Policy] = []
    found: list[list[allocator.Policy]] = []

    def seen(model: GPT, resolved: Resolved, dtype: str) -> float:
        found.append(allocator.in_force.copy())
        return 0.1

    monkeypatch.setattr(allocator, "put_in_force", told.append)
    # A step that is tried before the first finds the memory that the others find.
    monkeypatch.setattr(trial_step_module, "trial_step", seen)
    finish(write_recipe(tmp_path), tmp_path / "run", ["train.checkpoint_activations=true"])
    assert found == [[USUAL, GIVEN_BACK]]
    assert told == [GIVEN_BACK, USUAL]


def test_without_glibc_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(allocator, "put_in_force", lambda wanted: pytest.fail("there is nobody to tell"))
    with training_memory(CPU, recomputes=True), training_memory(CPU, recomputes=False):
        pass


def test_training_gives_back_on_a_cpu_and_only_if_it_recomputes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[allocator.Policy] = []
    monkeypatch.setattr(allocator, "put_in_force", told.append)
    for recomputes in (True, False):
        for device in (CPU, torch.device("cuda")):
            with training_memory(device, recomputes=recomputes):
                pass
    assert told == [GIVEN_BACK, USUAL, KEPT, USUAL]
