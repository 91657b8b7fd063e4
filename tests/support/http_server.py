"""A real HTTP server over a lake: waitress, set up as `wendelin serve` does, in threads of the test's process."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from waitress import wasyncore
from ZPublisher.HTTPRequest import HTTPRequest

from Products.ERP5Wendelin.portal.instance import CONFLICT_RETRIES
from Products.ERP5Wendelin.portal.serve_http import make_server
from Products.ERP5Wendelin.views.gateway import gateway
from support.site import PASSWORD, Lake


@dataclass
class Response:
    """What came back."""

    status: int
    reason: str
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def data(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass
class Server:
    """A server that runs; `portal` is the URL of its site."""

    host: str
    port: int
    lake: Lake = field(repr=False)

    @property
    def portal(self) -> str:
        return f"http://{self.host}:{self.port}/erp5"

    @property
    def api(self) -> str:
        return f"{self.portal}/api/v1"

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        user: str | None = "ada",
        token: str | None = None,
    ) -> Response:
        """One request on a connection of its own; `path` is below /api/v1, or an absolute URL of this server.

        `body` is bytes, or plain data that goes as JSON. `user` is one of `support.site.USERS`, or None for anonymous.
        """
        sent = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        elif user is not None:
            sent.setdefault("Authorization", basic(user, PASSWORD))
        parts = urlsplit(path if path.startswith("http:") else self.api + path)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
        try:
            connection.request(method, target, body, sent)
            answer = connection.getresponse()
            return Response(answer.status, answer.reason, answer.headers, answer.read())
        finally:
            connection.close()


def basic(user: str, password: str) -> str:
    """Value of the header Authorization."""
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


@contextmanager
def serve(lake: Lake) -> Iterator[Server]:
    """Serve a lake on a free port."""
    HTTPRequest.retry_max_count = CONFLICT_RETRIES  # as zope.conf sets it
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        waitress = make_server(gateway(lake.application), bound)
        stopping = threading.Event()

        def loop() -> None:
            while not stopping.is_set():
                wasyncore.loop(timeout=1, use_poll=True, map=waitress._map, count=1)

        thread = threading.Thread(target=loop, daemon=True)
        thread.start()
        try:
            yield Server("127.0.0.1", bound.getsockname()[1], lake)
        finally:
            stopping.set()
            waitress.pull_trigger()
            thread.join()
            waitress.task_dispatcher.shutdown(timeout=5)
            wasyncore.close_all(waitress._map)


@pytest.fixture
def server(lake: Lake) -> Iterator[Server]:
    """A server of a fresh site."""
    with serve(lake) as running:
        yield running
