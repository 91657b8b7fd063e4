"""The server in the foreground: waitress over Zope's WSGI application, from the first request to a clean stop.

::

    listen · start Zope, which opens the storage, or has its host release it · offer the storage
    answer requests, run alarms · say `ready` · …
    signal … stop listening · finish running requests and alarms · close connections · close the database

Who connects before it is ready waits a moment, rather than being refused.
"""

from __future__ import annotations

import contextlib
import ctypes
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

from Products.ERP5Wendelin.content.site import SITE
from Products.ERP5Wendelin.download import growth
from Products.ERP5Wendelin.errors import BadInput, Conflict, WendelinError
from Products.ERP5Wendelin.event_log import ACCESS
from Products.ERP5Wendelin.ingestion.batch import BatchWriter
from Products.ERP5Wendelin.portal.alarm_runner import AlarmRunner
from Products.ERP5Wendelin.portal.fluentd import FluentdThread, Listening, check_site, end_at_once
from Products.ERP5Wendelin.portal.instance import Instance, start_zope
from Products.ERP5Wendelin.portal.log_forward import forwarded
from Products.ERP5Wendelin.portal.serve_http import Server, make_server
from Products.ERP5Wendelin.portal.shared_storage import Guest, Role, SharedFileStorage, opening
from Products.ERP5Wendelin.protocol import MIB
from Products.ERP5Wendelin.views.gateway import gateway

MALLOC_PARAMETERS = {
    -8: 1,  # M_ARENA_MAX
    -1: 128 * MIB,  # M_TRIM_THRESHOLD: freed memory to keep
    -3: 32 * MIB,  # M_MMAP_THRESHOLD: what is larger is given back at once
}
"""By the numbers of glibc's malloc.h."""

GRACE = 30
"""Seconds that running requests have to finish once a stop was asked for."""

START_TIMEOUT = 60
"""Seconds the site has to answer its first request."""

BACKLOG = 1024
"""Connections that may wait to be accepted."""

MAX_PORT = 65535

logger = logging.getLogger("wendelin.serve")


def parse_address(text: str, example: str = "127.0.0.1:8080") -> tuple[str, int]:
    """HOST:PORT or [IPV6]:PORT as (host, port); BadInput when it's neither."""
    host, colon, port = text.rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not host or not port.isdecimal() or not port.isascii() or int(port) > MAX_PORT:
        raise BadInput(f"{text} is no address to listen on: give HOST:PORT, such as {example}.")
    return host, int(port)


def listen(address: tuple[str, int]) -> socket.socket:
    """A socket that listens at an address; Conflict when the port is taken."""
    host, port = address
    try:
        family, kind, protocol, _, resolved = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise BadInput(f"{host} is no address of this machine: {error.strerror}.") from error
    listening = socket.socket(family, kind, protocol)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(resolved)
        listening.listen(BACKLOG)  # now: two sockets may be bound to one port, but only one may listen
    except OSError as error:
        listening.close()
        raise Conflict(
            f"Cannot listen on {host}:{port}: {error.strerror}. Stop what uses it, or choose another with --listen."
        ) from error
    return listening


def serve(
    instance: Instance,
    address: tuple[str, int],
    fluentd: Listening | None = None,
    log_fluentd: tuple[str, int] | None = None,
) -> None:
    """Serve an instance until a signal asks to stop.

    With a Forward server if `fluentd` says where it listens; events are sent to the agent at `log_fluentd`.
    """
    os.umask(0o077)
    tune_memory()
    log_to(instance)
    log_requests_to(instance)
    with listen(address) as listening:
        port = listening.getsockname()[1]
        with opening(Role.HOST):
            application = gateway(start_zope(instance))
        try:
            offer_storage(instance)
            host = f"[{address[0]}]" if ":" in address[0] else address[0]
            # the agent that log events go to may be our own Forward server
            with agents(fluentd) as urls, forwarded(log_fluentd):
                run(application, listening, [f"http://{host}:{port}/{SITE}", *urls], AlarmRunner(Zope2.DB))
        finally:
            Zope2.DB.close()
            logger.info("stopped")


@contextlib.contextmanager
def agents(fluentd: Listening | None) -> Iterator[list[str]]:
    """Run the Forward server that is asked for; its address as a URL. In the end it commits what has arrived."""
    if fluentd is None:
        yield []
        return
    check_site(Zope2.DB, fluentd.settings)
    thread = FluentdThread(BatchWriter(Zope2.DB), fluentd)
    url = thread.start()
    try:
        yield [url]
    finally:
        if not thread.stop(GRACE):
            end_at_once()


def tune_memory() -> None:
    """Let all threads allocate from one arena and keep what they free, where the C library is glibc's.

    By default each thread has an arena, and keeps there what a body of 16 MiB needed: 16 threads held 400 MiB, one
    arena holds 150. And what is freed goes back to the kernel at once: to get it again, page by page, cost a fifth of
    the CPU time of an upload.
    """
    with contextlib.suppress(AttributeError):  # another C library, which has no arenas
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, value in MALLOC_PARAMETERS.items():
            mallopt(parameter, value)


def log_to(instance: Instance, name: str = "wendelin.log") -> None:
    """Send what happens to a log of DIR/log, and warnings to stderr as well. One that was moved away is begun anew."""
    form = logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s")
    events = logging.handlers.WatchedFileHandler(instance.log / name, encoding="utf-8")
    console = logging.StreamHandler(sys.stderr)
    console.setLevel(logging.WARNING)
    for handler in (events, console):
        handler.setFormatter(form)
        logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.INFO)
    # a line for each `wendelin` command that connects, and a warning whenever all threads are busy, say little
    logging.getLogger("ZEO").setLevel(logging.WARNING)
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)


def log_requests_to(instance: Instance) -> None:
    """Write a line for each request to DIR/log/access.log, and nowhere else."""
    ACCESS.addHandler(logging.handlers.WatchedFileHandler(instance.log / "access.log", encoding="utf-8"))
    ACCESS.propagate = False


def offer_storage(instance: Instance) -> None:
    """Let other processes in, where the storage is a file that this one has open."""
    storage = Zope2.DB.storage
    if isinstance(storage, SharedFileStorage):
        storage.offer(instance.storage_socket)
    elif isinstance(storage, Guest):
        raise Conflict(f"{instance.directory} is being served already, by another process.")


def run(application: Callable[..., Any], listening: socket.socket, urls: list[str], alarms: AlarmRunner) -> None:
    """Answer requests, and run alarms, until SIGTERM or SIGINT; then give both GRACE seconds to finish.

    `urls`, the site's first, are said to be ready once the site is.
    """
    server = make_server(application, listening)
    stopping = threading.Event()
    problems: list[str] = []

    def stop(problem: str = "") -> None:
        if problem:
            problems.append(problem)
        stopping.set()
        growth.STOPPING.set()
        alarms.stop()
        server.pull_trigger()

    stop_on_signal(stop)
    threading.Thread(target=announce, args=(urls, stop), daemon=True).start()
    alarms.start()
    while not stopping.is_set():
        turn(server)
    logger.info("stopping: requests that run have %d seconds to finish", GRACE)
    wasyncore.dispatcher.close(server)  # accept no more; the connections live on
    deadline = time.monotonic() + GRACE
    while close_idle(server) and time.monotonic() < deadline:
        turn(server)
    if server.active_channels:
        logger.warning(
            "requests cut off because they did not finish in %d seconds: %d", GRACE, len(server.active_channels)
        )
    if not alarms.join(deadline - time.monotonic()):
        logger.warning("an alarm was cut off because it did not finish in %d seconds", GRACE)
    server.task_dispatcher.shutdown(timeout=1)
    wasyncore.close_all(server._map)
    if problems:
        raise WendelinError(problems[0])


def turn(server: Server) -> None:
    """Read and write whatever is ready, or wait a moment for it."""
    wasyncore.loop(timeout=1, use_poll=True, map=server._map, count=1)


def close_idle(server: Server) -> bool:
    """Close connections on which no request is running; say whether others are left."""
    for channel in list(server.active_channels.values()):
        if not (channel.requests or channel.request or channel.total_outbufs_len):
            channel.handle_close()
    return bool(server.active_channels)


def stop_on_signal(stop: Callable[[], None]) -> None:
    """Call `stop` at the first SIGTERM or SIGINT; leave the second to the system, which ends the process at once."""

    def handle(number: int, frame: Any) -> None:
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, signal.SIG_DFL)
        stop()

    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, handle)


def announce(urls: list[str], stop: Callable[[str], None]) -> None:
    """Say what is ready, once the first of the URLs, the site's, answered a request; stop if it doesn't."""
    url = urls[0]
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=START_TIMEOUT):
            pass
    except urllib.error.HTTPError as error:
        if error.code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            stop(f"The site does not work: {url} answered {error.code} {error.reason}. See wendelin.log.")
            return
    except OSError as error:
        stop(f"The site does not answer at {url}: {error}.")
        return
    for url in urls:
        logger.info("ready on %s", url)
        print(f"ready on {url}", flush=True)
