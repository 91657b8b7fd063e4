from __future__ import annotations

from datetime import timedelta

import transaction

from Products.ERP5Wendelin.alarms.budget import interruptible
from Products.ERP5Wendelin.alarms.expiry import expire_ingestions
from Products.ERP5Wendelin.content.arrival import LAST, Arrival
from Products.ERP5Wendelin.content.upload import LIFETIME
from support.pushes import push, send_large, start

LATE = LIFETIME + timedelta(seconds=1)


def expire(alarm):
    return expire_ingestions(alarm).text


def test_pushes_that_nobody_continues_are_cancelled_in_all_data_sets(site, alarm):
    one, other = (site.data_set_module.newDataSet(reference) for reference in ("one", "other"))
    transaction.commit()
    pushes = [start(one), start(other), start(other)]
    send_large(pushes[0], "large", b"12345")
    for each in pushes[:2]:
        each.modified -= LATE
    transaction.commit()
    assert expire(alarm) == "Given up: 2 pushes, 0 files and 0 arrays that came in part."
    transaction.begin()
    assert [each.getSimulationState() for each in pushes] == ["cancelled", "cancelled", "started"]
    assert len(pushes[0].uploads) == 0
    assert expire(alarm) == "Given up: 0 pushes, 0 files and 0 arrays that came in part."


def test_what_agents_send_does_not_expire(site, alarm):
    ingestion = site.data_ingestion_module.newContent(portal_type="Data Ingestion", reference="sensor")
    ingestion.modified -= LATE
    transaction.commit()
    assert expire(alarm) == "Given up: 0 pushes, 0 files and 0 arrays that came in part."
    assert ingestion.getSimulationState() == "started"


def test_pieces_of_the_original_ebulk_that_nobody_continues_are_dropped(site, alarm):
    data_set = site.data_set_module.newDataSet("scans")
    ingestion = site.data_ingestion_module.newContent(portal_type="Data Ingestion", data_set="scans", author="ada")
    arrival = Arrival(ingestion.getId(), "a.nii", "scans/a/nii", 10)
    data_set.addArrival(arrival)
    transaction.commit()
    assert expire(alarm) == "Given up: 0 pushes, 0 files and 0 arrays that came in part."
    arrival.modified -= LATE
    transaction.commit()
    assert expire(alarm) == "Given up: 0 pushes, 1 files and 0 arrays that came in part."
    transaction.begin()
    assert data_set.getArrival("a.nii") is None
    assert ingestion.getSimulationState() == "cancelled"


def test_a_file_that_is_here_and_can_not_be_finished_is_a_failure(site, alarm):
    data_set = site.data_set_module.newDataSet("scans")
    ingestion = site.data_ingestion_module.newContent(portal_type="Data Ingestion", data_set="scans", author="ada")
    arrival = Arrival(ingestion.getId(), "a", "scans/a/none", 0)
    arrival.take(1, 0, b"")
    arrival.take(LAST, 0, b"")
    data_set.addArrival(arrival)
    transaction.commit()
    push(data_set, {"a/b": b"x"})
    report = expire_ingestions(alarm)
    assert report.failed
    assert report.text.splitlines() == [
        "Given up: 0 pushes, 0 files and 0 arrays that came in part.",
        "'scans': 'a' would be a file and a folder at once, since 'a/b' is below it. "
        "Rename or remove one of the two and push again.",
    ]


def test_a_run_that_is_asked_to_stop_gives_up_nothing(site, alarm):
    data_set = site.data_set_module.newDataSet("scans")
    transaction.commit()
    start(data_set).modified -= LATE
    data_set.addArrival(Arrival("gone", "a.nii", "scans/a/nii", 10))
    transaction.commit()
    with interruptible(lambda: True):
        assert expire(alarm) == "Given up: 0 pushes, 0 files and 0 arrays that came in part."
    assert expire(alarm) == "Given up: 1 pushes, 1 files and 0 arrays that came in part."
