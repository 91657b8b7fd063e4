"""A pool of connections to one lake, and how requests are sent, tried again and stopped.

A session sends to its lake's host and to no other: redirects aren't followed, and a `Location` keeps only its path, so
credentials can't be lured elsewhere. A body is bytes, or an iterable of blocks, sent in small slices: `sendall` has its
whole time-out for each, and 64 KiB in a minute is slower than any network that is still alive. What waits for
`limit_rate` waits between the slices, where no time-out runs.

`stop`, from any thread, ends all requests under way at once (their sockets are shut down) and refuses new ones.
"""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BufferedReader
from typing import Any
from urllib.parse import unquote, urlsplit
from weakref import WeakSet

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import LocationParseError, ProxySchemeUnknown, SSLError
from urllib3.util import make_headers, parse_url

from ebulk.errors import EbulkError, UsageError
from ebulk.protocol import API_PATH, KIB
from ebulk.remote import failure
from ebulk.remote.address import checked_url
from ebulk.remote.coding import ZSTD, Codings, DamagedError, Decoder, is_encoded
from ebulk.remote.credentials import Credentials
from ebulk.remote.pace import Pace, Traffic
from ebulk.remote.retry import Notices, Retry, full_jitter
from ebulk.version import __version__

SLICE = 64 * KIB
CONNECT_TIMEOUT = 15.0
ERROR_LENGTH = 64 * KIB
"""The most bytes of an error's body that are read."""
DRAIN_LIMIT = 256 * KIB
USER_AGENT = f"ebulk/{__version__}"
ENCODED_REFUSED = (411, 415, 501)
"""How whoever is in between refuses a body in zstd, or one of which the length is not told before."""
KEEPALIVE = {"TCP_KEEPIDLE": 15, "TCP_KEEPALIVE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4}
"""By the names that systems have for them (the second is macOS's first): after a laptop slept, its connections are
gone, and who waits for an answer on one is told within seconds. The stall time-out, a minute, ends what this does not.
"""
UNSENT = 256 * KIB
"""What the system may hold of what is to be sent: so that an answer is waited for when the network has the request, and
progress shows what has left."""

Body = bytes | Iterable[memoryview]


def ignore(message: str) -> None:
    """Be told, and do nothing."""


@dataclass(frozen=True)
class Settings:
    """What all sessions with one lake have in common."""

    url: str
    credentials: Credentials | None = None
    stall_timeout: float = 60.0
    """Seconds without a byte after which a request is given up and tried again."""
    retry_max_time: float = 600.0
    """Seconds of trying again, without progress, before giving up."""
    notices: Notices = field(default_factory=lambda: Notices(ignore))
    proxy: str | None = None
    ca_file: str | None = None
    """Certificate authorities to trust instead of the system's."""
    pace: Pace = field(default_factory=Pace)
    codings: Codings = field(default_factory=Codings)
    traffic: Traffic = field(default_factory=Traffic)
    backoff: Callable[[int], float] = full_jitter
    reached: threading.Event = field(default_factory=threading.Event)
    """Set once the lake has answered anything: only then is a refused connection worth another try."""

    def __post_init__(self) -> None:
        checked_url(self.url)

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def host(self) -> str:
        """Host and port, for messages."""
        return urlsplit(self.url).netloc


class _LastLine:
    """A stream that remembers the last line read from it."""

    def __init__(self, stream: BufferedReader) -> None:
        self.stream = stream
        self.line = b""

    def readline(self, limit: int) -> bytes:
        self.line = self.stream.readline(limit)
        return self.line

    def close(self) -> None:
        self.stream.close()


class WholeResponse(http.client.HTTPResponse):
    """An answer with all of its header.

    http.client takes the end of the stream for the end of the header, so that in a connection that breaks there, a 206
    would have lost its Content-Range, and a 204 its Upload-Offset.
    """

    def begin(self) -> None:
        """Read the header. IncompleteRead when its end is missing."""
        stream = self.fp
        lines: Any = _LastLine(stream)
        self.fp = lines
        try:
            super().begin()
        finally:
            # It isn't when the answer is not HTTP: then it was closed.
            if self.fp is lines:
                self.fp = stream
        if not lines.line:
            raise http.client.IncompleteRead(b"")


class Reply:
    """An answer whose body has not been read yet. As a context manager it gives the connection back, or closes it."""

    def __init__(self, response: urllib3.BaseHTTPResponse, session: Session, target: str) -> None:
        self._response = response
        self._session = session
        self.target = target
        """What was asked for."""
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self._decoder = Decoder(self._receive) if is_encoded(self.headers) else None

    def __enter__(self) -> Reply:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connection back if the body was read to its end; close it otherwise."""
        # A body read to its end gave its connection back by itself, and one of no bytes does when it is read; any other
        # is closed.
        if self._response.length_remaining == 0:
            self._response.drain_conn()
        self._response.close()
        self._response.release_conn()

    def read(self, size: int) -> bytes:
        """At most `size` bytes of the body, what the network has by now, out of zstd; b"" at the end."""
        if self._decoder is None:
            return self._receive(size)
        try:
            return self._decoder.read(size)
        except DamagedError as error:
            raise failure.TransientError(f"The answer of {self._session.settings.host} is damaged: {error}.") from error

    def _receive(self, size: int) -> bytes:
        """Bytes as they travelled."""
        with self._session.translating():
            data = self._response.read1(self._session.settings.pace.piece(size), decode_content=False)
        self._session.received(len(data))
        return data

    def drain(self, limit: int = DRAIN_LIMIT) -> None:
        """Read a little that is of no interest, so that the connection can be used again."""
        while limit > 0 and (data := self.read(limit)):
            limit -= len(data)

    def read_all(self, limit: int | None = None) -> bytes:
        """The whole body, or its first `limit` bytes, decompressed."""
        parts: list[bytes] = []
        left = limit
        while left is None or left > 0:
            most = SLICE if left is None else min(left, SLICE)
            data = self._read_decoded(most) if self._decoder is None else self.read(most)
            if not data:
                break
            parts.append(data)
            left = None if left is None else left - len(data)
        return b"".join(parts)

    def _read_decoded(self, size: int) -> bytes:
        """Bytes out of what urllib3 decodes: gzip, which a proxy may have added."""
        before = self._response.tell()
        with self._session.translating():
            data = self._response.read(self._session.settings.pace.piece(size), decode_content=True)
        self._session.received(self._response.tell() - before)
        return data

    def json(self) -> Any:
        """The document that the body is; times in it are Decimal text (`str`), so that they stay exact."""
        kind = self.headers.get("Content-Type", "nothing").partition(";")[0].strip().lower()
        body = self.read_all()
        if kind != "application/json":
            raise failure.not_a_lake(self._session.settings.url, f"HTTP {self.status} with {kind}")
        try:
            return json.loads(body, parse_float=str)
        except ValueError as error:
            raise failure.not_a_lake(self._session.settings.url, "broken JSON") from error


class Session:
    """Up to `connections` requests at the same time; more wait for nothing, but connect anew. Threads may share it."""

    def __init__(self, settings: Settings, connections: int = 1) -> None:
        self.settings = settings
        self._stopped = threading.Event()
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self._lock = threading.Lock()
        options: dict[str, Any] = {
            "num_pools": 1,
            "maxsize": connections,
            "ca_certs": settings.ca_file,
            "socket_options": _socket_options(settings.stall_timeout),
        }
        self._manager = _through(settings.proxy, options) if settings.proxy else urllib3.PoolManager(**options)
        self._manager.pool_classes_by_scheme = _pools(self._watch)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._manager.clear()

    def stop(self) -> None:
        """End what is under way, from any thread: it raises StoppedError where it happens."""
        self._stopped.set()
        with self._lock:
            sockets = list(self._sockets)
        for watched in sockets:
            with suppress(OSError):
                # The base class's method: SSLSocket.shutdown also drops the TLS state that another thread is using.
                socket.socket.shutdown(watched, socket.SHUT_RDWR)

    def check(self) -> None:
        """Raise StoppedError once the session was stopped."""
        if self._stopped.is_set():
            raise failure.StoppedError

    def wait(self, delay: float) -> None:
        """Wait for so many seconds. StoppedError once the session is stopped."""
        if delay and self._stopped.wait(delay):
            raise failure.StoppedError

    def retry(self) -> Retry:
        """What decides of trying again, for one piece of work."""
        settings = self.settings
        return Retry(
            settings.retry_max_time,
            longest=settings.stall_timeout,
            backoff=settings.backoff,
            wait=self.wait,
            tell=settings.notices.tell,
            reached=settings.reached.is_set,
        )

    def request(
        self,
        method: str,
        target: str,
        *,
        expect: Collection[int],
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        length: int | None = None,
        patience: float = 0.0,
    ) -> Reply:
        """Send one request once. A status that isn't expected is raised as the error it stands for.

        `target` begins with the API's path (`api`) or is what `locate` returned; `length` is that of an iterable body.
        A body goes in zstd where the lake takes that and it is worth it. `patience`: seconds that the lake may take
        before it answers, where these may be more than those after which a connection is taken for stalled.
        """
        self.check()
        settings = self.settings
        sent, encoded = dict(headers or {}), False
        if body is not None:
            if isinstance(body, bytes):
                body, length = (memoryview(body),), len(body)
            body, encoded = settings.codings.encoded(body, length or 0)
            sent |= {"Content-Encoding": ZSTD} if encoded else {"Content-Length": str(length)}
            body = self._slices(body)
        longest = max(settings.stall_timeout, patience)
        with self.translating(longest):
            response = self._manager.urlopen(
                method,
                settings.origin + target,
                body=body,
                headers=self._headers(sent),
                chunked=encoded,
                redirect=False,
                retries=False,
                preload_content=False,
                timeout=urllib3.Timeout(connect=settings.stall_timeout, read=longest),
            )
            sock = getattr(response.connection, "sock", None)
            if sock is not None:
                sock.settimeout(settings.stall_timeout)
        settings.reached.set()
        reply = Reply(response, self, target)
        settings.codings.learn(reply.headers)
        if reply.status not in expect:
            with reply:
                if encoded and reply.status in ENCODED_REFUSED:
                    settings.codings.refuse()
                    raise failure.TransientError(
                        f"{settings.host} refuses zstd (HTTP {reply.status}): going on without."
                    )
                raise self.refused(reply)
        return reply

    def call(
        self, method: str, target: str, document: str | None = None, *, expect: Collection[int] = (200,)
    ) -> tuple[int, Any]:
        """Send JSON text (or nothing) until there is an answer; return its status and document (None for 204).

        For calls that may be repeated. A repeated DELETE whose first answer was lost finds nothing more: a success.
        """
        retry = self.retry()
        headers = {"Accept": "application/json", "Accept-Encoding": f"{self.settings.codings.accept}, gzip"}
        if document is not None:
            headers["Content-Type"] = "application/json"
        while True:
            accept = {*expect, 404} if method == "DELETE" and retry.failures else expect
            try:
                body = None if document is None else document.encode()
                with self.request(method, target, expect=accept, headers=headers, body=body) as reply:
                    return reply.status, reply.json() if reply.status in (200, 201) else None
            except failure.TransientError as error:
                retry.failed(error)

    def api(self, path: str) -> str:
        """The request target of a path of the API."""
        return urlsplit(self.settings.url).path.rstrip("/") + API_PATH + path

    def locate(self, location: str) -> str:
        """The request target of a `Location`: its path; the host is ours, whatever a server behind a proxy believes."""
        parts = urlsplit(location)
        return f"{parts.path}?{parts.query}" if parts.query else parts.path

    @contextmanager
    def translating(self, stall_timeout: float | None = None) -> Iterator[None]:
        """Raise what urllib3 raises as the error it stands for; the time-out is the session's unless given."""
        try:
            yield
        except (urllib3.exceptions.HTTPError, OSError) as error:
            self.check()
            longest = self.settings.stall_timeout if stall_timeout is None else stall_timeout
            raise failure.from_exception(error, host=self.settings.host, stall_timeout=longest) from error

    def refused(self, reply: Reply) -> EbulkError:
        """The error that an answer stands for."""
        return failure.from_reply(
            reply.status,
            reply.headers,
            reply.read_all(ERROR_LENGTH),
            url=self.settings.url,
            credentials=self.settings.credentials,
            now=time.time(),
        )

    def _headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        common = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
        if self.settings.credentials is not None:
            common["Authorization"] = self.settings.credentials.header()
        return {**common, **headers}

    def _slices(self, body: Iterable[memoryview]) -> Iterator[memoryview]:
        for block in body:
            piece = self.settings.pace.piece(SLICE)
            for start in range(0, len(block), piece):
                self.check()
                part = block[start : start + piece]
                self.wait(self.settings.pace.delay(len(part)))
                self.settings.traffic.count(sent=len(part))
                yield part

    def received(self, count: int) -> None:
        """Note that so many bytes of bodies came, and wait for as long as their rate asks for."""
        self.settings.traffic.count(received=count)
        self.wait(self.settings.pace.delay(count))

    def _watch(self, sock: socket.socket) -> None:
        with self._lock:
            self._sockets.add(sock)
        self.check()


def _socket_options(stall_timeout: float) -> list[tuple[int, int, int]]:
    """What urllib3 sets on each socket, as far as the system has it: requests at once, and dead connections noticed."""
    wanted = {**KEEPALIVE, "TCP_USER_TIMEOUT": round(stall_timeout * 1000), "TCP_NOTSENT_LOWAT": UNSENT}
    options = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    return options + [
        (socket.IPPROTO_TCP, getattr(socket, name), value) for name, value in wanted.items() if hasattr(socket, name)
    ]


def _through(proxy: str, options: dict[str, Any]) -> urllib3.ProxyManager:
    """Connections by way of a proxy. UsageError for what is no URL of one."""
    try:
        parts = parse_url(proxy)
        headers = make_headers(proxy_basic_auth=unquote(parts.auth)) if parts.auth else None
        return urllib3.ProxyManager(proxy, proxy_headers=headers, **options)
    except (ProxySchemeUnknown, LocationParseError) as error:
        raise UsageError(
            "The environment names an HTTP proxy by what is not the URL of one.",
            "Put http_proxy, https_proxy or all_proxy right: they look like http://proxy:3128.",
        ) from error


def _pools(watch: Callable[[socket.socket], None]) -> dict[str, type[HTTPConnectionPool]]:
    """urllib3's pools by scheme, with connections that tell `watch` their socket and connect within CONNECT_TIMEOUT.

    urllib3 sends under the connect time-out, so that one is the stall time-out: too long to wait for a host that is
    away.
    """

    def connect(connection: HTTPConnection, base: Callable[[], None]) -> None:
        stall_timeout = connection.timeout
        connection.timeout = min(stall_timeout or CONNECT_TIMEOUT, CONNECT_TIMEOUT)
        try:
            base()
        finally:
            connection.timeout = stall_timeout
        connection.sock.settimeout(stall_timeout)
        watch(connection.sock)

    class Plain(HTTPConnection):
        response_class = WholeResponse

        def connect(self) -> None:
            connect(self, super().connect)

    class Secure(HTTPSConnection):
        response_class = WholeResponse

        def connect(self) -> None:
            try:
                connect(self, super().connect)
            except TimeoutError as error:  # of the handshake: that of the connection is another class
                raise SSLError(error) from error

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}
