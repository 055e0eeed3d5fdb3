"""Nothing that a model or a file says reaches a terminal as a command to it."""

import io
import os
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from gptkit.cli import terminal
from gptkit.cli.terminal import TolerantOutput, print_error, print_text, printable


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@given(st.text(st.characters(codec=None)))
def test_no_control_character_is_left_and_the_rest_is_as_it_was(text: str) -> None:
    shown = printable(text)
    assert not [c for c in shown if (ord(c) < 32 and c not in "\n\t") or 127 <= ord(c) < 160]
    shown.encode("utf-8")
    plain = [c for c in text if c.isprintable()]
    assert printable("".join(plain)) == "".join(plain)


def test_escapes_are_written_out() -> None:
    assert printable("a\x1b[2Jb\r\x07\x9b\u202e\n\t") == r"a\x1b[2Jb\r\x07\x9b\u202e" + "\n\t"


@pytest.mark.parametrize(("stream", "shown"), [(Terminal, r"\x1b[2J"), (io.StringIO, "\x1b[2J")])
def test_a_text_is_written_exactly_but_to_a_terminal(
    monkeypatch: pytest.MonkeyPatch, stream: type[io.StringIO], shown: str
) -> None:
    monkeypatch.setattr(sys, "stdout", told := stream())
    print_text("\x1b[2J")
    assert told.getvalue() == shown


def test_messages_show_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    print_error(ValueError("\x1b]0;owned\x07"))
    assert capsys.readouterr().err == "\\x1b]0;owned\\x07\n"


@pytest.mark.parametrize("error", [BrokenPipeError(), ValueError("closed")])
def test_a_tolerant_output_gives_up_without_a_word(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    class Gone:
        def write(self, text: str) -> int:
            raise error

        def flush(self) -> None:
            raise error

    closed: list[int] = []
    monkeypatch.setattr(sys, "stdout", Gone())
    monkeypatch.setattr(terminal, "close_quietly", lambda: closed.append(1))
    tolerant = TolerantOutput()
    assert tolerant.write("text") == 4
    tolerant.flush()
    assert (tolerant.write("more"), closed) == (4, [1])


def test_a_sample_shows_no_escape_on_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gptkit: Any
) -> None:
    (tmp_path / "text.txt").write_text("\x1b[2J" * 300, encoding="utf-8")
    assert (
        gptkit(
            "run", "small.toml", "--out", "mine", "--set", 'data.corpus={ use = "text", path = "text.txt" }'
        ).code
        == 0
    )
    raw = gptkit("sample", "mine", "--prompt", "\x1b", "--tokens", "20").out
    monkeypatch.setattr(sys, "stdout", shown := Terminal())
    from gptkit.cli import sample

    sample.sample(Path("mine"), prompt="\x1b", tokens=20)
    assert "\x1b" in raw
    assert shown.getvalue() == raw.replace("\x1b", r"\x1b")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminals")
def test_something_is_seen_before_torch_is_imported(tmp_path: Path) -> None:
    import pty

    ours, theirs = pty.openpty()
    # Where torch cannot be imported, what is shown was shown before.
    (tmp_path / "torch.py").write_text("raise SystemExit('torch is imported')")
    environment = os.environ | {"TERM": "xterm", "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "gptkit", "run", "gpt_tiny"]
    done = subprocess.run(command, env=environment, stdout=theirs, stderr=subprocess.PIPE, text=True, check=False)
    # Read while the terminal is open: a closed one of which nothing was shown raises OSError.
    shown = ""
    while "loading PyTorch" not in shown and select.select([ours], [], [], 5)[0]:
        shown += os.read(ours, 10_000).decode()
    os.close(theirs)
    os.close(ours)
    assert done.stderr == "torch is imported\n"
    assert "loading PyTorch" in shown
