"""Transactions of one's own: retried, sliced, and whole when a source, a writer or the disk fails."""

import errno
import io
from concurrent.futures import ThreadPoolExecutor

import pytest
from transaction.interfaces import TransientError
from wendelin.bigarray.array_zodb import ZBigArray
from ZEO.Exceptions import ServerException
from ZODB import DB
from ZODB.FileStorage.FileStorage import FileStorageQuotaError
from ZODB.POSException import ConflictError

from Products.ERP5Wendelin import errors
from Products.ERP5Wendelin.storage import transaction
from Products.ERP5Wendelin.storage.block import BLOCK_SIZE
from Products.ERP5Wendelin.storage.transaction import (
    append_slices,
    in_transaction,
    is_full,
    separate_connection,
)
from support.pattern import Pattern, pattern
from support.storage_suite import Owner, content, new_owner

B = BLOCK_SIZE

FULL = (
    "The disk of the data lake is full: nothing of this request's last part was stored. Make room, or ask the "
    "administrator to; then run the same command again."
)


@pytest.fixture
def oid(database: DB) -> bytes:
    return new_owner(database)


@pytest.fixture(autouse=True)
def without_delay(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The delays that were asked for, none of which is waited for."""
    delays: list[float] = []
    monkeypatch.setattr(transaction.time, "sleep", delays.append)
    return delays


class Cut(Pattern):
    """A source whose sender goes away."""

    def __init__(self, size: int, cut_at: int) -> None:
        super().__init__(size)
        self.cut_at = cut_at

    def read(self, size: int, /) -> bytes:
        if self.position >= self.cut_at:
            raise ConnectionResetError("The client is gone.")
        return super().read(min(size, self.cut_at - self.position))


def transactions(database: DB) -> list[tuple[str, str]]:
    """User and description of each transaction, oldest first."""
    return [(record.user.decode(), record.description.decode()) for record in database.storage.iterator()]


class TestSeparateConnection:
    def test_it_is_aborted_and_closed_at_the_end(self, database: DB) -> None:
        with separate_connection(database) as connection:
            connection.root()["lost"] = 1
        assert connection.opened is None
        with separate_connection(database) as connection:
            assert "lost" not in connection.root()

    def test_it_is_closed_after_an_error(self, database: DB) -> None:
        with pytest.raises(ZeroDivisionError), separate_connection(database) as connection:
            connection.root()["lost"] = 1 / 0
        assert connection.opened is None

    def test_two_of_one_thread_are_independent(self, database: DB) -> None:
        with separate_connection(database) as first, separate_connection(database) as second:
            first.root()["key"] = 1
            second.transaction_manager.commit()
            first.transaction_manager.commit()
        with separate_connection(database) as connection:
            assert connection.root()["key"] == 1


class TestInTransaction:
    def test_it_commits_what_the_function_did_and_returns_its_result(self, database: DB) -> None:
        with separate_connection(database) as connection:
            result = in_transaction(
                connection, lambda: connection.root().setdefault("key", 5), note="a reason", user="ada"
            )
        assert result == 5
        assert transactions(database)[-1] == ("ada", "a reason")

    def test_a_conflict_is_tried_again_on_the_new_state(self, database: DB, without_delay: list[float]) -> None:
        def increase() -> int:
            root = connection.root()
            root["count"] = root.get("count", 0) + 1
            if root["count"] < 3:
                with separate_connection(database) as other:
                    in_transaction(other, lambda: other.root().__setitem__("count", root["count"]), note="other")
            return root["count"]

        with separate_connection(database) as connection:
            assert in_transaction(connection, increase, note="increase") == 3
        assert len(without_delay) == 2

    def test_a_conflict_that_does_not_end_is_raised_after_the_attempts(
        self, database: DB, without_delay: list[float]
    ) -> None:
        calls = []

        def conflict() -> None:
            calls.append(1)
            raise ConflictError("again")

        with separate_connection(database) as connection, pytest.raises(ConflictError, match="again"):
            in_transaction(connection, conflict, note="conflict", attempts=9)
        assert len(calls) == 9
        for number, delay in enumerate(without_delay, start=1):
            assert 0 <= delay <= min(transaction.DELAY_MAX, transaction.DELAY * 2**number)

    def test_another_transient_error_is_tried_again(self, database: DB) -> None:
        failures = [TransientError("once")]

        def fail_once() -> str:
            if failures:
                raise failures.pop()
            return "done"

        with separate_connection(database) as connection:
            assert in_transaction(connection, fail_once, note="transient") == "done"

    def test_any_other_error_aborts_and_is_raised_at_once(self, database: DB, without_delay: list[float]) -> None:
        def fail() -> None:
            connection.root()["lost"] = 1
            raise errors.Conflict("no")

        with separate_connection(database) as connection:
            with pytest.raises(errors.Conflict, match=r"^no$"):
                in_transaction(connection, fail, note="failure")
            assert "lost" not in connection.root()
        assert without_delay == []

    def test_an_interruption_aborts(self, database: DB) -> None:
        def interrupt() -> None:
            connection.root()["lost"] = 1
            raise KeyboardInterrupt

        with separate_connection(database) as connection:
            with pytest.raises(KeyboardInterrupt):
                in_transaction(connection, interrupt, note="interruption")
            assert "lost" not in connection.root()

    def test_a_full_disk_is_storage_full(self, database: DB) -> None:
        def fail() -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        with separate_connection(database) as connection, pytest.raises(errors.StorageFull) as caught:
            in_transaction(connection, fail, note="full")
        assert str(caught.value) == FULL


class TestIsFull:
    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
    def test_an_os_error_that_says_so_is(self, number: int) -> None:
        assert is_full(OSError(number, "full"))
        assert is_full(ServerException("builtins.OSError", (number, "full")))

    def test_a_quota_of_the_file_storage_is(self) -> None:
        assert is_full(FileStorageQuotaError("quota"))

    def test_what_it_caused_is(self) -> None:
        error = RuntimeError("the storage failed")
        error.__cause__ = OSError(errno.ENOSPC, "full")
        assert is_full(error)

    def test_another_error_is_not(self) -> None:
        assert not is_full(OSError(errno.EIO, "broken"))
        assert not is_full(ConflictError("conflict"))
        assert not is_full(ServerException("builtins.OSError", (errno.EIO, "broken")))
        assert not is_full(ServerException("builtins.ValueError", (errno.ENOSPC,)))


class TestAppendSlices:
    def test_slices_end_at_borders_of_blocks_and_are_transactions_with_a_note(self, database: DB, oid: bytes) -> None:
        reached: list[int] = []
        size = 3 * B + 10
        append_slices(database, oid, Pattern(size), 5, offset=0, note="begin")
        source = Pattern(size)
        source.read(5)
        assert (
            append_slices(
                database,
                oid,
                source,
                size - 5,
                offset=5,
                note="a file",
                user="ada",
                on_slice=lambda owner: reached.append(owner.offset),
                slice_size=2 * B,
            )
            == size
        )
        assert reached == [2 * B, size]
        assert transactions(database)[-2:] == [("ada", "a file")] * 2
        assert content(database, oid) == pattern(0, size)

    @pytest.mark.parametrize("slice_size", [1, 1000, B - 1])
    def test_slices_may_be_smaller_than_blocks(self, database: DB, oid: bytes, slice_size: int) -> None:
        size = 3 * slice_size + 1
        assert append_slices(database, oid, Pattern(size), size, offset=0, note="", slice_size=slice_size) == size
        assert len(transactions(database)) == 2 + 4
        assert content(database, oid) == pattern(0, size)

    def test_the_bytes_of_a_source_behind_the_length_are_not_read(self, database: DB, oid: bytes) -> None:
        source = Pattern(100)
        assert append_slices(database, oid, source, 60, offset=0, note="") == 60
        assert source.position == 60

    def test_a_source_that_gives_little_at_a_time_fills_the_slices(self, database: DB, oid: bytes) -> None:
        class Trickle(Pattern):
            def read(self, size: int, /) -> bytes:
                return super().read(min(size, 999_999))

        before = len(transactions(database))
        append_slices(database, oid, Trickle(3 * B), 3 * B, offset=0, note="", slice_size=2 * B)
        assert len(transactions(database)) == before + 2
        assert content(database, oid) == pattern(0, 3 * B)

    def test_a_source_that_ends_early_gives_the_offset_it_reached(self, database: DB, oid: bytes) -> None:
        assert append_slices(database, oid, Pattern(B + 7), 3 * B, offset=0, note="") == B + 7
        assert content(database, oid) == pattern(0, B + 7)

    def test_nothing_to_append_makes_no_transaction(self, database: DB, oid: bytes) -> None:
        before = transactions(database)
        assert append_slices(database, oid, Pattern(0), 10, offset=0, note="") == 0
        assert append_slices(database, oid, Pattern(10), 0, offset=0, note="") == 0
        assert transactions(database) == before

    def test_what_a_failing_source_gave_is_kept_and_the_error_raised(self, database: DB, oid: bytes) -> None:
        with pytest.raises(ConnectionResetError, match=r"^The client is gone\.$"):
            append_slices(database, oid, Cut(9 * B, 3 * B + 5), 9 * B, offset=0, note="", slice_size=2 * B)
        assert content(database, oid) == pattern(0, 3 * B + 5)

    def test_a_wrong_offset_is_refused_with_the_right_one_and_stores_nothing(self, database: DB, oid: bytes) -> None:
        append_slices(database, oid, Pattern(100), 100, offset=0, note="")
        with pytest.raises(errors.WrongOffset) as caught:
            append_slices(database, oid, Pattern(50), 50, offset=40, note="")
        assert str(caught.value) == "100 bytes are here, and 40 were believed to be. Go on from byte 100."
        assert caught.value.extra == {"offset": 100}
        assert content(database, oid) == pattern(0, 100)

    def test_all_data_is_seen_once_in_order_even_when_a_slice_conflicts(self, database: DB, oid: bytes) -> None:
        seen = io.BytesIO()
        conflicts = [ConflictError("once")]

        def conflict_once(owner: Owner) -> None:
            if owner.offset > B and conflicts:
                raise conflicts.pop()

        append_slices(
            database,
            oid,
            Pattern(3 * B),
            3 * B,
            offset=0,
            note="",
            on_data=seen.write,
            on_slice=conflict_once,
            slice_size=B,
        )
        assert seen.getvalue() == content(database, oid) == pattern(0, 3 * B)

    def test_what_a_hook_writes_is_committed_with_its_slice(self, database: DB, oid: bytes) -> None:
        def complete(owner: Owner) -> None:
            if owner.offset == B + 5:
                owner.complete = True

        append_slices(database, oid, Pattern(B + 5), B + 5, offset=0, note="", on_slice=complete, slice_size=B)
        with separate_connection(database) as connection:
            assert connection.get(oid).complete

    def test_a_hook_that_fails_aborts_its_slice_and_leaves_those_before(self, database: DB, oid: bytes) -> None:
        def refuse(owner: Owner) -> None:
            if owner.offset > B:
                raise errors.DigestMismatch("wrong")

        with pytest.raises(errors.DigestMismatch, match=r"^wrong$"):
            append_slices(database, oid, Pattern(2 * B), 2 * B, offset=0, note="", on_slice=refuse, slice_size=B)
        assert content(database, oid) == pattern(0, B)

    def test_the_last_block_of_a_stream_of_known_size_is_written_to_be_read_fast(
        self, database: DB, oid: bytes
    ) -> None:
        append_slices(database, oid, Pattern(1000), 500, offset=0, note="", total=1000)
        assert self.last_block(database, oid) == "ZBlk1"
        source = Pattern(1000)
        source.read(500)
        append_slices(database, oid, source, 500, offset=500, note="", total=1000)
        assert self.last_block(database, oid) == "ZBlk0"
        assert content(database, oid) == pattern(0, 1000)

    @staticmethod
    def last_block(database: DB, oid: bytes) -> str:
        with separate_connection(database) as connection:
            blktab = connection.get(oid).stream.blktab
            return type(blktab[blktab.maxKey()]).__name__

    def test_a_connection_of_the_pool_forgets_the_arrays_it_wrote(self, database: DB) -> None:
        for _ in range(5):
            append_slices(database, new_owner(database), Pattern(5000), 5000, offset=0, note="")
        with separate_connection(database) as connection:
            connection.cacheMinimize()
            assert not [held for _, held in connection._cache.lru_items() if isinstance(held, ZBigArray)]

    def test_writers_of_many_streams_do_not_disturb_each_other(self, database: DB) -> None:
        oids = [new_owner(database) for _ in range(4)]

        def write(oid: bytes) -> int:
            return append_slices(database, oid, Pattern(B), B, offset=0, note="", slice_size=B // 4)

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(write, oids)) == [B] * 4
        assert [content(database, oid) for oid in oids] == [pattern(0, B)] * 4
