"""Access and audit events: what was asked of the lake, who changed what, and whose login was refused.

Two loggers of the standard library. What a record says as data is the dict in its attribute `fields`, whose values are
text, numbers and None; `portal.log_forward` sends it to fluentd. The access log's file takes the record's text.

No field holds a password, a token, a query string or a body. docs/operations.rst lists the fields.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

ACCESS = logging.getLogger("wendelin.access")
AUDIT = logging.getLogger("wendelin.audit")

Fields = Mapping[str, str | int | float | None]

ACCESS.setLevel(logging.INFO)
AUDIT.setLevel(logging.INFO)
# only who asks for audit events gets them: in the server's own log they would repeat what the access log has
AUDIT.propagate = False


def log_access(fields: Fields, text: str = "", *arguments: object) -> None:
    """Tell of a request, or of a connection that has ended; `text % arguments` is the line for a file."""
    ACCESS.info(text, *arguments, extra={"fields": fields})


def log_audit(event: str, fields: Fields) -> None:
    """Tell of a change, once it is committed ('change'), or of a refusal ('login_refused', 'access_denied')."""
    AUDIT.info(event, extra={"fields": {"event": event, **fields}})
