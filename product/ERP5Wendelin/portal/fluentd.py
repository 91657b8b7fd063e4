"""The Forward server beside whatever else a process does: in a thread, with an event loop of its own."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import os
import threading
from dataclasses import dataclass
from typing import Any

from ZODB import DB

from Products.ERP5Wendelin.content.site import opened_site
from Products.ERP5Wendelin.errors import NotFound
from Products.ERP5Wendelin.ingestion.batch import TOOL
from Products.ERP5Wendelin.ingestion.forward.committer import Writer
from Products.ERP5Wendelin.ingestion.forward.server import ForwardServer
from Products.ERP5Wendelin.ingestion.forward.settings import Settings
from Products.ERP5Wendelin.ingestion.identity import sender
from Products.ERP5Wendelin.permissions import PushData

logger = logging.getLogger("wendelin.fluentd")


@dataclass(frozen=True)
class Listening:
    """Where a Forward server listens, and how."""

    host: str
    port: int
    settings: Settings


class FluentdThread:
    """Runs a Forward server until it is stopped."""

    def __init__(self, writer: Writer, listening: Listening) -> None:
        self._listening = listening
        self._server = ForwardServer(writer, listening.settings)
        self._loop = asyncio.new_event_loop()
        self._stopping: concurrent.futures.Future[None] | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name="fluentd", daemon=True)

    def start(self) -> str:
        """Listen, and return the address as a URL. Errors: see ForwardServer."""
        self._thread.start()
        starting = self._server.start(self._listening.host, self._listening.port)
        try:
            host, port = asyncio.run_coroutine_threadsafe(starting, self._loop).result()
        except BaseException:
            self._end()
            raise
        scheme = "tcp" if self._listening.settings.tls is None else "tls"
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"

    def stop(self, timeout: float) -> bool:
        """Accept no more, commit and acknowledge what has arrived; False if that takes more than so many seconds."""
        if self._stopping is None:
            self._stopping = asyncio.run_coroutine_threadsafe(self._server.stop(), self._loop)
        try:
            self._stopping.result(timeout)
        except concurrent.futures.TimeoutError:
            logger.warning("what agents sent could not be committed in %g seconds: they have to send it again", timeout)
            return False
        self._end()
        return True

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def end_at_once() -> None:
    """End this process, as a second signal would: the thread that commits is stuck, and would be waited for."""
    logging.shutdown()
    os._exit(1)


def check_site(database: DB, settings: Settings) -> None:
    """NotFound if the site has no such policy, or lacks a user. Who may not send to the policy is named in the log."""
    with opened_site(database) as site:
        tool = site._getOb(TOOL, None)
        policy = None if tool is None else tool._getOb(settings.policy, None)
        if policy is None:
            ids = [] if tool is None else tool.objectIds("Ingestion Policy")
            raise NotFound(f"There is no Ingestion Policy {settings.policy!r}. There are: {', '.join(ids) or 'none'}.")
        for name in sorted({settings.user, *settings.users} - {""}):
            check_user(site, policy, name)


def check_user(site: Any, policy: Any, name: str) -> None:
    """NotFound if the site has no user of this name; a warning, since that may change, if they may not send."""
    if site.acl_users.getUserById(name) is None:
        raise NotFound(
            f"There is no user {name!r} in the lake, with whose rights data is to come in. "
            f"Add one with: wendelin user add DIR {name} --role contributor"
        )
    if not sender(site, name).has_permission(PushData, policy):
        logger.warning("what %s sends will be refused: it takes the role of contributor", name)
