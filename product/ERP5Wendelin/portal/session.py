"""Python with the site at hand, as `wendelin shell` and `wendelin run` give it: names, user, transactions, tracebacks.

Python is not restricted here: whoever may read the instance's directory may do anything with it anyway. A user whom one
acts as therefore limits nothing but what the site itself asks of a user.
"""

from __future__ import annotations

import traceback
from typing import Any

import transaction
from AccessControl.SecurityManagement import newSecurityManager
from ZEO.Exceptions import ClientDisconnected
from ZODB.POSException import ConflictError

from Products.ERP5Wendelin.content.site import enter_site
from Products.ERP5Wendelin.errors import Conflict, NotFound, WendelinError

NAMES = """\
  app               the Zope application
  portal, context   the site
  transaction       Python's module of that name
  commit()          keep what was changed; see what others have committed
  abort()           drop what was changed; see what others have committed"""
"""The names that are bound, for the help of commands."""


class Session:
    """The site of an application, and the names that are bound for its user."""

    def __init__(self, app: Any, debug: bool) -> None:
        self.connection = app._p_jar
        self.debug = debug
        transaction.begin()
        self.site = enter_site(app)
        self.names = {
            "__name__": "__main__",
            "app": app,
            "portal": self.site,
            "context": self.site,
            "transaction": transaction,
            "commit": commit,
            "abort": abort,
        }

    def act_as(self, name: str) -> None:
        """Be a user of the site. NotFound if there is none of this name."""
        user = self.site.acl_users.getUserById(name)
        if user is None:
            raise NotFound(f"There is no user {name!r}. `wendelin user list DIR` names them.")
        newSecurityManager(None, user.__of__(self.site.acl_users))
        transaction.abort()  # the first to ask for a user makes PluginRegistry note which plugins there are not

    def has_changes(self) -> bool:
        """Whether anything was changed since the transaction began: the connection joins it with the first change."""
        return not self.connection._needs_to_join

    def execute(self, source: bytes, name: str) -> None:
        """Run Python code with the names; what it raises goes on."""
        exec(compile(source, name, "exec"), self.names)  # noqa: S102

    def traceback_of(self, error: BaseException, name: str) -> str:
        """What Python shows of an error, without what called the user's code, which `name` is the file name of.

        Nor, of an error whose message says everything, what that code called.
        """
        if self.debug:
            return "".join(traceback.format_exception(error))
        frames = error.__traceback__
        while frames is not None and frames.tb_frame.f_code.co_filename != name:
            frames = frames.tb_next
        if not isinstance(error, (WendelinError, ClientDisconnected)):
            return "".join(traceback.format_exception(error.with_traceback(frames)))
        own = [frame for frame in traceback.extract_tb(frames) if frame.filename == name]
        heading = "Traceback (most recent call last):\n"
        return "".join([heading, *traceback.format_list(own), *traceback.format_exception_only(error)])


def commit() -> None:
    """Keep what was changed, and begin a new transaction, which sees what others have committed.

    Conflict if others have changed the same in the meantime, or the server has gone; whatever fails, the changes are
    dropped.
    """
    try:
        transaction.commit()
    except ConflictError as error:
        transaction.abort()
        raise Conflict(
            "Somebody else has changed the same in the meantime, so what you changed is dropped. "
            "Look at it, and change it again."
        ) from error
    except ClientDisconnected as error:
        transaction.abort()
        raise Conflict(
            "The server that has the database open has stopped, so what you changed is dropped. "
            "Once it runs again, change it again; the prompt may stay open."
        ) from error
    except BaseException:
        transaction.abort()
        raise


def abort() -> None:
    """Drop what was changed, and begin a new transaction, which sees what others have committed."""
    transaction.abort()
