"""What can be asked of a lake: one method for each call of its API that isn't about bytes.

Every call is tried again when the connection breaks. All may be repeated without harm: a `start_ingestion` whose answer
was lost leaves an empty ingestion behind, which the lake lets expire, and a `create_token` a token that nobody knows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from typing import Any
from urllib.parse import quote, urlencode

from ebulk.errors import NotFoundError, UsageError
from ebulk.model import ArrayInfo, DataSetInfo, FileEntry, Ingestion, StopResult, StreamInfo, VersionInfo
from ebulk.protocol import MANIFEST_LIMIT, PLAN_LENGTH, seconds
from ebulk.remote import documents, failure
from ebulk.remote.coding import Codings, Compress
from ebulk.remote.credentials import Credentials
from ebulk.remote.documents import User
from ebulk.remote.pace import Pace, Traffic
from ebulk.remote.retry import Notices, full_jitter
from ebulk.remote.session import Session, Settings, ignore


class Lake:
    """A lake at `url`, which ends where `/api/v1` would begin; asked with `credentials`, or anonymously.

    A request on which nothing moves for `stall_timeout` seconds is tried again, and given up after `retry_max_time`
    seconds without progress; `notify` is told. All connections together take at most `limit_rate` bytes a second.
    `compress`: whether bytes travel in zstd: where a sample shows that it is worth it ("auto"), "always" or "never".
    """

    def __init__(
        self,
        url: str,
        credentials: Credentials | None = None,
        *,
        stall_timeout: float = 60.0,
        retry_max_time: float = 600.0,
        notify: Callable[[str], None] = ignore,
        proxy: str | None = None,
        ca_file: str | None = None,
        limit_rate: int | None = None,
        compress: Compress = "auto",
        backoff: Callable[[int], float] = full_jitter,
    ) -> None:
        self.settings = Settings(
            url.rstrip("/"),
            credentials,
            stall_timeout=stall_timeout,
            retry_max_time=retry_max_time,
            notices=Notices(notify),
            proxy=proxy,
            ca_file=ca_file,
            pace=Pace(limit_rate),
            codings=Codings(compress),
            backoff=backoff,
        )
        self._session = Session(self.settings)

    @property
    def url(self) -> str:
        """Where the lake is."""
        return self.settings.url

    @property
    def traffic(self) -> Traffic:
        """How many bytes were sent to this lake and received from it so far."""
        return self.settings.traffic

    def session(self, connections: int) -> Session:
        """A new session for a transfer that uses so many connections at a time; whoever asks closes it."""
        return Session(self.settings, connections)

    @property
    def calls(self) -> Session:
        """The session that its calls go by, for what is as short as these: it is never stopped."""
        return self._session

    def through(self, session: Session) -> Lake:
        """The same lake, asked by way of a transfer's session, and so no longer once that is stopped."""
        lake = copy(self)
        lake._session = session
        return lake

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

    def service(self) -> dict[str, Any]:
        """Name, version and limits of the service. EbulkError when there is something else at this URL."""
        try:
            document = self._get("/")
        except NotFoundError as error:
            raise failure.not_a_lake(self.url, "that there is nothing") from error
        if not isinstance(document, dict) or document.get("name") != "wendelin":
            raise failure.not_a_lake(self.url, "JSON of something else")
        return document

    def user(self) -> User:
        """Who the lake takes us for. NotAuthorisedError when it knows us not."""
        return documents.user(self._get("/user"))

    def create_token(self, title: str) -> tuple[str, str]:
        """Make an access token for the user who asks; its id, and the token, which is shown this once."""
        document = self._call("POST", "/tokens", {"title": title}, expect=(201,))
        return documents.member(document, "id", str), documents.member(document, "token", str)

    def remove_token(self, id: str) -> None:
        """Make a token invalid."""
        self._call("DELETE", f"/tokens/{_segment(id)}", expect=(204,))

    def data_set(self, reference: str) -> DataSetInfo:
        """A data set. NotFoundError when there is none, or none for who asks."""
        return documents.data_set(self._get(data_set_path(reference)))

    def create_data_set(self, reference: str, title: str = "") -> DataSetInfo:
        """Make a data set; one that exists already is left as it is."""
        document = {"title": title} if title else {}
        return documents.data_set(self._call("PUT", data_set_path(reference), document, expect=(200, 201)))

    def versions(self, reference: str) -> Iterator[VersionInfo]:
        """The versions of a data set, newest first, asked for page by page."""
        for page in self._pages(f"{data_set_path(reference)}/versions", {}):
            yield from map(documents.version, documents.items(page))

    def entry(self, reference: str, version: int, path: str) -> FileEntry | None:
        """What a version has for a path; None for nothing."""
        query = {"version": str(version), "prefix": path, "limit": "1"}  # what begins with a path comes behind it
        page = self._get(_with_query(f"{data_set_path(reference)}/manifest", query))
        entry = next(map(documents.entry, documents.items(page)), None)
        return entry if entry is not None and entry.path == path else None

    def manifest(self, reference: str, version: int | None = None, prefix: str = "") -> tuple[int, Iterator[FileEntry]]:
        """A version's number (the newest unless named) and its files by path, asked for page by page.

        Only those whose path begins with the text `prefix`, where one is given.
        """
        query = {"limit": str(MANIFEST_LIMIT)}
        if version is not None:
            query["version"] = str(version)
        if prefix:
            query["prefix"] = prefix
        pages = self._pages(f"{data_set_path(reference)}/manifest", query)
        first = next(pages)

        def entries() -> Iterator[FileEntry]:
            yield from map(documents.entry, documents.items(first))
            for page in pages:
                yield from map(documents.entry, documents.items(page))

        return documents.member(first, "version", int), entries()

    def streams(self, search: str = "", state: str = "") -> Iterator[StreamInfo]:
        """The streams by reference, asked for page by page: all, or those that have some words, or are in one state."""
        query = {name: value for name, value in (("search", search), ("state", state)) if value}
        for page in self._pages("/streams", query):
            yield from map(documents.stream, documents.items(page))

    def arrays(self, search: str = "", state: str = "") -> Iterator[ArrayInfo]:
        """The arrays by reference, asked for page by page: all, or those that have some words, or are in one state."""
        query = {name: value for name, value in (("search", search), ("state", state)) if value}
        for page in self._pages("/arrays", query):
            yield from map(documents.array, documents.items(page))

    def array(self, reference: str) -> ArrayInfo:
        """An array as it is now. NotFoundError when there is none, or none for who asks."""
        return documents.array(self._get(array_path(reference)))

    def create_array(self, reference: str, shape: Sequence[int], dtype: Any, title: str = "") -> ArrayInfo:
        """Make an array of zeros; one of the same shape and dtype is left as it is. ConflictError: another is there."""
        document = {"shape": list(shape), "dtype": dtype, **({"title": title} if title else {})}
        return documents.array(self._call("PUT", array_path(reference), document, expect=(200, 201)))

    def start_ingestion(self, reference: str, message: str, base_version: int | None) -> Ingestion:
        """Start a push on top of `base_version`, or of the newest version."""
        document: dict[str, Any] = {"message": message}
        if base_version is not None:
            document["base_version"] = base_version
        path = f"{data_set_path(reference)}/ingestions"
        return documents.ingestion(self._call("POST", path, document, expect=(201,)))

    def ingestion(self, reference: str, id: str) -> Ingestion:
        """A push as it stands; to resume it."""
        return documents.ingestion(self._get(_ingestion_path(reference, id)))

    def plan(
        self,
        ingestion: Ingestion,
        files: Sequence[FileEntry],
        removed: Sequence[str] = (),
        renamed: Sequence[tuple[str, str]] = (),
    ) -> set[str]:
        """Tell what the push will hold; the paths whose content the lake has not and must be sent.

        In as many requests as the lake's limit asks for: renamed and removed paths first, since a path that was a
        folder may become a file.
        """
        missing: set[str] = set()
        target = f"{ingestion_path(ingestion)}/plan"
        moves = [{"from": old, "to": new} for old, new in renamed]
        for text in _plan_documents("renamed", [json.dumps(move) for move in moves]):
            missing |= self._missing(target, text)
        for text in _plan_documents("removed", [json.dumps(path) for path in removed]):
            missing |= self._missing(target, text)
        for text in _plan_documents("files", [_planned(entry) for entry in files]):
            missing |= self._missing(target, text)
        return missing

    def stop(self, ingestion: Ingestion, base_version: int | None = None) -> StopResult:
        """Commit a push, on top of `base_version` if given. ConflictError with `paths`: others changed the same."""
        document = None if base_version is None else {"base_version": base_version}
        return documents.stop_result(self._call("POST", f"{ingestion_path(ingestion)}/stop", document))

    def cancel(self, ingestion: Ingestion) -> None:
        """Give up a push; nothing of it stays."""
        self._call("DELETE", ingestion_path(ingestion), expect=(204,))

    def _missing(self, target: str, text: str) -> set[str]:
        _, document = self._session.call("POST", self._session.api(target), text)
        return {str(path) for path in documents.items(document, "missing")}

    def _get(self, path: str) -> Any:
        return self._call("GET", path)

    def _call(
        self, method: str, path: str, document: dict[str, Any] | None = None, expect: tuple[int, ...] = (200,)
    ) -> Any:
        text = None if document is None else json.dumps(document)
        return self._session.call(method, self._session.api(path), text, expect=expect)[1]

    def _pages(self, path: str, query: dict[str, str]) -> Iterator[Any]:
        cursor: str | None = ""
        while cursor is not None:
            asked = {**query, "cursor": cursor} if cursor else query
            page = self._get(_with_query(path, asked))
            following = documents.optional(page, "next", str)
            if following is not None and following == cursor:
                raise failure.not_a_lake(self.url, "a list without an end")
            yield page
            cursor = following


def data_set_path(reference: str) -> str:
    """The API's path of a data set. UsageError for a name that can't be in a URL."""
    return f"/data-sets/{_segment(reference)}"


def stream_path(reference: str) -> str:
    """The API's path of a stream. UsageError for a name that can't be in a URL."""
    return f"/streams/{_segment(reference)}"


def array_path(reference: str) -> str:
    """The API's path of an array. UsageError for a name that can't be in a URL."""
    return f"/arrays/{_segment(reference)}"


def ingestion_path(ingestion: Ingestion) -> str:
    """The API's path of a push."""
    return _ingestion_path(ingestion.reference, ingestion.id)


def file_path(reference: str, path: str, resource: str = "files") -> str:
    """The API's path of a file, or of its `signature` or `delta`."""
    return f"{data_set_path(reference)}/{resource}/{'/'.join(map(_segment, path.split('/')))}"


def _ingestion_path(reference: str, id: str) -> str:
    return f"{data_set_path(reference)}/ingestions/{_segment(id)}"


def _with_query(path: str, query: dict[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def _segment(text: str) -> str:
    if text in ("", ".", ".."):
        raise UsageError(f"{text!r} cannot be a name in a lake.")
    return quote(text, safe="")


def _planned(entry: FileEntry) -> str:
    """A file of a plan, as JSON text: `json` itself would round the time to a float."""
    return (
        f'{{"path": {json.dumps(entry.path)}, "size": {entry.size}, "digest": {json.dumps(entry.digest)}, '
        f'"mtime": {seconds(entry.mtime_ns)}, "mode": {json.dumps(entry.mode)}}}'
    )


def _plan_documents(name: str, texts: list[str]) -> Iterator[str]:
    for start in range(0, len(texts), PLAN_LENGTH):
        yield f'{{"{name}": [{", ".join(texts[start : start + PLAN_LENGTH])}]}}'
