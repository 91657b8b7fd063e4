"""Push and pull data sets of hundreds of gigabytes over slow and unreliable networks, as easy as git.

::

    import ebulk

    ebulk.clone("brain_mri")
    ...
    ebulk.push("brain_mri", "corrected", all=True)

Names are loaded when they are first used, so that `import ebulk` and `ebulk --version` are fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ebulk.version import __version__

if TYPE_CHECKING:
    from ebulk.errors import (
        ChangedError,
        ConflictError,
        DiskFullError,
        EbulkError,
        IntegrityError,
        NetworkError,
        NotAuthorisedError,
        NotFoundError,
        UsageError,
    )
    from ebulk.library.array import Array, Block
    from ebulk.library.data_set import add, clone, diff, init, log, open_folder, pull, push, remove, reset, status
    from ebulk.library.lake import Lake
    from ebulk.library.logins import login, logout
    from ebulk.library.progress import Snapshot
    from ebulk.library.stream import Stream
    from ebulk.local.folder import Folder
    from ebulk.model import ArrayInfo, DataSetInfo, FileEntry, Record, StreamInfo, VersionInfo
    from ebulk.verbs.diff import DiffReport
    from ebulk.verbs.observer import Observer
    from ebulk.verbs.pull import PullReport
    from ebulk.verbs.pull_array import ArrayReport
    from ebulk.verbs.pull_stream import StreamReport
    from ebulk.verbs.push import PushReport
    from ebulk.verbs.push_array import ArrayPushReport
    from ebulk.verbs.stage import StageReport
    from ebulk.verbs.status import StatusReport

__all__ = [
    "Array",
    "ArrayInfo",
    "ArrayPushReport",
    "ArrayReport",
    "Block",
    "ChangedError",
    "ConflictError",
    "DataSetInfo",
    "DiffReport",
    "DiskFullError",
    "EbulkError",
    "FileEntry",
    "Folder",
    "IntegrityError",
    "Lake",
    "NetworkError",
    "NotAuthorisedError",
    "NotFoundError",
    "Observer",
    "PullReport",
    "PushReport",
    "Record",
    "Snapshot",
    "StageReport",
    "StatusReport",
    "Stream",
    "StreamInfo",
    "StreamReport",
    "UsageError",
    "VersionInfo",
    "__version__",
    "add",
    "clone",
    "diff",
    "init",
    "log",
    "login",
    "logout",
    "open_folder",
    "pull",
    "push",
    "remove",
    "reset",
    "status",
]

_MODULES = {
    "ebulk.errors": tuple(name for name in __all__ if name.endswith("Error")),
    "ebulk.library.array": ("Array", "Block"),
    "ebulk.library.data_set": (
        "add",
        "clone",
        "diff",
        "init",
        "log",
        "open_folder",
        "pull",
        "push",
        "remove",
        "reset",
        "status",
    ),
    "ebulk.library.lake": ("Lake",),
    "ebulk.library.logins": ("login", "logout"),
    "ebulk.library.progress": ("Snapshot",),
    "ebulk.library.stream": ("Stream",),
    "ebulk.local.folder": ("Folder",),
    "ebulk.model": ("ArrayInfo", "DataSetInfo", "FileEntry", "Record", "StreamInfo", "VersionInfo"),
    "ebulk.verbs.diff": ("DiffReport",),
    "ebulk.verbs.observer": ("Observer",),
    "ebulk.verbs.pull": ("PullReport",),
    "ebulk.verbs.pull_array": ("ArrayReport",),
    "ebulk.verbs.pull_stream": ("StreamReport",),
    "ebulk.verbs.push": ("PushReport",),
    "ebulk.verbs.push_array": ("ArrayPushReport",),
    "ebulk.verbs.stage": ("StageReport",),
    "ebulk.verbs.status": ("StatusReport",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Load a public name (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
