"""Constants of the wire: HTTP API version 1, in one place for views and tests.

The client has its own copy in `ebulk.protocol`: client and server share nothing but the wire.
"""

API_VERSION = "v1"

KIB = 1024
MIB = 1024 * KIB

SMALL_FILE_SIZE = 256 * KIB
"""Files below this size, in bytes, travel in bundles and share a byte stream (a pack)."""

BUNDLE_SIZE = 64 * MIB
"""The most content bytes one bundle may carry: it is stored in a single transaction."""

PLAN_LENGTH = 10_000
"""The most files one plan request may name."""

SLICE_SIZE = 64 * MIB
"""The most content bytes one transaction writes."""

CONTENT_ENCODINGS = ("zstd", "gzip", "deflate")
"""In which the bodies of requests may come, beside plain."""

LIST_LIMIT = 100
"""How many items a list answers unless `limit` says otherwise."""

LIST_LIMIT_MAX = 10_000

TUS_VERSION = "1.0.0"
TUS_EXTENSIONS = ("creation", "creation-with-upload", "checksum", "expiration", "termination")
TUS_CHECKSUM_ALGORITHMS = ("sha256", "sha1", "md5", "crc32")

UPLOAD_LIFETIME = 7 * 24 * 3600
"""Seconds after its last sign of life until an ingestion and its uploads expire."""

FILE_MODES = ("100644", "100755", "120000", "040000")
"""git's modes: regular file, executable file, symbolic link (its content is the target), folder (without content)."""
