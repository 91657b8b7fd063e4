"""Reading workflows as ERP5 exports them, in several files."""

from __future__ import annotations

import pytest

from Products.ERP5Wendelin.portal.business_template.reader import read
from Products.ERP5Wendelin.portal.business_template.template import TemplateError
from support.exports import export, persistent, record, write_template

FOLDER = "WorkflowTemplateItem/portal_workflow/brewing"
URL = "portal_workflow/brewing"
ROLES = record(
    2,
    "Persistence.mapping",
    "PersistentMapping",
    {"data": {"View": ("Owner", "Manager"), "Add portal content": ("Manager",)}},
)


def part(id, name, parts="", **properties):
    return {f"{FOLDER}/{id}.xml": export(name, {"id": id, "portal_type": name, **properties}, parts=parts)}


def workflow(**properties):
    properties = {"state_variable": "validation_state", "categories": (f"source/{URL}/state_raw",), **properties}
    return {f"{FOLDER}.xml": export("Workflow", {"id": "brewing", "title": "Brewing", "_tree": None, **properties})}


RAW = part(
    "state_raw",
    "Workflow State",
    ROLES,
    title="Raw",
    categories=(f"destination/{URL}/transition_brew", f"destination/{URL}/transition_brew_action"),
    acquire_permission=("Add portal content",),
    state_permission_role_list_dict=persistent(2),
    state_type=(),
)
DONE = part("state_done", "Workflow State", description="It is brewed.")
BREW = part(
    "transition_brew",
    "Workflow Transition",
    title="Brew",
    action=None,
    categories=("action_type/workflow", f"destination/{URL}/state_done"),
    guard_permission=("Modify portal content",),
    guard_role=("Owner",),
    guard_group=(),
    trigger_type=2,
)
ASK = part("transition_brew_action", "Workflow Transition", guard_expression="python: 1", trigger_type=0)
ACTOR = part(
    "variable_actor",
    "Workflow Variable",
    automatic_update=1,
    status_included=1,
    variable_default_expression="user/getId",
    title="",
)
LIST = part("worklist_raw", "Worklist", action="x", criterion_property=("portal_type",))
ALL = {
    **workflow(manager_bypass=0, workflow_managed_permission=("View", "Add portal content")),
    **RAW,
    **DONE,
    **BREW,
    **ASK,
    **ACTOR,
    **LIST,
}


def read_workflow(tmp_path, files):
    return read(write_template(tmp_path / "t", {**files, "bt/template_workflow_id_list": "brewing"}))


def test_workflow_is_one_item_of_its_states_transitions_and_variables(tmp_path):
    (item,) = read_workflow(tmp_path, ALL).items
    assert (item.kind, item.path, item.file) == ("WorkflowTemplateItem", "portal_workflow/brewing", f"t/{FOLDER}.xml")
    assert item.data == {
        "title": "Brewing",
        "description": "",
        "state_variable": "validation_state",
        "initial_state": "raw",
        "manager_bypass": False,
        "permissions": ("Add portal content", "View"),
        "states": {
            "done": {"title": "", "description": "It is brewed.", "transitions": (), "permissions": {}},
            "raw": {
                "title": "Raw",
                "description": "",
                "transitions": ("brew", "brew_action"),
                "permissions": {
                    "Add portal content": {"roles": ("Manager",), "acquired": True},
                    "View": {"roles": ("Manager", "Owner"), "acquired": False},
                },
            },
        },
        "transitions": {
            "brew": {
                "title": "Brew",
                "description": "",
                "new_state": "done",
                "trigger_type": 1,
                "guard": {
                    "permissions": ("Modify portal content",),
                    "roles": ("Owner",),
                    "groups": (),
                    "expression": "",
                },
            },
            "brew_action": {
                "title": "",
                "description": "",
                "new_state": "",
                "trigger_type": 0,
                "guard": {"permissions": (), "roles": (), "groups": (), "expression": "python: 1"},
            },
        },
        "variables": {
            "actor": {
                "description": "",
                "default_value": "",
                "default_expression": "user/getId",
                "for_catalog": False,
                "for_status": True,
                "update_always": True,
            }
        },
    }


@pytest.mark.parametrize(
    ("files", "file", "message"),
    [
        (workflow(manager_bypass=2), FOLDER, "manager_bypass must be 0 or 1."),
        (
            part("transition_brew", "Workflow Transition", trigger_type="1"),
            f"{FOLDER}/transition_brew",
            "trigger_type must be an integer.",
        ),
        (
            workflow(categories=()),
            FOLDER,
            "A workflow has a state_variable, and one initial state, the category 'source'.",
        ),
        (
            workflow(state_variable=None),
            FOLDER,
            "A workflow has a state_variable, and one initial state, the category 'source'.",
        ),
        (
            workflow(categories=(f"source/{URL}/state_x",)),
            FOLDER,
            f"'source/{URL}/state_x' leads to no Workflow State of this workflow.",
        ),
        (
            part("state_raw", "Workflow State", categories=("destination/portal_workflow/other/transition_brew",)),
            f"{FOLDER}/state_raw",
            "'destination/portal_workflow/other/transition_brew' leads to no Workflow Transition of this workflow.",
        ),
        (
            part(
                "transition_brew",
                "Workflow Transition",
                categories=(f"destination/{URL}/state_raw", f"destination/{URL}/state_done"),
            ),
            f"{FOLDER}/transition_brew",
            "A transition leads to one state.",
        ),
        (
            part("transition_brew", "Workflow Transition", categories=(f"before_script/{URL}/script_x",)),
            f"{FOLDER}/transition_brew",
            "Scripts in workflows are not supported.",
        ),
        (
            part("transition_brew", "Workflow Transition", trigger_type=7),
            f"{FOLDER}/transition_brew",
            "trigger_type is one of [0, 1, 2].",
        ),
        (
            part("brew", "Workflow Transition"),
            f"{FOLDER}/brew",
            "The id of a Workflow Transition begins with 'transition_'.",
        ),
        (
            part("script_x", "Workflow Script"),
            f"{FOLDER}/script_x",
            "Expected Workflow State or Workflow Transition or Workflow Variable or Worklist, not Workflow Script.",
        ),
        (
            {"WorkflowTemplateItem/portal_workflow/other/state_x.xml": export("Workflow State", {"id": "state_x"})},
            "WorkflowTemplateItem/portal_workflow/other/state_x",
            "There is no workflow 'other' that it belongs to.",
        ),
        (
            {"WorkflowTemplateItem/x.xml": export("Workflow", {"id": "x"})},
            "WorkflowTemplateItem/x",
            "Workflows are in the folder portal_workflow.",
        ),
        (
            part("state_raw", "Workflow State", state_permission_role_list_dict=("View",)),
            f"{FOLDER}/state_raw",
            "state_permission_role_list_dict must be permissions with their roles.",
        ),
    ],
)
def test_workflow_that_does_not_fit_together_is_refused(tmp_path, files, file, message):
    with pytest.raises(TemplateError) as caught:
        read_workflow(tmp_path, {**ALL, **files})
    assert str(caught.value).startswith(f"t/{file}.xml, line ")
    assert str(caught.value).endswith(f": {message}")
