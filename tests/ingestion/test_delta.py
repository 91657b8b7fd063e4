"""Uploads that start from a content of their data set: what is reused, and what ends, breaks or changes meanwhile."""

from __future__ import annotations

import errno
import io
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
import transaction

from Products.ERP5Wendelin.errors import DigestMismatch, Gone, NotFound, NotReady, WrongOffset
from Products.ERP5Wendelin.ingestion import session, upload
from Products.ERP5Wendelin.ingestion.delta import Base, reused
from Products.ERP5Wendelin.ingestion.turns import Turns
from Products.ERP5Wendelin.protocol import UPLOAD_LIFETIME
from Products.ERP5Wendelin.storage import stream
from Products.ERP5Wendelin.storage.block import BLOCK_SIZE
from Products.ERP5Wendelin.storage.digest import RunningDigests
from Products.ERP5Wendelin.storage.stream import ByteStream
from support.held import Held, in_thread
from support.pattern import pattern
from support.pushes import content_of, plan, push, send_large, start, stop

B = BLOCK_SIZE
OLD = pattern(0, 3 * B + 5000)
GROWN = OLD + pattern(9, 3009)
EDITED = OLD[:B] + pattern(5, 5 + B) + OLD[2 * B :]


def digest_of(content: bytes) -> bytes:
    return sha256(content).digest()


def base_of(content: bytes, changed: tuple[tuple[int, int], ...] = ()) -> Base:
    return Base(digest_of(content), len(content), changed)


@pytest.fixture
def with_old(data_set: Any) -> Any:
    """The data set, with OLD as `big` in version 1."""
    ingestion = start(data_set)
    send_large(ingestion, "big", OLD)
    stop(ingestion)
    return data_set


def create(ingestion: Any, new: bytes, base: Base) -> Any:
    """An upload of `new`, committed; nothing has moved on yet."""
    made = upload.create(ingestion, "big", len(new), digest_of(new), None, None, "", base)
    transaction.commit()
    return made


def receive(made: Any, offset: int, content: bytes) -> int:
    """Send a piece, as a request of its own would."""
    transaction.begin()
    try:
        return upload.receive(made._p_jar.db(), made, offset, io.BytesIO(content), len(content))
    finally:
        transaction.begin()


def send(made: Any, new: bytes, changed: tuple[tuple[int, int], ...] = ()) -> int:
    """Send what has to be sent, range by range; how many bytes that was."""
    sent = 0
    offset = receive(made, 0, b"")
    while offset < len(new):
        body = new[offset : next((stop for first, stop in changed if first <= offset < stop), len(new))]
        sent += len(body)
        offset = receive(made, offset, body)
    return sent


def forget_running_digests(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a restart."""
    monkeypatch.setattr(upload, "_RUNNING", RunningDigests())
    monkeypatch.setattr(upload, "_COMPLETE", RunningDigests())


# what is reused


@pytest.mark.parametrize(
    ("size", "length", "changed", "expected"),
    [
        (10, 15, (), ((0, 10),)),
        (10, 10, (), ((0, 10),)),
        (10, 5, (), ((0, 5),)),
        (0, 5, (), ()),
        (10, 0, (), ()),
        (10, 15, ((2, 4), (6, 7)), ((0, 2), (4, 6), (7, 10))),
        (10, 15, ((0, 2), (2, 4)), ((4, 10),)),
        (10, 15, ((8, 12),), ((0, 8),)),
        (10, 15, ((12, 14),), ((0, 10),)),
        (10, 4, ((2, 4),), ((0, 2),)),
        (10, 10, ((0, 10),), ()),
    ],
)
def test_what_is_not_changed_and_the_base_has_is_reused(
    size: int, length: int, changed: tuple[tuple[int, int], ...], expected: tuple[tuple[int, int], ...]
) -> None:
    assert reused(Base(b"", size, changed), length) == expected


@pytest.mark.parametrize(
    ("new", "changed", "sent"),
    [
        (GROWN, (), 3000),
        (OLD + pattern(0, 2 * B), (), 2 * B),
        (OLD[: 2 * B + 7], (), 0),
        (OLD[:5], (), 0),
        (OLD, (), 0),
        (EDITED, ((B, 2 * B),), B),
        (OLD[:7] + b"new" + OLD[10 : B - 5] + b"x" * 9 + OLD[B + 4 :], ((7, 10), (B - 5, B + 4)), 3 + 9),
        (EDITED + b"more", ((B, 2 * B),), B + 4),
        (b"x" * len(OLD), ((0, len(OLD)),), len(OLD)),
    ],
    ids=[
        "grown",
        "grown by blocks",
        "cut within a block",
        "cut to a few bytes",
        "the same",
        "one block",
        "a few bytes",
        "one block, and grown",
        "all",
    ],
)
def test_only_what_has_changed_is_sent(
    with_old: Any, new: bytes, changed: tuple[tuple[int, int], ...], sent: int
) -> None:
    ingestion = start(with_old)
    made = create(ingestion, new, base_of(OLD, changed))
    assert send(made, new, changed) == sent
    assert (made.complete, made.base, made.reused) == (True, None, ())
    assert ingestion.staged["big"][3] == digest_of(new)
    stop(ingestion)
    assert content_of(with_old, "big") == new
    assert content_of(with_old, "big", 1) == OLD


def test_what_is_sent_counts_also_where_the_base_has_something(with_old: Any) -> None:
    new = OLD[:10] + b"x" * (B + 100) + OLD[B + 110 :]
    made = create(start(with_old), new, base_of(OLD, ((10, 20),)))
    assert receive(made, 0, b"") == 10
    assert receive(made, 10, b"x" * (B + 100)) == len(new)
    assert made.ingestion.staged["big"][3] == digest_of(new)


def test_what_is_sent_with_the_creation_counts_too(with_old: Any) -> None:
    new = b"x" * 5 + GROWN[5:]
    made = create(start(with_old), new, base_of(OLD))
    assert receive(made, 0, new[:5]) == len(OLD)
    assert receive(made, len(OLD), new[len(OLD) :]) == len(new)
    assert made.ingestion.staged["big"][3] == digest_of(new)


def test_a_file_that_grows_again_and_again_is_not_read(with_old: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "CATCH_UP_LIMIT", 0)
    monkeypatch.setattr(upload, "LAST_CATCH_UP_LIMIT", 0)
    content = OLD
    for _ in range(3):
        new = content + pattern(len(content), len(content) + B)
        ingestion = start(with_old)
        assert send(create(ingestion, new, base_of(content)), new) == B
        stop(ingestion)
        content = new
    assert content_of(with_old, "big") == content


# what can not be reused


def test_a_base_in_an_older_version_is_reused(with_old: Any) -> None:
    push(with_old, {}, removed=["big"])
    assert send(create(start(with_old), GROWN, base_of(OLD)), GROWN) == 3000


def test_a_base_of_another_data_set_is_not_reused(site: Any, with_old: Any) -> None:
    other = site.data_set_module.newDataSet("other")
    transaction.commit()
    assert send(create(start(other), GROWN, base_of(OLD)), GROWN) == len(GROWN)


def test_a_base_that_is_part_of_a_pack_is_not_reused(data_set: Any) -> None:
    push(data_set, {"a": b"1" * 1000, "b": b"2" * 1000})
    new = b"1" * 1000 + b"more"
    assert send(create(start(data_set), new, base_of(b"1" * 1000)), new) == len(new)


@pytest.mark.parametrize(
    "base",
    [
        base_of(b"unknown"),
        base_of(b""),
        Base(digest_of(OLD), len(OLD) - 1),
        Base(digest_of(OLD), 0),
    ],
    ids=["an unknown one", "nothing", "another length", "no length"],
)
def test_a_base_that_the_data_set_does_not_have_is_not_reused(with_old: Any, base: Base) -> None:
    assert send(create(start(with_old), GROWN, base), GROWN) == len(GROWN)


def test_an_empty_file_needs_no_base(with_old: Any) -> None:
    made = create(start(with_old), b"", base_of(OLD))
    assert (made.complete, list(made.ingestion.staged)) == (True, ["big"])


# what breaks


def test_content_that_is_not_what_its_digest_says_is_dropped_and_the_base_stays(lake: Any, with_old: Any) -> None:
    ingestion = start(with_old)
    made = create(ingestion, GROWN, base_of(OLD))
    wrong = pattern(1, 3001)
    with pytest.raises(DigestMismatch, match="What arrived of 'big' has the digest"):
        receive(made, receive(made, 0, b""), wrong)
    with pytest.raises(NotFound, match="It was dropped: send the file again"):
        upload.get(ingestion, made.id)
    lake.db.pack()
    assert content_of(with_old, "big") == OLD


def test_a_base_that_is_not_what_the_sender_believes_is_a_wrong_digest_at_the_end(with_old: Any) -> None:
    made = create(start(with_old), OLD[:-5] + b"other", base_of(OLD))
    with pytest.raises(DigestMismatch, match="What arrived of 'big' has the digest"):
        receive(made, 0, b"")
    assert made.dropped


@pytest.mark.parametrize("end", ["terminate", "cancel"])
def test_an_upload_that_is_given_up_leaves_the_base(lake: Any, with_old: Any, end: str) -> None:
    ingestion = start(with_old)
    made = create(ingestion, GROWN, base_of(OLD))
    receive(made, 0, b"")
    if end == "terminate":
        upload.terminate(ingestion, made)
    else:
        session.cancel(ingestion)
    transaction.commit()
    lake.db.pack()
    assert content_of(with_old, "big") == OLD
    with pytest.raises(NotFound, match="The upload of 'big' was dropped. Send the file again."):
        receive(made, len(OLD), GROWN[len(OLD) :])


def test_an_expired_upload_moves_no_further(with_old: Any) -> None:
    made = create(start(with_old), GROWN, base_of(OLD))
    made.modified -= timedelta(seconds=UPLOAD_LIFETIME + 1)
    transaction.commit()
    with pytest.raises(Gone, match="The upload of 'big' has expired"):
        receive(made, 0, b"")


def test_moving_on_is_a_sign_of_life(with_old: Any) -> None:
    made = create(start(with_old), GROWN, base_of(OLD))
    made.modified -= timedelta(days=6)
    transaction.commit()
    before = made.modified
    receive(made, 0, b"")
    assert made.modified - before > timedelta(days=5)


def test_a_file_that_was_planned_anew_meanwhile_is_dropped(with_old: Any) -> None:
    ingestion = start(with_old)
    made = create(ingestion, GROWN, base_of(OLD))
    receive(made, 0, b"")
    plan(ingestion, {"big": EDITED})
    with pytest.raises(DigestMismatch, match=f"not sha-256:{digest_of(EDITED).hex()}"):
        receive(made, len(OLD), GROWN[len(OLD) :])


class Stopped(Exception):
    """As if the process had ended."""


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_an_upload_that_stopped_on_its_way_over_the_base_goes_on(
    with_old: Any, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    monkeypatch.setattr(stream, "SHARED_BLOCKS", 1)
    made = create(start(with_old), GROWN, base_of(OLD))
    taken = []

    def stop_after(self: ByteStream, other: ByteStream, stop: int) -> int:
        if len(taken) == steps:
            raise Stopped
        taken.append(stop)
        return take_over(self, other, stop)

    take_over = ByteStream.take_over
    with monkeypatch.context() as context:
        context.setattr(ByteStream, "take_over", stop_after)
        with pytest.raises(Stopped):
            receive(made, 0, b"")
    assert made.offset == steps * B
    forget_running_digests(monkeypatch)
    # The sender goes on from where it is told, with bytes that the base has; the upload moves on behind them.
    assert receive(made, steps * B, GROWN[steps * B : steps * B + 10]) == len(OLD)
    assert receive(made, len(OLD), GROWN[len(OLD) :]) == len(GROWN)
    assert made.ingestion.staged["big"][3] == digest_of(GROWN)


class Breaks(io.BytesIO):
    """Gives its bytes, then an error of the network."""

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        if not data:
            raise ConnectionResetError(errno.ECONNRESET, "reset")
        return data


def test_a_piece_that_breaks_or_ends_early_in_what_is_reused_is_kept(with_old: Any) -> None:
    made = create(start(with_old), GROWN, base_of(OLD))
    transaction.begin()
    with pytest.raises(ConnectionResetError):
        upload.receive(made._p_jar.db(), made, 0, Breaks(GROWN[:100]), 1000)
    transaction.begin()
    assert made.offset == 100
    assert upload.receive(made._p_jar.db(), made, 100, io.BytesIO(GROWN[100:200]), 1000) == len(OLD)
    assert receive(made, len(OLD), GROWN[len(OLD) :]) == len(GROWN)


# the digest of what is reused


def test_a_digest_that_takes_longer_than_a_request_is_told_and_goes_on_with_the_next(
    with_old: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "LAST_CATCH_UP_LIMIT", B)
    made = create(start(with_old), GROWN, base_of(OLD))
    forget_running_digests(monkeypatch)
    assert receive(made, 0, b"") == len(OLD)
    for verified in (B, 2 * B, 3 * B):
        with pytest.raises(
            NotReady,
            match=f"The server verifies 'big': it has read {verified} of the bytes before byte {len(OLD)}, and goes on "
            "from there. Send the same piece again.",
        ) as caught:
            receive(made, len(OLD), GROWN[len(OLD) :])
        assert caught.value.extra == {"verified": verified}
        assert (made.offset, list(made.ingestion.staged)) == (len(OLD), [])
    assert receive(made, len(OLD), GROWN[len(OLD) :]) == len(GROWN)
    assert made.ingestion.staged["big"][3] == digest_of(GROWN)


def test_the_last_block_is_left_to_be_sent_when_too_much_is_to_be_read_before(
    with_old: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "LAST_CATCH_UP_LIMIT", 2 * B)
    made = create(start(with_old), OLD, base_of(OLD))
    assert receive(made, 0, b"") == 3 * B
    assert receive(made, 3 * B, OLD[3 * B :]) == len(OLD)
    assert made.ingestion.staged["big"][3] == digest_of(OLD)


def test_pieces_before_the_last_bring_the_digest_nearer(with_old: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "CATCH_UP_LIMIT", B)
    monkeypatch.setattr(upload, "LAST_CATCH_UP_LIMIT", 2 * B)
    made = create(start(with_old), GROWN, base_of(OLD))
    forget_running_digests(monkeypatch)
    receive(made, 0, b"")
    for offset in (len(OLD), len(OLD) + 10):
        receive(made, offset, GROWN[offset : offset + 10])
    assert receive(made, len(OLD) + 20, GROWN[len(OLD) + 20 :]) == len(GROWN)


# at the same time


def test_a_piece_behind_what_is_reused_may_be_sent_before_the_one_in_front_is_stored(lake: Any, with_old: Any) -> None:
    new = EDITED + b"more"
    made = create(start(with_old), new, base_of(OLD, ((B, 2 * B),)))
    assert receive(made, 0, b"") == B
    held = Held(new[B : 2 * B])
    first = in_thread(lake, made._p_oid, B, held, B)
    assert held.asked.wait(60)
    second = in_thread(lake, made._p_oid, len(OLD), io.BytesIO(b"more"), 4)
    held.go_on.set()
    assert (first.result(60), second.result(60)) == (len(OLD), len(new))
    transaction.begin()
    assert made.ingestion.staged["big"][3] == digest_of(new)


def test_who_moves_on_after_another_process_did_is_told_the_right_offset(
    lake: Any, with_old: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "_TURNS", Turns(waiting=0))  # as in two processes
    made = create(start(with_old), GROWN, base_of(OLD))
    take_over: Callable[..., int] = ByteStream.take_over
    turns = iter(("first",))

    def after_another(self: ByteStream, other: ByteStream, stop: int) -> int:
        if next(turns, None):
            assert in_thread(lake, made._p_oid, 0, io.BytesIO(), 0).result(60) == len(OLD)
        return take_over(self, other, stop)

    monkeypatch.setattr(ByteStream, "take_over", after_another)
    with pytest.raises(WrongOffset, match=f"{len(OLD)} bytes of 'big' are here, not 0. Go on from byte") as caught:
        receive(made, 0, b"")
    assert caught.value.extra == {"offset": len(OLD)}
    assert receive(made, len(OLD), GROWN[len(OLD) :]) == len(GROWN)
