"""Business templates for tests: folders of files, and objects as ERP5 exports them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr


def write_template(directory: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write the files of a template, and a title if there is none among them; the folder is returned."""
    for name, content in {"bt/title": directory.name, **files}.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return directory


def export(name: str, properties: Mapping[str, Any], module: str = "erp5.portal_type", parts: str = "") -> str:
    """An exported object of a class, with plain properties; `parts` are further records."""
    return f"<?xml version='1.0'?>\n<ZopeData>\n{record(1, module, name, properties)}{parts}</ZopeData>\n"


def record(number: int, module: str, name: str, state: Any) -> str:
    """One record of an export."""
    return (
        f'<record id="{number}" aka="{oid(number)}">\n'
        f"<pickle><global name={quoteattr(name)} module={quoteattr(module)}/></pickle>\n"
        f"<pickle>{value(state)}</pickle>\n</record>\n"
    )


def oid(number: int) -> str:
    """The id of a record, as exports write it."""
    return base64.b64encode(number.to_bytes(8, "big")).decode()


def persistent(number: int) -> Part:
    """A value that another record holds."""
    return Part(f'<persistent> <string encoding="base64">{oid(number)}</string> </persistent>')


class Part(str):
    """XML that stands for itself among values."""


def value(plain: Any) -> str:
    """Plain data as the elements of an export."""
    match plain:
        case Part():
            return plain
        case None:
            return "<none/>"
        case str():
            text = plain.replace("\\", "\\\\").replace("\n", "\\n\n").replace("\t", "\\t")
            return f"<string>{escape(text)}</string>"
        case bool() | int():
            return f"<int>{int(plain)}</int>"
        case float():
            return f"<float>{plain!r}</float>"
        case tuple() | list():
            return f"<tuple>{''.join(map(value, plain))}</tuple>"
        case dict():
            return f"<dictionary>{''.join(map(item, plain, plain.values()))}</dictionary>"
    raise TypeError(plain)


def item(key: str, plain: Any) -> str:
    """One item of a dictionary."""
    return f"<item><key>{value(key)}</key><value>{value(plain)}</value></item>\n"


def in_state(state: str, variable: str = "validation_state", number: int = 2) -> str:
    """The records of a `workflow_history`, the first of them this number, that ends in a state."""
    changes = [{"action": "edit", "state": "current"}, {"action": "validate_action", variable: state}]
    return record(
        number, "Persistence.mapping", "PersistentMapping", {"data": {"a_workflow": persistent(number + 1)}}
    ) + record(number + 1, "Products.ERP5Type.Workflow", "WorkflowHistoryList", {"_log": changes})
