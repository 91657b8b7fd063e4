"""What verbs tell while they work."""

from __future__ import annotations

from typing import Protocol

from ebulk.model import Progress


class Observer(Progress, Protocol):
    """Told by verbs and transfers what happens, from any thread; the command line draws it."""

    def stage(self, text: str) -> None:
        """A step without known length begins, such as "Scanning"."""

    def expect(self, files: int, size: int) -> None:
        """So many files, with so many bytes, are to be transferred at the most."""

    def skip(self, path: str, size: int) -> None:
        """One of them needs no transfer after all."""


class Silent:
    """An observer for those who don't look."""

    def stage(self, text: str) -> None:
        """Not shown."""

    def expect(self, files: int, size: int) -> None:
        """Not shown."""

    def skip(self, path: str, size: int) -> None:
        """Not shown."""

    def begin(self, path: str, size: int) -> None:
        """Not shown."""

    def advance(self, path: str, count: int) -> None:
        """Not shown."""

    def done(self, path: str) -> None:
        """Not shown."""

    def note(self, message: str) -> None:
        """Not shown."""


SILENT: Observer = Silent()
