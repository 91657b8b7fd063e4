"""Batches: many pieces in one commit, each stored exactly once, whatever is refused, fails, or comes between."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import transaction
from AccessControl.SecurityManagement import getSecurityManager, noSecurityManager
from wendelin.bigarray.array_zodb import ZBigArray
from ZEO.Exceptions import ClientDisconnected
from ZODB.DB import DB
from zope.component.hooks import getSite
from Zope2.App.ClassFactory import ClassFactory

from Products.ERP5Wendelin import errors
from Products.ERP5Wendelin.content.data_stream import DataStream
from Products.ERP5Wendelin.ingestion import batch
from Products.ERP5Wendelin.ingestion.batch import BATCH_SIZE, BatchWriter, Sent
from Products.ERP5Wendelin.ingestion.identity import sender
from Products.ERP5Wendelin.ingestion.policy import add_policy
from Products.ERP5Wendelin.permissions import DEFAULT_ROLES, PushData
from Products.ERP5Wendelin.storage import recent
from support.clock import Clock
from support.faults import Fault
from support.remote import remote_lake
from support.scripts import add_script
from support.shared_storage import Place
from support.site import Lake

SCRIPT = "DataIngestionLine_writeIngestionToDataStream"


@pytest.fixture
def writer(lake):
    return BatchWriter(lake.db)


def streams(lake, tag):
    with lake.open("system") as site:
        return [each.getData() for each in site.data_stream_module.objectValues() if each.getReference() == tag]


def customise(lake, body, parameters="data_chunk, out_stream"):
    with lake.open("boss") as site:
        add_script(site, SCRIPT, body, parameters)
        transaction.commit()


def commits(lake, function):
    """How many transactions a function has committed."""
    last = lake.db.lastTransaction()
    function()
    return sum(record.tid > last for record in lake.db.storage.iterator(last))


# one commit


def test_pieces_of_several_tags_are_one_transaction(lake, writer):
    sent = [Sent(f"sensor.{number % 5}", b"%d;" % number, b"%d" % number) for number in range(20)]
    assert commits(lake, lambda: writer.write(sent)) == 1
    assert [streams(lake, f"sensor.{number}") for number in range(3)] == [
        [b"0;5;10;15;"],
        [b"1;6;11;16;"],
        [b"2;7;12;17;"],
    ]


def test_more_tags_than_a_transaction_takes_are_several(lake, writer, monkeypatch):
    monkeypatch.setattr(batch, "TAGS", 3)
    sent = [Sent(f"sensor.{number % 7}", b"%d;" % number, b"%d" % number) for number in range(14)]
    sent.append(Sent("bad", b"x", policy="none"))
    outcomes = []
    assert commits(lake, lambda: outcomes.extend(writer.write(sent))) == 3
    assert outcomes[:14] == [None] * 14
    assert str(outcomes[14]) == "There is no Ingestion Policy 'none'."
    assert streams(lake, "sensor.0") == [b"0;7;"]
    assert streams(lake, "sensor.6") == [b"6;13;"]


def test_every_piece_has_its_outcome(writer):
    assert writer.write([Sent("a", b"1"), Sent("a", b"2"), Sent("b", b"3")]) == [None, None, None]
    assert writer.write([]) == []


def test_script_gets_what_one_user_sends_under_a_tag_at_once(lake, writer):
    customise(lake, "out_stream['Data Stream'].appendData(b'[' + data_chunk + b']')")
    writer.write([Sent("a", b"1"), Sent("a", b"2", user="ada"), Sent("a", b"3"), Sent("a", b"4", user="ada")])
    assert streams(lake, "a") == [b"[13][24]"]


def test_policy_is_the_one_that_is_named(lake, writer):
    with lake.open("boss") as site:
        add_policy(site.portal_ingestion_policies, "factory", operation="wendelin_ingest_data_conversion")
        transaction.commit()
    line = b"\x92\x00\xa3abc"
    assert writer.write([Sent("factory.one", line, policy="factory"), Sent("other", line)]) == [None, None]
    assert (streams(lake, "factory.one"), streams(lake, "other")) == ([b"abc"], [line])


def test_more_than_a_transaction_takes_is_too_large(writer, monkeypatch):
    monkeypatch.setattr(batch, "BATCH_SIZE", 2**20)
    half = bytes(2**19)
    with pytest.raises(errors.TooLarge, match=r"^A batch may have at most 1 MiB, and this one has 1048577 bytes\.$"):
        writer.write([Sent("a", half), Sent("b", half), Sent("c", b"x")])
    assert writer.write([Sent("a", half), Sent("b", half)]) == [None, None]
    assert BATCH_SIZE == 64 * 2**20


def test_batch_is_written_in_any_thread_and_leaves_nothing_there(writer):
    def write():
        noSecurityManager()  # the user of a thread that had this one's number before, and has ended
        return writer.write([Sent("a", b"x")]), getSite(), getSecurityManager().getUser().getUserName()

    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(write).result() == ([None], None, "Anonymous User")


def test_batch_leaves_site_and_user_as_they_were(lake, writer):
    with lake.open("eve") as site:
        writer.write([Sent("a", b"x", user="ada")])
        assert getSite() is site
        assert getSecurityManager().getUser().getId() == "eve"


def test_connection_keeps_the_arrays_of_the_streams_written_last_alone(lake, writer, monkeypatch):
    monkeypatch.setattr(recent, "KEPT", 3)
    tags = [f"tag{number}" for number in range(8)]
    for piece in (b"1", b"2"):
        writer.write([Sent(tag, piece) for tag in tags])
    with lake.open("system") as site:
        live = [
            each for _, each in site._p_jar._cache.items() if type(each) is ZBigArray and each._p_changed is not None
        ]
        assert len(live) == 3
    assert [streams(lake, tag) for tag in tags] == [[b"12"]] * 8


# exactly once


def test_chunk_that_was_stored_is_not_stored_again(lake, writer):
    for _ in range(2):
        assert writer.write([Sent("a", b"1", b"first"), Sent("a", b"2", b"second")]) == [None, None]
    assert writer.write([Sent("a", b"2", b"second"), Sent("a", b"3", b"third")]) == [None, None]
    assert streams(lake, "a") == [b"123"]


def test_chunk_that_is_twice_in_a_batch_is_stored_once_in_its_first_place(lake, writer):
    sent = [Sent("a", b"1", b"x"), Sent("a", b"2", b"y"), Sent("a", b"1", b"x"), Sent("a", b"3")]
    assert writer.write(sent) == [None] * 4
    assert streams(lake, "a") == [b"123"]


def test_chunk_that_comes_again_from_another_user_is_not_stored_again(lake, writer):
    writer.write([Sent("a", b"1", b"x"), Sent("a", b"1", b"x", "ada")])
    writer.write([Sent("a", b"1", b"x", "eve")])
    assert streams(lake, "a") == [b"1"]


def test_id_belongs_to_its_tag(lake, writer):
    writer.write([Sent("a", b"1", b"x"), Sent("b", b"2", b"x")])
    assert (streams(lake, "a"), streams(lake, "b")) == ([b"1"], [b"2"])


def test_chunk_whose_script_failed_is_stored_when_it_comes_again(lake):
    writer = BatchWriter(lake.db, remembered=0)
    customise(lake, "raise ValueError('not yet')")
    assert isinstance(writer.write([Sent("a", b"1", b"x")])[0], errors.ScriptError)
    with lake.open("boss") as site:
        site.portal_skins.custom._delObject(SCRIPT)
        transaction.commit()
    assert writer.write([Sent("a", b"1", b"x")]) == [None]
    assert streams(lake, "a") == [b"1"]


def test_batch_that_is_written_again_stores_what_has_no_id_once(lake, writer):
    sent = [Sent("a", b"1"), Sent("a", b"1"), Sent("b", b"2", user="ada"), Sent("b", b"3"), Sent("a", b"4", b"x")]
    for _ in range(2):
        assert writer.write(sent, b"batch 1") == [None] * 5
    assert (streams(lake, "a"), streams(lake, "b")) == ([b"114"], [b"23"])
    writer.write(sent, b"batch 2")
    assert (streams(lake, "a"), streams(lake, "b")) == ([b"11411"], [b"2323"])


def test_what_has_no_id_is_stored_each_time(lake, writer):
    for _ in range(2):
        writer.write([Sent("a", b"1"), Sent("a", b"1")])
    assert streams(lake, "a") == [b"1111"]


# refusals


def test_refused_tags_keep_no_others_from_being_stored(lake, writer):
    sent = [
        Sent("a", b"1", b"1"),
        Sent("b..c", b"2", b"2"),
        Sent("a", b"3", b"3"),
        Sent("d", b"4", b"4", policy="none"),
        Sent("e", b"5", b"5", user="zoe"),
        Sent("f", b"6", b"6", user="dan"),
        Sent("", b"7", b"7"),
        Sent("g", b"8", b"8", user="ada"),
        Sent("h\n", b"9", b"9"),
        Sent("i", b"0", b"0", policy="unpack"),
    ]
    outcomes = writer.write(sent)
    assert [(type(error), str(error)) for error in outcomes if error is not None] == [
        (
            errors.BadInput,
            "Ingestion Policy 'default' does not take the tag 'b..c'. Its script "
            "IngestionPolicy_parseSimpleIngestionTag says which tags it takes; send another, or to another policy.",
        ),
        (errors.NotFound, "There is no Ingestion Policy 'none'."),
        (errors.NotAuthorised, "There is no user 'zoe'. Add one, as contributor: wendelin user add DIR zoe"),
        (
            errors.NotAuthorised,
            "You may not send data to Ingestion Policy 'default': it takes the role of contributor.",
        ),
        (errors.BadInput, "Name a tag, such as sensor.product; by HTTP: …/ingest?reference=TAG."),
        (errors.BadInput, "A tag has at most 8192 characters, and no control characters."),
        (errors.NotFound, "There is no Ingestion Policy 'unpack'."),
    ]
    assert [number for number, error in enumerate(outcomes) if error is None] == [0, 2, 7]
    assert (streams(lake, "a"), streams(lake, "g")) == ([b"13"], [b"8"])


def test_what_a_refused_tag_has_changed_is_not_kept(lake, writer):
    customise(
        lake,
        """
        stream = out_stream['Data Stream']
        stream.appendData(data_chunk)
        if stream.getReference() == 'bad':
            raise ValueError('bad')
        """,
    )
    outcomes = writer.write([Sent("good", b"1"), Sent("bad", b"2"), Sent("fine", b"3"), Sent("bad", b"4")])
    message = f"/erp5/portal_skins/custom/{SCRIPT} failed in line 4: ValueError: bad"
    assert [None if error is None else str(error) for error in outcomes] == [None, message, None, message]
    assert [streams(lake, tag) for tag in ("good", "bad", "fine")] == [[b"1"], [], [b"3"]]


def test_policy_that_reads_requests_takes_no_batches(lake, writer):
    reference = "ada/scans/a/txt/END/1/"
    (error,) = writer.write([Sent(reference, b"x", policy="default_ebulk")])
    assert isinstance(error, errors.BadInput)
    assert str(error) == (
        f"The policy 'default_ebulk' takes the tag '{reference}' by HTTP alone: its script reads what a request brings "
        "as a stream."
    )


def test_policy_that_is_not_in_use_is_a_conflict(lake, writer):
    with lake.open("boss") as site:
        site.portal_ingestion_policies["default"].invalidate()
        transaction.commit()
    (error,) = writer.write([Sent("a", b"1")])
    assert isinstance(error, errors.Conflict)
    assert str(error) == "Ingestion Policy 'default' is invalidated: it takes data once it is validated."


def test_refusal_is_remembered_for_some_seconds(lake):
    clock = Clock()
    writer = BatchWriter(lake.db, 5.0, clock)
    with lake.open("boss") as site:
        site.portal_ingestion_policies["default"].invalidate()
        transaction.commit()
    (first,) = writer.write([Sent("a", b"1")])
    with lake.open("boss") as site:
        site.portal_ingestion_policies["default"].validate()
        transaction.commit()
    clock.now += 4.9
    (second,) = writer.write([Sent("a", b"2")])
    assert (type(second), str(second), second.__traceback__) == (type(first), str(first), None)
    assert writer.write([Sent("b", b"3"), Sent("a", b"4", user="ada")]) == [None, None]
    clock.now += 0.2
    assert writer.write([Sent("a", b"5")]) == [None]
    assert streams(lake, "a") == [b"45"]


def test_only_so_many_refusals_are_remembered(lake, monkeypatch):
    monkeypatch.setattr(batch, "REMEMBERED_LENGTH", 2)
    writer = BatchWriter(lake.db, clock=Clock())
    writer.write([Sent(tag, b"1", policy="none") for tag in ("a", "b", "c")])
    with lake.open("boss") as site:
        add_policy(site.portal_ingestion_policies, "none")
        transaction.commit()
    outcomes = writer.write([Sent(tag, b"1", policy="none") for tag in ("a", "b", "c")])
    assert [error is None for error in outcomes] == [True, False, False]


def test_what_nobody_expected_is_a_refusal_and_logged(lake, writer, monkeypatch, caplog):
    def fail(self, id):
        raise RuntimeError("out of order")

    monkeypatch.setattr(DataStream, "hasChunk", fail)
    (error,) = writer.write([Sent("a", b"1", b"x")])
    assert isinstance(error, errors.ScriptError)
    assert str(error) == "What is sent under the tag 'a' fails: RuntimeError: out of order"
    assert "what was sent under the tag 'a' to 'default' failed" in caplog.text
    assert "RuntimeError: out of order" in caplog.text


def test_what_can_t_be_indexed_is_refused_alone(lake, writer, monkeypatch):
    searchable = DataStream.SearchableText

    def fail(self):
        if self.getReference() == "bad":
            raise RuntimeError("no words")
        return searchable(self)

    monkeypatch.setattr(DataStream, "SearchableText", fail)
    outcomes = writer.write([Sent("good", b"1"), Sent("bad", b"2"), Sent("fine", b"3")])
    message = "What is sent under the tag 'bad' fails: RuntimeError: no words"
    assert [None if error is None else str(error) for error in outcomes] == [None, message, None]
    assert [streams(lake, tag) for tag in ("good", "bad", "fine")] == [[b"1"], [], [b"3"]]


def test_what_can_t_be_committed_is_told_from_the_rest_by_trying_one_by_one(lake, writer, monkeypatch):
    append = DataStream.appendData

    def spoil(self, data):
        if self.getReference() == "bad":
            self.spoiled = lambda: None
        return append(self, data)

    monkeypatch.setattr(DataStream, "appendData", spoil)
    outcomes = writer.write([Sent("good", b"1"), Sent("bad", b"2"), Sent("fine", b"3"), Sent("none..", b"4")])
    assert [error is None for error in outcomes] == [True, False, True, False]
    assert str(outcomes[1]) == "What is sent under the tag 'bad' fails: TypeError: cannot pickle 'function' object"
    assert [streams(lake, tag) for tag in ("good", "bad", "fine")] == [[b"1"], [], [b"3"]]


# who


def test_script_that_fails_now_and_then_has_few_tags_refused(lake, writer, monkeypatch):
    append = DataStream.appendData
    calls = []

    def fail(self, data):
        calls.append(data)
        if len(calls) % 5 == 0:
            raise RuntimeError("not now")
        return append(self, data)

    monkeypatch.setattr(DataStream, "appendData", fail)
    outcomes = writer.write([Sent(f"tag.{number}", b"x") for number in range(40)])
    stored = [number for number, error in enumerate(outcomes) if error is None]
    assert len(stored) == 13
    assert len(calls) == 40 + 32 + 26 + 21 + 17
    assert [streams(lake, f"tag.{number}") for number in stored] == [[b"x"]] * 13


def test_built_in_identity_owns_nothing(lake, writer):
    writer.write([Sent("a", b"1"), Sent("b", b"2", user="ada")])
    with lake.open("system") as site:
        owners = {each.getReference(): each.getOwnerTuple() for each in site.data_stream_module.objectValues()}
        assert owners == {"a": None, "b": (["erp5", "acl_users"], "ada")}
        authors = {each.getReference(): each.author for each in site.data_ingestion_module.objectValues()}
        assert authors == {"a": "fluentd", "b": "ada"}


def test_built_in_identity_may_only_what_a_contributor_may(lake):
    with lake.open("system") as site:
        user = sender(site, "")
        assert (user.getUserName(), user.getId(), tuple(user.getRoles())) == (
            "fluentd",
            None,
            ("Contributor", "Authenticated"),
        )
        may = {name for name in DEFAULT_ROLES if user.has_permission(name, site)}
        ada = site.acl_users.getUserById("ada")
        assert may == {name for name in DEFAULT_ROLES if ada.has_permission(name, site)}
        assert PushData in may
        assert not user.has_permission("Modify portal content", site.portal_ingestion_policies)


def test_built_in_identity_may_nothing_where_contributors_may_not_push(lake, writer):
    with lake.open("system") as site:
        site.manage_permission(PushData, ["Manager"])
        policy = site.portal_ingestion_policies["default"]
        policy._Wendelin__Push_Data_Permission = ("Manager",)
        transaction.commit()
    (error,) = writer.write([Sent("a", b"1")])
    assert isinstance(error, errors.NotAuthorised)


def test_scripts_run_with_the_rights_of_the_sender(lake, writer):
    customise(lake, "context.getPortalObject().portal_ingestion_policies.default.edit(title='mine')")
    (error,) = writer.write([Sent("a", b"1")])
    assert isinstance(error, errors.NotAuthorised)


# storages without room, or out of reach


def test_full_storage_is_raised_and_the_same_batch_is_stored_later(lake, writer):
    data = os.urandom(2**20)
    sent = [Sent("a", b"1", b"x"), Sent("b", data)]
    writer.write([Sent("a", b"0"), Sent("b", b"0")])
    storage = lake.db.storage
    storage._quota = storage.getSize() + 2**18
    with pytest.raises(errors.StorageFull) as raised:
        writer.write(sent, b"batch")
    assert str(raised.value) == "The disk of the data lake is full: what is sent is taken once there is room."
    assert streams(lake, "a") == [b"0"]
    storage._quota = None
    assert writer.write(sent, b"batch") == [None, None]
    assert (streams(lake, "a"), streams(lake, "b")) == ([b"01"], [b"0" + data])


@pytest.fixture
def far(data_fs, tmp_path):
    """A lake on a ZEO server, and the network to it."""
    with remote_lake(data_fs, tmp_path) as found:
        yield found


class Voter:
    """Takes part in a transaction, and is the last to vote: everybody has stored then, and nobody has finished."""

    def __init__(self, vote):
        self._vote = vote

    def sortKey(self):
        return "~"

    def tpc_vote(self, transaction):
        self._vote()

    def ignore(self, transaction):
        """There is nothing to do in the other phases."""

    tpc_begin = commit = tpc_finish = tpc_abort = abort = ignore


@contextmanager
def before_the_next_commits(*functions):
    """Call each of these functions before a transaction with changes that this thread commits, in turn."""
    waiting = list(functions)

    class Synch:
        def beforeCompletion(self, current):
            if waiting and current._resources and current.status == "Active":
                waiting.pop(0)()

        def ignore(self, current):
            """There is nothing to do at other times."""

        newTransaction = afterCompletion = ignore

    synch = Synch()
    transaction.manager.registerSynch(synch)
    try:
        yield waiting
    finally:
        transaction.manager.unregisterSynch(synch)


@pytest.mark.parametrize(("direction", "stored"), [("up", False), ("down", True)])
def test_commit_that_is_in_doubt_is_raised_and_what_it_has_stored_is_not_stored_again(far, direction, stored):
    lake, network = far
    writer = BatchWriter(lake.db)
    writer.write([Sent("a", b"0"), Sent("b", b"0")])
    sent = [Sent("a", b"1", b"x"), Sent("b", b"2"), Sent("b", b"3", b"y")]
    cut = Voter(lambda: network.faults.append(Fault(direction, 0, "reset")))
    with before_the_next_commits(lambda: transaction.get().join(cut)), pytest.raises(errors.NotReady) as raised:
        writer.write(sent, b"batch")
    assert str(raised.value) == "The storage of the data lake cannot be reached: what is sent is taken once it can."
    assert len(network.broken) == 1
    lake.db.storage._server.timeout = 60
    lake.db.storage.ping()  # waits until it is connected again
    assert streams(lake, "b") == [b"023" if stored else b"0"]
    assert writer.write(sent, b"batch") == [None] * 3
    assert (streams(lake, "a"), streams(lake, "b")) == ([b"01"], [b"023"])


def test_storage_that_can_t_even_be_read_is_not_ready(far):
    lake, network = far
    writer = BatchWriter(lake.db)
    writer.write([Sent("a", b"1")])
    way = "{}:{}".format(*network.server)
    network.lead_to(None)
    network.faults.append(Fault("up", 0, "close"))
    lake.db.cacheMinimize()
    lake.db.storage._cache.clear()
    with pytest.raises(errors.NotReady, match="cannot be reached") as raised:
        writer.write([Sent("a", b"2")])
    assert isinstance(raised.value.__cause__, ClientDisconnected)
    network.lead_to(way)
    lake.db.storage._server.timeout = 60
    assert writer.write([Sent("a", b"2")]) == [None]
    assert streams(lake, "a") == [b"12"]


# two processes


@pytest.fixture
def processes(data_fs, tmp_path):
    """Two lakes on one FileStorage: as `wendelin serve` has it, and as another process has it through its socket."""
    shutil.copy(data_fs, tmp_path / "Data.fs")
    place = Place(tmp_path)
    host = DB(place.open(), class_factory=ClassFactory)
    host.storage.offer(place.socket)
    guest = DB(place.open(), class_factory=ClassFactory)
    try:
        yield Lake(host), Lake(guest)
    finally:
        guest.close()
        host.close()


def test_two_processes_store_everything_once_and_in_the_order_of_each_sender(processes):
    def send(number):
        writer = BatchWriter(processes[number].db)
        for piece in range(15):
            sent = [Sent("both", b"%d.%d;" % (number, piece), b"%d.%d" % (number, piece)), Sent(f"own.{number}", b"x")]
            assert writer.write(sent) == [None, None]

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(send, range(2)))
    host = processes[0]  # the other one may learn a moment later of what the host has committed
    (data,) = streams(host, "both")
    pieces = data.rstrip(b";").split(b";")
    assert len(pieces) == 30
    for number in range(2):
        own = [each for each in pieces if each.startswith(b"%d." % number)]
        assert own == [b"%d.%d" % (number, piece) for piece in range(15)]
        assert streams(host, f"own.{number}") == [b"x" * 15]


def elsewhere(lake, *sent):
    """A function that writes a batch in another process: another database, in another thread."""

    def write():
        with ThreadPoolExecutor(1) as thread:
            assert thread.submit(BatchWriter(lake.db).write, sent).result() == [None] * len(sent)

    return write


def test_two_first_chunks_of_a_tag_in_two_processes_make_one_stream(processes):
    host, guest = processes
    with before_the_next_commits(elsewhere(guest, Sent("a", b"2", b"2"))) as waiting:
        assert BatchWriter(host.db).write([Sent("a", b"1", b"1"), Sent("b", b"1")]) == [None, None]
    assert waiting == []
    assert (streams(host, "a"), streams(host, "b")) == ([b"21"], [b"1"])
    with host.open("system") as site:
        assert len([each for each in site.data_ingestion_module.objectValues() if each.getReference() == "a"]) == 1


def test_chunk_that_two_processes_get_at_the_same_time_is_stored_once(processes):
    host, guest = processes
    with before_the_next_commits(elsewhere(guest, Sent("a", b"1", b"1"))):
        assert BatchWriter(host.db).write([Sent("a", b"1", b"1"), Sent("a", b"2", b"2")]) == [None, None]
    assert streams(host, "a") == [b"12"]


def test_batch_that_meets_others_again_and_again_is_written_in_parts(processes, monkeypatch):
    monkeypatch.setattr(batch, "pause", lambda attempt: None)
    host, guest = processes
    writer = BatchWriter(host.db)
    writer.write([Sent("a", b"0"), Sent("b", b"0")])
    others = [elsewhere(guest, Sent("a", b"%d;" % number)) for number in range(batch.TOGETHER)]
    last = host.db.lastTransaction()
    with before_the_next_commits(*others) as waiting:
        assert writer.write([Sent("a", b"x", b"1"), Sent("b", b"x", b"2")]) == [None, None]
    assert waiting == []
    assert (streams(host, "a"), streams(host, "b")) == ([b"00;1;2;3;x"], [b"0x"])
    assert sum(record.tid > last for record in host.db.storage.iterator(last)) == batch.TOGETHER + 2


def test_conflict_without_an_end_is_raised_and_what_was_stored_is_not_stored_again(processes, monkeypatch):
    monkeypatch.setattr(batch, "pause", lambda attempt: None)
    monkeypatch.setattr(batch, "ATTEMPTS", 3)
    host, guest = processes
    writer = BatchWriter(host.db)
    writer.write([Sent("a", b"0"), Sent("b", b"0")])
    sent = [Sent("b", b"x"), Sent("a", b"x")]
    others = [elsewhere(guest, Sent("a", b"%d;" % number)) for number in range(batch.TOGETHER)]
    others += [lambda: None]  # that of b alone
    others += [elsewhere(guest, Sent("a", b"!")) for _ in range(3)]
    with before_the_next_commits(*others) as waiting, pytest.raises(errors.NotReady) as raised:
        writer.write(sent, b"batch")
    assert str(raised.value) == "Others change the same things at the same time, again and again: try later."
    assert waiting == []
    assert writer.write(sent, b"batch") == [None, None]
    assert (streams(host, "a"), streams(host, "b")) == ([b"00;1;2;3;!!!x"], [b"0x"])


def test_full_storage_of_a_host_is_full_for_its_guest(processes):
    host, guest = processes
    writer = BatchWriter(guest.db)
    writer.write([Sent("a", b"0")])
    storage = host.db.storage._storage
    storage._quota = storage.getSize() + 2**10
    data = os.urandom(2**16)
    with pytest.raises(errors.StorageFull, match=r"^The disk of the data lake is full: "):
        writer.write([Sent("a", data, b"1")])
    storage._quota = None
    assert writer.write([Sent("a", data, b"1")]) == [None]
    assert streams(host, "a") == [b"0" + data]
