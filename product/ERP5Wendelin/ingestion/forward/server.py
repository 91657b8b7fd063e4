"""The server of the Forward protocol, on the event loop of whoever starts it.

::

    server = ForwardServer(BatchWriter(database), Settings())
    host, port = await server.start("127.0.0.1", 24224)
    …
    await server.stop()     accepts no more, commits and acknowledges what is complete, closes

One thread, the loop's, reads all connections; one commits, one decompresses.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import resource
import socket
from collections.abc import Collection
from dataclasses import replace

from Products.ERP5Wendelin.errors import BadInput, Conflict
from Products.ERP5Wendelin.ingestion.forward.committer import Committer, Writer
from Products.ERP5Wendelin.ingestion.forward.connection import FAREWELL, Connection, Reception, shown
from Products.ERP5Wendelin.ingestion.forward.decompressor import Decompressor
from Products.ERP5Wendelin.ingestion.forward.heartbeat import Heartbeat
from Products.ERP5Wendelin.ingestion.forward.memory import Memory
from Products.ERP5Wendelin.ingestion.forward.notices import Notices
from Products.ERP5Wendelin.ingestion.forward.settings import Settings
from Products.ERP5Wendelin.ingestion.forward.tls import TlsAcceptor

BACKLOG = 1024
"""Connections that may wait to be accepted."""

KEEP_ALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 120),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 30),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
)
"""Options that accepted sockets have from the one that listens: agents that vanished are noticed after four minutes."""

OTHER_FILES = 1200
"""Files that the process has open beside agents' connections, of `wendelin serve` with 1,000 connections of HTTP."""

SWEEP = 1.0
"""Seconds between two looks at who is too slow."""

logger = logging.getLogger("wendelin.fluentd")


class ForwardServer:
    """Takes what agents send, and gives it to a writer."""

    def __init__(self, writer: Writer, settings: Settings) -> None:
        self._writer = writer
        self._settings = settings

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen, and return where: a port is chosen if it is 0.

        BadInput: no address of this machine; Conflict: the port is taken.
        """
        self._settings = with_files(self._settings, raise_file_limit())
        stream, datagram = bind(host, port)
        loop = asyncio.get_running_loop()
        self._reception = reception = self._make_reception(loop)
        self._heartbeat, _ = await loop.create_datagram_endpoint(Heartbeat, sock=datagram)
        tls = self._settings.tls
        self._listener = await loop.create_server(
            lambda: Connection(reception) if tls is None else TlsAcceptor(reception, tls), sock=stream, backlog=BACKLOG
        )
        self._sweeper = asyncio.create_task(self._sweep())
        address: tuple[str, int] = stream.getsockname()[:2]
        logger.info("listening for fluentd's Forward protocol on %s", shown(address))
        return address

    async def stop(self) -> None:
        """Accept no more, commit and acknowledge what is complete, and close all connections."""
        reception = self._reception
        self._listener.close()
        self._heartbeat.close()
        self._sweeper.cancel()
        for upgrade in list(reception.upgrades):
            upgrade.cancel()
        for connection in reception.connections:
            connection.pause("stop")
        reception.committer.hurry()
        await reception.decompressor.stop()
        await reception.committer.stop()
        await _closed(list(reception.connections))

    @property
    def held(self) -> int:
        """Bytes of memory that messages on their way take."""
        return self._reception.memory.held

    def drop_late(self, now: float) -> None:
        """Drop the agents that are too slow at this time by the loop's clock; done each second."""
        for connection in list(self._reception.connections):
            connection.check(now)

    def _make_reception(self, loop: asyncio.AbstractEventLoop) -> Reception:
        """What the connections share, put together: less that waits is room in memory, and lets others go on."""
        connections: set[Connection] = set()
        notices = Notices(loop.time)
        memory = Memory(self._settings.max_memory, connections, lambda: committer.held + decompressor.held, loop.time)
        decompressor = Decompressor(lambda: not (memory.full and committer.held))

        def on_less() -> None:
            memory.look()
            decompressor.go_on()

        committer = Committer(self._writer, self._settings, notices, on_less)
        return Reception(self._settings, notices, committer, decompressor, memory, connections, set(), loop.time)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP)
            self.drop_late(self._reception.clock())


async def _closed(connections: Collection[Connection]) -> None:
    """Close connections, and wait until that is done."""
    for connection in connections:
        connection.close()
    if connections:
        await asyncio.wait([connection.closed for connection in connections], timeout=FAREWELL)


def bind(host: str, port: int) -> tuple[socket.socket, socket.socket]:
    """Sockets for connections and for heartbeats, on one port. Errors: see `ForwardServer.start`."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise BadInput(f"{host} is no address of this machine: {error.strerror}.") from error
    while True:
        stream = socket.socket(family, socket.SOCK_STREAM)
        datagram = socket.socket(family, socket.SOCK_DGRAM)
        try:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            for level, option, value in KEEP_ALIVE:
                stream.setsockopt(level, option, value)
            stream.bind(address)
            stream.listen(BACKLOG)
            datagram.bind(stream.getsockname())
            return stream, datagram
        except OSError as error:
            stream.close()
            datagram.close()
            if port == 0 and error.errno == errno.EADDRINUSE:
                continue  # the port that was chosen for connections is taken for datagrams
            raise Conflict(
                f"Cannot listen on {host}:{port} (TCP, and UDP for heartbeats): {error.strerror}. "
                "Stop what uses it, or choose another."
            ) from error


def raise_file_limit() -> int:
    """Let the process open as many files, thus connections, as it may; return how many that are."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


def with_files(settings: Settings, files: int) -> Settings:
    """Settings with no more connections than a process can have that may open so many files.

    More would not be dropped: the loop would try to accept them again and again, with a thousand lines of log a second.
    """
    most = max(files - OTHER_FILES, files // 2)
    if files == resource.RLIM_INFINITY or settings.max_connections <= most:
        return settings
    logger.info(
        "there will be %d connections at the most, and not %d: this process may open %d files; raise ulimit -n "
        "(LimitNOFILE of systemd), or lower --max-connections",
        most,
        settings.max_connections,
        files,
    )
    return replace(settings, max_connections=most)
