"""Whether an array has changes that its transaction has not committed: what others, and snapshots, do not see."""

from __future__ import annotations

from BTrees.LOBTree import LOBucket
from wendelin.bigfile.file_zodb import ZBigFile, ZBlkBase
from ZODB.utils import z64

from .array import Array


def is_changed(array: Array) -> bool:
    """Whether anything was written to an array in the transaction under way: directly, through a mapping, or a resize.

    Also for one that is new.
    """
    connection = array._p_jar
    if connection is None or array._p_serial == z64:
        return True
    if connection._savepoint_storage is not None:
        return True  # for all that is known: what a savepoint has put aside counts as unchanged
    zarray = array.zarray
    zfile = zarray.zfile
    if zfile._p_jar is None or any(handle.zfileh.isdirty() for handle in zfile._v_filehset):
        return True
    of_array = {id(each) for each in (array, zarray, zfile, zfile.blktab)}
    return any(id(each) in of_array or _has_block_of(zfile, each) for each in connection._registered_objects)


def _has_block_of(zfile: ZBigFile, changed: object) -> bool:
    """Whether an object that changed is a block of a file, or a part of a tree of blocks with a new one of it.

    Blocks that were written are bound to their file.
    """
    if isinstance(changed, LOBucket):
        return any(isinstance(zblk, ZBlkBase) and zblk._v_zfile is zfile for zblk in changed.values())
    return isinstance(changed, ZBlkBase) and changed._v_zfile is zfile
