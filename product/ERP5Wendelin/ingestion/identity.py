"""As whom data comes in: a user of the lake, or the built-in identity `fluentd`.

A Forward server that asks for no names takes what comes as `fluentd`. It has the role of contributor and no other, so
that it may send data to policies, and nothing that only managers may; on a site without that role it may nothing. It
can't log in. Having no id, it owns nothing: a stream that it makes has no owner, as one that the system makes, and
nobody who is added under its name later inherits anything.
"""

from __future__ import annotations

from typing import Any

from AccessControl.users import SpecialUser

from Products.ERP5Wendelin.errors import NotAuthorised

ROLE = "Contributor"

FLUENTD = SpecialUser("fluentd", "", (ROLE,), ())
"""Who sends through the Forward protocol without a name."""


def sender(site: Any, name: str) -> Any:
    """The user of a name, or `fluentd` for none, to act as. NotAuthorised: nobody has the name (any more)."""
    users = site.acl_users
    user = users.getUserById(name) if name else FLUENTD
    if user is None:
        raise NotAuthorised(f"There is no user {name!r}. Add one, as contributor: wendelin user add DIR {name}")
    return user.__of__(users)
