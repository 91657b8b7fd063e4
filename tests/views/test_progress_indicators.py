"""`/progress-indicators`: how far scripts are, and for whom that is."""

from __future__ import annotations

import pytest
import transaction

from Products.ERP5Wendelin.content.progress_indicator import DONE, FAILED, INTERRUPTED
from Products.ERP5Wendelin.storage.lease import utc_now
from Products.ERP5Wendelin.storage.process import this_process

PATH = "/progress-indicators"


@pytest.fixture
def indicators(server):
    """Scripts that are done, failed, interrupted, running, and killed; all made by ada."""
    with server.lake.open() as site:
        for state in (DONE, FAILED, INTERRUPTED):
            make(site, f"{state}.py").progress.end(state, f"secret of {state}")
        make(site, "running.py").lease.claim(this_process(), utc_now())
        make(site, "killed.py").lease.claim(this_process().rpartition("/")[0] + "/1", utc_now())
        site.progress_indicator_module.newContent(reference="new.py")
        transaction.commit()


def make(site, reference):
    indicator = site.progress_indicator_module.newContent(reference=reference)
    indicator.progress.begin(this_process(), "", anew=True)
    indicator.progress.note(1, 4, "rows", 2.5)
    return indicator


def references(server, query, user="ada"):
    return [item["reference"] for item in server.request("GET", f"{PATH}?{query}", user=user).data["items"]]


def test_they_are_listed_by_reference_with_their_states(server, indicators):
    items = server.request("GET", PATH).data["items"]
    assert [(item["reference"], item["state"], item["rate"]) for item in items] == [
        ("done.py", "done", None),
        ("failed.py", "failed", None),
        ("interrupted.py", "interrupted", None),
        ("killed.py", "interrupted", None),
        ("new.py", None, None),
        ("running.py", "running", 2.5),
    ]
    assert {(item["done"], item["total"], item["unit"]) for item in items} == {(1, 4, "rows"), (0, None, "")}


def test_they_are_found_by_state_and_words_and_page_by_page(server, indicators):
    assert references(server, "state=interrupted") == ["interrupted.py", "killed.py"]
    assert references(server, "search=run") == ["running.py"]
    first = server.request("GET", f"{PATH}?state=interrupted&limit=1").data
    assert [item["reference"] for item in first["items"]] == ["interrupted.py"]
    assert references(server, f"state=interrupted&limit=1&cursor={first['next']}") == ["killed.py"]


def test_a_state_that_there_is_not_is_400(server):
    answer = server.request("GET", f"{PATH}?state=draft")
    assert (answer.status, answer.data["detail"]) == (
        400,
        "There is no state 'draft'. States are: running, done, failed, interrupted.",
    )


def test_who_may_not_view_one_finds_none(server, indicators):
    assert references(server, "", "dan") == []
    assert server.request("GET", f"{PATH}/failed.py", user="dan").status == 404
    answer = server.request("GET", f"{PATH}/failed.py", user=None)
    assert (answer.status, answer.data["detail"]) == (
        401,
        "There is no public progress indicator 'failed.py'. Log in if you have an account.",
    )


def test_an_error_is_for_who_may_change_the_indicator(server, indicators):
    assert server.request("GET", f"{PATH}/failed.py").data["error"] == "secret of failed"
    with server.lake.open() as site:
        site.progress_indicator_module.getProgressIndicator("failed.py").publish()
        transaction.commit()
    for user in ("dan", None):
        answer = server.request("GET", f"{PATH}/failed.py", user=user)
        assert (answer.data["state"], answer.data["error"]) == ("failed", None)


def test_a_reference_may_have_slashes(server):
    with server.lake.open() as site:
        make(site, "mean.py /srv/a b")
        transaction.commit()
    assert server.request("GET", f"{PATH}/mean.py%20/srv/a%20b").data["reference"] == "mean.py /srv/a b"


def test_a_site_of_an_earlier_release_is_404_and_says_what_to_upgrade(server):
    with server.lake.open() as site:
        site._delObject("progress_indicator_module")
        transaction.commit()
    for path in (PATH, f"{PATH}/mean.py"):
        answer = server.request("GET", path)
        assert (answer.status, answer.data["detail"]) == (
            404,
            "This site has no progress_indicator_module, in which batches keep how far they are: it comes with "
            "`wendelin bt5 upgrade DIR`.",
        )
