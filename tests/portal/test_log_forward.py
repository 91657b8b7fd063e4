"""Access and audit events reach fluentd; where they can't, nobody waits for them, and their number is said."""

from __future__ import annotations

import contextlib
import logging
import queue
import socket
import time
from collections.abc import Iterator

import pytest

from Products.ERP5Wendelin.event_log import ACCESS, AUDIT, log_access, log_audit
from Products.ERP5Wendelin.portal import log_forward
from Products.ERP5Wendelin.portal.log_forward import Forwarder, forwarded
from Products.ERP5Wendelin.protocol import MIB
from support.forward_receiver import TIMEOUT, Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def away() -> Iterator[Receiver]:
    """A receiver that does not listen yet."""
    receiver = Receiver()
    yield receiver
    receiver.close()


class Said(logging.Handler):
    """What is said in the server's log."""

    def __init__(self) -> None:
        super().__init__()
        self._messages: queue.Queue[str] = queue.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        self._messages.put(record.getMessage())

    def next(self) -> str:
        return self._messages.get(timeout=TIMEOUT)

    def is_all(self) -> bool:
        return self._messages.empty()


@pytest.fixture
def said() -> Iterator[Said]:
    handler = Said()
    log_forward.logger.addHandler(handler)
    yield handler
    log_forward.logger.removeHandler(handler)


def record(**fields: object) -> logging.LogRecord:
    """What a logger hands over."""
    made = logging.makeLogRecord({"name": ACCESS.name, "levelno": logging.INFO})
    made.fields = fields
    return made


def refused(port: int) -> str:
    return (
        f"log events do not reach fluentd at 127.0.0.1:{port}: it cannot be reached ([Errno 111] Connection refused); "
        "up to 10000 wait, others are dropped"
    )


def test_events_arrive_with_the_tag_of_their_logger_their_time_and_their_fields(receiver: Receiver) -> None:
    begin = time.time_ns()
    with forwarded(receiver.address):
        log_access({"path": "/erp5", "code": 200, "seconds": 0.25})
        log_audit("change", {"user": "ada", "method": "PUT"})
    access, audit = receiver.get(), receiver.get()
    assert (access.tag, access.record) == ("wendelin.access", {"path": "/erp5", "code": 200, "seconds": 0.25})
    assert (audit.tag, audit.record) == ("wendelin.audit", {"event": "change", "user": "ada", "method": "PUT"})
    # the clock of the logging module has microseconds, of which a float keeps most
    assert begin - 1_000_000 <= access.time <= audit.time <= time.time_ns()


def test_end_sends_what_waits_and_leaves_the_loggers_as_they_were(receiver: Receiver, said: Said) -> None:
    before = ACCESS.handlers + AUDIT.handlers
    with forwarded(receiver.address):
        for number in range(1000):
            log_access({"number": number})
    assert [receiver.get().record["number"] for _ in range(1000)] == list(range(1000))
    assert ACCESS.handlers + AUDIT.handlers == before
    assert said.is_all()


def test_without_an_address_nothing_is_sent() -> None:
    before = ACCESS.handlers + AUDIT.handlers
    with forwarded(None):
        assert ACCESS.handlers + AUDIT.handlers == before


def test_half_a_character_does_not_keep_an_event_from_being_sent(receiver: Receiver) -> None:
    with forwarded(receiver.address):
        log_access({"user": "\udc80da"})
    assert receiver.get().record == {"user": "?da"}


def test_record_without_fields_is_not_sent(receiver: Receiver) -> None:
    with forwarded(receiver.address):
        ACCESS.info("only text")
        log_access({"number": 1})
    assert receiver.get().record == {"number": 1}


def test_agent_that_closes_the_connection_gets_what_follows_on_a_new_one(receiver: Receiver) -> None:
    forwarder = Forwarder(*receiver.address)
    forwarder.emit(record(number=0))
    assert receiver.get().record == {"number": 0}
    receiver.disconnect()
    arrived = None
    for number in range(1, TIMEOUT):
        # until it has learnt of the end of the connection, what it sends is lost: there are no acknowledgements
        forwarder.emit(record(number=number))
        with contextlib.suppress(queue.Empty):
            arrived = receiver.get(timeout=1)
            break
    forwarder.stop()
    assert arrived is not None
    assert arrived.record == {"number": number}


def test_agent_that_comes_back_gets_what_waited_and_it_is_said_once_that_it_was_away(
    away: Receiver, said: Said
) -> None:
    host, port = away.address
    forwarder = Forwarder(host, port)
    for number in range(3):
        forwarder.emit(record(number=number))
    assert said.next() == refused(port)
    away.listen()
    assert [away.get().record["number"] for _ in range(3)] == [0, 1, 2]
    forwarder.stop()
    assert said.next() == f"fluentd at {host}:{port} has our log events again; 0 were dropped"
    assert said.is_all()


def test_events_that_too_many_wait_before_are_dropped_and_counted(away: Receiver, said: Said) -> None:
    host, port = away.address
    forwarder = Forwarder(host, port, length=5)
    forwarder.emit(record(number=0))
    said.next()  # its thread has the first one, and the queue is empty
    for number in range(1, 20):
        forwarder.emit(record(number=number))
    away.listen()
    assert [away.get().record["number"] for _ in range(6)] == [0, 1, 2, 3, 4, 5]
    forwarder.stop()
    assert said.next() == f"fluentd at {host}:{port} has our log events again; 14 were dropped"
    assert said.is_all()
    assert away.messages.empty()


def test_agent_that_reads_nothing_holds_nobody_up(said: Said) -> None:
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        host, port = listening.getsockname()
        forwarder = Forwarder(host, port, length=5)
        forwarder.emit(record(text="x" * 32 * MIB))  # more than the system keeps for who does not read
        for number in range(7):
            forwarder.emit(record(number=number))
        assert said.next() == (
            f"log events do not reach fluentd at {host}:{port}: it takes them more slowly than they come; "
            "up to 5 wait, others are dropped"
        )
        forwarder.stop(seconds=0)
    assert said.next() == f"8 log events did not reach fluentd at {host}:{port}"


def test_stop_while_the_agent_is_away_says_how_many_events_are_lost(away: Receiver, said: Said) -> None:
    host, port = away.address
    forwarder = Forwarder(host, port)
    for number in range(7):
        forwarder.emit(record(number=number))
    forwarder.stop()
    assert said.next() == refused(port)
    assert said.next() == f"7 log events did not reach fluentd at {host}:{port}"
