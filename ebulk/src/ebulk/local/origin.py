"""Where in its stream a pulled file begins, if that is not the stream's beginning: a small file beside it says so.

Retention drops the heads of streams, and what is pulled then begins somewhere else. As the head goes on being dropped,
nothing but a note can tell where the file goes on. It is written before the file is.
"""

from __future__ import annotations

import json
from pathlib import Path

from ebulk.errors import ConflictError
from ebulk.local.atomic import write_atomically


def origin_path(file: Path) -> Path:
    """Where the note about a file is."""
    return file.with_name(f".{file.name}.origin")


def read_origin(file: Path) -> int:
    """Offset in the stream of the first byte of a file."""
    path = origin_path(file)
    try:
        start = json.loads(path.read_bytes())["start"]
        if isinstance(start, int) and start >= 0:
            return start
    except FileNotFoundError:
        return 0
    except (ValueError, KeyError, TypeError):
        pass
    raise ConflictError(
        f"{path} is damaged: it says where in its stream {file} begins.",
        "Pull again with --discard-changes: it brings anew what the lake keeps.",
        (str(file),),
    )


def write_origin(file: Path, start: int) -> None:
    """Note where a file that is about to be written begins."""
    if start:
        write_atomically(origin_path(file), json.dumps({"start": start}).encode())
    else:
        origin_path(file).unlink(missing_ok=True)
