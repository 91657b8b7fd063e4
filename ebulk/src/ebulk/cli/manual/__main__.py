"""`python -m ebulk.cli.manual rst` prints docs/commands.rst; `... man FOLDER` writes the pages for `man` there."""

from __future__ import annotations

import sys
from pathlib import Path

from ebulk.cli.manual import roff, rst
from ebulk.cli.manual.page import page, topics


def write_man_pages(folder: Path) -> list[Path]:
    """The files that were written, one a page."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for topic in topics():
        made = page(topic)
        path = folder / roff.file_name(made)
        path.write_text(roff.render(made), encoding="utf-8")
        written.append(path)
    return written


if __name__ == "__main__":
    if sys.argv[1] == "man":
        write_man_pages(Path(sys.argv[2]))
    else:
        sys.stdout.write(rst.render(map(page, topics())))
