"""The push under way: what an interrupted push needs to go on.

`push.json` is there from the moment the lake knows of the push until the index knows its outcome.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from ebulk.local.atomic import write_atomically
from ebulk.model import Scope


@dataclass(frozen=True, slots=True)
class PushUnderWay:
    """A push that the lake has begun to receive."""

    ingestion: str
    """Its id at the lake."""
    base_version: int
    directory: str
    """The only folder that it pushes, or "" for all of the data set."""
    message: str
    staged: bool = False
    """Whether it pushes only what is staged."""

    @property
    def scope(self) -> Scope:
        """What it pushes."""
        return Scope(self.directory, self.staged)


class Journal:
    """Remembers the push under way in the file `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> PushUnderWay | None:
        """The push under way, or None; a damaged journal is as good as none, since the lake keeps its own."""
        try:
            return PushUnderWay(**json.loads(self._path.read_bytes()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            return None

    def save(self, push: PushUnderWay) -> None:
        """Remember a push."""
        write_atomically(self._path, json.dumps(asdict(push)).encode())

    def clear(self) -> None:
        """Forget it."""
        self._path.unlink(missing_ok=True)
