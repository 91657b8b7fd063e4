"""Shows long texts on a terminal page by page, as git does, and prints them elsewhere."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping

LESS = "FRX"
"""`less` ends at once where all fits on the screen, shows styles, and leaves the text there at its end."""


def show(text: str, environment: Mapping[str, str]) -> None:
    """Show the text by the program that PAGER names, or by `less`; without one, or a terminal, print it."""
    words = shlex.split(environment.get("PAGER", "less"))
    if not sys.stdout.isatty() or not words or not shutil.which(words[0]):
        sys.stdout.write(text)
        return
    subprocess.run(words, input=text, env={"LESS": LESS, **environment}, text=True, check=False)
