"""A business template as plain data: what the reader makes of a folder, and what the installer works on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from Products.ERP5Wendelin.errors import BadInput

Data = Any
"""Plain data that can be compared and pickled: dict, list, tuple, str, int, float, bool, None, bytes."""


class TemplateError(BadInput):
    """A template that can't be read or installed; the message names the file, and the line and element if it is XML."""

    def __init__(self, detail: str, file: str = "", line: int = 0, element: str = "") -> None:
        place = ", ".join(filter(None, (file, f"line {line}" if line else "", f"<{element}>" if element else "")))
        super().__init__(f"{place}: {detail}" if place else detail)


@dataclass(frozen=True)
class Dependency:
    """Another template that a template needs: `name`, or `name (>= version)`."""

    name: str
    operator: str = ""
    version: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.operator} {self.version})" if self.operator else self.name


@dataclass(frozen=True)
class Metadata:
    """What the text files in `bt/` say of a template."""

    title: str
    version: str = ""
    description: str = ""
    license: str = ""
    change_log: str = ""
    copyright_list: tuple[str, ...] = ()
    maintainer_list: tuple[str, ...] = ()
    dependency_list: tuple[Dependency, ...] = ()
    provision_list: tuple[str, ...] = ()
    test_dependency_list: tuple[Dependency, ...] = ()
    template_format_version: str = "1"
    item_lists: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Name of a list, such as 'template_path_list' -> its lines."""


@dataclass(frozen=True)
class Item:
    """One object that an administrator can change by itself; `path` says which, among those of its kind."""

    kind: str
    """As in 'WorkflowTemplateItem'."""

    path: str
    """As in 'portal_workflow/data_set_workflow', or 'Data Set | data_set_workflow' in a list."""

    data: Data
    """Of the shape that its kind documents; equal to what the kind reads from a site right after the installation."""

    file: str
    """Where in the template it is described, for messages."""


@dataclass(frozen=True)
class Template:
    """A business template: `name` is its title and its folder's; items come in the order of their installation."""

    name: str
    metadata: Metadata
    items: tuple[Item, ...]
