"""The server in the foreground: waitress over Zope's WSGI application, from the first request to a clean stop.

::

    wait for the storage · bind · start Zope · offer the storage · serve · say `ready` · … signal …
    stop accepting · finish running requests · close what is idle · close the database
"""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import os
import signal
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any

import Zope2
from waitress import wasyncore

from Products.ERP5Wendelin.errors import BadInput, Conflict
from Products.ERP5Wendelin.portal.instance import SITE, Instance, start_zope
from Products.ERP5Wendelin.portal.serve_http import Server, access_logger, make_server
from Products.ERP5Wendelin.portal.shared_storage import Guest, SharedFileStorage

GRACE = 30
"""Seconds that running requests have to finish once a stop was asked for."""

logger = logging.getLogger("wendelin.serve")


def parse_address(text: str) -> tuple[str, int]:
    """HOST:PORT or [IPV6]:PORT as (host, port); BadInput when it's neither."""
    host, colon, port = text.rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise BadInput(f"{text} is no address to listen on: give HOST:PORT, such as 127.0.0.1:8080.")
    return host, int(port)


def bind(address: tuple[str, int]) -> socket.socket:
    """A socket bound to an address, not yet listening; Conflict when the port is taken."""
    host, port = address
    try:
        family, kind, protocol, _, resolved = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise BadInput(f"{host} is no address of this machine: {error.strerror}.") from error
    bound = socket.socket(family, kind, protocol)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(resolved)
    except OSError as error:
        bound.close()
        raise Conflict(
            f"Can't listen on {host}:{port}: {error.strerror}. Stop what uses it, or choose another with --listen."
        ) from error
    return bound


def serve(instance: Instance, address: tuple[str, int]) -> None:
    """Serve an instance until a signal asks to stop."""
    os.umask(0o077)
    log_to(instance)
    with bind(address) as bound:
        port = bound.getsockname()[1]
        application = start_zope(instance)
        try:
            offer_storage(instance)
            host = f"[{address[0]}]" if ":" in address[0] else address[0]
            run(application, bound, f"http://{host}:{port}/{SITE}")
        finally:
            Zope2.DB.close()
            logger.info("stopped")


def log_to(instance: Instance) -> None:
    """Send what happens to DIR/log, and warnings to stderr as well. A log that was moved away is begun anew."""
    form = logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s")
    events = logging.handlers.WatchedFileHandler(instance.log / "wendelin.log", encoding="utf-8")
    console = logging.StreamHandler(sys.stderr)
    console.setLevel(logging.WARNING)
    for handler in (events, console):
        handler.setFormatter(form)
        logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.INFO)
    # a line for each `wendelin` command that connects, and a warning whenever all threads are busy, say little
    logging.getLogger("ZEO").setLevel(logging.WARNING)
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    access_logger.addHandler(logging.handlers.WatchedFileHandler(instance.log / "access.log", encoding="utf-8"))
    access_logger.propagate = False


def offer_storage(instance: Instance) -> None:
    """Let other processes in, where the storage is a file that this one has open."""
    storage = Zope2.DB.storage
    if isinstance(storage, SharedFileStorage):
        storage.offer(instance.storage_socket)
    elif isinstance(storage, Guest):
        raise Conflict(f"{instance.directory} is being served already, by another process.")


def run(application: Callable[..., Any], bound: socket.socket, url: str) -> None:
    """Answer requests on a bound socket until SIGTERM or SIGINT; then give running requests GRACE seconds."""
    server = make_server(application, bound)
    stopping = threading.Event()
    with stopped_by_signal(stopping, server.pull_trigger):
        threading.Thread(target=announce, args=(url,), daemon=True).start()
        while not stopping.is_set():
            turn(server)
    logger.info("stopping: requests that run have %d seconds to finish", GRACE)
    wasyncore.dispatcher.close(server)  # accept no more; the channels live on
    deadline = time.monotonic() + GRACE
    while close_idle(server) and time.monotonic() < deadline:
        turn(server)
    if server.active_channels:
        logger.warning("%d requests did not finish in %d seconds and are cut off", len(server.active_channels), GRACE)
    server.task_dispatcher.shutdown(timeout=1)
    wasyncore.close_all(server._map)


def turn(server: Server) -> None:
    """Read and write whatever is ready, or wait a moment for it."""
    wasyncore.loop(timeout=1, use_poll=True, map=server._map, count=1)


def close_idle(server: Server) -> bool:
    """Close connections on which no request is running; say whether others are left."""
    for channel in list(server.active_channels.values()):
        if not (channel.requests or channel.request or channel.total_outbufs_len):
            channel.handle_close()
    return bool(server.active_channels)


@contextlib.contextmanager
def stopped_by_signal(stopping: threading.Event, wake: Callable[[], None]) -> Iterator[None]:
    """Set `stopping` at the first SIGTERM or SIGINT; leave the second to the system, which ends the process at once."""

    def stop(number: int, frame: Any) -> None:
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, signal.SIG_DFL)
        stopping.set()
        wake()

    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, stop)
    yield


def announce(url: str) -> None:
    """Say that the site is ready, once it answered a request."""
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=60):
            pass
    except urllib.error.HTTPError as error:
        if error.code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            logger.error("the site does not work: %s answered %d %s", url, error.code, error.reason)
            return
    except OSError as error:
        logger.error("the site does not answer at %s: %s", url, error)
        return
    logger.info("ready on %s", url)
    print(f"ready on {url}", flush=True)
