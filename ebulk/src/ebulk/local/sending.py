"""What an interrupted sending of one file needs to go on: a note beside it, `.FILE.push`, for as long as it takes."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ebulk.local.atomic import write_atomically

KEY_SIZE = 16
"""Bytes of what tells one sending from all others."""


@dataclass(frozen=True, slots=True)
class Sending:
    """A sending under way."""

    purpose: Mapping[str, object]
    """What is sent where, as JSON has it: another purpose is another sending."""
    key: str
    """The lake knows it by this."""
    position: int = 0
    """How far the lake has it."""


class SendingNote:
    """The note beside a file."""

    def __init__(self, file: Path) -> None:
        self._path = file.with_name(f".{file.name}.push")

    def load(self, purpose: Mapping[str, object]) -> Sending:
        """The sending of this purpose that was broken off, or a new one; a damaged note is as good as none."""
        try:
            noted = Sending(**json.loads(self._path.read_bytes()))
            if noted.purpose == purpose and isinstance(noted.key, str) and isinstance(noted.position, int):
                return noted
        except (FileNotFoundError, ValueError, TypeError):
            pass
        return Sending(purpose, secrets.token_hex(KEY_SIZE))

    def save(self, sending: Sending, position: int) -> None:
        """Note how far it is."""
        write_atomically(self._path, json.dumps(asdict(replace(sending, position=position))).encode())

    def clear(self) -> None:
        """Forget it: it is done."""
        self._path.unlink(missing_ok=True)
