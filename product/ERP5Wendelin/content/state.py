"""States of documents, kept by DCWorkflow: reading them, and the transitions that users ask for.

The workflow tool and not acquisition finds the workflows: `content.workflow` defines them, the site holds them.
"""

from __future__ import annotations

from typing import Any

from Products.CMFCore.interfaces import IWorkflowTool
from Products.CMFCore.WorkflowCore import WorkflowException
from zope.component import getUtility

from Products.ERP5Wendelin.errors import NotAuthorised, WrongState


def state_of(document: Any, variable: str) -> str:
    """The value of a document's state variable, such as `validation_state`; '' where no workflow has it."""
    return str(getUtility(IWorkflowTool).getInfoFor(document, variable, ""))


def change_state(document: Any, variable: str, transition: str) -> None:
    """Make a transition by its name, as the current user.

    WrongState where the workflow has no such transition from the document's state; NotAuthorised where the user is not
    one of those who may make it. Permissions follow the state, so only the document's own record changes.
    """
    tool = getUtility(IWorkflowTool)
    name = f"{document.getPortalType()} {document.getReference() or document.getId()!r}"
    state = state_of(document, variable)
    possible = _transitions_from(tool, document, state)
    if transition not in possible:
        raise WrongState(
            f"{name} is {state}: it is not possible to {transition} it. Possible: {', '.join(possible) or 'nothing'}.",
            state=state,
        )
    try:
        tool.doActionFor(document, transition)
    except WorkflowException:
        raise NotAuthorised(f"You may not {transition} the {name}.") from None


def _transitions_from(tool: Any, document: Any, state: str) -> list[str]:
    definitions = (workflow.states.get(state) for workflow in tool.getWorkflowsFor(document))
    return sorted({transition for definition in definitions if definition for transition in definition.transitions})
