"""A page for `man`, in the macros that every man knows (groff's man(7))."""

from __future__ import annotations

from collections.abc import Iterator

from ebulk.cli.manual.markup import INLINE, Block, Bullets, Definitions, Literal
from ebulk.cli.manual.page import Page
from ebulk.version import __version__


def file_name(page: Page) -> str:
    """As man looks for it: `ebulk-push.1`."""
    return f"{page.name.replace(' ', '-')}.1"


def render(page: Page) -> str:
    """The page's source."""
    name = page.name.replace(" ", "-")
    command, *parts = page.synopsis
    lines = [
        f'.TH "{_escaped(name.upper())}" 1 "" "ebulk {__version__}" "ebulk manual"',
        ".nh",
        ".ad l",
        ".SH NAME",
        f"{_escaped(name)} \\- {_inline(page.summary)}",
        ".SH SYNOPSIS",
        f".HP {len(command) + 1}",
        " ".join([f"\\fB{_escaped(command)}\\fR", *(_escaped(part).replace(" ", r"\~") for part in parts)]),
    ]
    for title, blocks in page.sections:
        lines.append(f".SH {_escaped(title.upper())}")
        for block in blocks:
            lines += _lines(block)
    return "\n".join(lines) + "\n"


def _lines(block: Block) -> Iterator[str]:
    if isinstance(block, Literal):
        yield from (".PP", ".RS 4", ".nf", *map(_escaped, block.text.splitlines()), ".fi", ".RE")
    elif isinstance(block, Bullets):
        for item in block.items:
            yield from (".IP * 2", _inline(item))
    elif isinstance(block, Definitions):
        for term, text in block.items:
            yield from (".TP", _inline(term), _inline(text))
    else:
        yield from (".PP", _inline(block.text))


def _inline(text: str) -> str:
    parts, position = [], 0
    for found in INLINE.finditer(text):
        font = "B" if found["literal"] else "I"
        parts += [
            _escaped(text[position : found.start()]),
            rf"\f{font}{_escaped(found['literal'] or found['emphasis'])}\fR",
        ]
        position = found.end()
    line = "".join([*parts, _escaped(text[position:])])
    return rf"\&{line}" if line.startswith((".", "'")) else line


def _escaped(text: str) -> str:
    """Text that roff prints as it is: a hyphen stays the one that is typed, and no line is a request."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-").replace("`", r"\(ga").replace("^", r"\(ha")
    escaped = escaped.replace("~", r"\(ti").replace("'", r"\(aq").replace('"', r"\(dq")
    return rf"\&{escaped}" if escaped.startswith(".") else escaped
