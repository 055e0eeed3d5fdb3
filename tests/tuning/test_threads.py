"""Threads wait without keeping a CPU from others, as many as may be used, and what the user has set is kept."""

import subprocess
import sys
from pathlib import Path

import pytest

from gptkit.cli.run_summary import describe_threads
from gptkit.errors import UsageError
from gptkit.tuning import threads
from gptkit.tuning.threads import Neighbours, Threads, set_threads, usable_cpus, warn_of_spinning


@pytest.fixture
def no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process look as it does before PyTorch is loaded."""
    monkeypatch.delitem(sys.modules, "torch")


@pytest.fixture
def cgroup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let this process be in a control group of version 2, within another, on four CPUs."""
    own = tmp_path / "own"
    own.write_text("0::/outer/inner\n")
    monkeypatch.setattr(threads, "OWN_CGROUP", own)
    monkeypatch.setattr(threads, "CGROUPS", tmp_path)
    monkeypatch.setattr(threads, "pinned_cpus", lambda: 4)
    (tmp_path / "outer" / "inner").mkdir(parents=True)
    return tmp_path / "outer" / "inner"


@pytest.mark.parametrize(
    ("load", "busy_cpus", "rounds"),
    [
        (0.0, 2.0, "3000"),
        (0.49, 2.0, "3000"),
        # Something ended a moment ago, such as an installation.
        (7.0, 0.4, "3000"),
        (0.5, 0.5, "1000"),
        (7.0, 2.0, "1000"),
        (7.0, None, "1000"),
    ],
)
def test_threads_spin_briefly_and_beside_other_programs_more_briefly(
    no_torch: None, monkeypatch: pytest.MonkeyPatch, load: float, busy_cpus: float | None, rounds: str
) -> None:
    monkeypatch.setattr("os.getloadavg", lambda: (load, 0.0, 0.0))
    monkeypatch.setattr(Neighbours, "busy_cpus", lambda self: busy_cpus)
    environment: dict[str, str] = {}
    set_threads(environment)
    assert environment["GOMP_SPINCOUNT"] == rounds


def test_where_no_load_is_known_the_machine_counts_as_quiet(
    no_torch: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("os.getloadavg")
    environment: dict[str, str] = {}
    set_threads(environment)
    assert environment["GOMP_SPINCOUNT"] == "3000"


def test_how_the_user_lets_threads_wait_is_kept(no_torch: None) -> None:
    for given in ({"OMP_WAIT_POLICY": "active"}, {"GOMP_SPINCOUNT": "7"}):
        environment = dict(given)
        set_threads(environment)
        assert environment == given


def test_nothing_is_set_that_torch_has_read_already() -> None:
    environment: dict[str, str] = {}
    set_threads(environment)
    assert environment == {}


@pytest.mark.parametrize("number", ["two", "0", "-1", "2.5", "1,,2"])
def test_a_number_of_threads_that_openmp_would_ignore_is_refused(number: str) -> None:
    with pytest.raises(UsageError, match=r"OMP_NUM_THREADS is '.*': expected a whole number of threads"):
        set_threads({"OMP_NUM_THREADS": number})


@pytest.mark.parametrize("number", ["1", "64", "4,2"])
def test_a_number_of_threads_is_kept(no_torch: None, cgroup: Path, number: str) -> None:
    (cgroup / "cpu.max").write_text("50000 100000\n")
    environment = {"OMP_NUM_THREADS": number}
    set_threads(environment)
    assert environment["OMP_NUM_THREADS"] == number


@pytest.mark.parametrize(
    ("limits", "usable", "number"),
    [
        (("50000 100000", "max 100000"), 0.5, "1"),
        (("max 100000", "250000 100000"), 2.5, "2"),
        (("300000 100000", "200000 100000"), 2.0, "2"),
        (("max 100000", "max 100000"), 4.0, None),
        (("900000 100000", "nonsense"), 4.0, None),
    ],
)
def test_a_containers_limit_is_the_number_of_threads(
    no_torch: None, cgroup: Path, limits: tuple[str, str], usable: float, number: str | None
) -> None:
    for folder, limit in zip((cgroup, cgroup.parent), limits, strict=True):
        (folder / "cpu.max").write_text(f"{limit}\n")
    assert usable_cpus() == usable
    environment: dict[str, str] = {}
    set_threads(environment)
    assert environment.get("OMP_NUM_THREADS") == number


def test_a_limit_of_the_first_version_of_control_groups_counts_too(cgroup: Path) -> None:
    threads.OWN_CGROUP.write_text("5:memory:/\n4:cpu,cpuacct:/box\n")
    folder = threads.CGROUPS / "cpu" / "box"
    folder.mkdir(parents=True)
    (folder / "cpu.cfs_quota_us").write_text("150000\n")
    (folder / "cpu.cfs_period_us").write_text("100000\n")
    assert usable_cpus() == 1.5
    (folder / "cpu.cfs_quota_us").write_text("-1\n")
    assert usable_cpus() == 4.0


def test_the_command_line_decides_before_torch_is_loaded() -> None:
    program = (
        "import os, sys; sys.argv = ['gptkit', 'plugins']\n"
        "for name in ('OMP_WAIT_POLICY', 'GOMP_SPINCOUNT'): os.environ.pop(name, None)\n"
        "from gptkit.cli import main\n"
        "assert 'torch' not in sys.modules\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "assert 'torch' in sys.modules\n"
        "print(os.environ['GOMP_SPINCOUNT'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] in {"1000", "3000"}


def test_busy_neighbours_are_counted_and_this_process_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    found = iter([(10.0, 100.0, 3.0), (14.0, 107.0, 5.0)])
    monkeypatch.setattr(Neighbours, "busy_seconds", lambda self: next(found))
    # Seven seconds of all programs in four, two of them ours.
    assert Neighbours().busy_cpus() == 1.25


@pytest.mark.skipif(Neighbours.busy_seconds() is None, reason="Linux tells how busy a machine is")
def test_a_program_that_was_awaited_is_no_neighbour() -> None:
    before = Neighbours.busy_seconds()
    subprocess.run([sys.executable, "-c", "sum(range(3_000_000))"], check=True)
    after = Neighbours.busy_seconds()
    assert before is not None
    assert after is not None
    assert after[2] - before[2] > 0.03


def test_where_the_system_says_nothing_neighbours_are_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "STATISTICS", tmp_path / "none")
    assert Neighbours().busy_cpus() is None


def test_the_machines_own_statistics_are_read() -> None:
    if not threads.STATISTICS.exists():
        pytest.skip("only Linux has /proc/stat")
    found = Neighbours().busy_seconds()
    assert found is not None
    assert found[1] > found[2] > 0


@pytest.mark.parametrize(
    ("number", "spin", "busy", "warns"),
    [
        (2, "", 1.0, True),
        (1, "", 1.0, False),
        (2, "GOMP_SPINCOUNT=1000", 1.0, False),
        (2, "", 0.2, False),
        (2, "", None, False),
    ],
)
def test_a_program_whose_threads_spin_beside_others_is_warned(
    number: int, spin: str, busy: float | None, warns: bool, recwarn: pytest.WarningsRecorder
) -> None:
    warn_of_spinning(Threads(number, 2.0, spin), busy)
    assert [str(each.message).startswith("other programs keep 1.0 of 2 CPUs busy") for each in recwarn] == (
        [True] if warns else []
    )


def test_a_run_says_how_many_threads_there_are_and_how_they_wait() -> None:
    assert describe_threads(Threads(2, 2.0, "GOMP_SPINCOUNT=1000"), 1.04) == (
        "2 on 2 CPUs, of which other programs keep 1.0 busy; a waiting thread soon sleeps and leaves its CPU to "
        "others (GOMP_SPINCOUNT=1000)"
    )
    assert describe_threads(Threads(1, 0.5, "OMP_WAIT_POLICY=active"), None) == (
        "1 on 0.5 CPUs; a waiting thread sleeps when OMP_WAIT_POLICY=active says"
    )
    assert "many times slower beside other programs: set GOMP_SPINCOUNT=3000" in describe_threads(
        Threads(2, 2.0, ""), 0.0
    )
