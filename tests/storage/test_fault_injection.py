"""The faults that the other tests rely on: inert unless asked for, and exactly where they were asked for."""

import pytest

from gptkit.errors import UsageError
from gptkit.storage import fault_injection as faults


@pytest.fixture(autouse=True)
def afresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(faults.VARIABLE, raising=False)
    faults.reached.clear()


def test_nothing_happens_unless_asked_for() -> None:
    with faults.phase("save"):
        faults.reach("write")
    assert faults.reached == {"write": 1, "save.write": 1, "save": 2, "end": 1, "save.end": 1}


@pytest.mark.parametrize("place", ["write", "save", "save.write"])
def test_it_happens_at_the_arrival_that_was_asked_for(monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    monkeypatch.setenv(faults.VARIABLE, f"EIO@{place}:2,EPERM@fsync:1")
    with faults.phase("save"):
        faults.reach("write")
        with pytest.raises(OSError, match=rf"^\[Errno 5\] Input/output error \(GPTKIT_FAULT=EIO@{place}:2\)$"):
            faults.reach("write")
        faults.reach("write")
    with pytest.raises(PermissionError):
        faults.reach("fsync")


@pytest.mark.parametrize("fault", ["kill", "kill@save", "kill@save:x", "explode@save:1", "kill@:1", "@save:1"])
def test_a_fault_that_is_not_understood_is_refused(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    monkeypatch.setenv(faults.VARIABLE, fault)
    with pytest.raises(UsageError) as caught:
        faults.reach("save")
    assert str(caught.value) == (
        f"GPTKIT_FAULT={fault}: expected ACTION@PLACE:NUMBER, with an action of kill, interrupt, terminate or an "
        "error such as EIO"
    )
