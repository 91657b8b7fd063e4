"""`wendelin fluentd` in the foreground: from the first connection to a clean stop.

::

    start Zope, which opens the storage, or is the guest of who has · find policy and users · listen · say `ready` · …
    signal … stop listening · commit and acknowledge what has arrived · close the database
"""

from __future__ import annotations

import os
import threading

import Zope2

from Products.ERP5Wendelin.portal.fluentd import FluentdThread, Listening, check_site, end_at_once, logger
from Products.ERP5Wendelin.portal.fluentd_writer import FluentdWriter
from Products.ERP5Wendelin.portal.instance import Instance, start_zope
from Products.ERP5Wendelin.portal.log_forward import forwarded
from Products.ERP5Wendelin.portal.serve import GRACE, log_to, stop_on_signal, tune_memory

LOG = "fluentd.log"


def serve_fluentd(instance: Instance, listening: Listening, log_fluentd: tuple[str, int] | None = None) -> None:
    """Take in what agents send until a signal asks to stop; audit events are sent to the agent at `log_fluentd`."""
    os.umask(0o077)
    tune_memory()
    log_to(instance, LOG)
    stopping = threading.Event()
    start_zope(instance)
    try:
        # before the database is shared: a server that starts at the same time has it closed here at any moment then
        check_site(Zope2.DB, listening.settings)
    except BaseException:
        Zope2.DB.close()
        raise
    writer = FluentdWriter(instance)
    try:
        thread = FluentdThread(writer, listening)
        url = thread.start()
        stop_on_signal(stopping.set)
        logger.info("ready on %s", url)
        print(f"ready on {url}", flush=True)
        with forwarded(log_fluentd):
            stopping.wait()
        logger.info("stopping: what has arrived is committed and acknowledged")
        writer.hurry()
        if not thread.stop(GRACE):
            end_at_once()
    finally:
        writer.close()
        logger.info("stopped")
