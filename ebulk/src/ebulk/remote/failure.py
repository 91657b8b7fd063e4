"""What went wrong on the wire, as `ebulk.errors`, with sentences for people: the one place that does so.

`from_reply` maps what the lake answered, `from_exception` what urllib3 raised. A TransientError may be tried again (see
`retry`): the connection broke or stalled, or the lake is busy (429, 502, 503, 504). Nothing else is ever tried again.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.client import BadStatusLine, IncompleteRead, RemoteDisconnected
from typing import Any
from urllib.parse import urljoin

from urllib3 import exceptions as http_errors

from ebulk.errors import (
    ConflictError,
    DiskFullError,
    EbulkError,
    IntegrityError,
    NetworkError,
    NotAuthorisedError,
    NotFoundError,
)
from ebulk.remote.credentials import Basic, Bearer, Credentials

RESUME_HINT = "Run the same command again: it goes on where it stopped."
URL_HINT = "Check the lake's URL; it usually ends in /erp5."
UNREACHED_HINT = "Check the lake's URL, http or https too, and that it is served there; then try again."

BUSY = frozenset({429, 502, 503, 504})
NAMED_PATHS = 3
"""How many paths a message names."""


class TransientError(NetworkError):
    """May succeed when tried again, after `retry_after` seconds if the lake said so.

    `connecting`: not even a connection was made. `verified`: how many bytes of an upload the lake has compared with its
    digest so far, where it needs more than one request's time for that.
    """

    def __init__(
        self, message: str, *, retry_after: float | None = None, connecting: bool = False, verified: int = 0
    ) -> None:
        super().__init__(message, RESUME_HINT)
        self.retry_after = retry_after
        self.connecting = connecting
        self.verified = verified


class StoppedError(EbulkError):
    """The session was stopped while this request was under way; whoever stopped it knows why."""

    def __init__(self) -> None:
        super().__init__("Stopped.", RESUME_HINT)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that was not hoped for; `url` is the lake's, `credentials` what the request had."""

    status: int
    headers: Mapping[str, str]
    problem: Mapping[str, Any]
    """The members of its problem document (RFC 9457); none when it is not a lake that answers."""
    url: str
    credentials: Credentials | None

    @property
    def detail(self) -> str:
        """What the lake says of it."""
        return str(self.problem.get("detail") or self.problem.get("title") or f"The lake answered HTTP {self.status}.")

    @property
    def login_hint(self) -> str:
        """How to tell the lake who asks."""
        return f"Log in with `ebulk login {self.url}`."


def from_reply(
    status: int, headers: Mapping[str, str], body: bytes, *, url: str, credentials: Credentials | None, now: float
) -> EbulkError:
    """The error for an answer that was not hoped for; `now` is in seconds since the epoch, for a Retry-After date."""
    answer = Answer(status, headers, _problem(headers, body), url, credentials)
    if status in BUSY:
        detail = answer.problem.get("detail") or f"The lake at {url} is not ready (HTTP {status})."
        verified = answer.problem.get("verified")
        return TransientError(
            str(detail),
            retry_after=retry_after(headers.get("Retry-After"), now),
            verified=verified if isinstance(verified, int) else 0,
        )
    table = OURS if answer.problem else NOT_OURS
    return table.get(status, table[status // 100])(answer)


def _unauthorised(answer: Answer) -> EbulkError:
    if isinstance(answer.credentials, Basic):
        return NotAuthorisedError(
            f"The lake at {answer.url} has no user {answer.credentials.user!r} with this password.",
            "Check both; whoever runs the lake can let you in.",
        )
    if isinstance(answer.credentials, Bearer):
        return NotAuthorisedError(f"The lake at {answer.url} does not know your token any more.", answer.login_hint)
    return NotAuthorisedError(answer.detail, answer.login_hint)


def _not_found(answer: Answer) -> EbulkError:
    return NotFoundError(answer.detail, "" if answer.credentials else f"If it is not public: {answer.login_hint}")


def _unprocessable(answer: Answer) -> EbulkError:
    if "missing" in answer.problem:
        detail = _with_paths(answer.detail, _texts(answer.problem["missing"]))
        return EbulkError(detail, "Push again: it sends what is missing.")
    return _mismatch(answer)


def _mismatch(answer: Answer) -> EbulkError:
    return IntegrityError(answer.detail, "Push again: the file may have changed, or the network altered it.")


def _redirected(answer: Answer) -> EbulkError:
    target = urljoin(answer.url, answer.headers.get("Location", ""))
    return EbulkError(
        f"{answer.url} redirects to {target}, which is not followed: it would be given your credentials.",
        "If that is where the lake is, log in there.",
    )


def _failed(answer: Answer) -> EbulkError:
    said = answer.detail if answer.problem else f"HTTP {answer.status}."
    return EbulkError(f"The lake at {answer.url} failed: {said}", "Its log says why; ask who runs it.")


def _too_large_for_proxy(answer: Answer) -> EbulkError:
    return EbulkError(
        f"A proxy in front of {answer.url} refuses requests of this size (HTTP 413).",
        "Ask who runs it to allow bodies of 64 MiB (nginx: client_max_body_size).",
    )


def _no_lake(answer: Answer) -> EbulkError:
    kind = answer.headers.get("Content-Type", "").partition(";")[0] or "no content"
    return not_a_lake(answer.url, f"HTTP {answer.status} with {kind}")


DISK_HINT = "Ask who runs the lake to make room, then run the same command again."
PROXY_HINT = "Put user and password into the proxy's URL: http://user:password@host."

Maker = Callable[[Answer], EbulkError]

OURS: dict[int, Maker] = {
    401: _unauthorised,
    403: lambda answer: NotAuthorisedError(answer.detail, "Ask who runs the lake, or log in as somebody who may."),
    404: _not_found,
    409: lambda answer: ConflictError(answer.detail, "", _texts(answer.problem.get("paths"))),
    410: _not_found,
    422: _unprocessable,
    460: _mismatch,
    507: lambda answer: DiskFullError(answer.detail, DISK_HINT),
    1: _no_lake,
    2: _no_lake,
    3: _redirected,
    4: lambda answer: EbulkError(answer.detail),
    5: _failed,
}
"""What a lake's problem document means, by status or else by its first digit."""

NOT_OURS: dict[int, Maker] = {
    401: lambda answer: NotAuthorisedError(f"{answer.url} asks for a password, but not as a lake does.", URL_HINT),
    407: lambda answer: NotAuthorisedError("The HTTP proxy asks for a password.", PROXY_HINT),
    413: _too_large_for_proxy,
    507: lambda answer: DiskFullError(f"The disk of the lake at {answer.url} is full.", DISK_HINT),
    1: _no_lake,
    2: _no_lake,
    3: _redirected,
    4: _no_lake,
    5: _failed,
}
"""What any other answer means: a proxy's page, or another web site's."""


def not_a_lake(url: str, answer: str) -> EbulkError:
    """The error for an answer that no lake gives."""
    return EbulkError(f"There is no data lake at {url}: it answers {answer}.", URL_HINT)


def from_exception(error: Exception, *, host: str, stall_timeout: float) -> EbulkError:
    """The error for what urllib3 raised while talking to `host`; `stall_timeout` in seconds."""
    if isinstance(error, http_errors.SSLError):
        return _tls_failed(error, host)
    if isinstance(error, http_errors.NewConnectionError | http_errors.ConnectTimeoutError | http_errors.ProxyError):
        return TransientError(_not_connected(error, host), connecting=True)
    if isinstance(error, http_errors.TimeoutError) or _cause(error, TimeoutError):
        return TransientError(f"The connection to {host} stalled: nothing came or went for {stall_timeout:.0f} s.")
    if _cause(error, BadStatusLine) and not _cause(error, RemoteDisconnected):
        return not_a_lake(host, "something that is not HTTP")
    if isinstance(error, http_errors.ProtocolError | OSError):
        return TransientError(f"The connection to {host} broke: {_reason(error)}.")
    return EbulkError(f"The answer of {host} cannot be understood: {error}")


def _not_connected(error: Exception, host: str) -> str:
    if isinstance(error, http_errors.ProxyError):
        return f"The HTTP proxy cannot be used: {_reason(error)}."
    if isinstance(error, http_errors.NameResolutionError):
        return f"The host {host} cannot be found. Is its name right, and is there a network?"
    if isinstance(error, http_errors.NewConnectionError):
        return f"No connection to {host}: {_reason(error)}. Is the server running?"
    return f"No connection to {host}: it does not answer. Is the server running?"


def _tls_failed(error: http_errors.SSLError, host: str) -> EbulkError:
    cause = _cause(error, ssl.SSLError)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return NetworkError(
            f"The certificate of {host} is not trusted: {cause.verify_message}.",
            "Ask who runs the lake for its certificate authority, and name it with SSL_CERT_FILE.",
        )
    if cause is not None and cause.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"):
        return NetworkError(f"{host} does not speak TLS.", "Its URL may begin with http:// instead of https://.")
    if _cause(error, TimeoutError):
        return TransientError(f"{host} was connected to, and does not answer in TLS.", connecting=True)
    return TransientError(f"The encrypted connection to {host} broke: {_reason(error)}.")


def _chain(error: BaseException) -> list[BaseException]:
    """The error, and what it was raised from or holds: urllib3 does either, down to what the system said."""
    found: list[BaseException] = []
    todo = [error]
    while todo:
        current = todo.pop()
        if current not in found:
            found.append(current)
            related = (current.__cause__, getattr(current, "reason", None), *current.args)
            todo += [value for value in related if isinstance(value, BaseException)]
    return found


def _cause(error: Exception, kind: type[Any]) -> Any:
    return next((cause for cause in _chain(error) if isinstance(cause, kind)), None)


def _reason(error: Exception) -> str:
    """In a few words, what the system says."""
    cause = _cause(error, OSError)
    if isinstance(cause, RemoteDisconnected):
        return "the server closed it without an answer"
    if cause is not None and cause.strerror:
        return str(cause.strerror).lower()
    if _cause(error, IncompleteRead):
        return "the answer was cut short"
    return str(cause or error).rstrip(".")


def retry_after(value: str | None, now: float) -> float | None:
    """Seconds to wait by a Retry-After header (RFC 9110, 10.2.3: seconds or a date); None without a usable one."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except ValueError:
        return None


def _problem(headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """The members of a problem document (RFC 9457), or an empty dict when the body is none."""
    if headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/problem+json":
        return {}
    try:
        problem = json.loads(body)
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}


def _texts(value: object) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _with_paths(detail: str, paths: tuple[str, ...]) -> str:
    if not paths:
        return detail
    named = ", ".join(paths[:NAMED_PATHS])
    more = len(paths) - NAMED_PATHS
    return f"{detail} ({named}{f' and {more} more' if more > 0 else ''})"
