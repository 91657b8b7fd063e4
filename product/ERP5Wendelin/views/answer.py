"""What a function of the API returns, as a response."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from zope.interface import implementer
from ZPublisher.Iterators import IUnboundStreamIterator

JSON = "application/json"
NO_STORE = {"Cache-Control": "no-store"}
"""Of all JSON: it depends on who asks, and on the moment."""


@dataclass
class Answer:
    """A response: `body` is bytes, an IUnboundStreamIterator, or None for none."""

    body: Any = None
    status: int = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)


@implementer(IUnboundStreamIterator)
class Chunks:
    """An iterator of bytes as a body that is sent while it is made."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks

    def __iter__(self) -> Chunks:
        return self

    def __next__(self) -> bytes:
        return next(self._chunks)

    def close(self) -> None:
        """Let go of what it reads from; the gateway calls it when the client has gone, too."""
        close = getattr(self._chunks, "close", None)
        if close is not None:
            close()


def as_json(data: Any, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None) -> Answer:
    """Plain data in JSON."""
    return json_text(json.dumps(data, ensure_ascii=False, separators=(",", ":")), status, headers)


def json_text(text: str, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None) -> Answer:
    """Text that is JSON already."""
    return Answer(text.encode(), status, {"Content-Type": JSON, **NO_STORE, **(headers or {})})


def created(location: str, data: Any) -> Answer:
    """201 with the URL of what was made, and the thing itself."""
    return as_json(data, HTTPStatus.CREATED, {"Location": location})


def no_content(headers: Mapping[str, str] | None = None) -> Answer:
    """204: done, nothing to say."""
    return Answer(None, HTTPStatus.NO_CONTENT, {**NO_STORE, **(headers or {})})


def to_answer(result: Any) -> Answer:
    """What a function returned as an Answer: plain data is JSON, None is 204."""
    if isinstance(result, Answer):
        return result
    return no_content() if result is None else as_json(result)


def write(answer: Answer, response: Any, always: Mapping[str, str], head: bool) -> None:
    """Put an answer into the publisher's response; to HEAD with its length only."""
    response.setStatus(int(answer.status))
    for name, value in {**always, **answer.headers}.items():
        response.setHeader(name, value)
    body = answer.body or b""
    if isinstance(body, bytes):
        if body or not response.getHeader("Content-Length"):
            response.setHeader("Content-Length", str(len(body)))
        if not head:
            response.setBody(body)
    elif head:
        body.close()
    else:
        response.setBody(body)
