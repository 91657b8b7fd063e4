"""Ctrl-C and SIGTERM while a script runs: an error in the script's line, but not in the middle of what must not break.

What must not break is a commit, and the loading of a page of a mapped array: that happens in the middle of any access
to memory, where Python code can't fail, and the process would die. In both the signal is sent again a moment later.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)

LATER = 0.05
"""Seconds after which a signal is sent again."""


class Interrupted(KeyboardInterrupt):
    """The process was asked to end."""

    def __init__(self, number: int) -> None:
        super().__init__("interrupted")
        self.exit_code = 128 + number
        """130 for Ctrl-C, as shells have it."""


@contextmanager
def interruptible(is_busy: Callable[[], bool]) -> Iterator[None]:
    """Have a `with` statement of the main thread interrupted by signals, except while it is busy."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        if is_busy() or _loads_page(frame):
            again = threading.Timer(LATER, signal.pthread_kill, (threading.main_thread().ident, number))
            again.daemon = True
            again.start()
            return
        raise Interrupted(number)

    before = [(number, signal.signal(number, interrupt)) for number in SIGNALS]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def _loads_page(frame: FrameType | None) -> bool:
    """Whether a frame is below wendelin.core's method that loads a page."""
    while frame is not None:
        if frame.f_code.co_name in ("loadblk", "storeblk"):
            return True
        frame = frame.f_back
    return False
