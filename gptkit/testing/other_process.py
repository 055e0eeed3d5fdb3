"""Another process, with another hash seed, locale and time zone, that says what a part does there.

It is started once in each process that asks, because importing PyTorch takes seconds, and forks for each question,
so that none finds what another left. Forking is sound: the process has imported modules, computed nothing, and has
one thread.
"""

import atexit
import importlib
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

from gptkit.registry.loader import import_file
from gptkit.registry.signature import options as options_of
from gptkit.testing.outcome import NotHere
from gptkit.testing.subject import Subject, file_of

# In seconds.
LONGEST_ANSWER = 120
# In the C locale, without UTF-8 mode, text files are ASCII unless their encoding is said.
ELSEWHERE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "TZ": "Asia/Kathmandu"}


def ask(subject: Subject, function: str, *arguments: str) -> Any:
    """Return what a function returns of a part in the other process.

    Args:
        function: "module:name" of a function that takes a subject and strings, and returns JSON's types.

    Raises:
        NotHere: If the part cannot be imported there, or this system cannot fork.
        AssertionError: If the function raises; the message is that of its error.
    """
    if not hasattr(os, "fork"):
        raise NotHere("this system cannot fork a process")
    where = (subject.part.__module__, file_of(subject.part), subject.part.__qualname__)
    if "<locals>" in where[-1] or where[0] == "__main__":
        raise NotHere("a class inside a function or a script cannot be imported in another process")
    declared = options_of(subject.part)
    written = {name: declared[name].to_json(value) for name, value in subject.options.items()}
    question = json.dumps([sys.path, where, written, function, arguments])
    answer = json.loads(exchange(question.encode() + b"\n"))
    if "missing" in answer:
        raise NotHere(f"it cannot be imported in another process: {answer['missing']}")
    if "error" in answer:
        raise AssertionError(f"in another process, {answer['error']}")
    return answer["result"]


def exchange(line: bytes) -> bytes:
    """Send a line to the other process and return the one that comes back; raise NotHere if it has ended."""
    process = other_process()
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(line)
        process.stdin.flush()
        if not (answer := process.stdout.readline()):
            raise BrokenPipeError
        return answer
    except BrokenPipeError:
        other_process.cache_clear()
        end(process)
        raise NotHere("the other process has ended") from None
    except BaseException:
        # Such as a time limit. A late answer must not be taken for that of the next question.
        other_process.cache_clear()
        end(process)
        raise


def end(process: "subprocess.Popen[bytes]") -> None:
    """End the process and its forks."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            # What was not read yet cannot be written any more.
            with suppress(BrokenPipeError):
                pipe.close()


@cache
def other_process() -> "subprocess.Popen[bytes]":
    """Start the process; it ends when this one does, because its input does."""
    hash_seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    environment = {**os.environ, **ELSEWHERE, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "gptkit.testing.other_process"]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment, start_new_session=True)
    atexit.register(end, process)
    return process


def answer_all(questions: BinaryIO) -> None:
    """Answer each question in a fork, on what was standard output; parts print to standard error."""
    answers = os.dup(1)
    os.dup2(2, 1)
    # Before the first fork, because every answer needs it.
    importlib.import_module("gptkit.testing.laws.process")
    for question in questions:
        if (child := os.fork()) == 0:
            # Longer than a check waits. Without it, a fork that hangs would outlive the process that asked.
            signal.alarm(LONGEST_ANSWER)
            os.write(answers, json.dumps(answer(question)).encode() + b"\n")
            os._exit(0)
        if os.waitpid(child, 0)[1]:
            os.write(answers, b'{"error": "it ends the process"}\n')


def answer(question: bytes) -> dict[str, Any]:
    """Return the answer to a question: what a function returns, what it raises, or why there is no such part."""
    path, (module, file, name), written, function, arguments = json.loads(question)
    sys.path[:] = path
    try:
        try:
            found: Any = importlib.import_module(module)
        except ModuleNotFoundError:
            found = import_file(Path(file))
        for each in name.split("."):
            found = getattr(found, each)
        declared = options_of(found)
        options = {name: declared[name].validate(value) for name, value in written.items()}
    except Exception as error:
        return {"missing": f"{type(error).__name__}: {error}"}
    owner, _, name = function.partition(":")
    try:
        return {
            "result": getattr(importlib.import_module(owner), name)(
                Subject(part=found, options=options), *arguments
            )
        }
    except Exception as error:
        return {"error": f"it raises {type(error).__name__}: {error}"}


if __name__ == "__main__":
    answer_all(sys.stdin.buffer)
