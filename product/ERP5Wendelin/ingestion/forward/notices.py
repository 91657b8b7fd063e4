"""Lines of the log that many may cause: one a minute of a kind, and in the next how many there were in between."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

INTERVAL = 60.0
"""Seconds between two lines of one kind."""

KINDS = 10_000
"""How many kinds are remembered: those of tags and hosts are made by who sends."""

logger = logging.getLogger("wendelin.fluentd")


class Notices:
    """Warnings of what senders do, and of what becomes of it; for one thread or several."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kinds: OrderedDict[Hashable, tuple[float, int]] = OrderedDict()
        self._lock = threading.Lock()

    def warn(self, kind: Hashable, text: str) -> None:
        """Log a warning, unless one of its kind was logged in the last minute."""
        with self._lock:
            now = self._clock()
            since, left_out = self._kinds.get(kind, (-INTERVAL, 0))
            if now < since + INTERVAL:
                self._kinds[kind] = since, left_out + 1
                return
            self._kinds[kind] = now, 0
            self._kinds.move_to_end(kind)
            if len(self._kinds) > KINDS:
                self._kinds.popitem(last=False)
        logger.warning("%s%s", text, f" ({left_out} more like this since the last line)" if left_out else "")
