"""A lake, and who asks it."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from ebulk.errors import UsageError
from ebulk.library.array import Array
from ebulk.library.elements import Elements
from ebulk.library.numpy import numpy_for
from ebulk.library.progress import Told, observer_for
from ebulk.library.stream import Stream
from ebulk.local.folder import Folder
from ebulk.local.names import check_directory, check_reference
from ebulk.local.sending import KEY_SIZE, Sending
from ebulk.model import ArrayInfo, DataSetInfo, FileEntry, StreamInfo, VersionInfo
from ebulk.remote.coding import Compress
from ebulk.remote.credentials import Basic, Bearer, Credentials
from ebulk.remote.lake import Lake as RemoteLake
from ebulk.user import User
from ebulk.verbs.observer import Observer
from ebulk.verbs.push_array import ArrayPushReport, push, push_file

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike

logger = logging.getLogger("ebulk")


class Lake:
    """A data lake at `url`; the one that the environment names, or that of the last login, unless given.

    It is asked with `token`, or as `user` with `password`; without any, with the token of `EBULK_TOKEN` or of the
    login, and where there is none, anonymously. A context manager, which closes its connections.

    A request on which nothing moves for `stall_timeout` seconds is tried again, and given up after `retry_max_time`
    seconds without progress. `limit_rate` is in bytes a second, for all transfers together. `compress` says whether
    bytes travel compressed: "auto" (where it is worth it), "always" or "never".
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        user: str | None = None,
        password: str | None = None,
        limit_rate: int | None = None,
        compress: Compress = "auto",
        stall_timeout: float = 60.0,
        retry_max_time: float = 600.0,
    ) -> None:
        me = User(os.environ)
        url = me.url(url)
        self._remote = me.lake(
            url,
            _credentials(token, user, password) or me.credentials(url),
            logger.warning,
            limit_rate=limit_rate,
            compress=compress,
            stall_timeout=stall_timeout,
            retry_max_time=retry_max_time,
        )

    def __repr__(self) -> str:
        return f"<ebulk.Lake {self.url}>"

    def __enter__(self) -> Lake:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Where it is."""
        return self._remote.url

    def data_set(self, reference: str) -> DataSetInfo:
        """A data set. NotFoundError when there is none, or none for who asks."""
        return self._remote.data_set(check_reference(reference))

    def versions(self, reference: str) -> Iterator[VersionInfo]:
        """The versions of a data set, newest first."""
        return self._remote.versions(check_reference(reference))

    def files(self, reference: str, version: int | None = None, directory: str = "") -> Iterator[FileEntry]:
        """The files of a version (the newest unless given) by path: all, or those of one folder."""
        folder = check_directory(directory)
        return self._remote.manifest(check_reference(reference), version, f"{folder}/" if folder else "")[1]

    def streams(self, search: str = "", state: str = "") -> Iterator[StreamInfo]:
        """The streams by reference: all that one may see, or those that have some words, or are in one state."""
        return self._remote.streams(search, state)

    def stream(self, reference: str) -> Stream:
        """A stream, to read and to follow."""
        return Stream(self._remote, reference)

    def arrays(self, search: str = "", state: str = "") -> Iterator[ArrayInfo]:
        """The arrays by reference: all that one may see, or those that have some words, or are in one state."""
        return self._remote.arrays(search, state)

    def array(self, reference: str) -> Array:
        """An array, to read and to write."""
        return Array(self._remote, reference)

    def create_array(self, reference: str, shape: Sequence[int], dtype: DTypeLike, title: str = "") -> Array:
        """Make an array of zeros. ConflictError: there is one with another shape or dtype."""
        descr = Elements(numpy_for("An array").empty(0, dtype), reference).descr
        return Array(self._remote, reference, self._remote.create_array(reference, tuple(shape), descr, title))

    def save_array(
        self,
        reference: str,
        array: ArrayLike | str | os.PathLike[str],
        *,
        append: bool = False,
        progress: Observer | Told | None = None,
    ) -> ArrayPushReport:
        """Send an ndarray, or the .npy file of this path, in place of an array, which is made if there is none.

        It is seen when all of it has come. With `append`, piece by piece, behind the end of the array. A file that was
        broken off goes on; NumPy is not needed for one.
        """
        observer = observer_for(progress)
        if isinstance(array, str | os.PathLike):
            return push_file(self._remote, reference, Path(array), append=append, observer=observer)
        source = Elements(numpy_for("An array").asarray(array), reference)
        sending = Sending({}, secrets.token_hex(KEY_SIZE))
        return push(self._remote, reference, source, sending, append=append, observer=observer)

    def close(self) -> None:
        """Close all connections."""
        self._remote.close()


@contextmanager
def opened(lake: Lake | str | None, folder: Folder | None = None) -> Iterator[RemoteLake]:
    """What verbs ask: a lake that the caller has and keeps open, or one at a URL, or that of the folder or the user."""
    if isinstance(lake, Lake):
        yield lake._remote
        return
    with Lake(User(os.environ).url(lake, folder)) as made:
        yield made._remote


def _credentials(token: str | None, user: str | None, password: str | None) -> Credentials | None:
    if (user is None) != (password is None) or None not in (token, user):
        raise UsageError("A lake is asked with a token, or as a user with a password.", "Give one or the other.")
    if token is not None:
        return Bearer(token)
    return None if user is None or password is None else Basic(user, password)
