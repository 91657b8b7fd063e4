"""Reads the words of a page: the few constructs of reStructuredText that a manual page needs.

Sections by underlined titles; in them paragraphs, literal blocks after `::`, lists with `*`, and definition lists of
one paragraph each. Within a line ``literal`` and *emphasis*.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import dedent


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Words that are filled to the width."""

    text: str


@dataclass(frozen=True, slots=True)
class Literal:
    """Lines that stay as they are."""

    text: str


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Definitions:
    """Terms, each with a paragraph."""

    items: tuple[tuple[str, str], ...]


Block = Paragraph | Literal | Bullets | Definitions

INLINE = re.compile(r"``(?P<literal>.+?)``|(?<![\w*])\*(?P<emphasis>[^\s*][^*]*)\*(?![\w*])")
_TITLE = re.compile(r"^(\S.*)\n-{3,}$", re.MULTILINE)


def sections(text: str) -> dict[str, tuple[Block, ...]]:
    """The blocks of each section by its title; those before the first title under ""."""
    parts = _TITLE.split(text)
    titles = ["", *parts[1::2]]
    return {title: tuple(_blocks(body)) for title, body in zip(titles, parts[::2], strict=True)}


def _blocks(body: str) -> Iterator[Block]:
    chunks = [chunk for chunk in re.split(r"\n[ \t]*\n", body.strip("\n")) if chunk.strip()]
    literal_follows = False
    while chunks:
        if literal_follows:
            count = next((index for index, chunk in enumerate(chunks) if not chunk.startswith(" ")), len(chunks))
            yield Literal(dedent("\n\n".join(chunks[:count])))
            chunks, literal_follows = chunks[count:], False
            continue
        block = _block(chunks.pop(0))
        if isinstance(block, Definitions):
            while chunks and isinstance(more := _block(chunks[0]), Definitions):
                block = Definitions(block.items + more.items)
                chunks.pop(0)
        literal_follows = isinstance(block, Paragraph) and block.text.endswith("::")
        yield Paragraph(block.text[:-1]) if literal_follows and isinstance(block, Paragraph) else block


def _block(chunk: str) -> Block:
    lines = chunk.split("\n")
    if lines[0].startswith("* "):
        return Bullets(tuple(_filled(item) for item in re.split(r"^\* ", chunk, flags=re.MULTILINE)[1:]))
    if len(lines) > 1 and lines[1].startswith(" "):
        terms = re.split(r"^(\S.*)\n", chunk, flags=re.MULTILINE)[1:]
        return Definitions(tuple((term, _filled(text)) for term, text in zip(terms[::2], terms[1::2], strict=True)))
    return Paragraph(_filled(chunk))


def _filled(text: str) -> str:
    return " ".join(text.split())
