from __future__ import annotations

from datetime import timedelta

import transaction

from Products.ERP5Wendelin.alarms.expiry import expire_ingestions
from Products.ERP5Wendelin.content.arrival import Arrival
from Products.ERP5Wendelin.content.upload import LIFETIME
from support.pushes import send_large, start

LATE = LIFETIME + timedelta(seconds=1)


def expire(alarm):
    return expire_ingestions(alarm).text


def test_pushes_that_nobody_continues_are_cancelled_in_all_data_sets(site, alarm):
    one, other = (site.data_set_module.newDataSet(reference) for reference in ("one", "other"))
    transaction.commit()
    pushes = [start(one), start(other), start(other)]
    send_large(pushes[0], "large", b"12345")
    for push in pushes[:2]:
        push.modified -= LATE
    transaction.commit()
    assert expire(alarm) == "Given up: 2 pushes, 0 files that came in part."
    transaction.begin()
    assert [push.getSimulationState() for push in pushes] == ["cancelled", "cancelled", "started"]
    assert len(pushes[0].uploads) == 0
    assert expire(alarm) == "Given up: 0 pushes, 0 files that came in part."


def test_what_agents_send_does_not_expire(site, alarm):
    ingestion = site.data_ingestion_module.newContent(portal_type="Data Ingestion", reference="sensor")
    ingestion.modified -= LATE
    transaction.commit()
    assert expire(alarm) == "Given up: 0 pushes, 0 files that came in part."
    assert ingestion.getSimulationState() == "started"


def test_pieces_of_the_original_ebulk_that_nobody_continues_are_dropped(site, alarm):
    data_set = site.data_set_module.newDataSet("scans")
    ingestion = site.data_ingestion_module.newContent(portal_type="Data Ingestion", data_set="scans", author="ada")
    arrival = Arrival(ingestion.getId(), "a.nii", "scans/a/nii", 10)
    data_set.addArrival(arrival)
    transaction.commit()
    assert expire(alarm) == "Given up: 0 pushes, 0 files that came in part."
    arrival.modified -= LATE
    transaction.commit()
    assert expire(alarm) == "Given up: 0 pushes, 1 files that came in part."
    transaction.begin()
    assert data_set.getArrival("a.nii") is None
    assert ingestion.getSimulationState() == "cancelled"
