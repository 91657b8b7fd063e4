"""The header Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): what is sent again is known by it."""

from __future__ import annotations

import re

from Products.ERP5Wendelin.errors import BadInput

KEY = "Idempotency-Key"

_STRING = re.compile(r'"((?:[^"\\]|\\["\\])*)"')
"""Structured Field Values, RFC 9651: a String."""


def parse_key(header: str | None) -> bytes | None:
    """The key, in quotes or without; None: there is none.

    It counts together with the bytes, so that somebody who sends one key with everything loses nothing.
    """
    text = (header or "").strip()
    if text.startswith('"'):
        string = _STRING.match(text)
        if string is None:
            raise BadInput(f"The header {KEY} is no string: write a quote or a backslash in it with a backslash.")
        text = string[1]
    if "${" in text:
        raise BadInput(
            f"The header {KEY} is {text!r}: a placeholder that fluentd has not filled in. In the configuration of its "
            "output it belongs into headers_from_placeholders, and not into headers."
        )
    return text.encode("latin-1") or None
