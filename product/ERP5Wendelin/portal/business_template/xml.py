"""Reading XML safely: elements of list files, and ERP5's exports of objects, as plain data.

Nothing is ever unpickled, imported or called by name. An export (`<ZopeData>`) has records: the first is the object,
the others are parts of it, which `<persistent>` names. What each element may hold is a table here (`_VALUES`), and so
are the few classes whose instances have a meaning as data (`_INSTANCES`, `_PARTS`); anything else is an error that
names file, line and element. DOCTYPEs are refused; lxml is kept from entities, from the network and from huge trees.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from lxml import etree

from Products.ERP5Wendelin.portal.business_template.template import Data, TemplateError

MAX_DEPTH = 40
"""How deep values may be nested; an export of ERP5 has about ten levels."""

MAX_ELEMENTS = 200_000

_PROLOG = re.compile(r"\s*(?:<\?.*?\?>\s*|<!--.*?-->\s*)*", re.DOTALL)
_ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|([0-7]{3})|(.)|$)", re.DOTALL)
_ESCAPES = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"\\": b"\\", b"'": b"'", b'"': b'"'}
_INTEGER = re.compile(r"\s*[+-]?[0-9]{1,30}L?\s*", re.ASCII)
_FLOAT = re.compile(r"\s*[+-]?[0-9]{1,30}(?:\.[0-9]{0,30})?(?:[eE][+-]?[0-9]{1,3})?\s*", re.ASCII)


@dataclass(frozen=True)
class Global:
    """The name of a class, or of a function; it is compared, and never imported."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(frozen=True)
class Record:
    """An exported object: its class, and its properties as plain data."""

    kind: Global
    properties: dict[str, Data]
    lines: dict[str, int]
    """Property -> line in the file."""

    file: str
    line: int

    def error(self, detail: str, name: str = "") -> TemplateError:
        """An error that names the file, and the line of a property if there is one."""
        return TemplateError(
            detail, self.file, self.lines.get(name, self.line), "key" if name in self.lines else "record"
        )


def parse(text: str, file: str, root: str) -> etree._Element:
    """The root element of an XML document, which has to have the name `root`. TemplateError: it will not do."""
    prolog = _PROLOG.match(text)
    if prolog and text[prolog.end() : prolog.end() + 9].upper() == "<!DOCTYPE":
        raise TemplateError("A template's XML has no DOCTYPE.", file, text.count("\n", 0, prolog.end()) + 1)
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        element = etree.fromstring(text.encode("utf-8", "surrogatepass"), parser)
    except etree.XMLSyntaxError as error:
        raise TemplateError(f"This is not well-formed XML: {error.msg}.", file, error.lineno or 1) from None
    if element.getroottree().docinfo.doctype:
        raise TemplateError("A template's XML has no DOCTYPE.", file, 1)
    for count, child in enumerate(element.iter()):
        if count == MAX_ELEMENTS:
            raise TemplateError(f"A file has at most {MAX_ELEMENTS} elements.", file, child.sourceline)
    if element.tag != root:
        raise TemplateError(f"Expected <{root}>.", file, element.sourceline, element.tag)
    return element


def children(element: Any, file: str, *names: str) -> list[Any]:
    """The elements in an element, which may be of these names. TemplateError: another one, or text between them."""
    for text in (element.text, *(child.tail for child in element)):
        if text and text.strip():
            detail = f"There is text where elements are expected: {text.strip()[:40]!r}."
            raise TemplateError(detail, file, element.sourceline, element.tag)
    for child in element:
        if child.tag not in names:
            allowed = " or ".join(f"<{name}>" for name in names) or "nothing"
            raise TemplateError(f"Expected {allowed} in <{element.tag}>.", file, child.sourceline, child.tag)
    return list(element)


def leaf(element: Any, file: str, *attributes: str) -> str:
    """The text of an element that has no elements in it, stripped; `attributes` are those it may have."""
    for child in element:
        raise TemplateError(f"Expected text in <{element.tag}>.", file, child.sourceline, child.tag)
    attribute(element, file, *attributes)
    return (element.text or "").strip()


def attribute(element: Any, file: str, *names: str) -> tuple[str, ...]:
    """The values of an element's attributes in the order of `names`, '' where absent. TemplateError: it has others."""
    for name in element.attrib:
        if name not in names:
            raise TemplateError(f"Unknown attribute {name!r}.", file, element.sourceline, element.tag)
    return tuple(element.get(name, "") for name in names)


def read_record(text: str, file: str) -> Record:
    """The object in an export. TemplateError: it is anything but plain data of known classes."""
    root = parse(text, file, "ZopeData")
    attribute(root, file)
    return _Export(root, file).record()


class _Export:
    """One `<ZopeData>`: decodes its first record, and the others as they are named."""

    def __init__(self, root: Any, file: str) -> None:
        self.file = file
        self.records: dict[bytes, Any] = {}
        self.referable: dict[str, Data] = {}
        for element in children(root, file, "record"):
            id, aka = attribute(element, file, "id", "aka")
            key = self._base64(aka, element) if aka else id.encode()
            if key in self.records:
                raise self._error("There is another record of this id.", element)
            self.records[key] = element
        if not self.records:
            raise TemplateError("There is no <record> in it.", file, root.sourceline, root.tag)

    def record(self) -> Record:
        element = self.records.pop(next(iter(self.records)))
        kind, state = self._pickles(element)
        if state.tag != "dictionary":
            raise self._error("Expected the object's properties, a <dictionary>.", state)
        self._attributes(state)
        properties, lines = {}, {}
        for key, value, line in self._items(state, 1):
            if not isinstance(key, str):
                raise TemplateError(f"A property's name is text, not {key!r}.", self.file, line, "key")
            properties[key] = value
            lines[key] = line
        if self.records:
            left = next(iter(self.records.values()))
            raise self._error("Nothing names this record.", left)
        return Record(kind, properties, lines, self.file, element.sourceline)

    def plain(self, element: Any, depth: int) -> Data:
        """What an element stands for, where that is data."""
        value = self.value(element, depth)
        if isinstance(value, Global):
            raise self._error("A class is no value.", element)
        return value

    def value(self, element: Any, depth: int) -> Data | Global:
        """What an element stands for."""
        if depth > MAX_DEPTH:
            raise self._error(f"Values are nested more than {MAX_DEPTH} deep.", element)
        read = _VALUES.get(element.tag)
        if read is None:
            raise self._error("Unknown element.", element)
        value = read(self, element, depth + 1)
        id = element.get("id")
        # repeated containers could stand for more than fits in memory; ERP5 repeats classes and text only
        if id and (value is None or isinstance(value, (str, bytes, int, float, Global))):
            self.referable[id] = value
        return value

    def _pickles(self, record: Any) -> tuple[Global, Any]:
        """The class of a record, and the element with its state."""
        pickles = children(record, self.file, "pickle")
        if len(pickles) != 2:
            raise self._error("Expected two <pickle> in it: the class and the state.", record)
        for pickle in pickles:
            self._attributes(pickle)
        kind = self._only(pickles[0])
        if kind.tag == "tuple":  # as old exports have it: the class, and no arguments
            kind = children(kind, self.file, "global", "tuple", "none")[0] if len(kind) else kind
        if kind.tag != "global":
            raise self._error("Expected the object's class, a <global>.", kind)
        return self.value(kind, 0), self._only(pickles[1])

    # what the elements of `_VALUES` hold

    def _string(self, element: Any, depth: int) -> str | bytes:
        content = self._bytes(element, depth)
        try:
            return content.decode()
        except UnicodeDecodeError:
            # pictures and the like, which were strings in Python 2
            if element.get("encoding") == "base64":
                return content
            raise self._error("The text is not UTF-8.", element) from None

    def _bytes(self, element: Any, depth: int) -> bytes:
        leaf(element, self.file, "encoding", "id")
        encoding = element.get("encoding", "repr")
        text = element.text or ""
        if encoding == "base64":
            return self._base64(text, element)
        if encoding not in ("repr", "cdata"):
            raise self._error(f"Unknown encoding {encoding!r}; there are: repr, cdata, base64.", element)

        def unescaped(match: re.Match[bytes]) -> bytes:
            code, octal, sign = match.groups()
            if code:
                return bytes([int(code, 16)])
            if octal and int(octal, 8) < 256:
                return bytes([int(octal, 8)])
            if sign in _ESCAPES:
                return _ESCAPES[sign]
            raise self._error(f"Unknown escape {match[0].decode('utf-8', 'replace')!r} in the text.", element)

        # line ends in the file only break long lines; those of the text are escaped
        return _ESCAPE.sub(unescaped, text.replace("\n", "").encode("utf-8", "surrogatepass"))

    def _integer(self, element: Any, depth: int) -> int:
        text = leaf(element, self.file, "id")
        if not _INTEGER.fullmatch(text):
            raise self._error(f"{text[:40]!r} is not an integer of at most 30 digits.", element)
        return int(text.rstrip("L"))

    def _float(self, element: Any, depth: int) -> float:
        text = leaf(element, self.file, "id")
        if not _FLOAT.fullmatch(text) or not math.isfinite(float(text)):
            raise self._error(f"{text[:40]!r} is not a finite number.", element)
        return float(text)

    def _boolean(self, element: Any, depth: int) -> bool:
        text = leaf(element, self.file, "id")
        if text not in ("0", "1", "False", "True"):
            raise self._error(f"{text[:40]!r} is neither 0 nor 1.", element)
        return text in ("1", "True")

    def _none(self, element: Any, depth: int) -> None:
        if leaf(element, self.file, "id"):
            raise self._error("Expected nothing in it.", element)

    def _sequence(self, element: Any, depth: int) -> Data:
        self._attributes(element)
        values = [self.plain(child, depth) for child in children(element, self.file, *_VALUES)]
        return values if element.tag == "list" else tuple(values)

    def _dictionary(self, element: Any, depth: int) -> dict[Any, Data]:
        self._attributes(element)
        return {key: value for key, value, _ in self._items(element, depth)}

    def _items(self, element: Any, depth: int) -> Iterator[tuple[Any, Data, int]]:
        """Key, value and line of each item of a dictionary."""
        seen = set()
        for item in children(element, self.file, "item"):
            self._attributes(item)
            parts = children(item, self.file, "key", "value")
            if [part.tag for part in parts] != ["key", "value"]:
                raise self._error("Expected a <key> and a <value> in it.", item)
            for part in parts:
                self._attributes(part)
            key = self.plain(self._only(parts[0]), depth)
            if not isinstance(key, (str, int, float, bytes)):
                raise self._error("A key is text or a number.", parts[0])
            if key in seen:
                raise self._error(f"The key {key!r} is there twice.", parts[0])
            seen.add(key)
            yield key, self.plain(self._only(parts[1]), depth), item.sourceline

    def _global(self, element: Any, depth: int) -> Global:
        name, module, _ = attribute(element, self.file, "name", "module", "id")
        if len(element) or (element.text or "").strip():
            raise self._error("Expected nothing in it.", element)
        if not name or not module:
            raise self._error("A class has a name and a module.", element)
        return Global(module, name)

    def _reference(self, element: Any, depth: int) -> Data:
        (id,) = attribute(element, self.file, "id")
        if id not in self.referable:
            raise self._error(f"There is no class or text of the id {id!r} before it.", element)
        return self.referable[id]

    def _object(self, element: Any, depth: int) -> Data:
        """An instance in another object: `<klass>`, arguments, `<state>`."""
        self._attributes(element)
        parts = children(element, self.file, "klass", "tuple", "none", "state")
        state = [part for part in parts if part.tag == "state"]
        if len(parts) not in (2, 3) or parts[0].tag != "klass" or state != parts[2:]:
            raise self._error("Expected a <klass>, its arguments and a <state>.", element)
        self._attributes(parts[0])
        kind = self.value(self._only(parts[0]), depth)
        arguments = [self.value(child, depth) for child in children(parts[1], self.file, *_VALUES)]
        if kind == _RECONSTRUCTOR and arguments:
            kind = arguments[0]
        read = _INSTANCES.get(kind) if isinstance(kind, Global) else None
        if read is None:
            raise self._error(f"Objects of the class {kind} are not read from templates.", element)
        if not state:
            raise self._error("Expected a <state> in it.", element)
        self._attributes(state[0])
        try:
            return read(self.plain(self._only(state[0]), depth))
        except (TypeError, ValueError, KeyError, LookupError, OverflowError, AttributeError):
            raise self._error(f"This is not the state of a {kind}.", element) from None

    def _persistent(self, element: Any, depth: int) -> Data:
        """The part of the object that another record holds."""
        self._attributes(element)
        key = self._bytes(self._only(element), depth)
        record = self.records.pop(key, None)
        if record is None:
            raise self._error("It names no record, or one that something else has named.", element)
        kind, state = self._pickles(record)
        read = _PARTS.get(kind)
        if read is None:
            raise self._error(f"Objects of the class {kind} are not read from templates.", record)
        try:
            return read(self.plain(state, depth))
        except (TypeError, ValueError, LookupError, AttributeError):
            raise self._error(f"This is not the state of a {kind}.", record) from None

    def _attributes(self, element: Any) -> None:
        attribute(element, self.file, "id")

    def _only(self, element: Any) -> Any:
        """The one element in an element."""
        found = children(element, self.file, *_VALUES)
        if len(found) != 1:
            raise self._error("Expected one value in it.", element)
        return found[0]

    def _base64(self, text: str, element: Any) -> bytes:
        try:
            return base64.b64decode("".join(text.split()), validate=True)
        except (binascii.Error, ValueError):
            raise self._error("This is not base64.", element) from None

    def _error(self, detail: str, element: Any) -> TemplateError:
        return TemplateError(detail, self.file, element.sourceline, element.tag)


_VALUES: dict[str, Callable[[_Export, Any, int], Data]] = {
    "string": _Export._string,
    "unicode": _Export._string,
    "bytes": _Export._bytes,
    "int": _Export._integer,
    "long": _Export._integer,
    "float": _Export._float,
    "bool": _Export._boolean,
    "none": _Export._none,
    "tuple": _Export._sequence,
    "list": _Export._sequence,
    "dictionary": _Export._dictionary,
    "global": _Export._global,
    "reference": _Export._reference,
    "object": _Export._object,
    "persistent": _Export._persistent,
}

_RECONSTRUCTOR = Global("copy_reg", "_reconstructor")


def _date(state: tuple[Any, ...]) -> str:
    """A DateTime's seconds since 1970 and zone, as ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(int(state[0]), timezone.utc).isoformat()


def _history(state: Any) -> tuple[Data, ...]:
    """The changes of state that a WorkflowHistoryList tells of, the first one first."""
    return tuple(state["_log"] if isinstance(state, dict) else state)


_INSTANCES: dict[Global, Callable[[Any], Data]] = {
    Global("DateTime.DateTime", "DateTime"): _date,
    Global("Shared.DC.Scripts.Bindings", "NameAssignments"): lambda state: dict(state["_asgns"]),
}
"""Class of an object within another -> what its state means."""

_PARTS: dict[Global, Callable[[Any], Data]] = {
    Global("Persistence.mapping", "PersistentMapping"): lambda state: dict(state["data"]),
    Global("Persistence", "PersistentMapping"): lambda state: dict(state["_container"]),
    Global("Products.ERP5Type.Workflow", "WorkflowHistoryList"): _history,
    Global("Products.ERP5Type.patches.WorkflowTool", "WorkflowHistoryList"): _history,
    # ERP5 counts and indexes what a container holds, which comes in files of its own
    Global("BTrees.Length", "Length"): lambda state: None,
    Global("BTrees.OOBTree", "OOBTree"): lambda state: None,
    Global("BTrees.OIBTree", "OIBTree"): lambda state: None,
    # what ERP5 tells its users in their languages
    Global("Products.ERP5Type.Message", "Message"): lambda state: None,
    Global("Products.ERP5Type.TranslationProviderBase", "TranslationInformation"): lambda state: None,
}
"""Class of a record that is part of an object -> what its state means."""
