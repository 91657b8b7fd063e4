"""Lines of the log that many may cause: one a minute of a kind, and in the next how many there were in between.

Of all kinds together there are so many a minute: tags and hosts make kinds, and senders may make those up.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

INTERVAL = 60.0
"""Seconds between two lines of one kind."""

LINES = 100
"""The most lines within INTERVAL."""

CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""What would end the line, or what a terminal obeys: the error of a script may quote what was sent."""

KINDS = 1_000
"""How many kinds are remembered."""

logger = logging.getLogger("wendelin.fluentd")


class Notices:
    """Warnings of what senders do, and of what becomes of it; for one thread or several."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kinds: OrderedDict[Hashable, tuple[float, int]] = OrderedDict()
        self._since, self._lines, self._beyond = -INTERVAL, 0, 0
        self._lock = threading.Lock()

    def warn(self, kind: Hashable, text: str) -> None:
        """Log a warning, unless one of its kind was logged in the last minute, or LINES of other kinds."""
        beyond = 0
        with self._lock:
            now = self._clock()
            since, left_out = self._kinds.get(kind, (-INTERVAL, 0))
            if now < since + INTERVAL:
                self._kinds[kind] = since, left_out + 1
                return
            if now >= self._since + INTERVAL:
                self._since, self._lines, self._beyond, beyond = now, 0, 0, self._beyond
            if self._lines == LINES:
                self._beyond += 1
                return
            self._lines += 1
            self._kinds[kind] = now, 0
            self._kinds.move_to_end(kind)
            if len(self._kinds) > KINDS:
                self._kinds.popitem(last=False)
        if beyond:
            logger.warning("%d warnings were left out, beyond the %d that are logged in a minute", beyond, LINES)
        text = CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text)
        logger.warning("%s%s", text, f" ({left_out} more like this since the last line)" if left_out else "")
