"""The limit of the Forward protocol on asyncio, and senders that cost little, to measure it and us by.

python -m bench.raw_forward serve FILE [--interval SECONDS]   write what arrives to FILE, acknowledge it once synced
python -m bench.raw_forward send HOST PORT [OPTIONS]          send chunks of events, wait for their acknowledgements

The server reads, finds where messages end, and commits as ours does: all that waits in one write and one fsync, at once
if the last commit began `interval` ago, otherwise when it did or when 16 MiB wait. It knows neither streams nor who
sends, and would store a chunk twice.

A sender is a thread with a connection and a tag of its own, which sends bytes made beforehand: only the ids of the
chunks are written into them. At most `window` chunks of each are on their way without an acknowledgement.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import socket
import struct
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgpack

from bench.workload import MIB

EVENT_SIZE = 100
"""Bytes of an event: [EventTime, record]."""

TAG = "bench.sender"
"""What a sender's number follows in its tag."""

COMMIT_SIZE = 16 * MIB
ID_LENGTH = 24
"""Characters of a chunk's id, as fluentd makes them."""

BATCH = 64
"""The most messages of the Message mode that go into one call of the system."""


# The server


class Committer:
    """Writes what arrives to a file, many messages at a time, and acknowledges them afterwards."""

    def __init__(self, path: Path, interval: float) -> None:
        self._file = path.open("wb", buffering=0)
        self._interval = interval
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1)
        self._waiting: list[bytes] = []
        self._size = 0
        self._answers: list[tuple[asyncio.Transport, bytes]] = []
        self._begun = 0.0
        self._running = False
        self._timer: asyncio.TimerHandle | None = None

    def add(self, data: bytes, answers: list[tuple[asyncio.Transport, bytes]]) -> None:
        """Take bytes, and the acknowledgements of the messages that end in them."""
        self._waiting.append(data)
        self._size += len(data)
        self._answers += answers
        self._begin_if_due()

    def _begin_if_due(self) -> None:
        if self._running or not self._waiting:
            return
        rest = self._begun + self._interval - self._loop.time()
        if rest <= 0 or self._size >= COMMIT_SIZE:
            self._running = True
            self._begun = self._loop.time()
            self._loop.create_task(self._commit())
        elif self._timer is None:
            self._timer = self._loop.call_later(rest, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._begin_if_due()

    async def _commit(self) -> None:
        waiting, answers = self._waiting, self._answers
        self._waiting, self._answers, self._size = [], [], 0
        await self._loop.run_in_executor(self._thread, self._write, waiting)
        for transport, answer in answers:
            transport.write(answer)
        self._running = False
        self._begin_if_due()

    def _write(self, waiting: list[bytes]) -> None:
        self._file.write(b"".join(waiting))
        os.fsync(self._file.fileno())


class Connection(asyncio.Protocol):
    """One sender's."""

    def __init__(self, committer: Committer) -> None:
        self._committer = committer
        self._unpacker = msgpack.Unpacker()
        self._transport: asyncio.Transport

    def connection_made(self, transport: Any) -> None:
        """Remember where acknowledgements go."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Find the messages that end here."""
        self._unpacker.feed(data)
        answers = [(self._transport, msgpack.packb({"ack": message[-1]["chunk"]})) for message in self._unpacker]
        self._committer.add(data, answers)


async def serve(path: Path, interval: float) -> None:
    """Run until killed; prints `ready on tcp://HOST:PORT` first."""
    committer = Committer(path, interval)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(committer), "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    print(f"ready on tcp://{host}:{port}", flush=True)
    await server.serve_forever()


# The senders


class Messages:
    """The bytes of some messages, one behind the other, in which only the chunks' ids change from time to time."""

    def __init__(self, tag: str, events: int, mode: str) -> None:
        """`events` in each message that PackedForward sends; a message each in the mode Message."""
        self.count = 1 if mode == "packed" else min(events, BATCH)
        self._prefix = secrets.token_hex(8)
        if mode == "packed":
            parts = [msgpack.packb([tag, b"".join(map(event, range(events))), _option(events)])]
        else:
            parts = [
                msgpack.packb([tag, *msgpack.unpackb(event(number)), _option(None)]) for number in range(self.count)
            ]
        self._bytes = bytearray(b"".join(parts))
        self._size = len(parts[0])

    def numbered(self, first: int, count: int) -> memoryview:
        """The first `count` of them, as the chunks `first` and those that follow."""
        for number in range(count):
            end = (number + 1) * self._size
            self._bytes[end - ID_LENGTH : end] = self.id(first + number).encode()
        return memoryview(self._bytes)[: count * self._size]

    def id(self, number: int) -> str:
        """The id of a chunk; no two senders have the same."""
        return f"{self._prefix}{number:08x}"


def event(number: int) -> bytes:
    """[EventTime, record] of EVENT_SIZE bytes, a millisecond after the one before."""
    seconds, milliseconds = divmod(number, 1000)
    moment = msgpack.ExtType(0, struct.pack(">II", 1_800_000_000 + seconds, milliseconds * 1_000_000))
    record = {"turbine": "wt-042", "power_kw": 1512.5 + number, "wind_m_s": 11.25, "state": ""}
    missing = EVENT_SIZE - len(msgpack.packb([moment, record]))
    return bytes(msgpack.packb([moment, {**record, "state": "x" * missing}]))


def _option(events: int | None) -> dict[str, object]:
    return {**({} if events is None else {"size": events}), "chunk": "-" * ID_LENGTH}


class Sender(threading.Thread):
    """Sends chunks, at most `window` of them unacknowledged."""

    def __init__(self, address: tuple[str, int], messages: Messages, chunks: int, window: int) -> None:
        super().__init__(daemon=True)
        self._socket = socket.create_connection(address)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._messages, self._chunks, self._window = messages, chunks, window
        self._answers = msgpack.Unpacker()
        self._acknowledged = 0
        self.error: Exception | None = None

    def run(self) -> None:
        """Send all, and wait for all."""
        try:
            sent = 0
            while sent < self._chunks:
                count = min(self._messages.count, self._chunks - sent)
                while sent + count - self._acknowledged > self._window:
                    self._receive()
                self._socket.sendall(self._messages.numbered(sent, count))
                sent += count
            while self._acknowledged < sent:
                self._receive()
        except Exception as error:
            self.error = error
        finally:
            self._socket.close()

    def _receive(self) -> None:
        data = self._socket.recv(64 * 1024)
        if not data:
            raise EOFError(f"the server closed the connection after {self._acknowledged} acknowledgements")
        self._answers.feed(data)
        for answer in self._answers:
            expected = {"ack": self._messages.id(self._acknowledged)}
            if answer != expected:
                raise ValueError(f"{answer} came for {expected}")
            self._acknowledged += 1


def send(address: tuple[str, int], senders: int, chunks: int, events: int, window: int, mode: str) -> dict[str, float]:
    """Let senders send so many chunks each; the wall and CPU seconds that it took."""
    tags = (f"{TAG}.{number}" for number in range(senders))
    threads = [Sender(address, Messages(tag, events, mode), chunks, window) for tag in tags]
    begin, cpu = time.perf_counter(), time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    figures = {"wall": time.perf_counter() - begin, "cpu": time.process_time() - cpu}
    for thread in threads:
        if thread.error is not None:
            raise thread.error
    return figures


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve, or send."""
    parser = argparse.ArgumentParser(
        prog="bench raw_forward", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    server = commands.add_parser("serve")
    server.add_argument("file", type=Path)
    server.add_argument("--interval", type=float, default=0.1)
    sender = commands.add_parser("send")
    sender.add_argument("host")
    sender.add_argument("port", type=int)
    sender.add_argument("--senders", type=int, default=1)
    sender.add_argument("--chunks", type=int, default=1000, help="of each sender")
    sender.add_argument("--events", type=int, default=1000, help="of each chunk, in the mode packed")
    sender.add_argument("--window", type=int, default=100, help="chunks of each sender without an acknowledgement")
    sender.add_argument("--mode", choices=("packed", "message"), default="packed", help="message: an event a chunk")
    options = parser.parse_args(arguments)
    if options.command == "serve":
        asyncio.run(serve(options.file, options.interval))
    else:
        address = (options.host, options.port)
        figures = send(address, options.senders, options.chunks, options.events, options.window, options.mode)
        print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
