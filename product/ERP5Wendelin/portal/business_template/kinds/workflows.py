"""WorkflowTemplateItem: workflows with their states, transitions and variables, each workflow one item.

Files are exports of ERP5's current workflows, whose parts are documents; here they become a DCWorkflow definition::

    WorkflowTemplateItem/portal_workflow/data_set_workflow.xml                        Workflow
    WorkflowTemplateItem/portal_workflow/data_set_workflow/state_draft.xml            Workflow State
    WorkflowTemplateItem/portal_workflow/data_set_workflow/transition_publish.xml     Workflow Transition
    WorkflowTemplateItem/portal_workflow/data_set_workflow/variable_actor.xml         Workflow Variable

Relations are categories: `source/…/state_draft` of a workflow is its initial state, `destination/…/transition_publish`
of a state a transition that leads out of it, `destination/…/state_published` of a transition where that leads. The
roles of a permission in a state are a tuple, or acquired besides if `acquire_permission` names it. Scripts in workflows
are not supported; worklists, which are for ERP5's screens, are passed over. Data::

    {'title', 'description', 'state_variable': 'validation_state', 'initial_state': 'draft', 'manager_bypass': True,
     'permissions': ('View', …),
     'states': {'draft': {'title', 'description', 'transitions': ('publish', …),
                          'permissions': {'View': {'roles': (…), 'acquired': False}}}},
     'transitions': {'publish': {'title', 'description', 'new_state': 'published', 'trigger_type': 1,
                                 'guard': {'permissions': (…), 'roles': (…), 'groups': (…), 'expression': ''}}},
     'variables': {'actor': {'description', 'default_value', 'default_expression', 'for_catalog', 'for_status',
                             'update_always'}}}
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from Products.DCWorkflow.DCWorkflow import DCWorkflowDefinition
from Products.DCWorkflow.Transitions import TRIGGER_AUTOMATIC, TRIGGER_USER_ACTION

from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.portal.business_template.kinds.kind import (
    Source,
    check_id,
    flag,
    integer,
    portal_type_of,
    take,
    text,
    texts,
)
from Products.ERP5Wendelin.portal.business_template.template import Data, Item
from Products.ERP5Wendelin.portal.business_template.xml import Record

TOOL = "portal_workflow"

PARTS = {
    "Workflow State": "state_",
    "Workflow Transition": "transition_",
    "Workflow Variable": "variable_",
    "Worklist": "worklist_",
}
"""Portal type of a part of a workflow -> how its id begins."""

TRIGGERS = {TRIGGER_AUTOMATIC, TRIGGER_USER_ACTION}
ERP5_METHOD_TRIGGER = 2
"""ERP5's transitions that programs make, and people only by another one; programs make all of them here."""


def _roles(value: Data) -> dict[str, tuple[str, ...]]:
    """Permission -> roles."""
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise ValueError("permissions with their roles")
    return {name: texts(roles) for name, roles in value.items()}


_WORKFLOW = {
    "title": text,
    "description": text,
    "state_variable": text,
    "manager_bypass": flag,
    "workflow_managed_permission": texts,
    "categories": texts,
}
_STATE = {
    "title": text,
    "description": text,
    "categories": texts,
    "acquire_permission": texts,
    "state_permission_role_list_dict": _roles,
}
_TRANSITION = {
    "title": text,
    "description": text,
    "categories": texts,
    "trigger_type": integer,
    "guard_permission": texts,
    "guard_role": texts,
    "guard_group": texts,
    "guard_expression": text,
}
_VARIABLE = {
    "description": text,
    "automatic_update": flag,
    "for_catalog": flag,
    "status_included": flag,
    "variable_default_expression": text,
    "variable_default_value": text,
}
_IGNORED = frozenset({"default_reference", "comment"})
_IGNORED_OF_STATES = frozenset({"state_type"})
_IGNORED_OF_TRANSITIONS = frozenset({"action", "action_name", "transition_form_id"})
_IGNORED_OF_VARIABLES = frozenset({"title"})


class WorkflowKind:
    """Workflows as DCWorkflow definitions."""

    name = "WorkflowTemplateItem"
    list_name = "template_workflow_id_list"

    def items(self, source: Source) -> Iterator[Item]:
        records = dict(source.exported(self.name))
        for path, record in records.items():
            parts = path.split("/")
            if parts[0] != TOOL or len(parts) not in (2, 3):
                raise record.error(f"Workflows are in the folder {TOOL}.")
            if len(parts) == 3 and "/".join(parts[:2]) not in records:
                raise record.error(f"There is no workflow {parts[1]!r} that it belongs to.")
            check_id(record, parts[-1])
        for path, record in records.items():
            if path.count("/") == 1:
                belonging = {name: part for name, part in records.items() if name.startswith(f"{path}/")}
                data = _Workflow(path, record, belonging).data()
                yield Item(self.name, path, data, source.files.name(f"{self.name}/{path}.xml"))

    def listed(self, path: str) -> str:
        return path.removeprefix(f"{TOOL}/")

    def read(self, site: Any, path: str) -> Data | None:
        workflow = _find(site, path)
        return None if workflow is None else _read(workflow)

    def install(self, site: Any, path: str, data: Data, old: Data | None) -> None:
        id = path.removeprefix(f"{TOOL}/")
        if old is not None:
            site.portal_workflow._delObject(id)
        site.portal_workflow._setObject(id, _definition(id, data))
        if old is not None:
            _update_documents(site, id)

    def remove(self, site: Any, path: str, data: Data) -> None:
        if _find(site, path) is not None:
            site.portal_workflow._delObject(path.removeprefix(f"{TOOL}/"))

    def refusal(self, site: Any, path: str) -> str | None:
        id = path.removeprefix(f"{TOOL}/")
        types = [name for name, chain in (site.portal_workflow._chains_by_type or {}).items() if id in chain]
        if not types:
            return None
        return f"The workflow {id} is that of {', '.join(sorted(types))}. Give those another one first."


class _Workflow:
    """A workflow's records, made data."""

    def __init__(self, path: str, record: Record, parts: dict[str, Record]) -> None:
        self.path = path
        self.record = record
        self.parts: dict[str, dict[str, Record]] = {name: {} for name in PARTS}
        for name, part in parts.items():
            portal_type = portal_type_of(part, *PARTS)
            id = name.rpartition("/")[2]
            if not id.startswith(PARTS[portal_type]):
                raise part.error(f"The id of a {portal_type} begins with {PARTS[portal_type]!r}.", "id")
            self.parts[portal_type][id.removeprefix(PARTS[portal_type])] = part

    def data(self) -> Data:
        portal_type_of(self.record, "Workflow")
        taken = take(self.record, _WORKFLOW, _IGNORED)
        initial = self._related(self.record, taken, "source", "Workflow State")
        if len(initial) != 1 or not taken.get("state_variable"):
            raise self.record.error("A workflow has a state_variable, and one initial state, the category 'source'.")
        return {
            "title": taken.get("title", ""),
            "description": taken.get("description", ""),
            "state_variable": taken["state_variable"],
            "initial_state": initial[0],
            "manager_bypass": taken.get("manager_bypass", False),
            "permissions": tuple(sorted(taken.get("workflow_managed_permission", ()))),
            "states": {id: self._state(part) for id, part in self.parts["Workflow State"].items()},
            "transitions": {id: self._transition(part) for id, part in self.parts["Workflow Transition"].items()},
            "variables": {id: _variable(part) for id, part in self.parts["Workflow Variable"].items()},
        }

    def _state(self, record: Record) -> Data:
        taken = take(record, _STATE, _IGNORED | _IGNORED_OF_STATES)
        acquired = taken.get("acquire_permission", ())
        roles = taken.get("state_permission_role_list_dict", {})
        return {
            "title": taken.get("title", ""),
            "description": taken.get("description", ""),
            "transitions": self._related(record, taken, "destination", "Workflow Transition"),
            "permissions": {
                permission: {
                    "roles": tuple(sorted(roles.get(permission, ()))),
                    "acquired": permission in acquired,
                }
                for permission in sorted({*roles, *acquired})
            },
        }

    def _transition(self, record: Record) -> Data:
        taken = take(record, _TRANSITION, _IGNORED | _IGNORED_OF_TRANSITIONS)
        for category in taken.get("categories", ()):
            if category.startswith(("before_script/", "after_script/")):
                raise record.error("Scripts in workflows are not supported.", "categories")
        states = self._related(record, taken, "destination", "Workflow State")
        if len(states) > 1:
            raise record.error("A transition leads to one state.", "categories")
        trigger = taken.get("trigger_type", TRIGGER_USER_ACTION)
        trigger = TRIGGER_USER_ACTION if trigger == ERP5_METHOD_TRIGGER else trigger
        if trigger not in TRIGGERS:
            raise record.error(f"trigger_type is one of {sorted({*TRIGGERS, ERP5_METHOD_TRIGGER})}.", "trigger_type")
        return {
            "title": taken.get("title", ""),
            "description": taken.get("description", ""),
            "new_state": states[0] if states else "",
            "trigger_type": trigger,
            "guard": {
                "permissions": taken.get("guard_permission", ()),
                "roles": taken.get("guard_role", ()),
                "groups": taken.get("guard_group", ()),
                "expression": taken.get("guard_expression", ""),
            },
        }

    def _related(self, record: Record, taken: dict[str, Data], base: str, portal_type: str) -> tuple[str, ...]:
        """The ids, without their beginnings, of the parts of a type that a record's categories lead to."""
        prefix = f"{base}/{self.path}/{PARTS[portal_type]}"
        found = []
        for category in taken.get("categories", ()):
            if category.startswith(f"{base}/"):
                id = category.removeprefix(prefix)
                if not category.startswith(prefix) or id not in self.parts[portal_type]:
                    raise record.error(f"{category!r} leads to no {portal_type} of this workflow.", "categories")
                found.append(id)
        return tuple(dict.fromkeys(found))


def _variable(record: Record) -> Data:
    taken = take(record, _VARIABLE, _IGNORED | _IGNORED_OF_VARIABLES)
    return {
        "description": taken.get("description", ""),
        "default_value": taken.get("variable_default_value", ""),
        "default_expression": taken.get("variable_default_expression", ""),
        "for_catalog": taken.get("for_catalog", False),
        "for_status": taken.get("status_included", False),
        "update_always": taken.get("automatic_update", False),
    }


def _find(site: Any, path: str) -> Any:
    return site.portal_workflow._getOb(path.removeprefix(f"{TOOL}/"), None)


# on the site


def _definition(id: str, data: Data) -> DCWorkflowDefinition:
    definition = DCWorkflowDefinition(id)
    definition.setProperties(data["title"], manager_bypass=data["manager_bypass"])
    definition.description = data["description"]
    definition.permissions = data["permissions"]
    for name, variable in data["variables"].items():
        _add_variable(definition.variables, name, variable)
    definition.variables.setStateVar(data["state_variable"])
    for name, transition in data["transitions"].items():
        _add_transition(definition.transitions, name, transition)
    for name, state in data["states"].items():
        definition.states.addState(name)
        added = definition.states[name]
        added.setProperties(state["title"], state["transitions"], description=state["description"])
        for permission, setting in state["permissions"].items():
            added.setPermission(permission, setting["acquired"], setting["roles"])
    definition.states.setInitialState(data["initial_state"])
    return definition


def _add_variable(variables: Any, name: str, data: Data) -> None:
    variables.addVariable(name)
    variables[name].setProperties(
        data["description"],
        default_value=data["default_value"],
        default_expr=data["default_expression"],
        for_catalog=data["for_catalog"],
        for_status=data["for_status"],
        update_always=data["update_always"],
    )


def _add_transition(transitions: Any, name: str, data: Data) -> None:
    guard = data["guard"]
    if any(";" in part for part in (*guard["permissions"], *guard["roles"], *guard["groups"])):
        raise BadInput(f"The guard of the transition {name} has a name with a semicolon.")
    transitions.addTransition(name)
    transitions[name].setProperties(
        data["title"],
        data["new_state"],
        trigger_type=data["trigger_type"],
        description=data["description"],
        props={
            "guard_permissions": "; ".join(guard["permissions"]),
            "guard_roles": "; ".join(guard["roles"]),
            "guard_groups": "; ".join(guard["groups"]),
            "guard_expr": guard["expression"],
        },
    )


def _read(workflow: Any) -> Data:
    return {
        "title": workflow.title,
        "description": workflow.description,
        "state_variable": workflow.state_var,
        "initial_state": workflow.initial_state,
        "manager_bypass": bool(workflow.manager_bypass),
        "permissions": tuple(sorted(workflow.permissions)),
        "states": {state.getId(): _read_state(state) for state in workflow.states.objectValues()},
        "transitions": {found.getId(): _read_transition(found) for found in workflow.transitions.objectValues()},
        "variables": {found.getId(): _read_variable(found) for found in workflow.variables.objectValues()},
    }


def _read_state(state: Any) -> Data:
    return {
        "title": state.title,
        "description": state.description,
        "transitions": tuple(state.transitions),
        "permissions": {
            permission: {"roles": tuple(sorted(roles)), "acquired": isinstance(roles, list)}
            for permission, roles in sorted((state.permission_roles or {}).items())
        },
    }


def _read_transition(transition: Any) -> Data:
    guard = transition.getGuard()
    return {
        "title": transition.title,
        "description": transition.description,
        "new_state": transition.new_state_id,
        "trigger_type": transition.trigger_type,
        "guard": {
            "permissions": tuple(guard.permissions),
            "roles": tuple(guard.roles),
            "groups": tuple(guard.groups),
            "expression": guard.getExprText(),
        },
    }


def _read_variable(variable: Any) -> Data:
    return {
        "description": variable.description,
        "default_value": variable.default_value,
        "default_expression": variable.getDefaultExprText(),
        "for_catalog": bool(variable.for_catalog),
        "for_status": bool(variable.for_status),
        "update_always": bool(variable.update_always),
    }


def _update_documents(site: Any, id: str) -> None:
    """Give the documents that have a workflow the permissions of their states in its new definition."""
    workflow = site.portal_workflow.getWorkflowById(id)
    types = [name for name, chain in (site.portal_workflow._chains_by_type or {}).items() if id in chain]
    for brain in site.portal_catalog.unrestrictedSearchResults(portal_type=types):
        document = brain._unrestrictedGetObject()
        if workflow.updateRoleMappingsFor(document):
            document.reindexObjectSecurity()
