"""What a kind of item is, and what kinds share: how the properties of exported objects are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from Acquisition import aq_base

from Products.ERP5Wendelin.portal.business_template.files import Files
from Products.ERP5Wendelin.portal.business_template.template import Data, Item, TemplateError
from Products.ERP5Wendelin.portal.business_template.xml import Record, read_record

PORTAL_TYPE_MODULE = "erp5.portal_type"
"""Where ERP5's exports say that the classes of documents are."""

IGNORED = frozenset(
    {
        # what a container counts and indexes, and Zope's own record of who owns what
        "_count",
        "_mt_index",
        "_tree",
        "_objects",
        "_owner",
        "__ac_local_roles__",
        "__ac_local_roles_group_id_dict__",
        "_identity_criterion",
        "_range_criterion",
        "_local_properties",
        "uid",
        "last_id",
        # given by the workflow, the path and the class
        "id",
        "portal_type",
        "isIndexable",
        # of ERP5's user interface and preferences
        "content_icon",
        "group_list",
        "icon",
        "language",
        "rating",
        "sort_value",
    }
)
"""Properties that any exported object may have and that mean nothing here, or are said elsewhere in the file."""


UNSET: tuple[Data, ...] = (None, "", (), [])
"""Values of properties that were never set."""


class Kind(Protocol):
    """A kind of item: how its files are read, and how its objects are found, made, changed and removed on a site.

    `read(site, path)` right after `install(site, path, data, None)` equals `data`: that is how changes are noticed.
    """

    name: str
    """As in 'WorkflowTemplateItem': also the folder with its files."""

    list_name: str
    """The list in `bt/` that names its items, such as 'template_workflow_id_list'."""

    def items(self, source: Source) -> Iterator[Item]:
        """The items that its files describe. TemplateError: they can't be understood."""

    def listed(self, path: str) -> str:
        """The line of the list that names an item of this path."""

    def read(self, site: Any, path: str) -> Data | None:
        """What the site has there, in the shape of an item's data; None if there is nothing."""

    def install(self, site: Any, path: str, data: Data, old: Data | None) -> None:
        """Make it what `data` says; `old` is what `read` says now. BadInput: the site can't have it."""

    def remove(self, site: Any, path: str, data: Data) -> None:
        """Take away what an installation of `data` brought; nothing happens if it is not there."""

    def refusal(self, site: Any, path: str) -> str | None:
        """Why it can't be removed without the loss of what users have put there, as a sentence; None if it can."""


@dataclass
class Source:
    """What is known of a template while its items are read: its files, and the portal types it brings."""

    files: Files
    type_classes: dict[str, str] = field(default_factory=dict)
    """Portal type -> name of its class, of the portal types in the template."""

    def record(self, path: str) -> Record:
        """The object exported to a file."""
        return read_record(self.files.text(path), self.files.name(path))

    def exported(self, kind: str, suffix: str = ".xml") -> Iterator[tuple[str, Record]]:
        """Path below a kind's folder, without the suffix, and record, of each of its exported objects."""
        for path in self.files.below(kind):
            if path.endswith(suffix):
                yield path[len(kind) + 1 : -len(suffix)], self.record(path)


Check = Callable[[Data], Data]
"""Turns a property's value into its plain form; raises ValueError, with what it should be, for one that will not do."""


def text(value: Data) -> str:
    """Text as it is."""
    if not isinstance(value, str):
        raise ValueError("text")
    return value


def texts(value: Data) -> tuple[str, ...]:
    """A list of text, as a tuple."""
    if not isinstance(value, (tuple, list)) or not all(isinstance(part, str) for part in value):
        raise ValueError("a list of text")
    return tuple(value)


def integer(value: Data) -> int:
    """An integer."""
    if type(value) is not int:
        raise ValueError("an integer")
    return value


def number(value: Data) -> float:
    """A number as a float."""
    if type(value) not in (int, float):
        raise ValueError("a number")
    return float(value)


def flag(value: Data) -> bool:
    """Yes or no, which ERP5 writes as 1 or 0."""
    if type(value) not in (int, bool) or value not in (0, 1):
        raise ValueError("0 or 1")
    return bool(value)


def take(record: Record, known: Mapping[str, Check], ignored: frozenset[str] = frozenset()) -> dict[str, Data]:
    """The known properties of a record that are set; those in `ignored`, IGNORED and those of permissions are left out.

    TemplateError for a property that nobody knows, and for a value of the wrong kind.
    """
    taken = {}
    for name, value in record.properties.items():
        check = known.get(name)
        if check is not None:
            if value is not None:
                try:
                    taken[name] = check(value)
                except ValueError as error:
                    raise record.error(f"{name} must be {error}.", name) from None
        elif not (value in UNSET or name in ignored or name in IGNORED or is_permission(name)):
            raise record.error(f"{record.kind.name} has no property {name!r} here.", name)
    return taken


def is_permission(name: str) -> bool:
    """Whether it is a property in which Zope keeps a permission's roles: `_View_Permission`."""
    return name.startswith("_") and name.endswith("_Permission")


def check_id(record: Record, id: str, name: str = "id") -> None:
    """TemplateError if an object's id, the property `name`, is not what its file is called."""
    if record.properties.get(name) != id:
        raise record.error(f"Its id is {record.properties.get(name)!r}, but its file is that of {id!r}.", name)


def portal_type_of(record: Record, *allowed: str) -> str:
    """The portal type of an exported document, which must be one of `allowed` if there are any."""
    name = record.kind.name
    if record.kind.module != PORTAL_TYPE_MODULE:
        raise record.error(f"Objects of the class {record.kind} are not read from templates.")
    if record.properties.get("portal_type", name) != name:
        raise record.error(
            f"Its class is {name!r}, but its portal type {record.properties['portal_type']!r}.", "portal_type"
        )
    if allowed and name not in allowed:
        raise record.error(f"Expected {' or '.join(allowed)}, not {name}.")
    return name


def pair(line: str) -> tuple[str, str]:
    """The two sides of a path such as 'Data Set | data_set_workflow'."""
    left, _, right = line.partition(" | ")
    return left, right


def check_name(name: str, file: str, line: int, element: str) -> str:
    """A name that an XML file gives to an object; TemplateError if it can't be one."""
    if not name or "|" in name or "/" in name or not name.isprintable():
        raise TemplateError(f"{name!r} can't be a name.", file, line, element)
    return name


def find(site: Any, path: str) -> Any:
    """The object at a path from the site; None if there is none."""
    found = site
    for id in path.split("/"):
        found = found._getOb(id, None) if hasattr(aq_base(found), "_getOb") else None
        if found is None:
            return None
    return found
