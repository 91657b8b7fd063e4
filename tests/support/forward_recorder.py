"""What clients of the Forward protocol send, byte for byte, kept in `tests/functional/recorded/forward`.

    .venv/bin/python tests/support/forward_recorder.py                             record the clients of Python and Node
    .venv/bin/python tests/support/forward_recorder.py 127.0.0.1:24224 FILE COUNT  record one connection of any agent

The recorder reads, and acknowledges each chunk at once; it ends once so many messages with events have come. The
README.rst beside the recordings says which client made each.
"""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgpack
from fluent.sender import EventTime, FluentSender

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.node_logger import FIRST, MODES, send_by_node

FOLDER = Path(__file__).parents[1] / "functional" / "recorded" / "forward"
COUNT = 150
"""Events of a recording: two chunks of Node's client."""

READ_SIZE = 64 * 1024


class Recorder:
    """A server that keeps what one client sends, over any number of connections."""

    def __init__(self, address: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        self._listener = socket.create_server(address)
        self.port: int = self._listener.getsockname()[1]
        self.recorded = b""
        self._messages = 0
        self._changed = threading.Condition()
        threading.Thread(target=self._accept, daemon=True).start()

    def wait(self, messages: int) -> bytes:
        """What was sent, once so many messages have come."""
        with self._changed:
            self._changed.wait_for(lambda: self._messages >= messages)
            return self.recorded

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            self._record(connection)

    def _record(self, connection: socket.socket) -> None:
        # one connection after the other: what is recorded is the bytes of whole messages, in the order they came
        unpacker = msgpack.Unpacker(raw=False, unicode_errors="surrogateescape", strict_map_key=False)
        with connection:
            while data := connection.recv(READ_SIZE):
                with self._changed:
                    self.recorded += data
                unpacker.feed(data)
                for message in unpacker:
                    if isinstance(message[-1], dict) and "chunk" in message[-1]:
                        connection.sendall(msgpack.packb({"ack": message[-1]["chunk"]}))
                    with self._changed:
                        self._messages += 1
                        self._changed.notify_all()


@contextmanager
def recording(name: str, messages: int) -> Iterator[Recorder]:
    """A recorder whose recording becomes a file."""
    recorder = Recorder()
    yield recorder
    (FOLDER / name).write_bytes(recorder.wait(messages))


def record_python(name: str, nanosecond_precision: bool) -> None:
    """Record the sender of fluent-logger."""
    with (
        recording(name, COUNT) as recorder,
        FluentSender("plant", port=recorder.port, nanosecond_precision=nanosecond_precision) as sender,
    ):
        for number in range(COUNT):
            time = EventTime(FIRST + number, number) if nanosecond_precision else FIRST + number
            assert sender.emit_with_time("python", time, {"number": number})


def record_node(mode: str) -> None:
    """Record the client of @fluent-org/logger in an event mode, with acknowledgements."""
    messages = COUNT if mode == "Message" else 2
    with recording(f"node_{mode}.msgpack", messages) as recorder:
        send_by_node("plant.node", COUNT, f"127.0.0.1:{recorder.port}", eventMode=mode)


def main(arguments: list[str]) -> None:
    """Record all that can be recorded alone, or whoever sends to an address."""
    if arguments:
        address, file, count = arguments
        host, _, port = address.rpartition(":")
        Path(file).write_bytes(Recorder((host, int(port))).wait(int(count)))
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    record_python("python_Message.msgpack", nanosecond_precision=False)
    record_python("python_Message_nanoseconds.msgpack", nanosecond_precision=True)
    for mode in MODES:
        record_node(mode)


if __name__ == "__main__":
    main(sys.argv[1:])
