"""The Forward server, as agents see it: what they send is stored and acknowledged, whatever others do."""

from __future__ import annotations

import contextlib
import gzip
import logging
import os
import re
import select
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import msgpack
import pytest
from backports import zstd

from Products.ERP5Wendelin.errors import BadInput, Conflict, NotAuthorised, StorageFull
from Products.ERP5Wendelin.ingestion.batch import BatchWriter, Sent
from Products.ERP5Wendelin.ingestion.forward import committer
from Products.ERP5Wendelin.ingestion.forward.connection import Connection
from Products.ERP5Wendelin.ingestion.forward.server import bind, with_files
from Products.ERP5Wendelin.ingestion.forward.settings import Settings
from Products.ERP5Wendelin.protocol import KIB, MIB
from support.forward import PATIENCE, Client, Keeper, entries, event, served

AN_HOUR = 3600.0


@pytest.fixture
def keeper():
    return Keeper()


@pytest.fixture
def lines(caplog):
    """The lines of the log so far, without the ports of agents."""
    caplog.set_level(logging.INFO, "wendelin.fluentd")

    def read() -> list[str]:
        records = [record for record in caplog.records if record.name == "wendelin.fluentd"]
        return [
            " ".join(part for part in record.getMessage().split(" ") if "127.0.0.1:" not in part) for record in records
        ]

    return read


def chunk(id: str, data: bytes, tag: str = "tag") -> list[object]:
    return [tag, data, {"chunk": id}]


# what arrives


def test_each_mode_brings_its_entries_as_they_came_and_is_acknowledged(keeper):
    ten = entries(10)
    with served(keeper) as server, Client(server.address) as agent:
        agent.send(
            b"\x94\xa3tag" + event(1)[1:] + msgpack.packb({"chunk": "message"}),
            b"\x93\xa3tag\x9a" + ten + msgpack.packb({"chunk": "forward"}),
            ["tag", ten, {"chunk": "packed", "size": 10}],
            ["tag", gzip.compress(ten) + gzip.compress(ten), {"chunk": "gzip", "compressed": "gzip"}],
            ["tag", zstd.compress(ten), {"chunk": "zstd", "compressed": "zstd"}],
            chunk("last", ten),
        )
        assert agent.acknowledged(6) == ["message", "forward", "packed", "gzip", "zstd", "last"]
    assert keeper.data() == event(1) + ten * 6


def test_what_is_written_names_tag_chunk_user_and_policy(keeper):
    with served(keeper, policy="turbines", user="ada") as server, Client(server.address) as agent:
        agent.send(chunk("a", entries(1)), ["tag", entries(1), {"chunk": b"\xff"}], ["other", entries(1)])
        assert agent.acknowledged(2) == ["a", b"\xff"]
        keeper.wait_for(1, "other")
    assert keeper.sent == [
        Sent("tag", entries(1), b"a", "ada", "turbines"),
        Sent("tag", entries(1), b"\xff", "ada", "turbines"),
        Sent("other", entries(1), None, "ada", "turbines"),
    ]


def test_an_id_that_is_no_utf_8_comes_back_as_it_was(keeper):
    with served(keeper) as server, Client(server.address) as agent:
        agent.send(b"\x93\xa3tag\xc4" + bytes([len(event(1))]) + event(1) + b"\x81\xa5chunk\xa2\xff\xfe")
        assert agent.socket.recv(100) == b"\x81\xa3ack\xa2\xff\xfe"
    assert keeper.sent[0].chunk == b"\xff\xfe"


def test_nothing_to_store_is_acknowledged_and_not_written(keeper):
    with served(keeper) as server, Client(server.address) as agent:
        agent.send(chunk("packed", b""), ["tag", [], {"chunk": "forward"}], None, ["", []], chunk("last", entries(1)))
        assert agent.acknowledged(3) == ["packed", "forward", "last"]
    assert keeper.sent == [Sent("tag", entries(1), b"last")]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_bytes_that_come_in_small_pieces_make_the_same_messages(keeper, size):
    data = msgpack.packb(chunk("a", entries(40))) + b"\x93\xa3tag" + event(7)[1:]
    data += msgpack.packb(["tag", gzip.compress(entries(3)), {"chunk": "b", "compressed": "gzip"}])
    with served(keeper) as server, Client(server.address) as agent:
        for start in range(0, len(data), size):
            agent.send(data[start : start + size])
        assert agent.acknowledged(2) == ["a", "b"]
    assert keeper.data() == entries(40) + event(7) + entries(3)


def test_a_message_of_the_most_bytes_is_taken_and_a_longer_one_not(keeper, lines):
    data = entries(1, "x" * (MIB - 100))
    with served(keeper, max_message=MIB, max_memory=2 * MIB) as server, Client(server.address) as agent:
        agent.send(chunk("a", data))
        assert agent.acknowledged(1) == ["a"]
        agent.send(chunk("b", data + bytes(100)))
        assert agent.receive() is None
    assert re.fullmatch(
        r"is dropped: it sent a message of 10486\d\d bytes or more, and 1048576 is the most that is taken: set its "
        r"chunk_limit_size to less, or raise --max-message",
        lines()[1],
    )


# commits


def test_nothing_is_acknowledged_before_it_is_committed(keeper):
    keeper.open.clear()
    with served(keeper) as server, Client(server.address) as agent:
        agent.send(chunk("a", entries(1)))
        assert keeper.begun.acquire(timeout=PATIENCE)
        assert select.select([agent.socket], [], [], 0)[0] == []
        keeper.open.set()
        assert agent.acknowledged(1) == ["a"]


def test_many_senders_share_a_commit(keeper):
    with served(keeper, interval=AN_HOUR, commit_size=MIB) as server:
        agents = [Client(server.address) for _ in range(16)]
        agents[0].send(chunk("first", entries(1)))
        assert agents[0].acknowledged(1) == ["first"]  # at once, since there was none before
        for number, agent in enumerate(agents):
            agent.send(chunk(f"{number}", entries(1, "x" * 64 * KIB), f"tag{number}"))
        assert [agent.acknowledged(1) for agent in agents] == [[f"{number}"] for number in range(16)]
        for agent in agents:
            agent.socket.close()
    assert [len(batch) for batch in keeper.batches] == [1, 16]


def test_a_connection_that_fails_to_be_acknowledged_does_not_end_the_commits_of_others(keeper, lines, monkeypatch):
    def fail(connection, acknowledgements):
        monkeypatch.undo()
        raise RuntimeError("out of order")

    monkeypatch.setattr(Connection, "acknowledge", fail)
    with served(keeper) as server, Client(server.address) as agent, Client(server.address) as other:
        agent.send(chunk("a", entries(1)))
        keeper.wait_for(1)
        other.send(chunk("b", entries(2)))
        assert other.acknowledged(1) == ["b"]
        assert server.held == 0
    assert lines()[1] == "acknowledging what is stored failed: some agents will send it again, for nothing"


def test_a_commit_comes_when_the_interval_is_over(keeper):
    with served(keeper, interval=0.05) as server, Client(server.address) as agent:
        for number in range(5):
            agent.send(chunk(f"{number}", entries(1)))
            assert agent.acknowledged(1) == [f"{number}"]


def test_what_waits_for_a_commit_is_cut_into_transactions(keeper):
    keeper.open.clear()
    data = entries(1, "x" * 30 * MIB)
    with served(keeper) as server, Client(server.address) as agent:
        agent.send(chunk("0", entries(1)))
        assert keeper.begun.acquire(timeout=PATIENCE)
        agent.send(chunk("1", data), chunk("2", data), chunk("3", entries(1)))
        server.wait_until(lambda held: held > 2 * len(data))
        keeper.open.set()
        assert agent.acknowledged(4) == ["0", "1", "2", "3"]
    assert all(sum(len(sent.data) for sent in batch) <= 64 * MIB for batch in keeper.batches)


def test_ids_and_tags_of_what_waits_for_a_commit_count_as_memory(keeper):
    keeper.open.clear()
    with served(keeper) as server, Client(server.address) as agent:
        agent.send(chunk("0", entries(1)))
        assert keeper.begun.acquire(timeout=PATIENCE)
        agent.send(*(chunk(f"{number:01000}", entries(1), "t" * 500) for number in range(100)))
        server.wait_until(lambda held: held > 100 * (2 * 1000 + 500))
        keeper.open.set()
        assert len(agent.acknowledged(101)) == 101
        server.wait_until(lambda held: held == 0)


def test_a_refused_tag_is_not_acknowledged_and_others_go_on(keeper, lines):
    keeper.refused["bad"] = NotAuthorised("You may not send data there.")
    with served(keeper) as server, Client(server.address) as agent:
        agent.send(
            chunk("a", entries(1)), chunk("b", entries(1), "bad"), chunk("c", entries(1)), chunk("d", entries(1), "bad")
        )
        agent.send(chunk("e", entries(1)))
        assert agent.acknowledged(3) == ["a", "c", "e"]
    assert keeper.data() == entries(1) * 3
    assert [line for line in lines() if "refused" in line] == [
        "the tag 'bad' is refused: You may not send data there. It is not acknowledged, so that an agent that asks for "
        "acknowledgements keeps it, and sends it again."
    ]


def test_what_the_storage_has_no_room_for_is_kept_and_tried_again(keeper, lines, monkeypatch):
    monkeypatch.setattr(committer, "BACK_OFF", (0.001, 0.002))
    keeper.failures = [StorageFull("The disk is full."), OSError("gone"), StorageFull("The disk is full.")]
    with served(keeper) as server, Client(server.address) as agent:
        agent.send(chunk("a", entries(1)))
        assert agent.acknowledged(1) == ["a"]
        agent.send(chunk("b", entries(1)))
        assert agent.acknowledged(1) == ["b"]
    assert keeper.data() == entries(1) * 2
    assert len(keeper.ids) == 5
    assert len(set(keeper.ids)) == 2  # the attempts at one batch have one id, by which nothing is stored twice
    assert lines()[1:] == [
        "what agents send can't be stored now: The disk is full. It is kept, and tried again until it succeeds; "
        "nothing is acknowledged before it is stored, and once memory is full agents wait.",
        "what agents send is stored again, and acknowledged",
    ]


# who else is there


HOSTILE = {
    "http": b"GET / HTTP/1.1\r\n\r\n",
    "no value": b"\xc1",
    "a deep nest": b"\x91" * 5000,
    "a number": b"\x05" * 100_000,
    "a length": b"\x93\xa3tag\xdb\xff\xff\xff\xff",
    "an array without end": b"\xdd\xff\xff\xff\xff" + b"\x01" * 1_100_000,
    "a text": msgpack.packb("x" * 1_100_000),
    "json": b'["tag", 0, {}]',
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_who_sends_what_is_no_message_is_dropped_and_others_do_not_notice(keeper, data):
    with served(keeper, max_message=MIB, max_memory=2 * MIB) as server, Client(server.address) as good:
        good.send(chunk("0", entries(1)))
        assert good.acknowledged(1) == ["0"]
        with Client(server.address) as hostile:
            hostile.send(chunk("before", entries(1), "hostile"))
            assert hostile.acknowledged(1) == ["before"]
            with contextlib.suppress(ConnectionError):  # it is dropped before it has sent it all
                hostile.send(data)
            assert hostile.receive() is None
        good.send(chunk("1", entries(1)))
        assert good.acknowledged(1) == ["1"]
        assert server.held == 0
    assert keeper.data("hostile") == entries(1)


BROKEN = {
    "no mode": [1, 2, 3],
    "no entries": ["tag", b"hello", {"chunk": "x"}],
    "cut off": ["tag", entries(2)[:-1], {"chunk": "x"}],
    "a gzip bomb": ["tag", gzip.compress(bytes(65 * MIB)), {"chunk": "x", "compressed": "gzip"}],
    "a zstd bomb": ["tag", zstd.compress(bytes(65 * MIB)), {"chunk": "x", "compressed": "zstd"}],
    "no gzip": ["tag", entries(1), {"chunk": "x", "compressed": "gzip"}],
    "another compression": ["tag", entries(1), {"chunk": "x", "compressed": "lzma"}],
    "a deep nest": ["tag", b"\x92\x00" + b"\x91" * 3000 + b"\xc0", {"chunk": "x"}],
    "many options": ["tag", entries(1), {"chunk": "x", "more": bytes(100_000)}],
}


@pytest.mark.parametrize("message", BROKEN.values(), ids=BROKEN)
def test_a_broken_message_is_not_acknowledged_and_its_sender_goes_on(keeper, lines, message):
    with served(keeper) as server, Client(server.address) as agent:
        agent.send(message, message, chunk("next", entries(1)))
        assert agent.acknowledged(1) == ["next"]
    assert keeper.data() == entries(1)
    (line,) = lines()[1:]
    assert line.startswith("sent a message that is not stored, nor acknowledged: ")


@pytest.mark.parametrize("message", [b"\x90", msgpack.packb(BROKEN["no gzip"])], ids=["no mode", "no gzip"])
def test_who_sends_nothing_but_broken_messages_is_dropped(keeper, lines, message):
    with served(keeper) as server, Client(server.address) as agent:
        with contextlib.suppress(ConnectionError):
            agent.send(["tag", entries(1)], message * 2000)
        assert agent.receive() is None
        keeper.wait_for(1)
    assert lines()[2:] == ["is dropped: it sent more than 1000 messages that are not stored"]


def test_memory_full_of_messages_that_never_end_keeps_nobody_out(keeper, lines):
    begun = msgpack.packb(["tag", bytes(900 * KIB)])[:-1]
    with served(keeper, max_message=MIB, max_memory=4 * MIB) as server, Client(server.address) as good:
        hostile = [Client(server.address) for _ in range(8)]
        for agent in hostile:
            agent.send(begun)
        for number in range(20):
            good.send(chunk(f"{number}", entries(100)))
            assert good.acknowledged(1) == [f"{number}"]
        server.wait_until(lambda held: held <= 4 * MIB)
        for agent in hostile:
            agent.socket.close()
        server.wait_until(lambda held: held == 0)
    assert keeper.data() == entries(100) * 20
    assert sum("takes most: send smaller chunks" in line for line in lines()) == 1


def test_agents_wait_while_memory_is_full_and_all_arrives(keeper):
    data = entries(1, "x" * 512 * KIB)
    keeper.open.clear()
    with (
        served(keeper, max_message=MIB, max_memory=4 * MIB) as server,
        ThreadPoolExecutor() as pool,
        Client(server.address) as agent,
        Client(server.address) as other,
    ):
        sending = pool.submit(agent.send, *[chunk(f"{number}", data) for number in range(64)])
        server.wait_until(lambda held: held > 2 * MIB)
        assert server.held < 4 * MIB
        other.send(chunk("other", entries(1), "other"))
        assert not sending.done()  # what 32 MiB are more than the system's buffers hold
        assert server.held < 4 * MIB
        keeper.open.set()
        assert agent.acknowledged(64) == [f"{number}" for number in range(64)]
        assert other.acknowledged(1) == ["other"]
        sending.result(PATIENCE)
    assert keeper.data() == data * 64


def test_who_connects_while_memory_is_full_waits_as_well(keeper):
    keeper.open.clear()
    with served(keeper, max_message=MIB, max_memory=2 * MIB) as server, Client(server.address) as agent:
        agent.send(chunk("a", entries(1, "x" * 900 * KIB)), chunk("b", entries(1, "x" * 900 * KIB)))
        server.wait_until(lambda held: held > MIB)
        with Client(server.address) as late:
            late.send(chunk("late", entries(1)))
            keeper.open.set()
            assert late.acknowledged(1) == ["late"]
        assert agent.acknowledged(2) == ["a", "b"]


def test_compressed_chunks_wait_their_turn_and_others_go_on(keeper):
    packed = gzip.compress(entries(50_000))
    message = ["tag", packed, {"chunk": "z", "compressed": "gzip"}]
    with served(keeper) as server, Client(server.address) as good:
        agents = [Client(server.address) for _ in range(4)]
        for agent in agents:
            agent.send(message, chunk("behind", entries(1)))
        good.send(chunk("good", entries(1), "good"))
        assert good.acknowledged(1) == ["good"]
        for agent in agents:
            assert agent.acknowledged(2) == ["z", "behind"]
            agent.socket.close()
    assert len(keeper.data()) == 4 * len(entries(50_000) + entries(1))


def test_compressed_chunks_that_fill_memory_all_arrive(keeper):
    data = msgpack.packb([0, {"noise": os.urandom(150 * KIB)}])
    message = ["tag", gzip.compress(data), {"chunk": "z", "compressed": "gzip"}]
    with served(keeper, max_message=MIB, max_memory=2 * MIB) as server:
        agents = [Client(server.address) for _ in range(6)]
        with ThreadPoolExecutor(6) as pool:
            for sending in [pool.submit(agent.send, message, message) for agent in agents]:
                sending.result(PATIENCE)
            assert [agent.acknowledged(2) for agent in agents] == [["z", "z"]] * 6
        for agent in agents:
            agent.socket.close()
    assert keeper.data() == data * 12


def test_hundreds_of_connections_are_served_and_closed(keeper):
    with served(keeper) as server:
        agents = [Client(server.address) for _ in range(300)]
        for number, agent in enumerate(agents):
            agent.send(chunk(f"{number}", event(number)))
        assert [agent.acknowledged(1) for agent in agents] == [[f"{number}"] for number in range(300)]
        server.stop()
        assert {agent.receive() for agent in agents} == {None}
        for agent in agents:
            agent.socket.close()
    assert sorted(sent.data for sent in keeper.sent) == sorted(map(event, range(300)))


def test_one_connection_too_many_is_closed(keeper, lines):
    with (
        served(keeper, max_connections=2) as server,
        Client(server.address) as first,
        Client(server.address) as second,
    ):
        for agent in (first, second):
            agent.send(chunk("a", entries(1)))
            assert agent.acknowledged(1) == ["a"]
        with Client(server.address) as third:
            assert third.receive() is None
    assert lines()[1:] == ["is dropped: it would be more than the 2 connections of --max-connections or ulimit -n"]


def test_there_are_no_more_connections_than_the_process_may_open_files(keeper, lines, monkeypatch):
    monkeypatch.setattr("Products.ERP5Wendelin.ingestion.forward.server.raise_file_limit", lambda: 2)
    with served(keeper) as server, Client(server.address) as first, Client(server.address) as second:
        first.send(chunk("a", entries(1)))
        assert first.acknowledged(1) == ["a"]
        assert second.receive() is None
    assert lines()[:1] + lines()[2:] == [
        "there will be 1 connections at the most, and not 10000: this process may open 2 files; raise ulimit -n "
        "(LimitNOFILE of systemd), or lower --max-connections",
        "is dropped: it would be more than the 1 connections of --max-connections or ulimit -n",
    ]


@pytest.mark.parametrize(("files", "most"), [(1024, 512), (4096, 2896), (20_000, 10_000), (-1, 10_000)])
def test_other_files_have_their_share_of_what_the_process_may_open(files, most):
    assert with_files(Settings(), files).max_connections == most


# time


def test_a_message_that_does_not_go_on_has_its_sender_dropped(keeper, lines):
    with served(keeper, stall_timeout=60.0) as server, Client(server.address) as slow, Client(server.address) as idle:
        idle.send(chunk("idle", entries(1)))
        assert idle.acknowledged(1) == ["idle"]
        slow.send(b"\x93\xa3tag\xdb\x00\x00\xff\xff" + bytes(100))
        server.wait_until(lambda held: held == 110)
        server.later(59.0)
        slow.send(bytes(100))
        server.wait_until(lambda held: held == 210)
        server.later(61.0)
        assert slow.receive() is None
        server.later(100_000.0)
        idle.send(chunk("still there", entries(1)))
        assert idle.acknowledged(1) == ["still there"]
    assert lines()[1:] == ["is dropped: it stopped after 210 bytes of a message, for 60 seconds"]


def test_acknowledgements_that_are_not_taken_have_the_agent_dropped(keeper, lines):
    with served(keeper) as server, Client(server.address) as good:
        lazy = socket.socket()
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.connect(server.address)
        lazy.settimeout(PATIENCE)
        message = msgpack.packb(["tag", b"", {"chunk": "x" * 1000}])
        sending = threading.Thread(target=send_until_closed, args=(lazy, message * 1000))
        sending.start()
        server.wait_until_paused()
        server.later(59.0)
        server.later(61.0)
        sending.join(PATIENCE)
        assert not sending.is_alive()
        lazy.close()
        good.send(chunk("good", entries(1)))
        assert good.acknowledged(1) == ["good"]
    assert lines()[1:] == ["is dropped: it did not take acknowledgements for 60 seconds"]


def send_until_closed(sending: socket.socket, data: bytes) -> None:
    try:
        while True:
            sending.sendall(data)
    except ConnectionError:
        pass


def test_a_connection_that_breaks_in_a_message_is_noted(keeper, lines):
    with served(keeper) as server:
        with Client(server.address) as agent:
            agent.send(b"\x93\xa3tag\xdb\x00\x00\xff\xff" + bytes(100))
            server.wait_until(lambda held: held == 110)
        server.wait_until(lambda held: held == 0)
    assert lines()[1:] == ["closed its connection after 110 bytes of a message, which are lost"]


# the handshake


def test_agents_that_know_the_key_and_a_user_are_stored_with_the_users_rights(keeper):
    users = {"ada": "secret"}
    with served(keeper, shared_key="key", users=users, hostname="lake") as server, Client(server.address) as agent:
        assert agent.greet("key", "ada", "secret")[:4] == ["PONG", True, "", "lake"]
        agent.send(chunk("a", entries(1)))
        assert agent.acknowledged(1) == ["a"]
    assert keeper.sent == [Sent("tag", entries(1), b"a", "ada")]


def test_what_comes_together_with_the_ping_is_taken_once_it_is_accepted(keeper):
    with served(keeper, shared_key="key") as server, Client(server.address) as agent:
        big = entries(1, "x" * 100_000)
        send, agent.send = agent.send, lambda *values: send(*values, chunk("a", big))
        assert agent.greet("key")[1] is True
        assert agent.acknowledged(1) == ["a"]
    assert keeper.data() == big


@pytest.mark.parametrize("key", ["another", ""])
def test_an_agent_with_another_key_is_told_so_and_nothing_it_sends_is_taken(keeper, lines, key):
    with served(keeper, shared_key="key") as server, Client(server.address) as agent:
        reason = "shared_key mismatch: 'turbine' has another shared key than this server; give both the same"
        assert agent.greet(key) == ["PONG", False, reason, "", ""]
        assert agent.receive() is None
    assert keeper.batches == []
    assert lines()[1:] == [f"is turned away: {reason}"]


def test_a_wrong_key_and_a_wrong_password_of_one_host_are_both_logged_each_once(keeper, lines):
    with served(keeper, shared_key="key", users={"ada": "secret"}) as server:
        for key, password in (("another", "secret"), ("another", "secret"), ("key", "wrong"), ("key", "wrong")):
            with Client(server.address) as agent:
                assert agent.greet(key, "ada", password)[1] is False
    assert [line.partition(":")[2].split(":")[0] for line in lines()[1:]] == [
        " shared_key mismatch",
        " username/password mismatch",
    ]


@pytest.mark.parametrize("data", [msgpack.packb(chunk("a", entries(1000, "x" * 100))), b"\xc1", b"GET / HTTP/1.1\r\n"])
def test_an_agent_without_a_key_is_turned_away(keeper, data):
    with served(keeper, shared_key="key") as server, Client(server.address) as agent:
        agent.receive()
        agent.send(data)
        assert agent.receive()[:2] == ["PONG", False]
        assert agent.receive() is None
        assert server.held == 0
    assert keeper.batches == []


def test_who_does_not_answer_helo_is_dropped(keeper, lines):
    with served(keeper, shared_key="key", handshake_timeout=10.0) as server, Client(server.address) as agent:
        assert agent.receive()[0] == "HELO"
        agent.send(b"\x96\xa4PI")
        server.later(9.0)
        server.later(11.0)
        assert agent.receive() is None
    assert lines()[1:] == ["is dropped: it did not answer HELO with PING in 10 seconds"]


# the server


def test_heartbeats_are_answered_with_one_byte(keeper):
    with served(keeper) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as agent:
        agent.settimeout(PATIENCE)
        for beat in (b"\0", b"more than one"):
            agent.sendto(beat, server.address)
            assert agent.recvfrom(100) == (b"\0", server.address)


def test_a_heartbeat_from_where_it_would_be_answered_again_has_no_answer(keeper):
    with served(keeper) as server, contextlib.ExitStack() as stack:
        senders = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(2)]
        another, agent = senders
        another.bind(("127.0.0.2", server.address[1]))  # as another lake, or who sends in its name
        for sender in senders:
            sender.sendto(b"\0", server.address)
        agent.settimeout(PATIENCE)
        assert agent.recvfrom(100) == (b"\0", server.address)
        assert select.select([another], [], [], 0)[0] == []


def test_a_stop_commits_and_acknowledges_what_is_complete(keeper):
    with served(keeper, interval=AN_HOUR) as server, Client(server.address) as agent:
        agent.send(chunk("first", entries(1)))
        assert agent.acknowledged(1) == ["first"]
        packed = gzip.compress(entries(20_000))
        agent.send(
            chunk("a", entries(2)), ["tag", packed, {"chunk": "b", "compressed": "gzip"}], b"\x93\xa3tag\xdb\xff"
        )
        server.wait_until(lambda held: held > len(packed))
        server.stop()
        assert agent.acknowledged(2) == ["a", "b"]
        assert agent.receive() is None
        with pytest.raises(ConnectionRefusedError):
            Client(server.address)
    assert keeper.data() == entries(1) + entries(2) + entries(20_000)


def test_a_stop_does_not_wait_for_a_storage_that_is_away(keeper, lines):
    keeper.failures = [OSError("The storage is away.") for _ in range(100)]
    with served(keeper) as server, Client(server.address) as agent:
        agent.send(chunk("a", entries(1)))
        keeper.wait_for_attempts(1)
        server.stop()
        assert agent.receive() is None
    assert keeper.batches == []
    assert lines()[-1] == "stopping: what 1 messages brought is not stored: The storage is away."


def test_ipv6_is_served(keeper):
    with served(keeper, host="::1") as server, Client(server.address) as agent:
        agent.send(chunk("a", entries(1)))
        assert agent.acknowledged(1) == ["a"]


def test_a_port_that_is_taken_says_so(keeper):
    with served(keeper) as server:
        host, port = server.address
        with pytest.raises(Conflict) as error:
            bind(host, port)
    assert str(error.value) == (
        f"Cannot listen on 127.0.0.1:{port} (TCP, and UDP for heartbeats): Address already in use. Stop what uses it, "
        "or choose another."
    )


def test_a_host_that_is_not_this_machine_says_so():
    with pytest.raises(BadInput) as error:
        bind("no.such.host.invalid", 0)
    assert str(error.value).startswith("no.such.host.invalid is no address of this machine: ")


def test_ids_of_chunks_keep_the_lake_from_storing_them_twice(lake):
    with served(BatchWriter(lake.db)) as server:
        for _ in range(2):
            with Client(server.address) as agent:
                agent.send(chunk("a", entries(3), "sensor.product"), chunk("b", entries(2), "sensor.product"))
                assert agent.acknowledged(2) == ["a", "b"]
    with lake.open() as site:
        (stream,) = site.data_stream_module.objectValues()
        assert (stream.getReference(), stream.getData()) == ("sensor.product", entries(3) + entries(2))


@pytest.mark.parametrize(
    ("values", "error"),
    [
        (
            {"max_message": 1000},
            "A message may have 1000 bytes at most: choose from 1048576 to 67108864, which is the most that one "
            "transaction stores.",
        ),
        (
            {"max_message": 65 * MIB},
            "A message may have 68157440 bytes at most: choose from 1048576 to 67108864, which is the most that one "
            "transaction stores.",
        ),
        (
            {"max_memory": 64 * MIB},
            "67108864 bytes of memory are too few for messages of 67108864: allow twice as many at least, or shorter "
            "messages.",
        ),
        ({"max_connections": 0}, "Let at least one connection be made."),
        ({"interval": -1.0}, "Times are 0 or more seconds."),
        ({"users": {"ada": "secret"}}, "Agents name users after the shared key: give a shared key as well."),
    ],
)
def test_settings_that_make_no_sense_say_why(values, error):
    with pytest.raises(BadInput) as caught:
        Settings(**values)
    assert str(caught.value) == error
