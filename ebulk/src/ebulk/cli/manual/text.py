"""A page, or the overview of all commands, as text for the terminal."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from ebulk.cli.arguments import DESCRIPTION, GROUPS, command_parsers, make_parser
from ebulk.cli.manual.markup import INLINE, Block, Bullets, Definitions, Literal
from ebulk.cli.manual.page import Page

MARGIN = 7
DEEPER = 14
NUMBER = 5
"""Columns of a term that is a number and stands beside its text."""

BOLD, UNDERLINED, NORMAL = "\x1b[1m", "\x1b[4m", "\x1b[0m"
NO_BREAK = "\N{NO-BREAK SPACE}"

CLOSING = """\
`ebulk help COMMAND` shows the page of a command, with examples; `ebulk COMMAND -h` its options only.
An interrupted push or pull goes on when the same command is run again.
"""

Style = Callable[[str], str]


def overview() -> str:
    """The commands by what one does, and how to learn more."""
    parsers = command_parsers(make_parser())
    lines = ["usage: ebulk COMMAND [ARGUMENTS]", "", DESCRIPTION]
    for title, names in GROUPS:
        lines += ["", title]
        for name in names:
            summary = (parsers[name].description or "").rstrip(".")
            lines.append(f"  {name:<11}{summary[:1].lower()}{summary[1:]}")
    return "\n".join([*lines, "", CLOSING])


def render(page: Page, width: int, *, styled: bool) -> str:
    """The page in lines of at most `width` characters; with bold and underlined words if it is `styled`."""
    style = _styled if styled else _plain
    command, *parts = (style(f"``{part}``" if not index else part) for index, part in enumerate(page.synopsis))
    lines = [
        *_section("Name", style),
        *_filled(f"{page.name} - {page.summary}", width, MARGIN),
        "",
        *_section("Synopsis", style),
        *_filled(" ".join(_unbroken(part) for part in parts), width, MARGIN + len(page.synopsis[0]) + 1, command),
    ]
    for title, blocks in page.sections:
        lines += ["", *_section(title, style)]
        for index, block in enumerate(blocks):
            lines += ["", *_lines(block, width, style)] if index else _lines(block, width, style)
    return "\n".join(line.replace(NO_BREAK, " ").rstrip() for line in lines) + "\n"


def _section(title: str, style: Style) -> list[str]:
    return [style(f"``{title.upper()}``")]


def _lines(block: Block, width: int, style: Style) -> Iterator[str]:
    if isinstance(block, Literal):
        yield from (" " * (MARGIN + 4) + line for line in block.text.splitlines())
    elif isinstance(block, Bullets):
        for item in block.items:
            yield from _filled(style(item), width, MARGIN + 2, "*")
    elif isinstance(block, Definitions):
        numbers = all(term.isdigit() for term, _ in block.items)
        for index, (term, text) in enumerate(block.items):
            if numbers:
                yield from _filled(style(text), width, MARGIN + NUMBER, term)
                continue
            if index:
                yield ""
            yield " " * MARGIN + style(term)
            yield from _filled(style(text), width, DEEPER)
    else:
        yield from _filled(style(block.text), width, MARGIN)


def _filled(text: str, width: int, margin: int, label: str = "") -> Iterator[str]:
    """Lines of words from column `margin` on; the label stands before them, in the first."""
    line, used = " " * MARGIN + label, MARGIN + _length(label)
    if used < margin:
        line, used = line + " " * (margin - used), margin
    for word in text.split(" "):
        if used > margin and used + 1 + _length(word) > width:
            yield line
            line, used = " " * margin, margin
        if used > margin:
            line, used = f"{line} ", used + 1
        line, used = line + word, used + _length(word)
    yield line


def _length(text: str) -> int:
    return len(re.sub(r"\x1b\[\d*m", "", text))


def _unbroken(text: str) -> str:
    return text.replace(" ", NO_BREAK)


def _plain(text: str) -> str:
    return INLINE.sub(lambda found: _unbroken(found["literal"] or found["emphasis"]), text)


def _styled(text: str) -> str:
    return INLINE.sub(
        lambda found: (
            f"{BOLD}{_unbroken(found['literal'])}{NORMAL}"
            if found["literal"]
            else f"{UNDERLINED}{_unbroken(found['emphasis'])}{NORMAL}"
        ),
        text,
    )
