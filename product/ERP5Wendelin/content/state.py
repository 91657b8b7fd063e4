"""States of documents, kept by DCWorkflow: reading them, and the transitions that users ask for.

The workflow tool and not acquisition finds the workflows: business templates bring them, the site holds them.
"""

from __future__ import annotations

from typing import Any

from AccessControl.SecurityInfo import ClassSecurityInfo
from ExtensionClass import Base as ExtensionClass
from Products.CMFCore.interfaces import IWorkflowTool
from Products.CMFCore.WorkflowCore import WorkflowException
from zope.component import getUtility

from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.located import name_of
from Products.ERP5Wendelin.errors import BadInput, NotAuthorised, WrongState
from Products.ERP5Wendelin.permissions import ModifyPortalContent, View

STATES = ("draft", "validated", "published", "invalidated")
"""Values of `validation_state`."""

IN_USE = ("validated", "published")
"""Values of `validation_state` of what is neither a draft nor given up."""


def checked_state(state: str) -> str:
    """A state that documents may have. BadInput: there is none of this name."""
    if state not in STATES:
        raise BadInput(f"There is no state {state!r}. States are: {', '.join(STATES)}.")
    return state


def state_of(document: Any, variable: str) -> str:
    """The value of a document's state variable, such as `validation_state`; '' where no workflow has it."""
    return str(getUtility(IWorkflowTool).getInfoFor(document, variable, ""))


def change_state(document: Any, variable: str, transition: str) -> None:
    """Make a transition by its name, as the current user.

    WrongState where the workflow has no such transition from the document's state; NotAuthorised where the user is not
    one of those who may make it. Permissions follow the state, so only the document's own record changes.
    """
    tool = getUtility(IWorkflowTool)
    name = name_of(document)
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


@declared
class ValidationState(ExtensionClass):
    """Mixed into documents that are drafts until somebody validates or publishes them."""

    security = ClassSecurityInfo()

    @security.protected(View)
    def getValidationState(self) -> str:
        """'draft', 'validated', 'published' or 'invalidated'."""
        return state_of(self, "validation_state")

    @security.protected(ModifyPortalContent)
    def changeState(self, transition: str) -> None:
        """'validate', 'publish' or 'invalidate' it. WrongState: not from its state. NotAuthorised: not by this user."""
        change_state(self, "validation_state", transition)

    @security.protected(ModifyPortalContent)
    def validate(self) -> None:
        """Show it to those who may read. WrongState, NotAuthorised: see `changeState`."""
        self.changeState("validate")

    @security.protected(ModifyPortalContent)
    def publish(self) -> None:
        """Show it to everybody. WrongState, NotAuthorised: see `changeState`."""
        self.changeState("publish")

    @security.protected(ModifyPortalContent)
    def invalidate(self) -> None:
        """Hide it from all but managers. WrongState, NotAuthorised: see `changeState`."""
        self.changeState("invalidate")


@declared
class SimulationState(ExtensionClass):
    """Mixed into documents of something that happens: it starts, and then ends in one way or another."""

    security = ClassSecurityInfo()

    @security.protected(View)
    def getSimulationState(self) -> str:
        """How far it is, as in 'started' or 'stopped'."""
        return state_of(self, "simulation_state")

    @security.protected(ModifyPortalContent)
    def start(self) -> None:
        """Begin it. WrongState: not from its state. NotAuthorised: not by this user."""
        change_state(self, "simulation_state", "start")

    @security.protected(ModifyPortalContent)
    def stop(self) -> None:
        """End it. WrongState, NotAuthorised: see `start`."""
        change_state(self, "simulation_state", "stop")

    @security.protected(ModifyPortalContent)
    def deliver(self) -> None:
        """Close it, once what follows from it is done. WrongState, NotAuthorised: see `start`."""
        change_state(self, "simulation_state", "deliver")

    @security.protected(ModifyPortalContent)
    def cancel(self) -> None:
        """Give it up. WrongState, NotAuthorised: see `start`."""
        change_state(self, "simulation_state", "cancel")
