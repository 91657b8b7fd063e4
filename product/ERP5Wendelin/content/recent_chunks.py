"""RecentChunks: the ids of the chunks that a stream has taken last, so that one that is sent again is not stored again.

At least the last 65,536 ids are known, and twice as many at most: of a tag that 50 agents send to once a second those
of 20 to 40 minutes, of one agent's those of a day. An agent that had no answer sends again within minutes (fluentd: 190
seconds after it began to wait).

An id is any byte string. It is kept by 16 bytes of its BLAKE2b, whatever its length: the digests are spread evenly, and
a chunk would be taken for another one once in 10^33.

The records are chosen so that an id costs little, stored by itself in a commit, and so that a look-up reads three of
16 KiB at the most, however many ids there are; a set in one record would be 1 MiB, in each commit and in the cache of
each connection. As in a log-structured merge tree, new digests wait in the record of RecentChunks, in the order of
their arrival; each 32 go to a page behind it, and each 1,024 from there to the 64 pages of a generation. All in all an
id writes about 1 KiB: a quarter where it is new, a quarter on the first page, a half on the last. A generation that is
full becomes the one before, and the one before that is forgotten.

State (public format). RecentChunks: `newest` (bytes: digests, one after the other), `waiting` (Page, or None),
`generation` and `before` (Generation, or None). Generation: `pages` (a tuple of 64 Page), `count` (digests in them).
Page: `digests` (bytes; in a generation those of which the first byte modulo 64 is the page's place).
"""

from __future__ import annotations

from hashlib import blake2b

from AccessControl.SecurityInfo import ClassSecurityInfo
from ExtensionClass import Base as ExtensionClass
from persistent import Persistent

from Products.ERP5Wendelin.content.declaration import declared

DIGEST_SIZE = 16
"""Bytes of an id's digest."""

NEWEST = 32
"""How many digests make the record of RecentChunks full."""

WAITING = 1024
"""How many digests make the page full on which they wait for a generation's."""

PAGES = 64
"""Pages of a generation."""

GENERATION = 65_536
"""How many digests a generation has when the next one is begun."""


class Page(Persistent):
    """Some digests."""

    digests = b""


class Generation(Persistent):
    """Digests by their first byte."""

    def __init__(self) -> None:
        self.pages = tuple(Page() for _ in range(PAGES))
        self.count = 0

    def __contains__(self, digest: bytes) -> bool:
        return _has(self.pages[digest[0] % PAGES].digests, digest)

    def add(self, digests: bytes) -> None:
        """Take digests in."""
        found: dict[int, list[bytes]] = {}
        for start in range(0, len(digests), DIGEST_SIZE):
            found.setdefault(digests[start] % PAGES, []).append(digests[start : start + DIGEST_SIZE])
        for number, own in found.items():
            page = self.pages[number]
            page.digests += b"".join(own)
        self.count += len(digests) // DIGEST_SIZE


class RecentChunks(Persistent):
    """The ids that were added last. Two transactions that add conflict."""

    newest = b""
    waiting: Page | None = None
    generation: Generation | None = None
    before: Generation | None = None

    def __contains__(self, id: bytes) -> bool:
        digest = _digest(id)
        generations = (each for each in (self.generation, self.before) if each is not None)
        rows = (self.newest, b"" if self.waiting is None else self.waiting.digests)
        return any(_has(row, digest) for row in rows) or any(digest in each for each in generations)

    def add(self, id: bytes) -> None:
        """Remember an id in the current transaction, and forget the oldest if there are too many."""
        self.newest += _digest(id)
        if len(self.newest) == NEWEST * DIGEST_SIZE:
            waiting = self.waiting = self.waiting or Page()
            waiting.digests += self.newest
            self.newest = b""
            if len(waiting.digests) == WAITING * DIGEST_SIZE:
                if self.generation is None or self.generation.count >= GENERATION:
                    self.before, self.generation = self.generation, Generation()
                self.generation.add(waiting.digests)
                waiting.digests = b""


@declared
class KnowsChunks(ExtensionClass):
    """Mixed into documents that chunks are appended to. State: `recent_chunks`, None before the first chunk."""

    security = ClassSecurityInfo()
    security.declarePrivate("recent_chunks")

    recent_chunks: RecentChunks | None = None

    @security.private
    def hasChunk(self, id: bytes) -> bool:
        """Whether a chunk of this id is among those that were noted last."""
        return self.recent_chunks is not None and id in self.recent_chunks

    @security.private
    def noteChunk(self, id: bytes) -> None:
        """In the transaction that stores a chunk, remember its id."""
        if self.recent_chunks is None:
            self.recent_chunks = RecentChunks()
        self.recent_chunks.add(id)


def _digest(id: bytes) -> bytes:
    return blake2b(id, digest_size=DIGEST_SIZE).digest()


def _has(digests: bytes, digest: bytes) -> bool:
    """Whether a digest is one of those in a row; what is found across the border of two is none of them."""
    position = digests.find(digest)
    while position != -1 and position % DIGEST_SIZE:
        position = digests.find(digest, position + 1)
    return position != -1
