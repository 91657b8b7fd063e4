"""Objects with a source: Python scripts, page templates and files, whose text comes in a file beside their XML.

Beside `X.xml` there is `X.py`, `X.zpt`, or, for a file, `X.` and any suffix (`style.css.css` for one of the id
`style.css`); or the text is a property in the XML. Data::

    {'class': 'PythonScript', 'title': …, 'parameters': 'data_chunk, **kw', 'proxy_roles': ('Manager',), 'source': …}
    {'class': 'ZopePageTemplate', 'title': …, 'content_type': 'text/html', 'expand': False, 'source': …}
    {'class': 'File' or 'Image', 'title': …, 'content_type': 'text/css', 'source': text, or bytes where it is not UTF-8}

A source is kept as Zope keeps it: without empty lines around it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from Acquisition import aq_base
from OFS.Image import File, Image
from Products.PageTemplates.ZopePageTemplate import ZopePageTemplate
from Products.PythonScripts.PythonScript import PythonScript as ZopeScript

from Products.ERP5Wendelin.content.python_script import PythonScript
from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.portal.business_template.kinds.kind import (
    PORTAL_TYPE_MODULE,
    Check,
    Source,
    check_id,
    flag,
    take,
    text,
    texts,
)
from Products.ERP5Wendelin.portal.business_template.template import Data, TemplateError
from Products.ERP5Wendelin.portal.business_template.xml import Global, Record

BINDINGS = {
    "name_container": "container",
    "name_context": "context",
    "name_m_self": "script",
    "name_ns": "",
    "name_subpath": "traverse_subpath",
}
"""The names that Zope gives to what a script is bound to; scripts with others are not read."""


def _bindings(value: Data) -> Data:
    if not isinstance(value, dict) or any(BINDINGS.get(name) != bound for name, bound in value.items()):
        raise ValueError(f"Zope's own names: {', '.join(filter(None, BINDINGS.values()))}")
    return value


def _content(value: Data) -> str | bytes:
    if not isinstance(value, (str, bytes)):
        raise ValueError("text or bytes")
    return value


@dataclass(frozen=True)
class SourceClass:
    """A class of objects with a source."""

    suffix: str
    """A regular expression of the suffixes of the file with the source."""

    property: str
    """The property that has the source if there is no such file."""

    properties: Mapping[str, tuple[str, Check, Data]]
    """Property in the XML -> its name in the data, its check, and what it is if it is not set."""

    make: Callable[[str], Any]
    """A new object of this id."""

    change: Callable[[Any, Data], None]
    """Make an object what data says."""

    read: Callable[[Any], Data]
    """The data of an object, without its class."""


def is_source(record: Record) -> bool:
    """Whether a record is that of an object with a source."""
    return record.kind in _CLASS_NAMES


def read_source(source: Source, path: str, record: Record) -> Data:
    """The data of the object in a record, whose XML file is `path`. TemplateError: unknown property, or no source."""
    name = _CLASS_NAMES[record.kind]
    cls = CLASSES[name]
    base = path.removesuffix(".xml")
    id_property = "__name__" if cls.property == "data" else "id"
    check_id(record, base.rpartition("/")[2], id_property)
    ignored = frozenset(
        {"_bind_names", "_code", "Python_magic", "Script_magic", "reference", "output_encoding", "__name__"}
    )
    checks = {property: check for property, (_, check, _) in cls.properties.items()}
    taken = take(record, {**checks, cls.property: _content, "_bind_names": _bindings}, ignored | _UNUSED)
    data: dict[str, Data] = {"class": name}
    for property, (key, _, default) in cls.properties.items():
        data[key] = taken.get(property, default)
    content = _source_beside(source, base, cls, record, taken.get(cls.property))
    data["source"] = _normal(cls, content, source.files.name(path))
    return data


def read_object(object: Any) -> Data | None:
    """The data of an object on the site; None if it is not one with a source."""
    name = next((name for name, cls in _PYTHON_CLASSES.items() if isinstance(aq_base(object), cls)), None)
    return None if name is None else {"class": name, **CLASSES[name].read(object)}


def install_object(container: Any, id: str, data: Data) -> None:
    """Make, or change, the object of this id in a folder. BadInput: its source can't be compiled."""
    cls = CLASSES[data["class"]]
    there = read_object(container._getOb(id)) if container._getOb(id, None) is not None else None
    if there is None or there["class"] != data["class"]:
        if container._getOb(id, None) is not None:
            container._delObject(id)
        container._setObject(id, cls.make(id))
    cls.change(container._getOb(id), data)


def _source_beside(
    source: Source, base: str, cls: SourceClass, record: Record, inside: str | bytes | None
) -> str | bytes:
    """The source in the file beside the XML, or else inside it."""
    pattern = re.compile(re.escape(base) + r"\.(?!xml$)" + cls.suffix)
    found = [path for path in source.files.below(base.rpartition("/")[0]) if pattern.fullmatch(path)]
    if len(found) + (inside is not None) != 1:
        detail = (
            f"Expected its source in one file beside it, found {', '.join(map(source.files.name, found)) or 'none'}."
        )
        raise record.error(detail)
    return inside if inside is not None else source.files.read(found[0])


def _normal(cls: SourceClass, content: str | bytes, file: str) -> str | bytes:
    """A source as Zope keeps it."""
    if cls.property == "data":
        return _plain(content if isinstance(content, bytes) else content.encode())
    if isinstance(content, bytes):
        try:
            content = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise TemplateError(f"Its source is not UTF-8 (byte {error.start}).", file) from None
    content = content.replace("\r\n", "\n").replace("\r", "\n")
    if "\r" in content or "\0" in content:
        raise TemplateError("Its source has control characters.", file)
    if cls.property == "_text":
        return content.strip()
    lines = content.rstrip().split("\n")
    first = next((number for number, line in enumerate(lines) if line.strip()), 0)
    if lines[first].lstrip().startswith("##"):
        raise TemplateError("Its source begins with '##', which Zope would take for settings of the script.", file)
    return "".join(f"{line}\n" for line in lines[first:] if lines[first])


def _plain(content: bytes) -> str | bytes:
    """Bytes as text, if they are UTF-8."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content


def _change_script(script: Any, data: Data) -> None:
    script.title = data["title"]
    script.ZPythonScript_edit(data["parameters"], data["source"])
    script._proxy_roles = data["proxy_roles"]


def _read_script(script: Any) -> dict[str, Data]:
    return {
        "title": script.title,
        "parameters": script.params(),
        "proxy_roles": tuple(script._proxy_roles),
        "source": script.body(),
    }


def _change_template(template: Any, data: Data) -> None:
    template.pt_edit(data["source"], data["content_type"])
    template.title = data["title"]
    template.expand = int(data["expand"])
    errors = template.pt_errors({})
    if errors:
        raise BadInput(f"The page template {template.getId()} can't be compiled: {' '.join(map(str, errors))}")


def _read_template(template: Any) -> dict[str, Data]:
    return {
        "title": template.title,
        "content_type": template.content_type,
        "expand": bool(template.expand),
        "source": template._text,
    }


def _change_file(file: Any, data: Data) -> None:
    content = data["source"]
    file.title = data["title"]
    file.update_data(content if isinstance(content, bytes) else content.encode(), data["content_type"])


def _read_file(file: Any) -> dict[str, Data]:
    return {"title": file.title, "content_type": file.content_type, "source": _plain(bytes(file.data))}


_FILE_PROPERTIES: dict[str, tuple[str, Check, Data]] = {
    "title": ("title", text, ""),
    "content_type": ("content_type", text, "application/octet-stream"),
}

CLASSES = {
    "PythonScript": SourceClass(
        "py",
        "_body",
        {
            "title": ("title", text, ""),
            "_params": ("parameters", text, ""),
            "_proxy_roles": ("proxy_roles", texts, ()),
        },
        PythonScript,
        _change_script,
        _read_script,
    ),
    "ZopePageTemplate": SourceClass(
        "zpt",
        "_text",
        {
            "title": ("title", text, ""),
            "content_type": ("content_type", text, "text/html"),
            "expand": ("expand", flag, False),
        },
        lambda id: ZopePageTemplate(id, "<p/>"),
        _change_template,
        _read_template,
    ),
    "File": SourceClass(
        "[A-Za-z0-9]+", "data", _FILE_PROPERTIES, lambda id: File(id, "", b""), _change_file, _read_file
    ),
    "Image": SourceClass(
        "[A-Za-z0-9]+", "data", _FILE_PROPERTIES, lambda id: Image(id, "", b""), _change_file, _read_file
    ),
}
"""Class of objects with a source -> how they are read, made and changed."""

_PYTHON_CLASSES = {"PythonScript": ZopeScript, "ZopePageTemplate": ZopePageTemplate, "Image": Image, "File": File}
"""Class of objects with a source -> Python's; an Image is a File."""

_CLASS_NAMES = {
    Global("Products.PythonScripts.PythonScript", "PythonScript"): "PythonScript",
    Global(PORTAL_TYPE_MODULE, "PyData Script"): "PythonScript",
    Global(PORTAL_TYPE_MODULE, "Python Script"): "PythonScript",
    Global("Products.PageTemplates.ZopePageTemplate", "ZopePageTemplate"): "ZopePageTemplate",
    Global("OFS.Image", "File"): "File",
    Global("OFS.Image", "Image"): "Image",
}
"""Class in an export -> ours."""

_UNUSED = frozenset(
    {
        "_Cacheable__manager_id",
        "alt",
        "categories",
        "comment",
        "default_reference",
        "description",
        "height",
        "precondition",
        "size",
        "width",
        "workflow_history",
    }
)
"""Properties of such objects that nothing here uses."""
