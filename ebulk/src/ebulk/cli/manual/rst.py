"""All pages as one document, `docs/commands.rst`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from textwrap import fill, indent

from ebulk.cli.manual.markup import INLINE, Block, Bullets, Definitions, Literal
from ebulk.cli.manual.page import Page

WIDTH = 120
HEAD = """\
The commands
============

The pages that ``ebulk help COMMAND`` and ``man ebulk-COMMAND`` show. This file is made of them: change
``ebulk/src/ebulk/cli``, then run ``tools/manual``.

.. contents::
   :local:
   :depth: 1
"""


def render(pages: Iterable[Page]) -> str:
    """The document."""
    return "\n".join([HEAD, *(line for page in pages for line in _page(page))]).rstrip("\n") + "\n"


def _page(page: Page) -> Iterator[str]:
    yield from (
        page.name,
        "-" * len(page.name),
        "",
        fill(f"{_escaped(page.summary[:1].upper())}{_escaped(page.summary[1:])}.", WIDTH),
        "",
    )
    command, *parts = page.synopsis
    usage = fill(" ".join(part.replace(" ", "\N{NO-BREAK SPACE}") for part in parts), WIDTH - len(command) - 5)
    hanging = " " * (len(command) + 1)
    yield from (
        "::",
        "",
        indent(f"{command} " + usage.replace("\n", f"\n{hanging}"), "    ").replace("\N{NO-BREAK SPACE}", " "),
        "",
    )
    for title, blocks in page.sections:
        yield from (title, "~" * len(title), "")
        for block in blocks:
            yield from (*_lines(block), "")


def _lines(block: Block) -> Iterator[str]:
    if isinstance(block, Literal):
        yield from ("::", "", indent(block.text, "    "))
    elif isinstance(block, Bullets):
        for item in block.items:
            yield fill(_escaped(item), WIDTH, initial_indent="* ", subsequent_indent="  ", break_on_hyphens=False)
    elif isinstance(block, Definitions):
        for term, text in block.items:
            yield _escaped(term)
            yield fill(_escaped(text), WIDTH, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False)
    else:
        yield fill(_escaped(block.text), WIDTH, break_on_hyphens=False)


def _escaped(text: str) -> str:
    """Text outside of literals whose special characters mean nothing."""
    parts, position = [], 0
    for found in INLINE.finditer(text):
        parts += [re.sub(r"([\\`*|]|_\b)", r"\\\1", text[position : found.start()]), found[0]]
        position = found.end()
    return "".join([*parts, re.sub(r"([\\`*|]|_\b)", r"\\\1", text[position:])])
