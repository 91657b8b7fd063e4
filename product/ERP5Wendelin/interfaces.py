"""Contracts between the layers, lowest first.

Storage knows bytes, content knows documents and entries, ingestion and download move bytes between the two and a
request. Views hold none of the logic. Each implementation has a test that it provides its interface (`verifyObject`).
"""

from __future__ import annotations

from zope.interface import Attribute, Interface

# storage


class IByteStream(Interface):
    """An append-only byte string of any size; persistent. What a reader may have seen never changes.

    Its head may be dropped. Offsets, and `size`, are counted from the first byte there ever was.
    """

    size = Attribute("Where it ends: the bytes that were ever appended.")
    start = Attribute("The first byte that was not dropped.")

    def append(data, final=False, keep_chunks=False):
        """Append a bytes-like object in the current transaction; return the new size.

        `final` promises that nothing will be appended again: the last block is then written in the format that
        reads fastest (ZBlk0) though it isn't full; otherwise an unfinished block is a ZBlk1. With `keep_chunks` one
        that large pieces fill stays a ZBlk1, so that its bytes are written once; it is not shared with other streams.
        """

    def take_over(other, stop):
        """Append what another stream has from this one's end on, in the current transaction; return the new size.

        Whole blocks are shared. As much as a transaction may write: to be called until `stop` is reached.
        """

    def drop(before):
        """Drop whole blocks (2 MiB) before an offset, in the current transaction; return the new `start`.

        As much as a transaction may write: to be called until `start` is less than a block before the offset.
        """

    def unshared(other):
        """Iterate over the ranges (start, stop) of its bytes that are not in blocks it shares with another stream."""

    def chunks(start=0, stop=None):
        """Iterate over the bytes from `start` up to `stop` as bytes-like objects of at most a block (2 MiB) each.

        Reads blocks directly, never a mapped view, and deactivates each as soon as its bytes are out.
        ValueError when the range is not within the stream, or begins before `start`.
        """

    def read(start, stop):
        """The bytes from `start` up to `stop`, in memory."""

    def release():
        """Let this connection forget what only appending needs; for a writer who is done and has committed."""


class IDataBucket(Interface):
    """An ordered mapping from keys to byte strings; persistent. Each value is a record of its own.

    The keys of a bucket are all text, all bytes, all numbers or all aware datetimes.
    """

    def get(key, default=None):
        """The bytes of a key, or `default`."""

    def set(key, data):
        """Store bytes under a key. TooLarge beyond SLICE_SIZE; BadInput for a key of another kind than the others."""

    def delete(key):
        """Remove a key. NotFound when it isn't there."""

    def keys(start=None, stop=None):
        """Iterate in order over the keys from `start` up to, not including, `stop`."""

    def items(start=None, stop=None):
        """Iterate in order over (key, bytes) from `start` up to, not including, `stop`."""

    def __contains__(key):  # noqa: PLE0302
        """Whether it has a key."""

    def __len__():
        """The number of keys."""


class IArray(Interface):
    """An n-dimensional array over wendelin.core's ZBigArray, in C order; persistent. No dtype that holds objects."""

    zarray = Attribute("The ZBigArray, for batch scripts that map it.")
    shape = Attribute("Its length along each axis.")
    dtype = Attribute("The numpy.dtype of its elements.")
    ndim = Attribute("How many axes it has.")
    size = Attribute("How many elements it has.")
    nbytes = Attribute("How many bytes its elements take.")

    arrays = Attribute("The arrays of the database that are read where it is: itself. (Windows have those they show.)")

    def on(connection):
        """The same over another connection to the database, as of a snapshot."""

    def __len__():
        """Its length along the first axis."""

    def __array__(dtype=None):
        """All of it in memory, for functions that take arrays."""

    def rename(names):
        """Give its columns other names. BadInput: it has not as many columns, or these can't be names."""

    def append(values):
        """Append along the first axis. BadInput when the other axes differ."""

    def resize(shape):
        """Change the length of the first axis: what is cut off is gone, what is added is zeros. BadInput: another."""

    def __getitem__(index):  # noqa: PLE0302
        """A basic slice (integers, slices, `...`) as a new ndarray, or one element. BadInput for any other index."""

    def __setitem__(index, values):  # noqa: PLE0302
        """Write values, or one for all, to a basic slice in the current transaction. BadInput if shapes don't fit."""


# content


class IManifest(Interface):
    """Which files each version of a data set has; persistent.

    An entry is a `content.entry.Entry`: (stream, offset, size, digest, mtime_ns, mode), `digest` 32 raw bytes, `stream`
    an IByteStream or None for an empty file. The newest version is one BTree from path to entry; a version keeps the
    entries that its commit replaced, so an older version is read by laying the replaced entries of all later commits
    over the newest.
    """

    version = Attribute("Number of the newest version; 0 before the first commit.")
    file_count = Attribute("Files in the newest version.")
    size = Attribute("Bytes in the newest version.")

    def get(path, version=None):
        """The entry of a path, or None; in the newest version unless `version` is given. NotFound: no such version."""

    def items(prefix="", after="", version=None):
        """Iterate over (path, entry) by code points: paths beginning with `prefix` and greater than `after`."""

    def find_content(digest):
        """An entry with this sha-256 (32 bytes), from any version, or None."""

    def refuse_clash(path):
        """PushConflict if a file of this path would be file and folder at once with one of the newest version."""

    def versions(before=None):
        """Iterate over versions, newest first; only those with a smaller number than `before`."""

    def get_version(number):
        """The version (number, date, author, message, added, modified, removed, size, file_count), or NotFound."""

    def changed_since(version):
        """The set-like, ordered collection of paths that commits after `version` changed."""

    def commit(staged, removed, author, message, date):
        """Make the next version in the current transaction and return it.

        `staged`: OOBTree path -> entry; `removed`: iterable of paths. On an empty manifest `staged` is adopted as it
        is, and no entry is copied. PushConflict when a path would be file and folder at once.
        Where nothing changes no version is made, and None is returned.
        """


class IDataSet(Interface):
    """A data set: `reference`, `title`, `description`, state by workflow, and `manifest`."""

    manifest = Attribute("IManifest")

    def getReference():
        """The name users know it by."""

    def getValidationState():
        """'draft', 'validated', 'published' or 'invalidated'."""

    def commit(staged, removed, author, message, date):
        """Commit to the manifest (same arguments, same result), validate a draft, tell the catalogue and the module.

        What a push calls when it stops, as the user who pushes.
        """

    def changeState(transition):
        """'validate', 'publish' or 'invalidate' it. WrongState: not from its state. NotAuthorised: not by this user."""


class IDataSetModule(Interface):
    """Holds the data sets. References are unique by a BTree that two concurrent additions conflict in."""

    def newDataSet(reference, title="", description=""):
        """Add a data set in state draft and return it. BadInput for a bad reference; Conflict if it exists."""

    def getDataSet(reference, default=None):
        """The data set of a reference, whatever its state, wrapped in acquisition; no permission is checked."""

    def searchDataSets(search="", state="", after="", limit=100):
        """Data sets the current user may view, by reference, through the catalogue."""

    def findContent(digest, may_view):
        """An entry with this content in any data set for which `may_view(data_set)`, or None (large files only)."""


class IDataIngestion(Interface):
    """One arrival of data: state 'started', 'stopped' (then, once all is made of it, 'delivered') or 'cancelled'.

    `data_set` (reference), `base_version`, `message`, `author`, `created`, `modified` (datetime, UTC), `expires`,
    `staged` (OOBTree path -> entry: received or taken over), `expected` (OOBTree path -> (size, digest, mtime_ns,
    mode): planned, not received), `removed` (OOTreeSet of paths), `uploads` (OOBTree id -> content.upload.Upload,
    complete ones too), `result` (dict or None).
    """

    def getSimulationState():
        """'started', 'stopped', 'delivered' or 'cancelled'."""

    def getReceived():
        """(files, bytes) that have been received or taken over; when it has ended, that were."""


class IScript(Interface):
    """A Python script of the site; see `content.python_script`."""


# ingestion: functions in `ingestion.session`, `ingestion.bundle`, `ingestion.upload`, listed here for who calls them
#
#   session.start(data_set, author, message="", base_version=None) -> ingestion
#   session.plan(ingestion, files, removed, renamed, may_view) -> list of missing paths
#       files: iterable of ingestion.session.PlannedFile(path, size, digest, mtime_ns, mode)
#   session.stop(ingestion, author, base_version=None) -> {"version", "added", "modified", "removed"}
#   session.cancel(ingestion)
#   bundle.receive(ingestion, source) -> list of (path, size, digest)       source: file-like tar
#   locks.serialised(key): a transaction, one at a time of those with the same key; commits at its end
#   upload.create(ingestion, path, length, digest, mtime_ns, mode, metadata="", base=None) -> Upload
#       None: as planned; base: ingestion.delta.Base(digest, size, changed), a content of the data set to start from
#   upload.get(ingestion, id) -> Upload
#   upload.receive(database, upload, offset, source, length, checksum=None) -> new offset
#       commits in slices of its own, on its own connection; completes the upload with the last byte
#   upload.terminate(ingestion, upload)
#
# download: `download.reader.StreamReader(database, oid, start, stop)`: seekable file and IStreamIterator
#   `download.archive.Archive(database, manifest_oid, version, prefix="", paths=None)`: IUnboundStreamIterator of a tar
#   `download.signature.Signature(database, oid, offset, size, start, stop)`: IStreamIterator of digests of blocks
#   all outlive the request, and hold no connection between reads
#   `download.delta.changed(entry, base)`: iterator of ranges

# site


class IAccessTokens(Interface):
    """Bearer tokens, kept by sha-256 only; a plugin of PluggableAuthService in `acl_users.access_tokens`."""

    def newToken(user_id, title):
        """Make a token; return (id, token). `token` is shown once and never stored."""

    def listTokens(user_id):
        """Dicts with id, title, created, used."""

    def removeToken(user_id, id):
        """Forget a token. NotFound if this user has none of that id."""
