"""A terminal with a shell in it, used as a person does: type a line, read what appears, answer what is asked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pexpect

PROMPT = r"exit code (\d+) > "
CONTROL_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A shell that starts in `directory` with nothing in its environment but what is given."""

    def __init__(self, directory: Path, environment: Mapping[str, str], timeout: float) -> None:
        self._shell = pexpect.spawn(
            "/bin/sh",
            ["-i"],
            cwd=str(directory),
            env={"TERM": "xterm", **environment, "PS1": "exit code $? > "},
            dimensions=(50, 200),
            encoding="utf-8",
            timeout=timeout,
        )
        self.screen = ""
        """All that has appeared, without colours."""
        self._wait_for([PROMPT])

    def type(self, line: str) -> None:
        """Type a line."""
        self._shell.sendline(line)

    def press(self, keys: str) -> None:
        """Press keys, such as the tabulator's ("\\t") or Ctrl-D ("\\x04")."""
        self._shell.send(keys)

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self._shell.sendintr()

    def wait_for_text(self, text: str) -> None:
        """Wait until `text` appears; AssertionError if the command ends before."""
        found = self._wait_for([re.escape(text), PROMPT])
        assert found == 0, f"the command ended with {self._code()} before {text!r} appeared:\n{self.screen}"

    def wait_for_end(self, answers: Mapping[str, str] | None = None) -> int:
        """Wait until the command ends, answering what it asks; return its exit code."""
        answers = answers or {}
        while found := self._wait_for([PROMPT, *map(re.escape, answers)]):
            self.type(list(answers.values())[found - 1])
        return self._code()

    def close(self) -> None:
        """Close the terminal's window."""
        self._shell.close(force=True)

    def _code(self) -> int:
        return int(self._shell.match[1])

    def _wait_for(self, patterns: list[str]) -> int:
        found = self._shell.expect([*patterns, pexpect.TIMEOUT, pexpect.EOF])
        self.screen += CONTROL_SEQUENCE.sub("", self._shell.before).replace("\r\n", "\n")
        assert found < len(patterns), f"none of {patterns} appeared in time:\n{self.screen}"
        self.screen += self._shell.after
        return found
