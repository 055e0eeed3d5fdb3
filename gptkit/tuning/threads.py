"""Decides, before PyTorch is loaded, how many threads it starts and how long they spin while they wait."""

import os
import re
import sys
import time
import warnings
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from pathlib import Path

from gptkit.errors import UsageError

NUMBER, SPIN, POLICY = "OMP_NUM_THREADS", "GOMP_SPINCOUNT", "OMP_WAIT_POLICY"
# Rounds of GNU OpenMP's waiting loop before a thread sleeps; its own default is 300,000, some milliseconds.
# Measured (benchmarks/README.md): more is hardly faster alone, and many times slower beside another program.
# Where there is one already, fewer are better still.
SPIN_ROUNDS, SPIN_ROUNDS_BUSY = 3000, 1000
# CPUs kept busy by other programs from which on a machine counts as busy: while threads spin, steps take half as
# long again.
BUSY_CPUS = 0.5
# Seconds for which other programs are watched where the load average, which counts the last minute, is as high.
WATCHED = 0.1

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUP = Path("/proc/self/cgroup")
STATISTICS = Path("/proc/stat")


@dataclass(frozen=True)
class Threads:
    """How PyTorch's threads compute and wait.

    Args:
        number: Threads of one operator.
        usable: CPUs that this process may use; not whole where a container is limited to a share of one.
        spin: The variable that decides how long a waiting thread spins, as NAME=VALUE; empty if none is set.
    """

    number: int
    usable: float
    spin: str


def set_threads(environment: MutableMapping[str, str] = os.environ) -> None:
    """Set the variables of OpenMP that the user has not set, unless PyTorch has read them already.

    Threads spin only briefly before they sleep: on a busy machine a spinning thread keeps a CPU from the thread
    that it waits for.

    Raises:
        UsageError: If OMP_NUM_THREADS is not a number of threads, which OpenMP would ignore.
    """
    number = environment.get(NUMBER, "").strip()
    # OpenMP takes a list too, one number for each level of nesting.
    if number and not re.fullmatch(r"0*[1-9]\d*(\s*,\s*0*[1-9]\d*)*", number):
        raise UsageError(f"{NUMBER} is {number!r}: expected a whole number of threads of at least 1, such as 2")
    if "torch" in sys.modules:
        return
    if not number and usable_cpus() < pinned_cpus():
        # OpenMP counts CPUs and knows no container's limit.
        environment[NUMBER] = str(max(1, int(usable_cpus())))
    if not any(environment.get(name) for name in (SPIN, POLICY)):
        environment[SPIN] = str(SPIN_ROUNDS_BUSY if is_busy() else SPIN_ROUNDS)


def is_busy() -> bool:
    """Return whether other programs compute now. Without a load in the last minute it is not measured."""
    try:
        load = os.getloadavg()[0]
    except (AttributeError, OSError):
        return False
    if load < BUSY_CPUS:
        return False
    neighbours = Neighbours()
    time.sleep(WATCHED)
    busy_cpus = neighbours.busy_cpus()
    return busy_cpus is None or busy_cpus >= BUSY_CPUS


def threads_in_use(number: int) -> Threads:
    """Return how this process's threads compute and wait.

    Args:
        number: What `torch.get_num_threads` says; this module is imported before PyTorch is.
    """
    spin = next((f"{name}={os.environ[name]}" for name in (SPIN, POLICY) if os.environ.get(name)), "")
    return Threads(number, usable_cpus(), spin)


def warn_of_spinning(threads: Threads, busy_cpus: float | None) -> None:
    """Warn if PyTorch's threads, which are started already, spin beside busy programs.

    Args:
        busy_cpus: Number of CPUs that other programs keep busy, if it is known.
    """
    if threads.number > 1 and not threads.spin and (busy_cpus or 0.0) >= BUSY_CPUS:
        warnings.warn(
            f"other programs keep {busy_cpus:.1f} of {threads.usable:g} CPUs busy, and PyTorch's threads spin "
            f"while they wait, which makes steps many times slower: set {SPIN}={SPIN_ROUNDS} before Python starts",
            stacklevel=3,
        )


def usable_cpus() -> float:
    """Return the number of CPUs that this process may use: its affinity, or its container's limit if smaller."""
    return min([float(pinned_cpus()), *cgroup_limits()])


def pinned_cpus() -> int:
    """Return the number of CPUs that this process may run on, as `taskset` limits them."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cgroup_limits() -> Iterator[float]:
    """Yield the limit of each control group that this process is in, in CPUs."""
    try:
        lines = OWN_CGROUP.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        number, controllers, path = line.split(":", 2)
        # Version 2 has one hierarchy, numbered 0; version 1 one for each controller.
        root = CGROUPS if number == "0" else CGROUPS / "cpu"
        if number != "0" and "cpu" not in controllers.split(","):
            continue
        folder = root / path.lstrip("/")
        for each in (folder, *folder.parents):
            if each.is_relative_to(root):
                yield from limit_of(each)


def limit_of(cgroup: Path) -> Iterator[float]:
    """Yield the CPUs that a control group may use, if it is limited."""
    for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        try:
            quota, period = " ".join((cgroup / name).read_text() for name in names).split()
        except (OSError, ValueError):
            continue
        if quota not in {"max", "-1"}:
            yield int(quota) / int(period)


class Neighbours:
    """Measures how many CPUs other programs keep busy, from its creation on."""

    def __init__(self) -> None:
        self.began = self.busy_seconds()

    def busy_cpus(self) -> float | None:
        """Return the mean number of CPUs that other programs kept busy; None where the system does not say."""
        if self.began is None or (now := self.busy_seconds()) is None:
            return None
        wall, machine, own = (after - before for after, before in zip(now, self.began, strict=True))
        return max(0.0, machine - own) / wall if wall > 0 else 0.0

    @staticmethod
    def busy_seconds() -> tuple[float, float, float] | None:
        """Return the time, and the CPU seconds of the whole machine, and of this process and those it awaited."""
        try:
            with STATISTICS.open() as file:
                times = [int(field) for field in file.readline().split()[1:]]
        except (OSError, ValueError):
            return None
        # User, nice and system time, interrupts of both sorts, and what the host took away.
        ticks = sum(times[:3]) + sum(times[5:8])
        own = os.times()
        return time.perf_counter(), ticks / os.sysconf("SC_CLK_TCK"), sum(own[:4])
