"""A lake in processes of its own, made and served by the commands that users run.

with served_lake(tmp_path) as lake:
    lake.add_user("ada", "contributor")
    requests go to lake.url, as ("ada", PASSWORD) or ("admin", PASSWORD)
    lake.kill()     # kill -9
    lake.start()    # again, at the same address
"""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

COMMANDS = Path(sys.executable).parent
PASSWORD = "correct horse"
START_TIMEOUT = 120
"""Seconds; a start takes two, and many more on a machine that is busy."""


def wendelin(
    *arguments: str | Path, code: int = 0, commands: Path = COMMANDS, **options: object
) -> subprocess.CompletedProcess[str]:
    """Run the `wendelin` among these commands; fail unless its exit code is as expected."""
    done = subprocess.run(
        [commands / "wendelin", *arguments],
        capture_output=True,
        text=True,
        timeout=START_TIMEOUT,
        check=False,
        **options,
    )
    assert done.returncode == code, f"wendelin {arguments} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done


class ServerProcess:
    """A command of `wendelin` that serves until it is stopped, and says where once it is ready."""

    def __init__(self, errors: Path, *command: str | Path) -> None:
        self.errors = errors
        self.command = command
        self.process: subprocess.Popen[str] | None = None

    def launch(self, *options: str) -> str:
        """Start it with these options; return the URL on its line `ready on URL`."""
        with self.errors.open("a") as errors:
            self.process = subprocess.Popen([*self.command, *options], stdout=subprocess.PIPE, stderr=errors, text=True)
        late = threading.Timer(START_TIMEOUT, self.process.kill)
        late.start()
        try:
            ready = re.search(r"ready on (\S+)\n", self.process.stdout.readline())
        finally:
            late.cancel()
        assert ready, f"{' '.join(map(str, self.command))} was not ready: {self.errors.read_text()}"
        return ready[1]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to stop; return its exit code."""
        self.process.send_signal(number)
        return self.wait()

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self.process.kill()
        self.wait()

    def wait(self) -> int:
        """Wait for its end; return its exit code."""
        code = self.process.wait(START_TIMEOUT)
        self.process.stdout.close()
        return code

    def end(self) -> None:
        """Kill it, if it runs."""
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def peak_memory(self) -> int:
        """The most memory it had resident so far, in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


class ServedLake(ServerProcess):
    """An instance, and the process that serves it."""

    def __init__(self, home: Path, commands: Path = COMMANDS) -> None:
        self.commands = commands
        self.directory = home / "lake"
        self.password_file = home / "password"
        self.address = "127.0.0.1:0"
        self.url = ""
        super().__init__(home / "serve.stderr", commands / "wendelin", "serve", self.directory)

    def init(self, *arguments: str | Path) -> None:
        """Make the instance, with the manager `admin`."""
        self.password_file.write_text(PASSWORD + "\n")
        options = ("--admin-password-file", self.password_file)
        wendelin("init", self.directory, *options, *arguments, commands=self.commands)

    def start(self) -> None:
        """Serve it, at the address of the first start; return once it is ready."""
        self.url = self.launch("--listen", self.address)
        self.address = re.fullmatch(r"http://(\S+)/erp5", self.url)[1]

    def add_user(self, name: str, role: str) -> None:
        """Add a user whose password is PASSWORD."""
        options = ("--role", role, "--password-file", self.password_file)
        wendelin("user", "add", self.directory, name, *options, commands=self.commands)

    def log(self, name: str = "wendelin.log") -> str:
        """Text of one of its logs."""
        return (self.directory / "log" / name).read_text()


@contextlib.contextmanager
def served_lake(home: Path, *arguments: str | Path, commands: Path = COMMANDS) -> Iterator[ServedLake]:
    """A lake in `home`, which exists, being served; `arguments` go to `wendelin init`."""
    lake = ServedLake(home, commands)
    lake.init(*arguments)
    lake.start()
    try:
        yield lake
    finally:
        lake.end()
