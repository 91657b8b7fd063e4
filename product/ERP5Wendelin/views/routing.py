"""Routes: which function answers a method of a path.

A path is a tuple of segments, percent-decoded. Templates are matched segment by segment, text before placeholders, so
that the order in which they were registered is of no importance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from zope.component import getGlobalSiteManager
from zope.interface import implementer

from Products.ERP5Wendelin.errors import NotFound
from Products.ERP5Wendelin.views.interfaces import IPortalRoute, IRoute
from Products.ERP5Wendelin.views.problem import MethodNotAllowed

CONTEXTS = ("site", "data_set", "ingestion", "policy", "data_stream", "stream", "array", "analysis", "indicator")
"""What a route's permission can be checked on; `dispatch` finds each."""


@implementer(IRoute)
@dataclass(frozen=True)
class Route:
    """One line of the ZCML."""

    method: str
    path: str
    context: str
    permission: str
    handler: Callable[[Any], Any]
    changes: bool = False
    head: bool = True
    """Whether HEAD is answered where GET is: a script may change something, whatever it says."""
    refusal: Any = None
    """What wrong credentials are answered, in a 200, to a client that reads nothing else."""
    segments: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "segments", split(self.path))

    def match(self, segments: tuple[str, ...]) -> dict[str, str] | None:
        """What the placeholders stand for, if the template fits these segments."""
        template = self.segments
        many = next((place for place, part in enumerate(template) if part.endswith("*}")), None)
        if many is not None and len(segments) > len(template):
            end = len(segments) - (len(template) - many - 1)
            segments = (*segments[:many], "/".join(segments[many:end]), *segments[end:])
        if len(template) != len(segments):
            return None
        names = {}
        for part, segment in zip(template, segments, strict=True):
            if part.startswith("{"):
                names[part.strip("{*}")] = segment
            elif part != segment:
                return None
        return names

    @property
    def weight(self) -> tuple[int, ...]:
        """Sorts templates that fit the same path: text goes before placeholders, and these before the end."""
        return (*(part.startswith("{") for part in self.segments), 2)


def split(path: str) -> tuple[str, ...]:
    """The segments of what follows `/api/v1`; `/` has none."""
    return tuple(path.split("/")[1:]) if path not in ("", "/") else ()


def routes() -> list[Route]:
    """All of the API."""
    return [route for _, route in getGlobalSiteManager().getUtilitiesFor(IRoute)]


def portal_routes() -> list[Route]:
    """All that begin at the portal."""
    return [route for _, route in getGlobalSiteManager().getUtilitiesFor(IPortalRoute)]


def find_portal(path: str) -> int | None:
    """Where in the path of a URL a route of the portal begins; None if it does not end with one."""
    parts = path.split("/")
    for length in {len(route.segments) for route in portal_routes()}:
        tail = tuple(parts[-length:])
        if length < len(parts) and any(route.match(tail) is not None for route in portal_routes()):
            return len(path) - len("/".join(tail)) - 1
    return None


def allowed(segments: tuple[str, ...], among: Iterable[Route]) -> dict[str, tuple[Route, dict[str, str]]]:
    """The methods of a path: method -> (route, placeholders); NotFound if it has none.

    HEAD is answered wherever GET is, but for scripts, and OPTIONS everywhere (by `dispatch`, where no route of their
    own does).
    """
    fitting = [(route, names) for route in among if (names := route.match(segments)) is not None]
    if not fitting:
        raise NotFound(f"There is nothing at /{'/'.join(segments)} in this API. docs/protocol.rst lists what there is.")
    best = min(route.weight for route, _ in fitting)
    methods = {route.method: (route, names) for route, names in fitting if route.weight == best}
    if "GET" in methods and methods["GET"][0].head:
        methods.setdefault("HEAD", methods["GET"])
    return methods


def allow_header(methods: Iterable[str]) -> str:
    """Value of the header Allow."""
    return ", ".join(sorted({*methods, "OPTIONS"}))


def choose(methods: dict[str, tuple[Route, dict[str, str]]], method: str) -> tuple[Route, dict[str, str]]:
    """The route of one method; MethodNotAllowed (405) names the others."""
    try:
        return methods[method]
    except KeyError:
        allow = allow_header(methods)
        raise MethodNotAllowed(f"{method} is not possible here. Possible are: {allow}.", allow) from None
