"""What a function of the API returns, as a response."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

JSON = "application/json"
NO_STORE = {"Cache-Control": "no-store"}
"""Of all JSON: it depends on who asks, and on the moment."""


@dataclass
class Answer:
    """A response: `body` is bytes, what the publisher takes as a stream (`ZPublisher.Iterators`), or None for none."""

    body: Any = None
    status: int = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)


def as_json(data: Any, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None) -> Answer:
    """Plain data in JSON."""
    return json_text(json.dumps(data, ensure_ascii=False, separators=(",", ":")), status, headers)


def json_text(text: str, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None) -> Answer:
    """Text that is JSON already; what is no Unicode, such as half a character, is escaped, as JSON allows."""
    return Answer(
        text.encode("utf-8", "backslashreplace"), status, {"Content-Type": JSON, **NO_STORE, **(headers or {})}
    )


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
    body = answer.body
    if body is None or isinstance(body, bytes):
        if body is not None or not response.getHeader("Content-Length"):
            response.setHeader("Content-Length", str(len(body or b"")))
        if body and not head:
            response.setBody(body)
    elif head:
        body.close()
        response._streaming = 1  # its length is not known, so the response has none
    else:
        response.setBody(body)
