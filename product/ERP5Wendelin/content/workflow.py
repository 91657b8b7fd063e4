"""The workflows of a lake's documents: states, transitions, and which roles may do what in which state.

A workflow writes a state's roles into the document itself (one record), so that publishing a data set of 100,000 files
costs what publishing an empty one costs.

data_set_workflow (variable `validation_state`) is that of all documents that hold data::

                 View, read            push, modify
    draft        Contributor           Contributor         also its owner
    validated    + Downloader          Contributor         also its owner
    published    everybody             Contributor         also its owner
    invalidated  Manager               Manager

data_ingestion_workflow (variable `simulation_state`): started, then stopped (committed) or cancelled; what was stopped
is delivered once nothing more is to be made of it. Its owner sees it, and may change it as long as it is started. A
Manager may everything.

data_analysis_workflow (variable `simulation_state`): see `content.data_analysis`. Its owner, who is that of the
transformation, sees it, and may change it until it is delivered or cancelled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from Products.DCWorkflow.DCWorkflow import DCWorkflowDefinition

from Products.ERP5Wendelin.permissions import AccessContentsInformation, ModifyPortalContent, PushData, View

Roles = tuple[str, ...]

MANAGERS: Roles = ("Manager",)
OWNERS: Roles = ("Manager", "Owner")
CONTRIBUTORS: Roles = ("Contributor", "Manager", "Owner")
READERS: Roles = ("Contributor", "Downloader", "Manager", "Owner")
EVERYBODY: Roles = ("Anonymous", "Authenticated", "Contributor", "Downloader", "Manager", "Owner")


def _roles(readers: Roles, writers: Roles) -> dict[str, Roles]:
    return {View: readers, AccessContentsInformation: readers, PushData: writers, ModifyPortalContent: writers}


@dataclass(frozen=True)
class State:
    """A state: its roles by permission, and the transitions that lead out of it."""

    roles: Mapping[str, Roles]
    transitions: Sequence[str] = ()


@dataclass(frozen=True)
class Workflow:
    """A workflow as data; `install` makes a DCWorkflow definition of it."""

    id: str
    title: str
    variable: str
    initial: str
    states: Mapping[str, State]
    transitions: Mapping[str, str]
    """Transition -> the state it leads to. Whoever may modify the document may make it."""


DATA_SET_WORKFLOW = Workflow(
    id="data_set_workflow",
    title="States of documents that hold data",
    variable="validation_state",
    initial="draft",
    states={
        "draft": State(_roles(CONTRIBUTORS, CONTRIBUTORS), ("validate", "publish", "invalidate")),
        "validated": State(_roles(READERS, CONTRIBUTORS), ("publish", "invalidate")),
        "published": State(_roles(EVERYBODY, CONTRIBUTORS), ("validate", "invalidate")),
        "invalidated": State(_roles(MANAGERS, MANAGERS), ("validate",)),
    },
    transitions={"validate": "validated", "publish": "published", "invalidate": "invalidated"},
)

DATA_INGESTION_WORKFLOW = Workflow(
    id="data_ingestion_workflow",
    title="States of an arrival of data",
    variable="simulation_state",
    initial="started",
    states={
        "started": State(_roles(OWNERS, OWNERS), ("stop", "cancel")),
        "stopped": State(_roles(OWNERS, MANAGERS), ("deliver",)),
        "delivered": State(_roles(OWNERS, MANAGERS)),
        "cancelled": State(_roles(OWNERS, MANAGERS)),
    },
    transitions={"stop": "stopped", "cancel": "cancelled", "deliver": "delivered"},
)

DATA_ANALYSIS_WORKFLOW = Workflow(
    id="data_analysis_workflow",
    title="States of an analysis of data",
    variable="simulation_state",
    initial="planned",
    states={
        "planned": State(_roles(OWNERS, OWNERS), ("start", "cancel")),
        "started": State(_roles(OWNERS, OWNERS), ("stop", "fail", "cancel")),
        "stopped": State(_roles(OWNERS, OWNERS), ("plan", "deliver", "cancel")),
        "failed": State(_roles(OWNERS, OWNERS), ("plan", "cancel")),
        "delivered": State(_roles(OWNERS, MANAGERS)),
        "cancelled": State(_roles(OWNERS, MANAGERS)),
    },
    transitions={
        "plan": "planned",
        "start": "started",
        "stop": "stopped",
        "fail": "failed",
        "deliver": "delivered",
        "cancel": "cancelled",
    },
)

CHAINS = {
    "Data Set": DATA_SET_WORKFLOW,
    "Data Stream": DATA_SET_WORKFLOW,
    "Data Bucket Stream": DATA_SET_WORKFLOW,
    "Data Array": DATA_SET_WORKFLOW,
    "Data Operation": DATA_SET_WORKFLOW,
    "Data Product": DATA_SET_WORKFLOW,
    "Data Supply": DATA_SET_WORKFLOW,
    "Ingestion Policy": DATA_SET_WORKFLOW,
    "Data Ingestion": DATA_INGESTION_WORKFLOW,
    "Data Transformation": DATA_SET_WORKFLOW,
    "Data Analysis": DATA_ANALYSIS_WORKFLOW,
}
"""Portal type -> its workflow."""


def install(tool: Any) -> None:
    """Define the workflows in a workflow tool, and bind the portal types to them."""
    for workflow in (DATA_SET_WORKFLOW, DATA_INGESTION_WORKFLOW, DATA_ANALYSIS_WORKFLOW):
        tool._setObject(workflow.id, _definition(workflow))
    tool.setDefaultChain("")
    for portal_type, workflow in CHAINS.items():
        tool.setChainForPortalTypes([portal_type], (workflow.id,))


def _definition(workflow: Workflow) -> DCWorkflowDefinition:
    definition = DCWorkflowDefinition(workflow.id)
    definition.setProperties(workflow.title, manager_bypass=1)
    definition.variables.setStateVar(workflow.variable)
    definition.permissions = tuple(_roles((), ()))
    for name, target in workflow.transitions.items():
        definition.transitions.addTransition(name)
        definition.transitions[name].setProperties(
            title=name.capitalize(), new_state_id=target, props={"guard_permissions": ModifyPortalContent}
        )
    for name, state in workflow.states.items():
        definition.states.addState(name)
        definition.states[name].setProperties(title=name.capitalize(), transitions=state.transitions)
        for permission, roles in state.roles.items():
            definition.states[name].setPermission(permission, 0, roles)
    definition.states.setInitialState(workflow.initial)
    _record_history(definition)
    return definition


def _record_history(definition: DCWorkflowDefinition) -> None:
    """Keep with each change of state who made it and when."""
    for name, expression in (
        ("action", "transition/getId|nothing"),
        ("actor", "user/getId"),
        ("time", "state_change/getDateTime"),
    ):
        definition.variables.addVariable(name)
        definition.variables[name].setProperties(description="", default_expr=expression, for_status=1, update_always=1)
