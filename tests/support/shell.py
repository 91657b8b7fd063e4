"""`ebulk` as users run it: a process in a folder, with a configuration of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

EBULK = Path(sys.executable).parent / "ebulk"
DEADLINE = 60
"""Seconds that anything may take on a busy machine."""

HIDDEN = ("EBULK_", "HTTP", "http", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY")
"""How the names of variables begin that a test's user does not inherit."""


class Shell:
    """Runs `ebulk` in a folder, as a user with their own configuration."""

    def __init__(self, home: Path, reference: str) -> None:
        self.home = home
        self.reference = reference
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(HIDDEN)},
            "EBULK_CONFIG_DIR": str(home / "config"),
        }

    def start(self, *arguments: str, folder: str = ".", **options: object) -> subprocess.Popen[str]:
        """A process that runs `ebulk`; `options` are Popen's."""
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        return subprocess.Popen([EBULK, *arguments], cwd=self.home / folder, env=self.environment, text=True, **pipes)

    def run(self, *arguments: str, folder: str = ".", code: int = 0, **options: object) -> tuple[str, str]:
        """Output and errors of a command that ends with this exit code."""
        process = self.start(*arguments, folder=folder, **options)
        output, errors = process.communicate(timeout=DEADLINE)
        assert process.returncode == code, f"{arguments} ended with {process.returncode}:\n{output}{errors}"
        return output, errors

    def fail(self, *arguments: str, code: int, folder: str = ".", **options: object) -> list[str]:
        """The lines of stderr of a command that fails."""
        output, errors = self.run(*arguments, code=code, folder=folder, **options)
        assert output == ""
        return errors.splitlines()
