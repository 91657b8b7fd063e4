"""What `pull` and `push` are asked to transfer: a data set, a stream or an array; each has options of its own."""

from __future__ import annotations

import argparse
from enum import Enum

from ebulk.errors import UsageError


class Kind(Enum):
    """Of what is transferred."""

    DATA_SET = "data sets"
    STREAM = "streams"
    ARRAY = "arrays"


OPTIONS = {
    "stream": (Kind.STREAM,),
    "since": (Kind.STREAM,),
    "until": (Kind.STREAM,),
    "format": (Kind.STREAM,),
    "output": (Kind.STREAM, Kind.ARRAY),
    "array": (Kind.ARRAY,),
    "slice": (Kind.ARRAY,),
    "append": (Kind.ARRAY,),
    "data_set": (Kind.DATA_SET,),
    "number": (Kind.DATA_SET,),
    "directory": (Kind.DATA_SET,),
    "include": (Kind.DATA_SET,),
    "exclude": (Kind.DATA_SET,),
    "message": (Kind.DATA_SET,),
    "restart": (Kind.DATA_SET,),
    "all": (Kind.DATA_SET,),
    "discard_changes": (Kind.DATA_SET, Kind.STREAM),
}
"""Options, as the parser calls them, that do not concern all kinds."""

NAMES = {"data_set": "DATA_SET", "number": "--version", "discard_changes": "--discard-changes"}
"""How they are written, where that is another word."""

NAMED_BY = {Kind.DATA_SET: "", Kind.STREAM: "--stream", Kind.ARRAY: "--array"}
"""What says that it is one of a kind."""


def kind_of(arguments: argparse.Namespace) -> Kind:
    """What is to be transferred. UsageError for options that do not go together."""
    wanted = _wanted(arguments)
    for name, kinds in OPTIONS.items():
        if wanted not in kinds and getattr(arguments, name, None):
            option = NAMES.get(name, f"--{name}")
            about = " and ".join(kind.value for kind in kinds)
            raise UsageError(f"{option} is about {about}.", f"Leave it out, or {_instead(wanted, kinds)}.")
    return wanted


def _wanted(arguments: argparse.Namespace) -> Kind:
    if getattr(arguments, "stream", None) is not None:
        return Kind.STREAM
    return Kind.DATA_SET if arguments.array is None else Kind.ARRAY


def _instead(wanted: Kind, kinds: tuple[Kind, ...]) -> str:
    """What else could be left out, or said."""
    if wanted is not Kind.DATA_SET:
        return NAMED_BY[wanted]
    return " or ".join(f"name {_a(kind)} by {NAMED_BY[kind]}" for kind in kinds)


def _a(kind: Kind) -> str:
    return "a stream" if kind is Kind.STREAM else "an array"
