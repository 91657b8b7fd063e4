"""Scripts of a site: where they are, and how they are called.

They are in the folders of `portal_skins` that the skin selection `View` lists, its layers, of which the first that has
the name wins: `custom`, an administrator's, comes before those of business templates. What no layer has is looked for
in `portal_callables`. The site answers for each of these names as for an attribute of its own, so that every document
acquires them: `document.Base_doSomething()` calls the script with `context` bound to the document.

A script runs with the rights of who calls it, within those of the user who wrote it.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any

from Acquisition import aq_base
from Products.PythonScripts.PythonScript import PythonScript as ZopeScript
from transaction.interfaces import TransientError
from zExceptions import BadRequest, Forbidden, HTTPRedirection, NotFound, Unauthorized

from Products.ERP5Wendelin import errors
from Products.ERP5Wendelin.content.python_script import PythonScript

SKINS = "portal_skins"
SELECTION = "View"
CUSTOM = "custom"
CALLABLES = "portal_callables"

MEANINGS: tuple[tuple[type[Exception], type[errors.WendelinError]], ...] = (
    (Unauthorized, errors.NotAuthorised),
    (Forbidden, errors.NotAuthorised),
    (NotFound, errors.NotFound),
    (BadRequest, errors.BadInput),
)
"""What Zope's exceptions are among ours, when scripts raise them."""


def find_script(site: Any, id: str) -> Any | None:
    """The script, or whatever else the skins have under a name, without acquisition; None if there is none."""
    skins = getattr(aq_base(site), SKINS, None)
    folders = [] if skins is None else [aq_base(skins)._getOb(layer, None) for layer in layers(skins)]
    for folder in (*folders, getattr(aq_base(site), CALLABLES, None)):
        found = None if folder is None else aq_base(folder)._getOb(id, None)
        if hasattr(aq_base(found), "getId"):  # otherwise, an attribute of the folder
            return aq_base(found)
    return None


def layers(skins: Any) -> list[str]:
    """The names of the folders of `portal_skins`, the one that wins first."""
    return [name.strip() for name in (skins.getSkinPath(SELECTION) or "").split(",") if name.strip()]


def script_of(document: Any, id: str) -> Any:
    """The script of this name, to be called with `context` bound to a document. NotFound: there is no such script."""
    site = document.getPortalObject()
    script = find_script(site, id)
    if not isinstance(script, ZopeScript):
        raise errors.NotFound(
            f"There is no script {id!r}, neither in the layers of {SKINS} ({', '.join(layers(site.portal_skins))}) "
            f"nor in {CALLABLES}. Add it, or install the business template that has it."
        )
    return script.__of__(site).__of__(document)


def parameters_of(script: Any) -> tuple[str, ...]:
    """The names of a script's parameters, in their order."""
    return tuple(script.__code__.co_varnames[: script.__code__.co_argcount])


def customise(site: Any, script: Any) -> Any:
    """The script of this name in the layer `custom`, which wins: as it is there, or else a copy of this one."""
    custom = getattr(site.portal_skins, CUSTOM)
    id = script.getId()
    copy = custom._getOb(id, None)
    if copy is None:
        custom._setObject(id, PythonScript(id))
        copy = custom._getOb(id)
        copy.ZPythonScript_setTitle(script.title)
        copy.ZPythonScript_edit(script.params(), script.body())
        copy.manage_proxy(script._proxy_roles)
    return copy


def run(script: Any, *arguments: Any, **parameters: Any) -> Any:
    """Call a script and return what it returns.

    What it raises becomes one of ours: ScriptError (500), unless it is one already, or one of Zope's that has a meaning
    of its own (MEANINGS). `extra` has the script and the line; the text names them, unless code of ours that the script
    has called raised it. Conflicts between transactions go through, for whoever tries again.
    """
    try:
        return script(*arguments, **parameters)
    except (TransientError, HTTPRedirection):
        raise
    except Exception as error:
        raise _placed(error, script) from error


def _placed(error: Exception, script: Any) -> errors.WendelinError:
    """An error of ours that says where a script failed."""
    path, line, is_innermost = _place(error.__traceback__, script)
    place = {"script": path, "line": line}
    if isinstance(error, errors.WendelinError):
        if is_innermost and "script" not in error.extra:
            error.args = (f"{error} ({path}, line {line})",)
        error.extra = place | error.extra
        return error
    message = str(error) or type(error).__name__
    for kind, meaning in MEANINGS:
        if isinstance(error, kind):
            return meaning(f"{message} ({path}, line {line})", **place)
    if getattr(script, "errors", ()):
        return errors.ScriptError(f"{path} can't be compiled: {' '.join(script.errors)}", **place)
    return errors.ScriptError(f"{path} failed in line {line}: {type(error).__name__}: {message}", **place)


def _place(traceback: TracebackType | None, script: Any) -> tuple[str, int, bool]:
    """Path and line of the innermost script that was running, and whether nothing else was running below it."""
    path, line, is_innermost = _path(script), 0, False
    while traceback is not None:
        supplement = traceback.tb_frame.f_globals.get("__traceback_supplement__")
        is_innermost = supplement is not None
        if supplement is not None:
            path, line = _path(supplement[1]), traceback.tb_lineno
        traceback = traceback.tb_next
    return path, line, is_innermost


def _path(script: Any) -> str:
    """Where a script is kept."""
    return str(getattr(aq_base(script), "_filepath", None) or script.get_filepath()).partition(":")[2]
