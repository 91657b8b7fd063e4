from __future__ import annotations

import pytest
import transaction
from AccessControl.SecurityManagement import getSecurityManager

from Products.ERP5Wendelin.errors import NotAuthorised, WrongState
from Products.ERP5Wendelin.permissions import AccessContentsInformation, ModifyPortalContent, PushData, View
from support.manifests import DATE, files
from support.site import as_user

# who sees it, who pushes to it: ada made it, eve is another contributor, dan a downloader, boss a manager
TABLE = {
    "draft": ("ada eve boss", "ada eve boss"),
    "validated": ("ada eve dan boss", "ada eve boss"),
    "published": ("nobody ada eve dan boss", "ada eve boss"),
    "invalidated": ("boss", "boss"),
}
TARGETS = {"validate": "validated", "publish": "published", "invalidate": "invalidated"}
PATHS = {"draft": (), "validated": ("validate",), "published": ("publish",), "invalidated": ("invalidate",)}


def allowed(site, permission, document):
    names = []
    for name in ("nobody", "ada", "eve", "dan", "boss"):
        with as_user(site, name):
            if getSecurityManager().checkPermission(permission, document):
                names.append(name)
    return " ".join(names)


@pytest.fixture(params=["data_set_module", "data_stream_module", "data_array_module"])
def document(request, site):
    return site[request.param].newContent(reference="x")


@pytest.mark.parametrize("state", TABLE)
def test_who_may_do_what_follows_from_the_state(site, document, state):
    for transition in PATHS[state]:
        document.changeState(transition)
    assert document.getValidationState() == state
    viewers, pushers = TABLE[state]
    assert allowed(site, View, document) == allowed(site, AccessContentsInformation, document) == viewers
    assert allowed(site, PushData, document) == allowed(site, ModifyPortalContent, document) == pushers


@pytest.mark.parametrize("state", TABLE)
def test_transitions_are_those_of_the_state_and_others_are_refused(site, state):
    workflow = site.portal_workflow.data_set_workflow
    possible = workflow.states[state].transitions
    assert set(workflow.transitions.objectIds()) == {"validate", "publish", "invalidate"}
    for transition, target in TARGETS.items():
        with as_user(site, "boss"):
            document = site.data_set_module.newDataSet(transition)
            for step in PATHS[state]:
                document.changeState(step)
            if transition in possible:
                document.changeState(transition)
                assert document.getValidationState() == target
            else:
                with pytest.raises(WrongState) as error:
                    document.changeState(transition)
                assert str(error.value) == (
                    f"Data Set {transition!r} is {state}: it is not possible to {transition} it. "
                    f"Possible: {', '.join(sorted(possible))}."
                )
                assert error.value.extra == {"state": state}


def test_who_may_not_modify_it_may_not_change_its_state(site):
    document = site.data_set_module.newDataSet("x")
    document.changeState("validate")
    with as_user(site, "dan"), pytest.raises(NotAuthorised, match=r"^You may not publish the Data Set 'x'\.$"):
        document.changeState("publish")


def test_only_a_manager_brings_an_invalidated_data_set_back(site):
    document = site.data_set_module.newDataSet("x")
    document.changeState("invalidate")
    with pytest.raises(NotAuthorised):
        document.changeState("validate")
    with as_user(site, "boss"):
        document.changeState("validate")
    assert document.getValidationState() == "validated"


def test_change_of_state_is_kept_with_who_made_it(site):
    document = site.data_set_module.newDataSet("x")
    document.changeState("publish")
    last = document.workflow_history["data_set_workflow"][-1]
    assert (last["validation_state"], last["action"], last["actor"]) == ("published", "publish", "ada")
    assert last["time"]


def test_ingestion_is_seen_by_its_owner_and_managers(site):
    ingestion = site.data_ingestion_module.newContent(data_set="x", author="ada")
    assert ingestion.getSimulationState() == "started"
    assert allowed(site, View, ingestion) == allowed(site, PushData, ingestion) == "ada boss"
    ingestion.cancel()
    assert ingestion.getSimulationState() == "cancelled"
    assert allowed(site, View, ingestion) == "ada boss"
    assert allowed(site, PushData, ingestion) == "boss"


def test_change_of_state_writes_two_records_however_many_files(site):
    document = site.data_set_module.newDataSet("x")
    document.commit(files({f"{n:05}": str(n) for n in range(5_000)}), [], "ada", "", DATE)
    transaction.commit()
    document.changeState("publish")
    changed = {type(record).__name__ for record in site._p_jar._registered_objects}
    assert changed == {"DataSet", "PersistentMapping"}  # the latter is its history
