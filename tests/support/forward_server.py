"""`wendelin fluentd` in a process of its own, as users run it.

with forward_server(lake) as server:     # lake: a ServedLake, which need not be serving
    clients send to server.address, as host:port
    server.kill()       # kill -9
    server.start()      # again, at another port
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .lake import ServedLake, ServerProcess


class ForwardServer(ServerProcess):
    """The process that takes in what agents send to an instance; `options` go to the command."""

    def __init__(self, lake: ServedLake, *options: str | Path) -> None:
        command = lake.commands / "wendelin", "fluentd", lake.directory, *options
        super().__init__(lake.directory.with_name("fluentd.stderr"), *command)
        self.address = ""

    def start(self) -> None:
        """Run it at a free port; return once it is ready."""
        url = self.launch("--listen", "127.0.0.1:0")
        self.address = re.fullmatch(r"(?:tcp|tls)://(\S+)", url)[1]


@contextmanager
def forward_server(lake: ServedLake, *options: str | Path) -> Iterator[ForwardServer]:
    """A server that runs."""
    server = ForwardServer(lake, *options)
    server.start()
    try:
        yield server
    finally:
        server.end()
