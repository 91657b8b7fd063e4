"""`{portal}/NAME`: the skin script of that name, called with the parameters of the request."""

from __future__ import annotations

from typing import Any

from Products.ERP5Wendelin.content import scripts
from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.views.answer import NO_STORE, Answer
from Products.ERP5Wendelin.views.call import Call
from Products.ERP5Wendelin.views.erp5 import ebulk

TEXT = "text/plain; charset=utf-8"

LIBRARY = (ebulk,)
"""The modules of views that scripts may import: AccessControl knows what they declare once they are loaded."""


class Script:
    """What answers for a script. Text is sent as such, plain data as JSON, an `Answer` as it is."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, call: Call) -> Any:
        """Call the script with those parameters of the query, or of a form, that it takes; others are ignored.

        NotFound: the site has no such script. BadInput: a parameter that it needs is missing.
        """
        script = scripts.script_of(call.site, self.name)
        names = scripts.parameters_of(script)
        values = {name: source.text(name) for name in names for source in (call.form, call.query) if name in source}
        needed = names[: len(names) - len(script.__defaults__ or ())]
        missing = [name for name in needed if name not in values]
        if missing:
            raise BadInput(f"{self.name} needs the parameter {missing[0]!r}.")
        result = scripts.run(script, **values)
        return (
            Answer(result.encode(), headers={"Content-Type": TEXT, **NO_STORE}) if isinstance(result, str) else result
        )
