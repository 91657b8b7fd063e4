"""Constants of the wire: HTTP API version 1, as `docs/protocol.rst` has them.

The server has its own copy: client and server share nothing but the wire.
"""

API_PATH = "/api/v1"

KIB = 1024
MIB = 1024 * KIB

SMALL_FILE_SIZE = 256 * KIB
"""Files below this size, in bytes, travel in bundles."""

BUNDLE_SIZE = 16 * MIB
"""About how many content bytes the client puts into one bundle (the server takes up to 64 MiB)."""

BUNDLE_LENGTH = 4_000
"""The most files the client puts into one bundle."""

PLAN_LENGTH = 5_000
"""How many files one plan request names (the server takes up to 10,000)."""

MANIFEST_LIMIT = 10_000
"""Manifest entries asked for in one request."""

TUS_VERSION = "1.0.0"

UPLOAD_CHUNK_SIZE = 16 * MIB
"""Bytes of one PATCH: what a broken connection can cost at the most."""
