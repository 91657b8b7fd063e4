"""The bound on what all connections together hold in memory: when it is reached none is read, until there is room.

Room comes with each commit. If nothing waits for one, memory is full of messages that have begun and are not complete:
then the largest of these is dropped, and its sender, so that nobody can keep others out by never ending a message.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

from Products.ERP5Wendelin.protocol import MIB

SLACK = MIB
"""How far below the limit memory is brought by dropping: several reads, so that those who are left come on."""


class Holder(Protocol):
    """A connection: what it holds, and what can be done about it."""

    @property
    def held(self) -> int: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def drop(self, reason: str) -> None: ...


class Memory:
    """Counts what holders have of messages that have begun, beside what is `waiting` of those that are complete."""

    def __init__(self, limit: int, holders: Collection[Holder], waiting: Callable[[], int]) -> None:
        self._limit = limit
        self._holders = holders
        self._waiting = waiting
        self._begun = 0
        self.full = False

    def change(self, difference: int) -> None:
        """A holder has so much more, or less."""
        self._begun += difference

    def look(self) -> None:
        """Stop reading if there is too much, and go on once there is not."""
        if self._held() > self._limit:
            if not self.full:
                self.full = True
                for holder in self._holders:
                    holder.pause()
            if not self._waiting():
                self._drop_largest()
        if self.full and self._held() <= self._limit:
            self.full = False
            for holder in self._holders:
                holder.resume()

    def _held(self) -> int:
        return self._begun + self._waiting()

    def _drop_largest(self) -> None:
        for holder in sorted(self._holders, key=lambda holder: holder.held, reverse=True):
            if self._held() <= self._limit - SLACK:
                break
            holder.drop(
                f"memory is full of messages that are not complete, and its own of {holder.held} bytes so far is the "
                "largest: send smaller chunks from fewer agents at a time, or raise --max-memory"
            )
