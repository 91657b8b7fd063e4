"""Objects as text that people can read and compare: YAML-like, with scripts and pages as their source.

::

    class: "PythonScript"
    parameters:
      - "reference"
    source: |
      stream = context.find(reference)
      return stream
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterator
from typing import Any

from Products.ERP5Wendelin.portal.business_template.template import Data

INDENT = "  "


def text_of(data: Data) -> str:
    """An object as text; '' where it isn't there."""
    return "" if data is None else "".join(f"{line}\n" for line in _lines(data))


def difference(name: str, site: Data, template: Data) -> str:
    """A unified diff from an object on the site to the template's; '' if there is none."""
    before, after = (text_of(data).splitlines(keepends=True) for data in (site, template))
    names = (f"site/{name}" if before else "/dev/null", f"template/{name}" if after else "/dev/null")
    return "".join(difflib.unified_diff(before, after, *names))


def _lines(data: Data) -> Iterator[str]:
    if isinstance(data, dict) and data:
        # what has many lines comes last, such as the source of a script
        for key, value in sorted(data.items(), key=lambda item: (_is_long(item[1]), str(item[0]))):
            yield from _entry(f"{key}:", value)
    elif isinstance(data, (list, tuple)) and data:
        for value in data:
            yield from _entry("-", value)
    elif (text := _text(data)) is not None and "\n" in text:
        yield from text.splitlines()
    else:
        yield _scalar(data)


def _entry(head: str, value: Any) -> Iterator[str]:
    if not _is_long(value):
        yield f"{head} {_scalar(value)}"
        return
    text = _text(value)
    yield head if text is None else f"{head} |" if text.endswith("\n") else f"{head} |-"
    yield from (f"{INDENT}{line}" if line else "" for line in _lines(value))


def _is_long(value: Any) -> bool:
    if isinstance(value, (dict, list, tuple)):
        return bool(value)
    text = _text(value)
    return text is not None and "\n" in text


def _text(value: Any) -> str | None:
    """A value that is text; files are bytes, which may be text."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return None
    return value if isinstance(value, str) else None


def _scalar(value: Any) -> str:
    if isinstance(value, bytes):
        return f"{len(value)} bytes, sha-256 {hashlib.sha256(value).hexdigest()}"
    return json.dumps(value, ensure_ascii=False)
