"""Waitress as we run it: tuned for bodies of any size, with an access log, and deaf to clients that stall.

The numbers of SETTINGS were found by measuring, in seconds of CPU a GiB, of the server alone on two cores:

=======================================================  ================  ==========
what                                                     waitress's own    here
=======================================================  ================  ==========
PATCH requests of 16 MiB: `recv_bytes`                   3.8 (8 KiB)       1.0
a response that can't be sought: block, high watermark   1.9 (32 KiB)      0.3 to 0.5
=======================================================  ================  ==========

A response that can be sought, as our downloads can, is sent by the loop itself and takes no thread. Where the body of
a request is kept until it is complete, `request_body` says.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import quote

from waitress.adjustments import Adjustments
from waitress.buffers import ReadOnlyFileBasedBuffer
from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, Task, ThreadedTaskDispatcher, WSGITask
from waitress.utilities import InternalServerError

from Products.ERP5Wendelin.event_log import log_access
from Products.ERP5Wendelin.portal.instance import THREADS
from Products.ERP5Wendelin.portal.request_body import Parser
from Products.ERP5Wendelin.protocol import KIB, MIB

RESPONSE_BLOCK = MIB
"""Bytes read at a time from a response that is a file; waitress would take 32 KiB."""

SETTINGS: dict[str, Any] = {
    "threads": THREADS,
    # a descriptor each, and poll() because select() ends at 1,024
    "connection_limit": 1000,
    "asyncore_use_poll": True,
    # a connection on which nothing moved for so many seconds is closed
    "channel_timeout": 120,
    "recv_bytes": 512 * KIB,
    # a request's body is in memory up to here whatever else is, then as `request_body` says: its size is bounded by the
    # disk only
    "inbuf_overflow": 512 * KIB,
    "max_request_body_size": 1 << 62,
    # a response waits for a slow client with this much in memory, and never spools to disk
    "outbuf_high_watermark": MIB,
    "outbuf_overflow": 1 << 62,
    "expose_tracebacks": False,
    "ident": "wendelin",
    # a client that goes away is no error of ours
    "log_socket_errors": False,
}

FAILED = "500 Internal Server Error"


class Server(TcpWSGIServer):
    """Waitress's server, which also drops clients that stop reading: each could keep a thread for ever."""

    def maintenance(self, now: float) -> None:
        super().maintenance(now)
        cutoff = now - self.adj.channel_timeout
        for channel in list(self.active_channels.values()):
            if channel.total_outbufs_len and channel.last_activity < cutoff:
                channel.handle_close()


class LoggedTask(WSGITask):
    """A request for the application."""

    def service(self) -> None:
        try:
            super().service()
        except Exception:
            if not self.wrote_header:
                self.status = FAILED
            raise
        finally:
            log_request(self, self.get_environment().get("REMOTE_USER", ""))

    def get_environment(self) -> dict[str, Any]:
        environ = super().get_environment()
        environ["wsgi.file_wrapper"] = partial(ReadOnlyFileBasedBuffer, block_size=RESPONSE_BLOCK)
        return environ

    def write(self, data: bytes) -> None:
        """Send a part of the answer; waitress counts its bytes only where their number was announced."""
        super().write(data)
        if self.has_body and self.content_length is None:
            self.content_bytes_written += len(data)

    def set_close_on_finish(self) -> None:
        """Close the connection behind the answer, as waitress would, unless the answer says by itself where it ends.

        Waitress closes it also behind a 204, which has no body, and behind a chunked one: an upload in pieces would
        connect anew for each.
        """
        failed = self.wrote_header
        client_closes = self.request.headers.get("CONNECTION", "").lower() == "close"
        if failed or client_closes or self.version != "1.1" or (self.has_body and not self.chunked_response):
            super().set_close_on_finish()


class LoggedErrorTask(ErrorTask):
    """A request that is not fit for the application, such as one with malformed headers, or the 500 of one that was."""

    def service(self) -> None:
        try:
            super().service()
        finally:
            if not isinstance(self.request.error, InternalServerError):  # which was logged as what was asked
                log_request(self, "")


class Channel(HTTPChannel):
    """A connection."""

    task_class = LoggedTask
    error_task_class = LoggedErrorTask
    parser_class = Parser

    def handle_close(self) -> None:
        """Close the connection, and give back what the body that was on its way has taken."""
        super().handle_close()
        if self.request is not None:
            self.request.close()


def log_request(task: Task, user: str) -> None:
    """Tell of a request: in the Common Log Format with the seconds it took, and as data, in fluentd's names for that.

    The query string is left out: that is where a careless program puts a password.
    """
    request = task.request
    fields = {
        "host": task.channel.addr[0],
        "user": user,
        "method": quote(getattr(request, "command", "") or "-"),
        "path": quote(getattr(request, "request_uri", "-").partition("?")[0], safe="/%:@!$&'()*+,;=~"),
        "code": int(task.status.partition(" ")[0]),
        "size": answer_size(task),
        "seconds": round(time.time() - task.start_time, 3),
    }
    begin = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(task.start_time))
    form = '%(host)s - %(who)s [%(begin)s] "%(method)s %(path)s HTTP/%(version)s" %(code)d %(size)d %(seconds).3f'
    log_access(fields, form, {**fields, "who": quote(user) or "-", "begin": begin, "version": task.version})


def answer_size(task: Task) -> int:
    """Bytes of the answer's body, which may not be sent yet, or never if the client goes away."""
    if getattr(task.request, "command", "") == "HEAD" or task.content_length is None:
        return task.content_bytes_written
    return task.content_length


def make_server(application: Callable[..., Any], listening: socket.socket) -> Server:
    """A server of a WSGI application on a socket that listens; its threads run, and its loop is the caller's."""
    adjustments = Adjustments(sockets=[listening], **SETTINGS)
    dispatcher = ThreadedTaskDispatcher()
    dispatcher.set_thread_count(adjustments.threads)
    server = Server(
        application,
        _sock=listening,
        dispatcher=dispatcher,
        adj=adjustments,
        bind_socket=False,
        sockinfo=(listening.family, listening.type, listening.proto, listening.getsockname()),
    )
    server.channel_class = Channel
    return server
