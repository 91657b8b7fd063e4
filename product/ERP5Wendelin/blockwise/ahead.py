"""Reading ahead: what an iterator gives is made in a thread of its own, while its caller works with what was before."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator
from contextlib import closing
from typing import Any, NamedTuple, TypeVar

AHEAD = 2
"""How many items are there, or are being made, beside the one that is in use."""

Item = TypeVar("Item")

_END: Any = object()


def read_ahead(items: Callable[[], Generator[Item, None, None]]) -> Generator[Item, None, None]:
    """What `items()` gives, made in a thread, AHEAD items before they are asked for.

    The thread ends when all is given, or when this is closed; what it raises is raised here.
    """
    found: queue.Queue[Any] = queue.Queue()
    free = threading.Semaphore(AHEAD)
    is_closed = threading.Event()

    def work() -> None:
        try:
            with closing(items()) as source:
                while free.acquire() and not is_closed.is_set():
                    found.put(next(source, _END))
        except BaseException as error:
            found.put(_Failure(error))

    thread = threading.Thread(target=work, name="wendelin-read-ahead", daemon=True)
    thread.start()
    try:
        while True:
            item = found.get()
            if item is _END:
                return
            if isinstance(item, _Failure):
                raise item.error
            yield item
            del item
            free.release()
    finally:
        is_closed.set()
        free.release()
        thread.join()


class _Failure(NamedTuple):
    """What ended the thread."""

    error: BaseException
