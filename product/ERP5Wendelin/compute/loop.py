"""A loop of a batch: what it goes over, how far it is, and when what was done is to be committed.

::

    block 1 │ block 2 │ block 3 ║ block 4 │ block 5 │ …       ║ a checkpoint: a commit of what was done, and of how far
    └──────── a slice ──────────┘                               it is

State (public format), a dictionary in `content.progress_indicator.Progress`: `source` (what it goes over, text),
`position`, `total` (int, units of the source), `snapshot` (16 hexadecimal digits; '' where the source needs none).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from Products.ERP5Wendelin.blockwise.blocks import Block
from Products.ERP5Wendelin.blockwise.snapshot import Snapshot
from Products.ERP5Wendelin.compute.sources import Blocks, Source
from Products.ERP5Wendelin.protocol import MIB
from Products.ERP5Wendelin.storage.process import resident_size

SLICE_SECONDS = 2.0
"""How long a slice may take before it is committed: what a kill costs at the most, besides one block."""

SLICE_SIZE = 32 * MIB
"""By how many bytes the process may grow in a slice: what it writes is in memory, and twice while it is committed."""

Clock = Callable[[], float]


class Status(NamedTuple):
    """Where a loop is, for who watches."""

    source: str
    unit: str
    start: int
    stop: int
    """The block that the script was given last; of none, where it would begin."""
    saved: int
    """Up to where it is committed."""
    total: int
    rate: float | None
    """Units a second in this process; None: unknown yet."""


class Loop:
    """A source, a position in it, and a slice that has begun."""

    def __init__(
        self,
        source: Source,
        position: int,
        total: int,
        snapshot: Snapshot | None,
        every: int | None,
        clock: Clock = time.monotonic,
    ) -> None:
        """Every so many blocks are a slice; None: as time and memory have it."""
        self.source = source
        self.position = self.saved = self._first = position
        """Up to where the script is done, up to where that is committed, and where this process began."""
        self.total = total
        self.snapshot = snapshot
        self.block: tuple[int, int] | None = None
        """Where the block begins and ends that the script was given last."""
        self._every = every
        self._clock = clock
        self._begun = clock()
        self.begin_slice()

    def blocks(self) -> Blocks:
        """The blocks behind the position."""
        return self.source.blocks(self.position, self.total, self.snapshot)

    def begin_slice(self) -> None:
        """What was done is committed."""
        self.saved = self.position
        self._blocks = 0
        self._slice_begun = self._clock()
        self._size = resident_size()

    def note_done(self, block: Block) -> None:
        """The script is done with a block."""
        self.position = block.stop
        self._blocks += 1

    def is_due(self) -> bool:
        """Whether the slice is to be committed."""
        if self._every is not None:
            return self._blocks >= self._every
        return self._clock() - self._slice_begun >= SLICE_SECONDS or resident_size() - self._size >= SLICE_SIZE

    def rewind(self, position: int | None) -> None:
        """Go back to a position, or to the last checkpoint; from there on each block is a slice, as others are met."""
        self.position = self.saved if position is None else position
        self._every = 1
        self.begin_slice()

    def state(self) -> dict[str, Any]:
        """What of it is committed."""
        return {
            "source": self.source.name,
            "position": self.position,
            "total": self.total,
            "snapshot": "" if self.snapshot is None else self.snapshot.text,
        }

    def status(self) -> Status:
        """Where it is."""
        start, stop = self.block or (self.position, self.position)
        return Status(self.source.name, self.source.unit, start, stop, self.saved, self.total, self.rate())

    def rate(self) -> float | None:
        """Units a second in this process; None: unknown yet."""
        seconds = self._clock() - self._begun
        return (self.position - self._first) / seconds if seconds > 0 and self.position > self._first else None
