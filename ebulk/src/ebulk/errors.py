"""What can go wrong, each with its exit code (a fixed contract, see `docs/protocol.rst` and `ebulk --help`).

::

    EbulkError                exit code 1   the operation failed
    ├── NotFoundError                   1   the lake has no such data set, version or file
    ├── ChangedError                    1   a file changed while it was sent
    ├── DiskFullError                   1   a disk has no room, here or at the lake
    ├── UsageError                      2   the command line can't be carried out as written
    ├── NotAuthorisedError              3   who asks is unknown to the lake, or may not
    ├── NetworkError                    4   the network gave up; the same command again resumes
    ├── ConflictError                   5   someone else's push changed the same paths, or local changes are in the way
    └── IntegrityError                  6   bytes are not what their digest says

`str(error)` says what happened and to what; `hint` is one line that says what to do next.
KeyboardInterrupt is 130, and the same command again resumes.
"""

from __future__ import annotations


class EbulkError(Exception):
    """Base of all errors; `hint` says what to do next."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class NotFoundError(EbulkError):
    """The lake has no such data set, version, file or ingestion, or shows none to who asks."""


class ChangedError(EbulkError):
    """A file changed or vanished while it was sent; the message names it."""


class DiskFullError(EbulkError):
    """A disk has no room: the folder's, or the lake's."""


class UsageError(EbulkError):
    """The command line can't be carried out as written."""

    exit_code = 2


class NotAuthorisedError(EbulkError):
    """The lake does not know who asks, or does not let them."""

    exit_code = 3


class NetworkError(EbulkError):
    """The network gave up after all retries; what was sent is kept."""

    exit_code = 4


class ConflictError(EbulkError):
    """Two people changed the same paths; `paths` names them."""

    exit_code = 5

    def __init__(self, message: str, hint: str = "", paths: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint)
        self.paths = paths


class IntegrityError(EbulkError):
    """Bytes are not what their digest says."""

    exit_code = 6
