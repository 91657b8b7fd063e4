"""A lake to measure: made and served by the commands a user runs."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import ebulk

USER = "bench"
COMMANDS = Path(sys.executable).parent


@dataclass(frozen=True, slots=True)
class Lake:
    """A running server and the client's command to talk to it."""

    process: subprocess.Popen[str]
    url: str
    environment: dict[str, str]
    password: str

    def lake(self) -> ebulk.Lake:
        """The same for the library."""
        return ebulk.Lake(self.url, user=USER, password=self.password)

    def ebulk(self, *arguments: str | Path) -> list[str]:
        """The client's command line; its configuration is the bench's own."""
        return [
            "env",
            *(f"{k}={v}" for k, v in self.environment.items()),
            str(COMMANDS / "ebulk"),
            *map(str, arguments),
        ]


@contextlib.contextmanager
def lake(home: Path, *, storage: str | None = None) -> Iterator[Lake]:
    """An instance in `home`, served on a free port, with the client logged in."""
    instance = make_instance(home, storage)
    with started([COMMANDS / "wendelin", "serve", instance, "--listen", "127.0.0.1:0"], "http") as (process, (url,)):
        environment = {"EBULK_CONFIG_DIR": str(home / "config"), "HOME": os.environ.get("HOME", "/")}
        password = home / "password"
        running = Lake(process, url, environment, password.read_text())
        subprocess.run(
            running.ebulk("login", url, "--user", USER, "--password-file", password),
            check=True,
            stdout=subprocess.DEVNULL,
        )
        yield running


def make_instance(home: Path, storage: str | None = None) -> Path:
    """An instance in `home`, with the manager USER, whose password is in `home/password`."""
    home.mkdir(parents=True)
    password = home / "password"
    password.touch(0o600)
    password.write_text(secrets.token_urlsafe(24))
    instance = home / "instance"
    init: list[str | Path] = [COMMANDS / "wendelin", "init", instance]
    init += ["--admin-user", USER, "--admin-password-file", password, *(["--storage", storage] if storage else [])]
    subprocess.run(init, check=True, stdout=subprocess.DEVNULL)
    return instance


@contextlib.contextmanager
def started(command: Sequence[str | Path], *schemes: str) -> Iterator[tuple[subprocess.Popen[str], tuple[str, ...]]]:
    """A server, until the block ends, and the URLs of these schemes on which it says that it is ready."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    urls: dict[str, str] = {}
    try:
        for line in process.stdout or ():
            urls |= {scheme: url for url, scheme in re.findall(r"ready on ((\w+)://\S+)", line)}
            if urls.keys() >= {*schemes}:
                break
        else:
            raise RuntimeError(f"{' '.join(map(str, command))} ended before it was ready")
        yield process, tuple(urls[scheme] for scheme in schemes)
    finally:
        process.terminate()
        process.wait(60)
