"""Symbolic links that lead out of a data set: who pulled one could read or write elsewhere by a name within it.

A link leads out if it is absolute, or goes above the data set by `..`; or if it goes up behind another link, since
where that leads is not said by its name.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from ebulk.local.names import shown
from ebulk.verbs.problems import some

NAMED = 3

Link = tuple[str, str]
"""Path and target."""


def leads_out(path: str, target: str, is_link: Callable[[str], bool]) -> bool:
    """Whether the link at `path` leads out of the data set; `is_link` tells of other paths whether there is one."""
    if target.startswith("/"):
        return True
    here = path.split("/")[:-1]
    for name in target.split("/"):
        if name in ("", "."):
            continue
        if name != "..":
            here.append(name)
        elif not here or any(is_link("/".join(here[:count])) for count in range(1, len(here) + 1)):
            return True
        else:
            here.pop()
    return False


def leads_out_of(root: str, path: str, disk: str) -> str | None:
    """Where the link of a folder leads, if it is out of the folder."""
    try:
        target = os.readlink(f"{root}/{disk}")
    except OSError:  # it has changed; whoever reads it next will say so
        return None
    return target if leads_out(path, target, lambda other: os.path.islink(f"{root}/{other}")) else None


def named(links: Sequence[Link]) -> str:
    """Some of the links as they can stand in a message, and how many more there are."""
    return some(links, NAMED, lambda link: f"{shown(link[0])} (to {shown(link[1])})")
