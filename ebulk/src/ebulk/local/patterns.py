"""The patterns of gitignore (https://git-scm.com/docs/gitignore), as pathspec knows them.

pathspec is loaded once there is a pattern: that takes 10 ms, and a command that has none takes 60.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern


def parse(line: str) -> GitIgnoreSpecPattern | None:
    """The pattern that a line is; None for a blank line or a comment. ValueError for a line that is malformed."""
    pattern = import_module("pathspec.patterns.gitignore.spec").GitIgnoreSpecPattern(line)
    return None if pattern.include is None else cast("GitIgnoreSpecPattern", pattern)


def combine(lines: Iterable[str]) -> GitIgnoreSpec:
    """What matches one of the lines, where a later one with `!` takes back."""
    return cast("GitIgnoreSpec", import_module("pathspec").GitIgnoreSpec.from_lines(lines))
