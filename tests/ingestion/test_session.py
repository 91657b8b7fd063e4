"""Pushes: what a plan takes over, what a stop commits and refuses, and what a cancelled push leaves."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import transaction
from ZODB.POSException import POSKeyError
from zope.interface.verify import verifyObject

from Products.ERP5Wendelin.errors import (
    BadInput,
    BadPath,
    Conflict,
    Gone,
    Incomplete,
    NotFound,
    PushConflict,
)
from Products.ERP5Wendelin.ingestion import session
from Products.ERP5Wendelin.interfaces import IDataIngestion
from Products.ERP5Wendelin.protocol import SMALL_FILE_SIZE, UPLOAD_LIFETIME
from support.pushes import (
    MTIME_NS,
    anybody_may,
    content_of,
    contents_of,
    plan,
    planned,
    push,
    send,
    send_large,
    start,
    stop,
)
from support.site import as_user

LARGE = b"L" * SMALL_FILE_SIZE
NOTHING = {"added": 0, "modified": 0, "removed": 0}


def expire(ingestion: Any) -> None:
    ingestion.modified -= timedelta(seconds=UPLOAD_LIFETIME + 1)
    transaction.commit()


# start


def test_a_started_push_says_what_it_is(data_set):
    push(data_set, {"a": b"1"})
    ingestion = start(data_set, message="second")
    assert verifyObject(IDataIngestion, ingestion)
    assert ingestion.getSimulationState() == "started"
    assert (ingestion.data_set, ingestion.base_version, ingestion.message, ingestion.author) == (
        "scans",
        1,
        "second",
        "ada",
    )
    assert ingestion.expires - ingestion.modified == timedelta(seconds=UPLOAD_LIFETIME)
    assert (ingestion.result, ingestion.getReceived()) == (None, (0, 0))


def test_a_base_version_that_does_not_exist_is_not_found(data_set):
    with pytest.raises(NotFound, match="There is no version 7; the newest is 0"):
        session.start(data_set, "ada", base_version=7)


def test_a_message_of_a_novel_is_refused(data_set):
    with pytest.raises(BadInput, match="message must be text of at most 10000 characters"):
        session.start(data_set, "ada", "x" * 10_001)


def test_starting_cancels_the_expired_pushes_of_the_data_set(site, data_set):
    other = site.data_set_module.newDataSet("other")
    old, alive, elsewhere = start(data_set), start(data_set), start(other)
    expire(old)
    expire(elsewhere)
    with as_user(site, "eve"):
        start(data_set)
    assert [each.getSimulationState() for each in (old, alive, elsewhere)] == ["cancelled", "started", "started"]


# plan


def test_what_the_lake_does_not_hold_is_missing_in_the_order_of_the_plan(data_set):
    assert plan(start(data_set), {"b": b"1", "a": b"2"}) == ["b", "a"]


def test_empty_files_need_no_upload(data_set):
    ingestion = start(data_set)
    assert plan(ingestion, {"empty": b""}) == []
    assert stop(ingestion)["added"] == 1
    assert contents_of(data_set) == {"empty": b""}


def test_content_of_the_data_set_is_taken_over_with_the_time_and_mode_planned(data_set):
    push(data_set, {"a": b"content"})
    ingestion = start(data_set)
    with_mode = planned("copy", b"content", mode="100755", mtime_ns=5)
    assert session.plan(ingestion, [with_mode], [], [], anybody_may) == []
    transaction.commit()
    stop(ingestion)
    entry = data_set.manifest.get("copy")
    assert (entry.mtime_ns, entry.mode) == (5, "100755")
    assert contents_of(data_set) == {"a": b"content", "copy": b"content"}


def test_content_of_an_older_version_is_taken_over(data_set):
    push(data_set, {"a": b"old"})
    push(data_set, {"a": b"new"})
    ingestion = start(data_set)
    assert plan(ingestion, {"a": b"old"}) == []
    assert stop(ingestion) == {**NOTHING, "version": 3, "modified": 1}
    assert content_of(data_set, "a") == b"old"


def test_large_content_of_another_data_set_is_taken_over_if_the_user_may_view_it(site, data_set):
    other = site.data_set_module.newDataSet("other")
    push(other, {"large": LARGE, "small": b"tiny"})
    asked: list[str] = []

    def may_view(found: Any) -> bool:
        asked.append(found.getReference())
        return True

    ingestion = start(data_set)
    assert plan(ingestion, {"mine": LARGE, "small": b"tiny"}, may_view=may_view) == ["small"]
    assert asked == ["other"]
    send(ingestion, {"small": b"tiny"})
    stop(ingestion)
    assert content_of(data_set, "mine") == LARGE


def test_content_of_a_data_set_the_user_may_not_view_is_missing(site, data_set):
    push(site.data_set_module.newDataSet("secret"), {"large": LARGE})
    assert plan(start(data_set), {"mine": LARGE}, may_view=lambda found: False) == ["mine"]


def test_what_this_push_has_sent_is_not_missing_again(data_set):
    ingestion = start(data_set)
    assert plan(ingestion, {"a": b"1", "b": b"2"}) == ["a", "b"]
    send(ingestion, {"a": b"1"})
    assert plan(ingestion, {"a": b"1", "b": b"2"}) == ["b"]


def test_a_large_file_that_was_sent_and_then_renamed_is_not_missing_again(data_set):
    ingestion = start(data_set)
    send_large(ingestion, "before", LARGE)
    assert plan(ingestion, {"after": LARGE}, removed=["before"]) == []
    stop(ingestion)
    assert contents_of(data_set) == {"after": LARGE}


def test_planning_a_path_again_replaces_what_was_planned_and_sent(data_set):
    ingestion = start(data_set)
    plan(ingestion, {"a": b"1"})
    send(ingestion, {"a": b"1"})
    assert plan(ingestion, {"a": b"2"}) == ["a"]
    with pytest.raises(Incomplete):
        stop(ingestion)
    send(ingestion, {"a": b"2"})
    stop(ingestion)
    assert contents_of(data_set) == {"a": b"2"}


def test_a_path_that_was_removed_and_is_planned_again_stays(data_set):
    push(data_set, {"a": b"1"})
    ingestion = start(data_set)
    plan(ingestion, removed=["a"])
    plan(ingestion, {"a": b"1"})
    assert stop(ingestion) == {**NOTHING, "version": 1}


def test_a_removed_path_goes(data_set):
    push(data_set, {"a": b"1", "b": b"2"})
    assert push(data_set, {}, removed=["a"]) == {**NOTHING, "version": 2, "removed": 1}
    assert contents_of(data_set) == {"b": b"2"}


def test_a_renamed_path_keeps_content_and_time(data_set):
    push(data_set, {"a": b"1"})
    assert push(data_set, {}, renamed=[("a", "b")]) == {**NOTHING, "version": 2, "added": 1, "removed": 1}
    assert contents_of(data_set) == {"b": b"1"}
    assert data_set.manifest.get("b").mtime_ns == MTIME_NS


def test_names_can_be_swapped_and_shifted(data_set):
    push(data_set, {"a": b"1", "b": b"2", "c": b"3"})
    push(data_set, {}, renamed=[("a", "b"), ("b", "a"), ("c", "d")])
    assert contents_of(data_set) == {"a": b"2", "b": b"1", "d": b"3"}


def test_a_chain_of_renamings_may_be_planned_in_two_requests(data_set):
    push(data_set, {"a": b"1", "b": b"2"})
    ingestion = start(data_set)
    plan(ingestion, renamed=[("a", "b")])
    plan(ingestion, renamed=[("b", "c")])
    stop(ingestion)
    assert contents_of(data_set) == {"b": b"1", "c": b"2"}


def test_a_renamed_path_is_that_of_the_base_version(data_set):
    push(data_set, {"a": b"1"})
    push(data_set, {}, removed=["a"])
    ingestion = start(data_set, base_version=1)
    plan(ingestion, renamed=[("a", "b")])
    stop(ingestion)
    assert contents_of(data_set) == {"b": b"1"}


def test_renaming_what_is_not_there_is_refused_by_name(data_set):
    with pytest.raises(BadInput, match=r"^Version 0 of 'scans' has no file 'a' to rename\.$") as caught:
        plan(start(data_set), renamed=[("a", "b")])
    assert caught.value.extra == {"paths": ["a"]}


@pytest.mark.parametrize(
    "wrong", [{"files": {"../x": b""}}, {"removed": ["/x"]}, {"renamed": [("a", "x//y")]}, {"renamed": [("", "y")]}]
)
def test_paths_that_no_data_set_holds_are_refused(data_set, wrong):
    with pytest.raises(BadPath, match=r"^The path '.*' (has|begins|is)"):
        plan(start(data_set), **wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"size": -1}, "The size of 'a' must be a number of bytes"),
        ({"size": 2**63}, "The size of 'a' must be a number of bytes"),
        ({"digest": b"short"}, "The digest of 'a' must be a sha-256"),
        ({"mtime_ns": 2**63}, "The modification time of 'a' is out of range"),
        ({"mode": "100600"}, "The mode of 'a' must be one of 100644, 100755, 120000"),
        ({"mode": "120000", "size": 5000}, "'a' is a symbolic link: its target may have at most 4096 bytes"),
        ({"size": 0}, "'a' is planned as empty with the digest of other content"),
    ],
)
def test_a_file_that_can_not_be_is_refused_and_nothing_of_its_plan_stays(data_set, wrong, message):
    ingestion = start(data_set)
    files = [planned("good", b""), planned("a", b"abc")._replace(**wrong)]
    with pytest.raises(BadInput, match=message):
        session.plan(ingestion, files, ["x"], [], anybody_may)
    transaction.abort()
    assert (len(ingestion.staged), len(ingestion.removed)) == (0, 0)


# stop


def test_a_push_becomes_visible_in_one_piece_and_validates_its_data_set(lake, data_set):
    ingestion = start(data_set)
    plan(ingestion, {"a": b"1"})
    send(ingestion, {"a": b"1"})
    assert (contents_of(data_set), data_set.getValidationState()) == ({}, "draft")
    assert stop(ingestion) == {**NOTHING, "version": 1, "added": 1}
    with lake.open("dan") as site:
        seen = site.data_set_module.getDataSet("scans")
        assert (contents_of(seen), seen.getValidationState()) == ({"a": b"1"}, "validated")
        assert seen.manifest.get_version(1).author == "ada"


def test_a_second_stop_gives_the_same_answer(data_set):
    ingestion = start(data_set)
    plan(ingestion, {"empty": b""})
    first = stop(ingestion)
    push(data_set, {"more": b"2"})
    assert stop(ingestion) == first == ingestion.result
    assert data_set.manifest.version == 2


def test_a_stopped_push_has_let_go_of_everything_but_its_figures(data_set):
    ingestion = start(data_set)
    plan(ingestion, {"a": b"abc", "b": b""}, removed=["x"])
    send(ingestion, {"a": b"abc"})
    send_large(ingestion, "c", b"12345")
    stop(ingestion)
    assert [len(each) for each in (ingestion.staged, ingestion.expected, ingestion.removed, ingestion.uploads)] == [
        0
    ] * 4
    assert ingestion.getReceived() == (3, 8)
    assert data_set.manifest.file_count == 3


def test_a_push_of_nothing_makes_no_version(data_set):
    push(data_set, {"a": b"1"})
    assert push(data_set, {"a": b"1"}, removed=["unknown"]) == {**NOTHING, "version": 1}


def test_planned_content_that_has_not_arrived_refuses_the_stop_and_is_named(data_set):
    ingestion = start(data_set)
    plan(ingestion, {f"{number:03}": b"%d" % number for number in range(150)})
    with pytest.raises(
        Incomplete, match=r"^150 files are planned and not here yet, such as '000'\. Send them"
    ) as caught:
        stop(ingestion)
    assert caught.value.extra == {"missing": [f"{number:03}" for number in range(100)], "missing_count": 150}
    assert (ingestion.getSimulationState(), data_set.manifest.version) == ("started", 0)


def test_one_missing_file_is_told_in_the_singular(data_set):
    ingestion = start(data_set)
    plan(ingestion, {"a": b"1"})
    with pytest.raises(Incomplete, match=r"^1 file is planned and not here yet, such as 'a'\."):
        stop(ingestion)


def test_pushes_of_different_paths_merge(data_set):
    push(data_set, {"a": b"1", "b": b"1", "c": b"1"})
    first, second = start(data_set), start(data_set)
    for ingestion, path in ((first, "a"), (second, "b")):
        plan(ingestion, {path: b"2"}, removed=["c"])
        send(ingestion, {path: b"2"})
    stop(first)
    assert stop(second) == {**NOTHING, "version": 3, "modified": 1}
    assert contents_of(data_set) == {"a": b"2", "b": b"2"}


@pytest.mark.parametrize(
    ("theirs", "mine"),
    [
        ({"files": {"a": b"2"}}, {"files": {"a": b"3"}}),
        ({"files": {"a": b"2"}}, {"removed": ["a"]}),
        ({"removed": ["a"]}, {"files": {"a": b"3"}}),
        ({"files": {"new": b"2"}}, {"files": {"new": b"3"}}),
        ({"files": {"new": b"2"}}, {"renamed": [("a", "new")]}),
    ],
)
def test_a_path_that_another_push_changed_otherwise_is_a_conflict(data_set, theirs, mine):
    push(data_set, {"a": b"1", "other": b"1"})
    push(data_set, theirs.get("files", {}), removed=theirs.get("removed", ()))
    before = contents_of(data_set)
    with pytest.raises(
        PushConflict, match=r"^Another push has changed '(a|new)' since version 1\. Pull version 2"
    ) as caught:
        push(
            data_set,
            mine.get("files", {}),
            removed=mine.get("removed", ()),
            renamed=mine.get("renamed", ()),
            base_version=1,
        )
    path = next(iter({**theirs.get("files", {}), **dict.fromkeys(theirs.get("removed", ()))}))
    assert caught.value.extra == {"paths": [path], "version": 2}
    assert contents_of(data_set) == before


def test_several_conflicts_are_counted(data_set):
    push(data_set, {"a": b"2", "b": b"2", "c": b"2"})
    with pytest.raises(
        PushConflict, match=r"changed 'a' since version 0 \(and 2 more of your paths\)\. Pull version 1"
    ):
        push(data_set, {"a": b"3", "b": b"3", "c": b"3"}, base_version=0)


@pytest.mark.parametrize("change", [{"files": {"a": b"2"}}, {"removed": ["a"]}, {"files": {"new": b"3"}}])
def test_the_same_change_by_two_pushes_is_no_conflict(data_set, change):
    push(data_set, {"a": b"1", "b": b"1"})
    for _ in range(2):
        result = push(data_set, change.get("files", {}), removed=change.get("removed", ()), base_version=1)
    assert result == {**NOTHING, "version": 2}


def test_a_path_that_would_be_file_and_folder_is_a_conflict(data_set):
    push(data_set, {"a": b"1"})
    with pytest.raises(PushConflict, match="'a' would be a file and a folder at once"):
        push(data_set, {"a/b": b"1"})


def test_a_folder_needs_no_content_and_may_have_none(data_set):
    ingestion = start(data_set)
    assert session.plan(ingestion, [planned("a", b"", mode="040000")], [], [], anybody_may) == []
    transaction.commit()
    with pytest.raises(BadInput, match="'b' is a folder: it has no content, so its size must be 0"):
        session.plan(ingestion, [planned("b", b"1", mode="040000")], [], [], anybody_may)
    transaction.abort()
    assert stop(ingestion)["added"] == 1
    assert data_set.manifest.get("a").mode == "040000"


# cancel and expiry


def test_a_cancelled_push_leaves_nothing(lake, data_set):
    ingestion = start(data_set)
    plan(ingestion, {"a": b"1"})
    send(ingestion, {"a": b"1"})
    upload = send_large(ingestion, "b", b"12345")
    oids = [ingestion.staged["a"][0]._p_oid, upload._p_oid, upload.stream._p_oid]
    session.cancel(ingestion)
    transaction.commit()
    assert (ingestion.getSimulationState(), len(ingestion.staged)) == ("cancelled", 0)
    assert_freed(lake, oids)


def assert_freed(lake: Any, oids: list[bytes]) -> None:
    """A pack of the database drops the objects."""
    lake.db.pack()
    storage = lake.db.storage
    for oid in oids:
        with pytest.raises(POSKeyError):
            storage.load(oid, "")


def test_cancelling_twice_is_fine_but_not_after_a_stop(data_set):
    cancelled, stopped = start(data_set), start(data_set)
    session.cancel(cancelled)
    session.cancel(cancelled)
    stop(stopped)
    with pytest.raises(Conflict, match="is stopped: what it brought is in the data set, and stays there"):
        session.cancel(stopped)


def test_nothing_can_be_done_with_a_cancelled_push(data_set):
    ingestion = start(data_set)
    session.cancel(ingestion)
    transaction.commit()
    for call in (lambda: plan(ingestion), lambda: send(ingestion, {}), lambda: stop(ingestion)):
        with pytest.raises(
            Conflict, match=f"The ingestion {ingestion.getId()} is cancelled. Start another one."
        ) as caught:
            call()
        assert caught.value.extra == {"state": "cancelled"}


def test_nothing_can_be_done_with_an_expired_push_but_to_cancel_it(data_set):
    ingestion = start(data_set)
    expire(ingestion)
    for call in (lambda: plan(ingestion), lambda: send(ingestion, {}), lambda: stop(ingestion)):
        with pytest.raises(Gone, match=f"The ingestion {ingestion.getId()} has expired"):
            call()
    session.cancel(ingestion)
    assert ingestion.getSimulationState() == "cancelled"


def test_a_sign_of_life_puts_the_expiry_off(data_set):
    ingestion = start(data_set)
    ingestion.modified -= timedelta(days=3)
    transaction.commit()
    before = ingestion.expires
    plan(ingestion)
    assert ingestion.expires - before >= timedelta(days=3)
