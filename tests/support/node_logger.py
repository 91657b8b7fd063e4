"""Node's client of the Forward protocol, @fluent-org/logger, installed where npm is there; node/send.js runs it."""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent / "node"
LOCK = FOLDER / "package-lock.json"
MODULES = FOLDER / "node_modules"
INSTALLED = MODULES / "installed.json"
"""The lock file that the modules were installed from."""

TIMEOUT = 300
"""Seconds that an installation, or sending, may take on a busy machine."""

MODES = ("Message", "Forward", "PackedForward", "CompressedPackedForward")
FIRST = 1_700_000_000
"""Seconds of the first event's time: see node/send.js."""


def node_logger() -> Path:
    """The program that sends, ready to be run. Skips the test, with the reason, where it can't be."""
    missing = [program for program in ("node", "npm") if shutil.which(program) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not installed (Debian: nodejs and npm): no client of Node's is run.")
    with LOCK.open() as lock:
        # tests run in several processes, which need one installation
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not INSTALLED.exists() or INSTALLED.read_bytes() != LOCK.read_bytes():
            _install()
    return FOLDER / "send.js"


def _install() -> None:
    done = subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"npm could not install @fluent-org/logger: {done.stderr.strip()}")
    shutil.copyfile(LOCK, INSTALLED)


def start_node(tag: str, count: int, address: str, **options: Any) -> subprocess.Popen[str]:
    """A process that sends so many events, and ends with 0 once all of them are acknowledged.

    `options` are the logger's, such as eventMode and security; `address` is host:port.
    """
    host, _, port = address.rpartition(":")
    options["socket"] = {"host": host, "port": int(port), **options.get("socket", {})}
    arguments = json.dumps({"tag": tag, "count": count, "options": options})
    return subprocess.Popen(
        ["node", node_logger(), arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def send_by_node(tag: str, count: int, address: str, code: int = 0, **options: Any) -> str:
    """Send so many events; what the program prints to stderr."""
    with start_node(tag, count, address, **options) as process:
        _, errors = process.communicate(timeout=TIMEOUT)
    assert process.returncode == code, errors
    return errors


def events_of_node(count: int) -> list[tuple[int, dict[str, Any]]]:
    """What node/send.js sends: times in nanoseconds since the epoch, and records."""
    return [
        (
            (FIRST + number) * 10**9 + number,
            {"number": number, "text": f"Windgeschwindigkeit {number % 30} m/s, Überdruck"},
        )
        for number in range(count)
    ]
