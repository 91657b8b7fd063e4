"""A lake to measure: made and served by the commands a user runs."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
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
    home.mkdir(parents=True)
    password = home / "password"
    password.touch(0o600)
    password.write_text(secret := secrets.token_urlsafe(24))
    instance = home / "instance"
    wendelin = COMMANDS / "wendelin"
    init: list[str | Path] = [wendelin, "init", instance, "--admin-user", USER, "--admin-password-file", password]
    subprocess.run([*init, *(["--storage", storage] if storage else [])], check=True, stdout=subprocess.DEVNULL)
    process = subprocess.Popen(
        [wendelin, "serve", instance, "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True
    )
    try:
        url = None
        for line in process.stdout or ():
            if match := re.search(r"ready on (\S+)", line):
                url = match[1]
                break
        if url is None:
            raise RuntimeError("the server ended before it was ready")
        environment = {"EBULK_CONFIG_DIR": str(home / "config"), "HOME": os.environ.get("HOME", "/")}
        running = Lake(process, url, environment, secret)
        subprocess.run(
            running.ebulk("login", url, "--user", USER, "--password-file", password),
            check=True,
            stdout=subprocess.DEVNULL,
        )
        yield running
    finally:
        process.terminate()
        process.wait(60)
