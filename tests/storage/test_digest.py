"""Running digests: fed, lost, caught up and forgotten."""

import hashlib
from threading import Thread

import pytest

from Products.ERP5Wendelin.storage.block import BLOCK_SIZE
from Products.ERP5Wendelin.storage.digest import RunningDigest, RunningDigests
from Products.ERP5Wendelin.storage.stream import ByteStream
from support.pattern import pattern

B = BLOCK_SIZE
SIZE = 2 * B + 77


@pytest.fixture(scope="module")
def stream() -> ByteStream:
    stream = ByteStream()
    stream.append(pattern(0, SIZE))
    return stream


def fed(size: int) -> RunningDigest:
    running = RunningDigest()
    running.update(pattern(0, size))
    return running


def test_it_is_the_sha_256_of_what_it_was_fed() -> None:
    running = RunningDigest()
    for start, stop in ((0, 10), (10, 10), (10, 5000)):
        running.update(memoryview(pattern(start, stop)))
    assert running.offset == 5000
    assert running.digest() == hashlib.sha256(pattern(0, 5000)).digest()
    assert running.hexdigest() == hashlib.sha256(pattern(0, 5000)).hexdigest()


@pytest.mark.parametrize("offset", [0, 1, B, B + 5, SIZE])
def test_it_catches_up_from_wherever_it_is(stream: ByteStream, offset: int) -> None:
    running = fed(offset)
    assert running.catch_up(stream, SIZE)
    assert running.offset == SIZE
    assert running.digest() == hashlib.sha256(pattern(0, SIZE)).digest()


def test_it_catches_up_by_the_limit_a_time_and_keeps_what_it_read(stream: ByteStream) -> None:
    running = RunningDigest()
    reached = [(running.catch_up(stream, SIZE, limit=B), running.offset) for _ in range(3)]
    assert reached == [(False, B), (False, 2 * B), (True, SIZE)]
    assert running.digest() == hashlib.sha256(pattern(0, SIZE)).digest()


def test_a_copy_goes_on_by_itself() -> None:
    running = fed(1000)
    copy = running.copy()
    copy.update(b"more")
    assert (running.offset, running.digest()) == (1000, hashlib.sha256(pattern(0, 1000)).digest())
    assert (copy.offset, copy.digest()) == (1004, hashlib.sha256(pattern(0, 1000) + b"more").digest())


def test_a_copy_of_a_state_leaves_it_and_keeps_it_from_being_dropped() -> None:
    states = RunningDigests(capacity=2)
    states.put(("main", b"1"), fed(10))
    states.put(("main", b"2"), fed(20))
    copy = states.copy_of(("main", b"1"))
    assert copy is not None
    assert copy.digest() == fed(10).digest()
    copy.update(b"x")
    states.put(("main", b"3"), fed(30))
    assert states.copy_of(("main", b"2")) is None
    assert states.take(("main", b"1"), 10).digest() == fed(10).digest()


def test_a_state_is_handed_out_once() -> None:
    digests = RunningDigests()
    running = fed(10)
    digests.put(("main", b"1"), running)
    assert digests.take(("main", b"1"), 10) is running
    assert digests.take(("main", b"1"), 10).offset == 0


def test_states_of_databases_and_of_objects_are_apart() -> None:
    digests = RunningDigests()
    for number, key in enumerate([("main", b"1"), ("main", b"2"), ("other", b"1")]):
        digests.put(key, fed(number + 1))
    assert digests.take(("main", b"2"), 10).offset == 2
    assert digests.take(("other", b"1"), 10).offset == 3
    assert digests.take(("main", b"1"), 10).offset == 1


def test_a_state_behind_what_is_stored_is_kept_and_one_ahead_of_it_dropped() -> None:
    digests = RunningDigests()
    digests.put(("main", b"1"), fed(10))
    assert digests.take(("main", b"1"), 11).offset == 10
    digests.put(("main", b"1"), fed(10))
    assert digests.take(("main", b"1"), 9).offset == 0


def test_the_least_recently_used_state_is_dropped_when_there_are_too_many() -> None:
    digests = RunningDigests(capacity=2)
    digests.put(("main", b"1"), fed(1))
    digests.put(("main", b"2"), fed(2))
    digests.put(("main", b"1"), fed(3))
    digests.put(("main", b"3"), fed(4))
    assert len(digests) == 2
    assert [digests.take(("main", key), 9).offset for key in (b"1", b"2", b"3")] == [3, 0, 4]


def test_a_dropped_state_is_forgotten() -> None:
    digests = RunningDigests()
    digests.put(("main", b"1"), fed(1))
    digests.drop(("main", b"1"))
    digests.drop(("main", b"2"))
    assert len(digests) == 0


def test_threads_that_take_the_same_state_never_share_it() -> None:
    digests = RunningDigests()
    running = fed(1)
    taken: list[RunningDigest] = []
    digests.put(("main", b"1"), running)
    threads = [Thread(target=lambda: taken.append(digests.take(("main", b"1"), 1))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 8
    assert [each for each in taken if each is running] == [running]
