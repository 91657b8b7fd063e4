"""Puts a page together: the words of `pages`, and name, synopsis and options as the command line has them.

What pages share is in `pages/shared.rst`: a page names the exit codes, files and variables that concern it, and the
words are taken from there.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from ebulk.cli.arguments import GROUPS, Parser, command_parsers, make_parser
from ebulk.cli.manual.markup import Block, Definitions, Paragraph, sections

WHOLE = "ebulk"
"""The page about all of it."""

OF_ALL = ("-h", "--help", "--json", "-q", "--debug")
"""Options that all commands have; they come last."""

SHARED = ("Exit status", "Files", "Environment")


@dataclass(frozen=True, slots=True)
class Page:
    """A manual page; `synopsis` begins with the command's words, and its parts are not to be broken."""

    name: str
    summary: str
    synopsis: tuple[str, ...]
    sections: tuple[tuple[str, tuple[Block, ...]], ...]


def topics() -> tuple[str, ...]:
    """What there is a page about."""
    return (WHOLE, *(name for _, names in GROUPS for name in names))


def page(topic: str) -> Page:
    """The page about a command, or about `ebulk`."""
    return _whole_page() if topic == WHOLE else _command_page(topic)


def _whole_page() -> Page:
    parser = make_parser()
    parsers = command_parsers(parser)
    groups: list[Block] = []
    for title, names in GROUPS:
        groups.append(Paragraph(f"*{title}*"))
        groups.append(Definitions(tuple((f"``ebulk {name}``", f"{_summary(parsers[name])}.") for name in names)))
    return Page(
        WHOLE,
        _lower(parser.description or ""),
        ("ebulk", *(_synopsis(action) for action in _options(parser)), "COMMAND", "[ARGUMENTS]"),
        tuple(_sections(WHOLE, (("Commands", tuple(groups)), _options_section(parser)))),
    )


def _command_page(command: str) -> Page:
    parser = command_parsers(make_parser())[command]
    return Page(
        f"ebulk {command}",
        _lower(_summary(parser)),
        (f"ebulk {command}", *(_synopsis(action) for action in _actions(parser))),
        tuple(_sections(command, (_options_section(parser),))),
    )


def _sections(name: str, made: tuple[tuple[str, tuple[Block, ...]], ...]) -> Iterator[tuple[str, tuple[Block, ...]]]:
    """What the page's file says, with the sections that are made after its description."""
    for title, blocks in _words(name).items():
        if title in SHARED:
            yield title, (_shared(title, blocks),)
        elif title:
            yield title, blocks
        if title == "Description":
            yield from made


def _shared(title: str, blocks: tuple[Block, ...]) -> Block:
    """The definitions of the terms that a page names in one paragraph, separated by commas."""
    (names,) = blocks
    (known,) = _words("shared")[title]
    if not isinstance(names, Paragraph) or not isinstance(known, Definitions):
        raise TypeError(title)
    texts = dict(known.items)
    return Definitions(tuple((name, texts[name]) for name in names.text.split(", ")))


@cache
def _words(name: str) -> dict[str, tuple[Block, ...]]:
    return sections((files("ebulk.cli.manual") / "pages" / f"{name}.rst").read_text(encoding="utf-8"))


def _options_section(parser: Parser) -> tuple[str, tuple[Block, ...]]:
    terms = ((_term(action), _sentence(action.help or "")) for action in _actions(parser))
    return "Options", (Definitions(tuple(terms)),)


def _actions(parser: Parser) -> list[argparse.Action]:
    """Options, those of all commands last, then arguments; argparse has no public way to list them."""
    arguments = (action for action in parser._actions if not action.option_strings)
    return [*_options(parser), *(action for action in arguments if not action.choices or action.metavar != "COMMAND")]


def _options(parser: Parser) -> list[argparse.Action]:
    options = (action for action in parser._actions if action.option_strings and action.help != argparse.SUPPRESS)
    return sorted(options, key=lambda action: action.option_strings[0] in OF_ALL)


def _term(action: argparse.Action) -> str:
    value = _value(action)
    if not action.option_strings:
        return f"*{value}*"
    return ", ".join(f"``{option}``{f' *{value}*' if value else ''}" for option in action.option_strings)


def _synopsis(action: argparse.Action) -> str:
    value = _value(action)
    if not action.option_strings:
        text = value
        if action.nargs in ("*", "+"):
            text = f"{value}..."
        return f"[{text}]" if action.nargs in ("?", "*") else text
    return f"[{action.option_strings[0]}{f' {value}' if value else ''}]"


def _value(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    if action.choices is not None and action.metavar is None:
        return "{" + ",".join(map(str, action.choices)) + "}"
    return str(action.metavar or action.dest.upper())


def _summary(parser: Parser) -> str:
    return (parser.description or "").rstrip(".")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"


def _lower(text: str) -> str:
    return f"{text[:1].lower()}{text[1:].rstrip('.')}"
