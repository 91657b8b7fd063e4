"""The site of a database, entered outside of a request: by commands, alarms, and batches of what agents send.

Three things belong to a thread, and so to whoever enters: the current site, by which tools are found, the user, and the
transaction, in which CMF queues what is to be indexed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import transaction
from AccessControl.users import system
from Testing.makerequest import makerequest
from ZODB import DB
from zope.component.hooks import getSite, setSite

from Products.ERP5Wendelin.content.acting import acting_as
from Products.ERP5Wendelin.errors import NotFound

SITE = "erp5"
"""The site's name in the Zope application."""


def enter_site(app: Any, id: str = SITE) -> Any:
    """The site of a Zope application, made the current one of this thread, as the publisher does on its way to it.

    The tools are found through the current site; `zope.component.hooks.setSite()` leaves it. NotFound if there is none.
    """
    site = app._getOb(id, None)
    if site is None:
        raise NotFound(f"The database has no site {id!r}.")
    setSite(site)
    return site


@contextmanager
def opened_site(database: DB, user: Any = system) -> Iterator[Any]:
    """The site as a user sees it, the system user unless given, on a connection and in a transaction of this thread.

    What was not committed is lost in the end. Site and user are then those of before, in a request those of the
    request; what it had changed itself is lost, too.
    """
    before = getSite()
    connection = database.open()
    try:
        with acting_as(user):
            yield enter_site(makerequest(connection.root()["Application"]))
    finally:
        setSite(before)
        transaction.abort()
        connection.close()
