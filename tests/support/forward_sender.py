"""An agent that speaks the Forward protocol, written from its specification: it shares nothing with the server.

It sends chunks of events one after the other, several of them before the first is acknowledged, and whenever its
connection breaks sends again, in their order, all that were not::

    senders = Senders(address, [chunks("turbine", sender, 10_000) for sender in range(20)])
    senders.wait(100_000)       # until so many events are acknowledged
    senders.finish()            # until all are

It goes through the event modes in turn, so that each connection carries all of them.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import math
import socket
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import cycle
from typing import Any, NamedTuple

import msgpack

WINDOW = 8
"""Chunks that wait for their acknowledgements at a time."""

FIRST = 1_700_000_000
"""Seconds of the first event's time; each is a second later than the one before."""

TEXT = "wind from the north-west, 12.5 m/s, blades at 14°, all is well"

DEADLINE = 300
"""Seconds that anything may take on a busy machine."""

RETRY = 0.2
"""Seconds until a connection that broke is made again."""

READ_SIZE = 64 * 1024


class Chunk(NamedTuple):
    """What is acknowledged, or sent again, as a whole."""

    id: str
    message: bytes
    events: int


def event(sender: int, number: int) -> tuple[msgpack.ExtType, dict[str, Any]]:
    """A time and a record: with them an entry has about 100 bytes."""
    time = msgpack.ExtType(0, (FIRST + number).to_bytes(4, "big") + number.to_bytes(4, "big"))
    return time, {"sender": sender, "number": number, "text": TEXT}


def chunk(mode: str, tag: str, sender: int, numbers: Sequence[int]) -> Chunk:
    """Some events of a sender in an event mode. The id is made of them, and looks as fluentd's do."""
    digest = hashlib.sha256(f"{tag} {sender} {numbers[0]}".encode()).digest()[:16]
    options: dict[str, Any] = {"chunk": base64.encodebytes(digest).decode(), "size": len(numbers)}
    events = [event(sender, number) for number in numbers]
    entries = b"".join(map(msgpack.packb, events))
    if mode == "Message":
        ((time, record),) = events
        message: list[Any] = [tag, time, record, options]
    elif mode == "Forward":
        message = [tag, events, options]
    elif mode == "PackedForward":
        message = [tag, entries, options]
    else:
        message = [tag, gzip.compress(entries, 1), {**options, "compressed": "gzip"}]
    return Chunk(options["chunk"], msgpack.packb(message), len(numbers))


def chunks(tag: str, sender: int, count: int) -> Iterator[Chunk]:
    """So many events, in chunks of all modes: those of four have 250 events."""
    begin = 0
    for mode, size in cycle(
        [("PackedForward", 100), ("Message", 1), ("CompressedPackedForward", 100), ("Forward", 49)]
    ):
        if begin == count:
            return
        end = min(begin + size, count)
        yield chunk(mode, tag, sender, range(begin, end))
        begin = end


class Senders:
    """Agents that send at the same time, each in a thread of its own."""

    def __init__(
        self, address: str, work: Sequence[Iterable[Chunk]], window: int = WINDOW, limit: float = math.inf
    ) -> None:
        """`limit`: see `allow`."""
        host, _, port = address.rpartition(":")
        self._target = (host, int(port))
        self._window = window
        self._changed = threading.Condition()
        self._stopped = threading.Event()
        self._limit = limit
        self._connections: set[socket.socket] = set()
        self.sent = 0
        """Events that were sent for the first time."""
        self.acknowledged = 0
        """Events."""
        self.failures: list[Exception] = []
        """What ended a sender too soon."""
        self._threads = [threading.Thread(target=self._run, args=(iter(each),)) for each in work]
        self._working = len(self._threads)
        for thread in self._threads:
            thread.start()

    def allow(self, limit: float) -> None:
        """Let them begin chunks until so many events were sent: what is to happen before can't come too late."""
        with self._changed:
            self._limit = limit
            self._changed.notify_all()

    def wait(self, acknowledged: int = 0, sent: int = 0) -> None:
        """Wait until so many events were acknowledged, and so many sent."""
        self._await(lambda: self.acknowledged >= acknowledged and self.sent >= sent)

    def finish(self) -> None:
        """Let them send all, and wait until it is acknowledged."""
        self.allow(math.inf)
        self._await(lambda: not self._working)

    def stop(self) -> None:
        """End them all, whatever they are doing."""
        self._stopped.set()
        self.allow(math.inf)
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def _await(self, reached: Callable[[], bool]) -> None:
        """Until a condition holds; fails where a sender has failed, or where nothing goes on."""
        with self._changed:
            assert self._changed.wait_for(lambda: reached() or self.failures, DEADLINE), "nothing goes on"
            assert not self.failures, self.failures

    def _run(self, work: Iterator[Chunk]) -> None:
        unacknowledged: OrderedDict[str, Chunk] = OrderedDict()
        try:
            while not self._stopped.is_set():
                with suppress(OSError), socket.create_connection(self._target, DEADLINE) as connection:
                    self._connections.add(connection)
                    self._send(connection, work, unacknowledged)
                    return
                self._stopped.wait(RETRY)
        except Exception as error:
            self.failures.append(error)
        finally:
            with self._changed:
                self._working -= 1
                self._changed.notify_all()

    def _send(self, connection: socket.socket, work: Iterator[Chunk], unacknowledged: OrderedDict[str, Chunk]) -> None:
        """Send what was not acknowledged yet, and what is new, until there is no more; OSError if it breaks."""
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for each in list(unacknowledged.values()):
            connection.sendall(each.message)
        answers = msgpack.Unpacker()
        while not self._stopped.is_set():
            while len(unacknowledged) < self._window and (self._may_begin() or not unacknowledged):
                each = self._begin(work)
                if each is None:
                    break
                # noted first: whatever breaks now, it has to be sent again
                unacknowledged[each.id] = each
                connection.sendall(each.message)
            if not unacknowledged:
                return
            data = connection.recv(READ_SIZE)
            if not data:
                raise ConnectionError("the server closed the connection")
            answers.feed(data)
            for answer in answers:
                assert set(answer) == {"ack"}, answer
                self._note(acknowledged=unacknowledged.pop(answer["ack"]).events)

    def _may_begin(self) -> bool:
        return self.sent < self._limit

    def _begin(self, work: Iterator[Chunk]) -> Chunk | None:
        """The next new chunk, once it may be sent; None if there is none."""
        with self._changed:
            self._changed.wait_for(self._may_begin)
        each = next(work, None)
        if each is not None:
            self._note(sent=each.events)
        return each

    def _note(self, sent: int = 0, acknowledged: int = 0) -> None:
        with self._changed:
            self.sent += sent
            self.acknowledged += acknowledged
            self._changed.notify_all()


class Figures(NamedTuple):
    """What has become of the events of senders."""

    lost: int
    doubled: int
    out_of_order: int

    def __str__(self) -> str:
        return f"lost {self.lost}, doubled {self.doubled}, out of order {self.out_of_order}"


def figures(entries: Iterable[tuple[Any, dict[str, Any]]], counts: dict[int, int]) -> Figures:
    """Compare what a stream, or several, hold with what senders sent: `counts` says how many events each of them did.

    Out of order are events with a lower number than one of their sender that stands before them, each counted once,
    and doubles not at all.
    """
    seen: Counter[tuple[int, int]] = Counter()
    last: dict[int, int] = {}
    out_of_order = 0
    for _, record in entries:
        sender, number = record["sender"], record["number"]
        seen[sender, number] += 1
        if seen[sender, number] == 1:
            out_of_order += number < last.get(sender, -1)
            last[sender] = max(number, last.get(sender, -1))
    expected = {(sender, number) for sender, count in counts.items() for number in range(count)}
    assert seen.keys() <= expected, "events that nobody sent"
    return Figures(len(expected - seen.keys()), seen.total() - len(seen), out_of_order)
