"""Chunks that are decompressed beside the loop: one after the other, whatever becomes of one."""

from __future__ import annotations

import asyncio
import gzip

import pytest

from Products.ERP5Wendelin.errors import TooLarge, WendelinError
from Products.ERP5Wendelin.ingestion.forward import decompressor
from Products.ERP5Wendelin.ingestion.forward.decompressor import Decompressor
from Products.ERP5Wendelin.ingestion.forward.message import Events
from support.forward import entries

MANY = entries(50_000)
PACKED = Events("tag", gzip.compress(MANY), "a", "gzip")
FEW = Events("tag", gzip.compress(entries(1)), "b", "gzip")


def test_a_stop_waits_for_what_is_put_when_another_chunk_is_done() -> None:
    found: list[Events | WendelinError] = []

    async def run() -> None:
        queue = Decompressor(lambda: True)

        def go_on(outcome: Events | WendelinError) -> None:
            found.append(outcome)
            queue.put(PACKED, found.append)  # as a connection does with the next chunk of what it has read

        queue.put(FEW, go_on)
        await queue.stop()
        assert queue.held == 0

    asyncio.run(run())
    assert found == [Events("tag", entries(1), "b"), Events("tag", MANY, "a")]


def test_a_chunk_for_which_there_is_no_memory_is_refused_and_the_next_one_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expand = decompressor.expand

    def without_memory(events: Events) -> Events:
        if events is PACKED:
            raise MemoryError
        return expand(events)

    monkeypatch.setattr(decompressor, "expand", without_memory)
    found: list[Events | WendelinError] = []

    async def run() -> None:
        queue = Decompressor(lambda: True)
        queue.put(PACKED, found.append)
        queue.put(FEW, found.append)
        await queue.stop()

    asyncio.run(asyncio.wait_for(run(), 60))
    assert isinstance(found[0], TooLarge)
    assert str(found[0]) == "there is no memory left to look at a chunk of the tag 'tag'"
    assert found[1:] == [Events("tag", entries(1), "b")]


def test_a_connection_that_fails_to_take_its_chunk_holds_up_no_other() -> None:
    found: list[Events | WendelinError] = []
    failures: list[str] = []

    def fail(outcome: Events | WendelinError) -> None:
        raise RuntimeError("out of order")

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, about: failures.append(str(about["exception"])))
        queue = Decompressor(lambda: True)
        queue.put(FEW, fail)
        queue.put(FEW, found.append)
        await queue.stop()

    asyncio.run(asyncio.wait_for(run(), 60))
    assert failures == ["out of order"]
    assert found == [Events("tag", entries(1), "b")]
