"""What is serialised: pushes and bundles at the same time, without a conflict that reaches anybody."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import transaction

from Products.ERP5Wendelin.ingestion import locks
from support.pushes import contents_of, plan, send, start, stop
from support.site import Lake


def together(lake: Lake, actions: list[Callable[[Any], None]]) -> None:
    """Run each action in a thread and on a connection of its own; raise what one of them raises."""
    ready = threading.Barrier(len(actions))
    errors: list[BaseException] = []

    def run(action: Callable[[Any], None]) -> None:
        try:
            with lake.open("ada") as site:
                ready.wait()
                action(site)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_bundles_of_one_push_at_the_same_time_all_arrive(lake, data_set):
    identity = start(data_set).getId()
    bundles = [{f"{number}/{file}": b"%d" % file for file in range(50)} for number in range(8)]

    def sender(files: dict[str, bytes]) -> Callable[[Any], None]:
        def act(site: Any) -> None:
            ingestion = site.data_ingestion_module[identity]
            plan(ingestion, files)
            send(ingestion, files)

        return act

    together(lake, [sender(files) for files in bundles])
    transaction.begin()
    assert stop(data_set.getPhysicalRoot().erp5.data_ingestion_module[identity])["added"] == 400
    assert contents_of(data_set) == {path: content for files in bundles for path, content in files.items()}


def test_eight_pushes_into_one_data_set_at_the_same_time_all_succeed(lake, data_set):
    ingestions = []
    for number in range(8):
        ingestion = start(data_set)
        plan(ingestion, {f"{number}": b"x"})
        send(ingestion, {f"{number}": b"x"})
        ingestions.append(ingestion.getId())
    versions: list[int] = []

    def stopper(identity: str) -> Callable[[Any], None]:
        return lambda site: versions.append(stop(site.data_ingestion_module[identity])["version"])

    together(lake, [stopper(identity) for identity in ingestions])
    transaction.begin()
    assert sorted(versions) == list(range(1, 9))
    assert sorted(contents_of(data_set)) == [f"{number}" for number in range(8)]


def test_what_fails_is_aborted_and_lets_the_next_one_in(site):
    def fail() -> None:
        with locks.serialised("key"):
            site.title = "changed"
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with locks.serialised("key"):
        assert site.title != "changed"


def test_what_ends_is_committed(lake, site):
    with locks.serialised("key"):
        site.title = "changed"
    with lake.open() as seen:
        assert seen.title == "changed"
