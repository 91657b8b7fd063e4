"""The limit of HTTP with waitress: a WSGI application that only writes what it gets to a file and sends it back.

python -m bench.raw_wsgi serve PORT FILE        run it (waitress's own buffers: bodies spool to a file)
python -m bench.raw_wsgi push PORT FILE         send FILE in PUTs of 16 MiB, each synced before its answer
python -m bench.raw_wsgi pull PORT FILE         get it back into FILE
"""

from __future__ import annotations

import http.client
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from waitress.server import create_server

from bench.workload import MIB

CHUNK = 16 * MIB


def application(store: Path) -> Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]:
    """PUT appends the body to `store` and syncs it; GET answers the whole."""

    def respond(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "PUT":
            with store.open("ab", buffering=0) as file:
                while block := environ["wsgi.input"].read(2 * MIB):
                    file.write(block)
                os.fsync(file.fileno())
            start_response("204 No Content", [])
            return []
        start_response("200 OK", [("Content-Length", str(store.stat().st_size))])
        return environ["wsgi.file_wrapper"](store.open("rb"), 2 * MIB)  # type: ignore[no-any-return]

    return respond


def serve(port: int, store: Path) -> None:
    """Run until killed; prints `ready` first."""
    server = create_server(
        application(store), host="127.0.0.1", port=port, recv_bytes=256 * 1024, max_request_body_size=1 << 40
    )
    print("ready", flush=True)
    server.run()


def push(port: int, source: Path) -> None:
    """Send `source`."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    buffer = bytearray(CHUNK)
    with source.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            connection.request("PUT", "/", body=memoryview(buffer)[:count], headers={"Content-Length": str(count)})
            connection.getresponse().read()


def pull(port: int, target: Path) -> None:
    """Receive into `target`."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/")
    response = connection.getresponse()
    buffer = bytearray(MIB)
    with target.open("wb", buffering=0) as file:
        while count := response.readinto(buffer):
            file.write(memoryview(buffer)[:count])


if __name__ == "__main__":
    {"serve": serve, "push": push, "pull": pull}[sys.argv[1]](int(sys.argv[2]), Path(sys.argv[3]))
