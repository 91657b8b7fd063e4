"""Our own access and audit events, sent to a fluentd agent, or to a lake, by fluent-logger.

::

    request -> logger `wendelin.access` or `wendelin.audit` -> queue -> thread -> fluent-logger -> agent
               `event_log`                                     QUEUE_LENGTH events

A request only puts an event into the queue: it never waits for the agent, and never fails by it. While the agent is
away the thread tries to reach it again and again; once the queue is full, what comes is dropped. That it is away, and
how many events were dropped, is logged once each time. fluent-logger speaks Forward without acknowledgements: what the
agent had received when it died may be lost.

fluent-logger's own sender in a thread (`fluent.asyncsender`) does not tell when it can't send, nor what it gives up in
the end; so its plain one is used, in a thread of ours.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Iterator
from typing import NamedTuple

from fluent.sender import EventTime, FluentSender

from Products.ERP5Wendelin.event_log import ACCESS, AUDIT, Fields

TAG = "wendelin"
"""The names of the loggers, and so the tags, begin with it."""

QUEUE_LENGTH = 10_000
"""Events that wait, of about 300 bytes each."""

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 15.0
"""Seconds between two attempts to reach an agent that is away; each doubles the pause."""

FLUSH_SECONDS = 5.0
"""So long a stop waits for what is in the queue."""

logger = logging.getLogger(__name__)


class Event(NamedTuple):
    """What one message says."""

    label: str
    """What follows TAG in its tag."""
    time: int
    """Nanoseconds since the epoch."""
    fields: Fields


@contextlib.contextmanager
def forwarded(address: tuple[str, int] | None) -> Iterator[None]:
    """Send all access and audit events to the agent at an address; in the end what still waits. None: send nothing."""
    if address is None:
        yield
        return
    forwarder = Forwarder(*address)
    for each in (ACCESS, AUDIT):
        each.addHandler(forwarder)
    try:
        yield
    finally:
        for each in (ACCESS, AUDIT):
            each.removeHandler(forwarder)
        forwarder.stop()


class Forwarder(logging.Handler):
    """Takes the events of loggers, and sends them in a thread of its own."""

    def __init__(self, host: str, port: int, length: int = QUEUE_LENGTH) -> None:
        super().__init__()
        self._courier = Courier(host, port)
        self._queue: queue.Queue[Event | None] = queue.Queue(length)
        self._stopping = threading.Event()
        self._counting = threading.Lock()
        self._is_late = False
        self._dropped = 0
        self._unsent = 0
        self._thread = threading.Thread(target=self._run, name="log_forward", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Let an event wait to be sent; drop it if too many do."""
        fields = getattr(record, "fields", None)
        if fields is None:
            return
        with self._counting:
            try:
                self._queue.put_nowait(Event(record.name.removeprefix(f"{TAG}."), int(record.created * 1e9), fields))
                self._unsent += 1
            except queue.Full:
                self._dropped += 1
                self._say_late("it takes them more slowly than they come")

    def stop(self, seconds: float = FLUSH_SECONDS) -> None:
        """Send what waits, for so long at the most, and say what could not be sent."""
        deadline = time.monotonic() + seconds
        self._stopping.set()
        with contextlib.suppress(queue.Full):
            self._queue.put(None, timeout=seconds)
        self._thread.join(max(deadline - time.monotonic(), 0))
        with self._counting:
            lost = self._unsent + self._dropped
        if lost:
            logger.warning("%d log events did not reach fluentd at %s", lost, self._courier.address)

    def _run(self) -> None:
        try:
            while (event := self._queue.get()) is not None and self._deliver(event):
                with self._counting:
                    self._unsent -= 1
                    self._say_caught_up()
        finally:
            self._courier.close()

    def _deliver(self, event: Event) -> bool:
        """Send an event as soon as the agent can be reached; False: it can't, and we are stopping."""
        pause = FIRST_PAUSE
        while not self._courier.send(event):
            with self._counting:
                self._say_late(f"it cannot be reached ({self._courier.error})")
            if self._stopping.wait(pause):
                return False
            pause = min(2 * pause, LONGEST_PAUSE)
        return True

    def _say_late(self, reason: str) -> None:
        if not self._is_late:
            self._is_late = True
            logger.warning(
                "log events do not reach fluentd at %s: %s; up to %d wait, others are dropped",
                self._courier.address,
                reason,
                self._queue.maxsize,
            )

    def _say_caught_up(self) -> None:
        if self._is_late and not self._unsent:
            logger.warning(
                "fluentd at %s has our log events again; %d were dropped", self._courier.address, self._dropped
            )
            self._is_late, self._dropped = False, 0


class Courier:
    """Brings events to an agent one by one, and knows which have arrived there."""

    def __init__(self, host: str, port: int) -> None:
        self.address = f"{host}:{port}"
        self.error: Exception | None = None
        """Why the last one could not be sent."""
        self._host, self._port = host, port
        self._sender = self._new_sender()
        self._given_up = False

    def send(self, event: Event) -> bool:
        """Send an event, on a new connection where there is none or it has broken; whether that went well."""
        sender = self._sender
        if sender.emit_with_time(event.label, EventTime.from_unix_nano(event.time), event.fields):
            return True
        self.error = sender.last_error
        # A sender keeps what it could not send until it is given more, which may be never. Closing it tries once more.
        self._given_up = False
        sender.close()
        self._sender = self._new_sender()
        return not self._given_up

    def close(self) -> None:
        """End the connection."""
        self._sender.close()

    def _new_sender(self) -> FluentSender:
        return FluentSender(
            TAG,
            self._host,
            self._port,
            buffer_overflow_handler=self._give_up,
            # a field may hold half a character, which is not UTF-8
            msgpack_kwargs={"unicode_errors": "replace"},
        )

    def _give_up(self, pending: bytes) -> None:
        self._given_up = True
