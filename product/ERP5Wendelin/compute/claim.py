"""The Progress Indicator of a batch, and the claim of the process that runs it: a name is run by one at a time."""

from __future__ import annotations

import hashlib
import logging
from contextlib import ExitStack
from typing import Any

from AccessControl.SecurityManagement import getSecurityManager

from Products.ERP5Wendelin.content.acting import as_system
from Products.ERP5Wendelin.content.progress_indicator import DONE, Progress, ProgressIndicator
from Products.ERP5Wendelin.content.progress_indicator_module import ID, indicators_of
from Products.ERP5Wendelin.errors import BadInput, Conflict, NotFound
from Products.ERP5Wendelin.permissions import AddDataSet
from Products.ERP5Wendelin.storage.lease import Lease, LeaseKeeper, utc_now
from Products.ERP5Wendelin.storage.process import this_process
from Products.ERP5Wendelin.storage.transaction import in_transaction, is_lost, separate_connection

NAME_LENGTH = 1000
"""The most characters of a name."""

logger = logging.getLogger("wendelin.batch")


def id_of(name: str) -> str:
    """The id of the indicator of a batch, which follows from its name: two processes that make it at once conflict."""
    return hashlib.sha256(name.encode()).hexdigest()[:32]


class Claim:
    """What a process has of the indicator of a name."""

    def __init__(self, site: Any, name: str, origin: str) -> None:
        """Nothing is claimed yet; `origin` is the script's path. BadInput: no such name is possible."""
        if not name.strip() or not name.isprintable() or len(name) > NAME_LENGTH:
            raise BadInput(f"A batch has a name of 1 to {NAME_LENGTH} printable characters.")
        self.name = name
        self._origin = origin
        self._site = site
        self._holder = this_process()
        self._seen = self._revision()
        self._keeping: ExitStack | None = None

    @property
    def is_held(self) -> bool:
        """Whether this process has it."""
        return self._keeping is not None

    @property
    def progress(self) -> Progress | None:
        """How far it is; None: it never began."""
        indicator = self._find()
        return None if indicator is None else indicator.progress

    def can_go_on(self) -> bool:
        """Whether a run of it has begun, and not ended well. Conflict: that was a run of another script.

        One that was killed between its last commit and its end, whose lease nobody gave back, has not: nobody was told.
        """
        indicator = self._find()
        if indicator is None or (indicator.progress.state in ("", DONE) and not indicator.lease.holder):
            return False
        progress = indicator.progress
        if progress.origin != self._origin:
            raise Conflict(
                f"The batch {self.name!r} was begun by {progress.origin or 'another script'}, and did not end well. "
                "Run that again, give this one another --name, or forget what was done with --from-start."
            )
        return True

    def check_is_free(self) -> None:
        """Conflict: another process has it."""
        indicator = self._find()
        if indicator is not None:
            self._check_is_free(indicator.lease)

    def check_is_held(self) -> Progress:
        """The progress, for who is about to commit. Conflict: another process has taken it over."""
        progress = self.progress
        if progress is None or progress.holder != self._holder:
            raise Conflict(f"Another process runs the batch {self.name!r} by now: what this one did last is not kept.")
        return progress

    def begin(self, *, anew: bool) -> None:
        """Take it, in the current transaction; once that is committed, `keep` it.

        Conflict: another process has it, or has had it since this one looked.
        """
        indicator = self._find() or self._make()
        self._check_is_free(indicator.lease)
        if self._revision() != self._seen:
            raise Conflict(f"Another process has run the batch {self.name!r} since this one began: run it again.")
        indicator.lease.claim(self._holder, utc_now())
        indicator.progress.begin(self._holder, self._origin, anew=anew)

    def keep(self) -> None:
        """Renew the lease until `release`."""
        self._keeping = ExitStack()
        self._keeping.enter_context(LeaseKeeper(self._site._p_jar.db(), self._lease_oid(), self._holder))

    def release(self) -> None:
        """Give it back, in a transaction of its own."""
        if self._keeping is None:
            return
        self._keeping.close()
        self._keeping = None
        try:
            oid = self._lease_oid()
            with separate_connection(self._site._p_jar.db()) as connection:
                lease = connection.get(oid)
                in_transaction(connection, lambda: lease.release(self._holder), note=f"end of batch {self.name}")
        except Exception as error:  # it expires; and this process, which is about to end, is known to have ended
            if not is_lost(error):
                logger.warning("the lease of the batch %r could not be given back", self.name, exc_info=True)

    def _find(self) -> ProgressIndicator | None:
        module = self._site._getOb(ID, None)
        found: ProgressIndicator | None = None if module is None else module._getOb(id_of(self.name), None)
        return found

    def _make(self) -> ProgressIndicator:
        module = indicators_of(self._site)
        if getSecurityManager().checkPermission(AddDataSet, module):
            return module.newContent(id=id_of(self.name), reference=self.name)
        with as_system():  # whoever may run a script on the server may have it go on
            return module.newContent(id=id_of(self.name), reference=self.name)

    def _revision(self) -> bytes | None:
        progress = self.progress
        if progress is None or progress._p_jar is None:
            return None
        progress._p_activate()
        return progress._p_serial

    def _lease_oid(self) -> bytes:
        indicator = self._find()
        if indicator is None:
            raise NotFound(f"The Progress Indicator of the batch {self.name!r} is gone.")
        return indicator.lease._p_oid

    def _check_is_free(self, lease: Lease) -> None:
        if lease.is_held(utc_now()) and lease.holder != self._holder:
            host, *_, process, _ = lease.holder.partition(" ")[0].split("/")
            raise Conflict(
                f"The batch {self.name!r} is being run already, by process {process} on {host}. Wait until that is "
                "done, stop it, or give this one another --name."
            )
