"""Accessors, made from what a class declares: `properties` (name -> kind) and `base_categories`.

A property `script_id` of kind 'text' has `getScriptId`, `hasScriptId` and `setScriptId`, as ERP5 has them; one of kind
'lines' or 'ints' has `…List` too. A base category `aggregate` has, `X` standing for `Aggregate`:

* `getX`, `getXList` and `getXSet`: paths; `getXValue`, `getXValueList`: documents or categories that exist and that
  the user may view, of one or several portal types if `portal_type` is given; `getXTitle`, `getXReference`, `getXId`,
  `getXUid`, `getXRelativeUrl`, `getXPortalType`: those of the first value, or None; `hasX`;
* `setX`, `setXList`, `setXSet`, `setXValue`, `setXValueList`, `setXValueSet`: in place of all there were;
  `setDefaultX`, `setDefaultXValue`: put first, before the others. None, in place of a value or among values, is none.

`typed_categories` (base category -> portal types) adds `getAggregateDataStream`, `getAggregateDataStreamValue` and
`getAggregateDataStreamValueList`: those of the values that are of the portal type Data Stream.

Reading takes the permission View, changing Modify portal content. What is declared is also what `edit` and `newContent`
take: `script_id`, `aggregate_value_list`. A property is stored as the attribute of that name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from typing import Any

from AccessControl.PermissionRole import PermissionRole
from DateTime import DateTime

from Products.ERP5Wendelin.content import relation
from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.permissions import ModifyPortalContent, View


@dataclass(frozen=True)
class Setter:
    """How what has a name in `edit` is changed."""

    check: Callable[[Any], Any]
    """Given a value, what is to be stored. BadInput: it is of another kind."""
    assign: Callable[[Any, Any], None]
    """Stores that in a document, which is not necessarily in the site yet; nothing is reindexed."""


DEFAULTS: dict[str, Any] = {
    "text": "",
    "boolean": False,
    "int": None,
    "float": 0.0,
    "date": None,
    "lines": (),
    "ints": (),
}
"""By kind, the value of a property that was never set."""

SEVERAL = ("lines", "ints")
"""The kinds of which a property has several values."""

FIRST = {
    "Title": "getTitle",
    "Reference": "getReference",
    "Id": "getId",
    "Uid": "getUid",
    "RelativeUrl": "getRelativeUrl",
    "PortalType": "getPortalType",
}
"""Suffix of an accessor -> the method of the first value that it calls."""


def generate(cls: type) -> None:
    """Give a class the accessors of what it declares itself; a method that it defines by hand stays."""
    setters: dict[str, Setter] = {}
    for base in reversed(cls.__mro__[1:]):
        setters.update(vars(base).get("_setters", {}))
    for name, kind in vars(cls).get("properties", {}).items():
        setters.update(_property(cls, name, kind))
    for base in vars(cls).get("base_categories", ()):
        setters.update(_base_category(cls, base))
    for base, portal_types in vars(cls).get("typed_categories", {}).items():
        for portal_type in portal_types:
            _add_typed_readers(cls, base, portal_type)
    cls._setters = setters  # type: ignore[attr-defined]


def camel(name: str) -> str:
    """'script_id' as accessors have it: 'ScriptId'."""
    return "".join(part.capitalize() for part in name.split("_"))


# properties


def _property(cls: type, name: str, kind: str) -> dict[str, Setter]:
    attribute = f"{name}_list" if kind in SEVERAL else name
    if attribute not in vars(cls):
        setattr(cls, attribute, DEFAULTS[kind])
    setattr(cls, attribute + "__roles__", ())

    def get(document: Any) -> Any:
        return _shown(getattr(document, attribute))

    def has(document: Any) -> bool:
        return getattr(document, attribute) not in (None, "", ())

    setter = Setter(partial(checked, attribute, kind), lambda document, value: setattr(document, attribute, value))
    _add(cls, f"has{camel(name)}", has, View, f"Whether it has a {name}.")
    _add_setter(cls, name, f"Change its {name}.")
    if kind not in SEVERAL:
        _add(cls, f"get{camel(name)}", get, View, f"Its {name}.")
        return {name: setter}

    def get_first(document: Any) -> Any:
        return next(iter(getattr(document, attribute)), None)

    _add(cls, f"get{camel(name)}", get_first, View, f"The first of its {attribute}; None if there is none.")
    _add(cls, f"get{camel(attribute)}", get, View, f"Its {attribute}.")
    _add_setter(cls, attribute, f"Change its {attribute}.")
    return {name: setter, attribute: setter}


def checked(name: str, kind: str, value: Any) -> Any:
    """A property's value as it is stored; None is that of one that was never set. BadInput: not of this kind."""
    if value is None and kind != "text":
        return DEFAULTS[kind]
    match kind, value:
        case "text", str():
            return value
        case "boolean", bool() | 0 | 1:
            return bool(value)
        case "int", int() if not isinstance(value, bool):
            return value
        case "float", int() | float() if not isinstance(value, bool):
            return float(value)
        case "date", datetime() if value.tzinfo:
            return value.astimezone(timezone.utc)
        case "date", DateTime():
            return value.toZone("UTC").asdatetime()
        case "lines", str():
            return (value,)
        case "lines", list() | tuple() | set() | frozenset() if all(isinstance(line, str) for line in value):
            return tuple(sorted(value)) if isinstance(value, (set, frozenset)) else tuple(value)
        case "ints", int() if not isinstance(value, bool):
            return (value,)
        case "ints", list() | tuple() | set() | frozenset() if all(type(number) is int for number in value):
            return tuple(sorted(value)) if isinstance(value, (set, frozenset)) else tuple(value)
    raise BadInput(f"{name} must be {_DESCRIPTIONS[kind]}.")


_DESCRIPTIONS = {
    "text": "text",
    "boolean": "True or False",
    "int": "a whole number",
    "float": "a number",
    "date": "a DateTime, or a datetime with a time zone",
    "lines": "a list of texts",
    "ints": "a list of whole numbers",
}


def shown_date(date: datetime) -> DateTime:
    """A date as scripts get it, in UTC."""
    return DateTime(date).toZone("UTC")


def _shown(value: Any) -> Any:
    if isinstance(value, datetime):
        return shown_date(value)
    return list(value) if isinstance(value, tuple) else value


# base categories


def _base_category(cls: type, base: str) -> dict[str, Setter]:
    _add_readers(cls, base)
    setters: dict[str, Setter] = {}
    for suffix in ("", "_value"):
        setters[base + suffix] = _replacing(base, _one)
        setters[f"{base}{suffix}_list"] = _replacing(base, _several)
        setters[f"{base}{suffix}_set"] = _replacing(base, _sorted)
        setters[f"default_{base}{suffix}"] = _putting_first(base)
    for name in setters:
        _add_setter(cls, name, f"Change what it is related to by {base}.")
    return setters


def _add_readers(cls: type, base: str) -> None:
    name = camel(base)

    def get_list(document: Any) -> list[str]:
        return relation.paths(document, base)

    def get(document: Any) -> str | None:
        return next(iter(relation.paths(document, base)), None)

    def has(document: Any) -> bool:
        return bool(relation.paths(document, base))

    def get_value_list(document: Any, portal_type: str | Iterable[str] | None = None) -> list[Any]:
        return list(of_type(relation.values(document, base), portal_type))

    def get_value(document: Any, portal_type: str | Iterable[str] | None = None) -> Any:
        return next(of_type(relation.values(document, base), portal_type), None)

    for accessor in (f"get{name}", f"getDefault{name}"):
        _add(cls, accessor, get, View, f"The path of the first that it is related to by {base}, or None.")
    for accessor in (f"get{name}List", f"get{name}Set"):
        _add(cls, accessor, get_list, View, f"The paths of all that it is related to by {base}.")
    for accessor in (f"get{name}Value", f"getDefault{name}Value"):
        _add(cls, accessor, get_value, View, f"The first that it is related to by {base}, or None.")
    for accessor in (f"get{name}ValueList", f"get{name}ValueSet"):
        _add(cls, accessor, get_value_list, View, f"All that it is related to by {base}.")
    for suffix, method in FIRST.items():
        _add(cls, f"get{name}{suffix}", _of_first(base, method), View, f"{suffix} of the first by {base}, or None.")
    _add(cls, f"has{name}", has, View, f"Whether it is related to anything by {base}.")


def _add_typed_readers(cls: type, base: str, portal_type: str) -> None:
    name = camel(base) + portal_type.replace(" ", "")

    def get_value_list(document: Any) -> list[Any]:
        return list(of_type(relation.values(document, base), portal_type))

    def get_value(document: Any) -> Any:
        return next(of_type(relation.values(document, base), portal_type), None)

    def get(document: Any) -> str | None:
        value = get_value(document)
        return None if value is None else value.getRelativeUrl()

    _add(cls, f"get{name}", get, View, f"The path of the first {portal_type} that it is related to by {base}.")
    _add(cls, f"get{name}Value", get_value, View, f"The first {portal_type} that it is related to by {base}.")
    _add(cls, f"get{name}ValueList", get_value_list, View, f"Each {portal_type} that it is related to by {base}.")


def of_type(documents: Iterable[Any], portal_type: str | Iterable[str] | None) -> Iterator[Any]:
    """Those of some documents that have the portal type, or one of several; all of them if it is None."""
    wanted = (portal_type,) if isinstance(portal_type, str) else portal_type
    return (document for document in documents if wanted is None or document.getPortalType() in wanted)


def _of_first(base: str, method: str) -> Callable[[Any], Any]:
    def get(document: Any) -> Any:
        value = next(relation.values(document, base), None)
        return None if value is None else getattr(value, method)()

    return get


def _replacing(base: str, listed: Callable[[Any], Iterable[Any]]) -> Setter:
    def check(value: Any) -> list[str]:
        return [relation.path_of(base, item) for item in listed(value) if _given(item)]

    return Setter(check, lambda document, paths: relation.relate(document, base, paths))


def _putting_first(base: str) -> Setter:
    def check(value: Any) -> list[str]:
        return [relation.path_of(base, value)] if _given(value) else []

    def assign(document: Any, first: list[str]) -> None:
        relation.relate(document, base, first + relation.paths(document, base))

    return Setter(check, assign)


def _one(value: Any) -> Iterable[Any]:
    return value if isinstance(value, (list, tuple, set, frozenset)) else (value,)


def _several(value: Any) -> Iterable[Any]:
    if value is not None and not isinstance(value, (list, tuple, set, frozenset)):
        raise BadInput("What ends in _list or _set takes a list.")
    return value or ()


def _sorted(value: Any) -> Iterable[Any]:
    return sorted(_several(value), key=lambda item: item if isinstance(item, str) else item.getRelativeUrl())


def _given(value: Any) -> bool:
    return value is not None and value != ""


# adding to a class


def _add_setter(cls: type, name: str, purpose: str) -> None:
    def change(document: Any, value: Any) -> None:
        document.edit(**{name: value})

    _add(cls, f"set{camel(name)}", change, ModifyPortalContent, purpose)


def _add(cls: type, name: str, function: Callable[..., Any], permission: str, purpose: str) -> None:
    if name in vars(cls):
        return
    function.__name__ = name
    function.__qualname__ = f"{cls.__qualname__}.{name}"
    function.__doc__ = purpose
    setattr(cls, name, function)
    setattr(cls, name + "__roles__", PermissionRole(permission))
