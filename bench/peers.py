"""What our figures stand beside: a plain copy, rsync's daemon over loopback, and the limit of HTTP with waitress."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench.measure import Figure, run


def free_port() -> int:
    """A TCP port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _server(command: list[str | Path], port: int) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.wait(10)


def copy(source: Path, home: Path) -> Figure:
    """`cp` and a sync: what the disk does."""
    return run(["sh", "-c", 'cp -r "$0" "$1" && sync "$1"', source, home / "copy"])


def rsync(source: Path, home: Path) -> tuple[Figure, Figure] | None:
    """A daemon that keeps plain files; None where rsync is not installed."""
    if shutil.which("rsync") is None:
        return None
    store, port = home / "store", free_port()
    store.mkdir(parents=True)
    configuration = home / "rsyncd.conf"
    identity = "uid=0\ngid=0\n" if Path.home() == Path("/root") else ""
    configuration.write_text(
        f"port={port}\naddress=127.0.0.1\nuse chroot=no\n{identity}[lake]\npath={store}\nread only=no\n"
    )
    url = f"rsync://127.0.0.1:{port}/lake/"
    with _server(["rsync", "--daemon", "--no-detach", f"--config={configuration}"], port) as server:
        push = run(["rsync", "-a", f"{source}/", url], server=server.pid)
        pull = run(["rsync", "-a", url, f"{home / 'pulled'}/"], server=server.pid)
    return push, pull


def raw_wsgi(source: Path, home: Path) -> tuple[Figure, Figure]:
    """One file through waitress into a plain file and back (`bench.raw_wsgi`)."""
    home.mkdir(parents=True)
    port = free_port()
    program = [sys.executable, "-m", "bench.raw_wsgi"]
    with _server([*program, "serve", str(port), home / "store"], port) as server:
        push = run([*program, "push", str(port), source], server=server.pid)
        pull = run([*program, "pull", str(port), home / "pulled"], server=server.pid)
    return push, pull
