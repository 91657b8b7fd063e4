"""Python scripts of a site, written by its administrators and by business templates.

Products.PythonScripts' own, but for two things: a text that can't be compiled is refused when it is saved, while Zope's
would be saved and fail when it is called; and the management screens have a tab that copies a script of a template to
the layer `custom`, where it is changed (`views.customise`). Scripts of Zope's class work as well.

State (public format): that of Products.PythonScripts' class.
"""

from __future__ import annotations

from typing import Any

from AccessControl.SecurityInfo import ClassSecurityInfo
from Products.PythonScripts.PythonScript import PythonScript as ZopeScript
from zope.interface import implementer

from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.interfaces import IScript
from Products.ERP5Wendelin.permissions import ChangePythonScripts


@declared
@implementer(IScript)
class PythonScript(ZopeScript):
    """A function written in restricted Python: a parameter list and a body."""

    security = ClassSecurityInfo()

    meta_type = "ERP5 Python Script"
    # not "@@customise": a script takes what follows it in a URL for its own, unless there is a view of that very name
    manage_options = (*ZopeScript.manage_options, {"label": "Customize", "action": "customise"})

    @security.protected(ChangePythonScripts)
    def ZPythonScript_edit(self, params: str, body: Any) -> None:
        """Set parameters and body. BadInput, naming the line, if they can't be compiled: the script stays as it was."""
        self._change(super().ZPythonScript_edit, params, body)

    @security.protected(ChangePythonScripts)
    def write(self, text: str | bytes) -> None:
        """Set it from a source that may begin with lines such as `##parameters=`; as `ZPythonScript_edit`."""
        self._change(super().write, text)

    def _compile(self) -> None:
        """As Zope's, but that what it raises becomes an error of the script, which write() does not log as its own."""
        try:
            super()._compile()
        except SyntaxError as error:  # those of the body are among the errors already
            self._refuse(f"Parameters {self._params!r}: SyntaxError: {error.msg}")
        except Exception as error:  # anything: what parameters are by default is calculated here
            self._refuse(f"{type(error).__name__}: {error}")

    def _refuse(self, error: str) -> None:
        self._code = self._v_ft = None
        self.errors = (error,)

    def _change(self, change: Any, *arguments: Any) -> None:
        state: dict[str, Any] = self.__dict__
        before = state.copy()
        try:
            change(*arguments)
            if self.errors:
                raise BadInput(f"The script {self.id} can't be compiled: {' '.join(self.errors)}")
        except (BadInput, SyntaxError) as error:
            state.clear()
            state.update(before)
            if isinstance(error, BadInput):
                raise
            raise BadInput(f"The script {self.id} can't be compiled: {type(error).__name__}: {error}") from error
