"""Turns what is wrong with a folder into one error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from ebulk.errors import EbulkError
from ebulk.local.names import shown
from ebulk.local.scan import Problem

Item = TypeVar("Item")

NAMED = 5
"""How many files a message names."""

AGAIN = {"pushed": "push", "staged": "add", "removed": "remove", "compared": "compare"}


def listed(paths: Sequence[str]) -> str:
    """Some of the paths as they can stand in a message, and how many more there are."""
    return some(paths, NAMED, shown)


def some(items: Sequence[Item], most: int, text_of: Callable[[Item], str]) -> str:
    """The texts of at most so many of the items, and how many more there are."""
    texts = ", ".join(map(text_of, items[:most]))
    more = len(items) - most
    return f"{texts} and {more:,} more" if more > 0 else texts


def refuse(problems: Sequence[Problem], done: str = "pushed") -> None:
    """EbulkError if there are any: a push leaves nothing out silently."""
    if not problems:
        return
    named = sorted(problems)[:NAMED]
    sentences = "; ".join(f"{shown(problem.path)} {problem.reason}" for problem in named)
    more = len(problems) - NAMED
    raise EbulkError(
        f"Nothing was {done}: {sentences}{f'; and {more:,} more' if more > 0 else ''}.",
        f"Put it right or move it out of the folder, then {AGAIN[done]} again.",
    )
