"""Runs a part's checks in several processes at once, and yields their outcomes in order."""

import multiprocessing
import sys
import warnings
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess

from gptkit.errors import UsageError
from gptkit.testing.check import Check
from gptkit.testing.outcome import Outcome

# A forked process has everything loaded. Other systems than Linux cannot fork what PyTorch has loaded.
CAN_FORK = sys.platform == "linux"
# Seconds until a process that was told to end is killed.
PATIENCE = 1.0


@dataclass
class Worker:
    """A forked process, this end of the pipe to it, and the number of the check that it runs."""

    process: ForkProcess
    pipe: Connection
    number: int = 0

    def end(self) -> None:
        """End the process, even if it hangs."""
        self.pipe.close()
        self.process.terminate()
        self.process.join(PATIENCE)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def in_processes(
    checks: Sequence[Check], run: Callable[[Check], Outcome], processes: int
) -> Generator[Outcome, None, None]:
    """Yield the outcome of each check, in order, without what it raised, which may not fit through a pipe.

    A check in which the process dies, as a wrong kernel can make it, is broken. The others run nevertheless.

    Args:
        processes: At most so many run at once. Each must start before PyTorch has computed with several threads.

    Raises:
        UsageError: If `run` raises it, in any process.
    """
    waiting, done = deque(range(len(checks))), dict[int, Outcome]()
    workers = [start(checks, run) for _ in range(min(processes, len(checks)))]
    busy: list[Worker] = []

    def assign(worker: Worker) -> None:
        while waiting:
            try:
                worker.pipe.send(waiting[0])
            except BrokenPipeError:
                # It died after its last check.
                workers.append(worker := start(checks, run))
                continue
            worker.number = waiting.popleft()
            busy.append(worker)
            break

    try:
        for worker in workers:
            assign(worker)
        for number in range(len(checks)):
            while number not in done:
                ready = wait([worker.pipe for worker in busy])
                for worker in [worker for worker in busy if worker.pipe in ready]:
                    busy.remove(worker)
                    try:
                        found = worker.pipe.recv()
                    except (EOFError, OSError):
                        found = death(checks[worker.number], worker.process)
                    if isinstance(found, UsageError):
                        raise found
                    done[worker.number] = found
                    assign(worker)
            yield done.pop(number)
    finally:
        for worker in workers:
            worker.end()


def start(checks: Sequence[Check], run: Callable[[Check], Outcome]) -> Worker:
    """Start a process that runs the checks whose numbers come through its pipe."""
    here, there = multiprocessing.Pipe()

    def work() -> None:
        here.close()
        # A part may start processes of its own, which a daemon may not; Python has no public way to say so.
        multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]
        while True:
            try:
                number = there.recv()
            except EOFError:
                return
            try:
                there.send(replace(run(checks[number]), error=None))
            except UsageError as error:
                there.send(error)

    process = multiprocessing.get_context("fork").Process(target=work, daemon=True)
    with warnings.catch_warnings():
        # Python warns of any thread. Those of NumPy's BLAS are idle.
        warnings.simplefilter("ignore", DeprecationWarning)
        process.start()
    there.close()
    return Worker(process, here)


def death(check: Check, process: ForkProcess) -> Outcome:
    """Return the outcome of a check in which the process died."""
    process.join()
    code = process.exitcode
    how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
    why = f"the process ended with {how}; to see where: python -X faulthandler -m gptkit check … --only {check.id}"
    return Outcome(check.id, check.promise, "broken", why, 1, is_core=check.is_core)
