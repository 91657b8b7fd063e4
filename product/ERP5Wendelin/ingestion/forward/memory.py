"""The bound on what all connections together hold in memory.

Messages that are complete, and wait to be committed, may take half of it. When that is full no connection is read,
until a commit has made room. Messages that have begun and are not complete may take what those leave, thus always the
other half. When it is full, senders are dropped whose messages take most, counted in bytes times seconds: who never
ends a message goes before who just sends a large one, and nobody can keep others out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

SLACK = 1 / 16
"""The part of the half by which memory is brought below the bound by dropping, so that those who are left come on."""


class Holder(Protocol):
    """A connection, and the message that has begun on it."""

    @property
    def held(self) -> int:
        """Its bytes so far."""

    @property
    def since(self) -> float:
        """When it began, by the clock."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def drop(self, reason: str) -> None: ...


class Memory:
    """Counts what holders have of messages that have begun, beside what is `waiting` of those that are complete."""

    def __init__(
        self, limit: int, holders: Collection[Holder], waiting: Callable[[], int], clock: Callable[[], float]
    ) -> None:
        self._limit = limit
        self._half = limit // 2
        self._holders = holders
        self._waiting = waiting
        self._clock = clock
        self._begun = 0
        self.full = False
        """Whether no connection is read."""

    def change(self, difference: int) -> None:
        """A holder has so much more, or less."""
        self._begun += difference

    @property
    def held(self) -> int:
        """Bytes of all messages that are on their way."""
        return self._begun + self._waiting()

    def look(self) -> None:
        """Do what what is held asks for."""
        room = self._limit - min(self._waiting(), self._half)
        if self._begun > room:
            self._drop(room - self._half * SLACK)
        full = self._waiting() > self._half
        if full != self.full:
            self.full = full
            for holder in list(self._holders):
                if full:
                    holder.pause()
                else:
                    holder.resume()

    def _drop(self, room: float) -> None:
        """Drop as many as it takes."""
        now = self._clock()
        for holder in sorted(self._holders, key=lambda holder: holder.held * (now - holder.since), reverse=True):
            if self._begun <= room:
                return
            holder.drop(
                f"memory is full of messages that are not complete, and this one, of {holder.held} bytes in "
                f"{now - holder.since:.0f} seconds, takes most: send smaller chunks, from fewer agents at a time, or "
                "raise --max-memory"
            )
