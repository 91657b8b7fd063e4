"""What can go wrong, as exceptions; `views` has the one table that maps them to HTTP statuses.

::

    WendelinError
    ├── BadInput            the request can't be understood, and repeating it won't help        400
    │   └── BadPath         a path that no data set may hold                                    400
    ├── NotAuthorised       who asks is unknown, or may not                                     401, 403
    ├── NotFound            no such data set, version, file, ingestion, upload                  404
    │   └── Gone            it was there and has expired                                        410
    ├── Conflict            the state of things forbids it                                      409
    │   ├── WrongOffset     a chunk that does not begin where the upload ends                   409
    │   ├── PushConflict    another push changed the same paths                                 409
    │   └── WrongState      the document's workflow has no such transition from here            409
    ├── Incomplete          content is missing                                                  422
    ├── DigestMismatch      content is not what its digest says                                 422
    │   └── ChecksumMismatch  a chunk is not what Upload-Checksum says                          460
    ├── TooLarge            over a limit, which `detail` names                                  413
    ├── PreconditionFailed  If-Match names other content                                        412
    ├── RangeNotSatisfiable                                                                     416
    ├── ScriptError         a script of the site failed; the text names its line                500
    ├── StorageFull         the disk has no room                                                507
    └── NotReady            it takes longer than a request may; repeating it goes on            503

`str(error)` is a sentence for a person: what happened, to what, what to do. `extra` holds members for the
problem document (RFC 9457), such as `paths` or `offset`.
"""

from __future__ import annotations

from typing import Any


class WendelinError(Exception):
    """Base of all errors a user may meet."""

    def __init__(self, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.extra = extra


class BadInput(WendelinError): ...


class BadPath(BadInput): ...


class NotAuthorised(WendelinError): ...


class NotFound(WendelinError): ...


class Gone(NotFound): ...


class Conflict(WendelinError): ...


class WrongOffset(Conflict): ...


class PushConflict(Conflict): ...


class WrongState(Conflict): ...


class Incomplete(WendelinError): ...


class DigestMismatch(WendelinError): ...


class ChecksumMismatch(DigestMismatch): ...


class TooLarge(WendelinError): ...


class PreconditionFailed(WendelinError): ...


class RangeNotSatisfiable(WendelinError): ...


class ScriptError(WendelinError): ...


class StorageFull(WendelinError): ...


class NotReady(WendelinError): ...
