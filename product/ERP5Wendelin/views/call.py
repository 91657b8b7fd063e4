"""A request of the API, as the functions that answer it see it."""

from __future__ import annotations

from functools import cached_property
from typing import Any
from urllib.parse import quote, urlsplit

from Products.ERP5Wendelin.errors import NotAuthorised, TooLarge
from Products.ERP5Wendelin.ingestion.chunk import FORM
from Products.ERP5Wendelin.protocol import API_VERSION, MIB
from Products.ERP5Wendelin.views.access import is_asked_by_another_site, user_id
from Products.ERP5Wendelin.views.body import Body
from Products.ERP5Wendelin.views.decoding import decoded
from Products.ERP5Wendelin.views.members import Members
from Products.ERP5Wendelin.views.query import Query
from Products.ERP5Wendelin.views.target import TARGET, Target

FORM_SIZE = MIB
"""The largest form that is held in memory."""


class Call:
    """One request: where it goes, what it carries, and the objects that its path names, once `dispatch` found them."""

    data_set: Any
    """Of a path with {reference}, where the route is for a data set or an ingestion."""
    ingestion: Any
    """Of a path with {ingestion}."""
    policy: Any
    """Of a path with {policy}."""
    data_stream: Any
    """Of a path with the {id} of a stream, or with the reference of one, {stream*}."""

    data_array: Any
    """Of a path with the {reference*} of an array."""

    analysis: Any
    """Of a path with {analysis}."""
    indicator: Any
    """Of a path with the {indicator*} that is the reference of a Progress Indicator."""

    def __init__(self, site: Any, request: Any) -> None:
        self.site = site
        self._environ = request.environ
        self._stdin = request.stdin
        target: Target = request[TARGET]
        self.has_credentials = target.has_credentials
        self.method = target.method
        self.segments = target.segments
        self.of_portal = target.of_portal
        self._query_string = target.query_string
        self.headers = target.headers
        self.change = target.change
        self.names: dict[str, str] = {}

    @cached_property
    def query(self) -> Query:
        """The parameters of the URL."""
        return Query(self._query_string)

    @cached_property
    def body(self) -> Body:
        """The request's body, not read yet, out of its content coding."""
        text = self._environ.get("CONTENT_LENGTH") or ""
        terminated = self._environ.get("wsgi.input_terminated")
        length = int(text) if text.isdigit() else None if terminated else 0
        return decoded(Body(self._stdin, length), self.header("Content-Encoding"))

    def members(self) -> Members:
        """The JSON object that the body is."""
        return Members(self.body.json())

    def header(self, name: str) -> str | None:
        """A header of the request, None if it has none of that name."""
        key = name.upper().replace("-", "_")
        value = self._environ.get(key if key == "CONTENT_TYPE" else f"HTTP_{key}")
        return None if value is None else str(value)

    @property
    def is_asked_by_another_site(self) -> bool:
        """Whether it comes from a browser that shows a page of another site."""
        return is_asked_by_another_site(self._environ, self.site.absolute_url())

    @property
    def is_linked_by_another_site(self) -> bool:
        """Whether a link in a page of another site leads here."""
        page = urlsplit(self.header("Referer") or "").netloc
        return page not in ("", self._environ.get("HTTP_HOST"), urlsplit(self.site.absolute_url()).netloc)

    @property
    def database(self) -> Any:
        """The ZODB.DB that the site is in, for who needs a connection that outlives the request's."""
        return self.site._p_jar.db()

    @property
    def media_type(self) -> str:
        """What Content-Type says of the body, without parameters, in lower case."""
        return (self.header("Content-Type") or "").partition(";")[0].strip().lower()

    @property
    def user_id(self) -> str:
        """Who asks; NotAuthorised if that is not known."""
        identity = user_id()
        if identity is None:
            raise NotAuthorised("Log in first: this is about a user, and you sent no credentials.")
        return identity

    @cached_property
    def form(self) -> Query:
        """The fields of a small form that the body is, no form has none. TooLarge: it is not small."""
        if self.media_type != FORM:
            return Query("")
        data = self.body.read(FORM_SIZE + 1)
        if len(data) > FORM_SIZE:
            raise TooLarge(f"A form may have at most {FORM_SIZE // MIB} MiB here.")
        return Query(data.decode("latin-1"), "The form")

    def url(self, *segments: str) -> str:
        """Absolute URL of what has these segments in the API."""
        path = "".join(f"/{quote(segment, safe='')}" for segment in segments)
        return f"{self.site.absolute_url()}/api/{API_VERSION}{path}"

    def ingestion_url(self, identity: str, *segments: str) -> str:
        """Absolute URL of an ingestion of the data set, or of what is below it."""
        return self.url("data-sets", self.data_set.getReference(), "ingestions", identity, *segments)
