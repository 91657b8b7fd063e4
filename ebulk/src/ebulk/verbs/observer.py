"""What verbs tell while they work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

from ebulk.model import Progress

TOLD_EVERY = 1000
"""Files between two that an observer is told of while a folder is scanned."""

Item = TypeVar("Item")


class Observer(Progress, Protocol):
    """Told by verbs and transfers what happens, from any thread; the command line draws it."""

    def stage(self, text: str) -> None:
        """A step without known length begins, such as "Scanning"."""

    def found(self, files: int) -> None:
        """So many files have been met in this step so far."""

    def expect(self, files: int, size: int) -> None:
        """So many files, with so many bytes (0: nobody knows), are to be transferred at the most."""

    def skip(self, path: str, size: int) -> None:
        """One of them needs no transfer after all."""


class Silent:
    """An observer for those who don't look."""

    def stage(self, text: str) -> None:
        """Not shown."""

    def found(self, files: int) -> None:
        """Not shown."""

    def expect(self, files: int, size: int) -> None:
        """Not shown."""

    def skip(self, path: str, size: int) -> None:
        """Not shown."""

    def begin(self, path: str, size: int) -> None:
        """Not shown."""

    def advance(self, path: str, count: int) -> None:
        """Not shown."""

    def reuse(self, path: str, count: int) -> None:
        """Not shown."""

    def done(self, path: str) -> None:
        """Not shown."""

    def note(self, message: str) -> None:
        """Not shown."""


SILENT: Observer = Silent()


def told_of(batches: Iterable[Sequence[Item]], observer: Observer) -> Iterator[Sequence[Item]]:
    """The same batches; now and then the observer is told how many items there were."""
    count = told = 0
    for batch in batches:
        count += len(batch)
        if count - told >= TOLD_EVERY:
            told = count
            observer.found(count)
        yield batch
    observer.found(count)


def told(items: Iterable[Item], observer: Observer) -> Iterator[Item]:
    """The same items; now and then the observer is told how many there were."""
    count = 0
    for count, item in enumerate(items, 1):
        if not count % TOLD_EVERY:
            observer.found(count)
        yield item
    observer.found(count)
