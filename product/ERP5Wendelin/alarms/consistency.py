"""The consistency of all that the lake holds: figures, blocks, and the content of every file, read again.

Data sets come one after the other by their ids, then the streams that are documents of their own. Of a data set, first
the figures of its manifest and versions are compared with its entries; then its files are read by their paths, in all
versions, and compared with their sha-256. A run does as much as its budget allows, and the next one goes on with the
file after: a terabyte is read over days. When the end is reached the next run begins anew. Nothing is changed but what
the alarm remembers:

* `begun`, the date when this pass over everything began; `part` (index in PARTS), `id`, `path`: what was done last;
* `files`, `size`: how much was read in this pass; `found`: what was wrong, as sentences, and `count`, how many;
* `before`: (the date when the pass before began, what it found, how many), or None.

What was found is reported until a whole pass has found nothing: reading it once more must show that it is mended.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from typing import Any

from AccessControl.SecurityInfo import ModuleSecurityInfo
from ZODB import DB
from ZODB.POSException import POSKeyError

from Products.ERP5Wendelin.alarms.budget import Budget
from Products.ERP5Wendelin.alarms.contents import MISSING, ContentCheck
from Products.ERP5Wendelin.alarms.figures import wrong_figures
from Products.ERP5Wendelin.content.alarm import Report, checked_alarm
from Products.ERP5Wendelin.content.base import now
from Products.ERP5Wendelin.content.data_set import DataSet
from Products.ERP5Wendelin.content.data_stream import DataStream
from Products.ERP5Wendelin.content.located import name_of
from Products.ERP5Wendelin.protocol import MIB
from Products.ERP5Wendelin.storage.transaction import separate_connection

SECONDS = 60
"""How long a run goes on, but for a content that it has begun to read: the other alarms wait for it."""

SIZE = 8 * 1024 * MIB
"""How many bytes a run reads, about: twenty runs a night read a terabyte in a week."""

SHOWN = 100
"""How many of the problems found are kept."""

PARTS = ("data_set_module", "data_stream_module")

security = ModuleSecurityInfo("Products.ERP5Wendelin.alarms.consistency")
security.declarePublic("check_consistency")


def check_consistency(alarm: Any) -> Report:
    """Go on with the pass over everything, or begin another one; what is wrong, as far as this pass has come."""
    checked_alarm(alarm)
    walk = Walk(alarm.getPortalObject(), alarm.recall(), Budget(SECONDS, SIZE))
    walk.go_on()
    alarm.remember(walk.memory)
    return walk.report()


class Walk:
    """One run's part of a pass over everything."""

    def __init__(self, site: Any, memory: dict[str, Any], budget: Budget) -> None:
        self._site = site
        self._budget = budget
        self.memory = dict(memory)
        if not memory or self.is_complete:
            self.memory = _new_pass(memory)

    @property
    def is_complete(self) -> bool:
        """Whether the end of the pass was reached."""
        return bool(self.memory["part"] == len(PARTS))

    def go_on(self) -> None:
        """Check until the budget is used up, or the end is reached."""
        while not self.is_complete:
            module = self._site[PARTS[self.memory["part"]]]
            if not self._check_module(module):
                return
            self.memory.update(part=self.memory["part"] + 1, id="", path=None)

    def report(self) -> Report:
        """What was done, and what is wrong."""
        memory = self.memory
        done = f"{memory['files']:,} files and streams, {memory['size'] / MIB:,.1f} MiB"
        begun = f"the pass begun on {_shown(memory['begun'])}"
        if self.is_complete:
            lines = [f"Everything was checked: {done}, in {begun}."]
        else:
            place = f"{PARTS[memory['part']]}/{memory['id']}" if memory["id"] else PARTS[memory["part"]]
            lines = [f"Checked so far: {done}, in {begun}, up to {place}."]
        lines += _listed(memory["found"], memory["count"], "Found in this pass")
        count = memory["count"]
        if memory["before"] is not None and not self.is_complete:
            date, found, found_count = memory["before"]
            lines += _listed(found, found_count, f"Found in the pass before, begun on {_shown(date)}")
            count += found_count
        return Report(failed=count > 0, text="\n".join(lines))

    def _check_module(self, module: Any) -> bool:
        """Check the documents of a module; tell whether all of them were."""
        database = module._p_jar.db()
        contents = ContentCheck(database, self._budget)
        # what was under way goes on; what came or went before it waits for the next pass
        for id in module._tree.keys(self.memory["id"] or None):
            if id == self.memory["id"] and self.memory["path"] is None:
                continue
            if not self._budget.is_left:
                return False
            if id != self.memory["id"]:
                self.memory.update(id=id, path="")
            document = module._getOb(id, None)
            if document is not None and not self._check_document(document, contents, database):
                return False
            self.memory["path"] = None
        return True

    def _check_document(self, document: Any, contents: ContentCheck, database: DB) -> bool:
        """Check a document, from where it was left; tell whether it was checked to its end."""
        name = f"{PARTS[self.memory['part']]}/{self.memory['id']}"
        try:
            name = name_of(document)
            if isinstance(document, DataSet):
                with separate_connection(database) as connection:
                    return self._check_manifest(name, connection.get(document.manifest._p_oid), contents)
            if isinstance(document, DataStream):
                return self._check_stream(name, document, contents)
        except POSKeyError:
            self._note(f"{name}: {MISSING}")
        return True

    def _check_manifest(self, name: str, manifest: Any, contents: ContentCheck) -> bool:
        if not self.memory["path"]:
            for problem in wrong_figures(manifest):
                self._note(f"{name}: {problem}")
        with closing(manifest.histories(self.memory["path"])) as histories:
            for path, history in histories:
                problems = [f"{name}: {problem}" for problem in _wrong_entries(path, history, contents)]
                if self._budget.interrupted:  # in the middle of a content: the next run reads it again
                    return False
                for problem in problems:
                    self._note(problem)
                self._count(sum(entry.size for _, entry in history if entry))
                self.memory["path"] = path
                # not before the first: a run that only compared the figures would have to do it again
                if not self._budget.is_left:
                    return False
        return True

    def _check_stream(self, name: str, document: Any, contents: ContentCheck) -> bool:
        problems = list(contents.problems(document.stream, document.offset, document.getSize(), document.sha256))
        if self._budget.interrupted:
            return False
        for problem in problems:
            self._note(f"{name}: {problem}")
        self._count(document.getSize() if document.sha256 else 0)
        return True

    def _note(self, problem: str) -> None:
        self.memory["count"] += 1
        if len(self.memory["found"]) < SHOWN:
            self.memory["found"] = (*self.memory["found"], problem)

    def _count(self, size: int) -> None:
        self.memory["files"] += 1
        self.memory["size"] += size


def _new_pass(last: dict[str, Any]) -> dict[str, Any]:
    before = (last["begun"], last["found"], last["count"]) if last else None
    return {
        "begun": now(),
        "part": 0,
        "id": "",
        "path": None,
        "files": 0,
        "size": 0,
        "found": (),
        "count": 0,
        "before": before,
    }


def _wrong_entries(path: str, history: list[Any], contents: ContentCheck) -> Iterator[str]:
    """What is wrong with what a path names, now and in former versions; what it named in several is read once."""
    seen = set()
    for number, entry in history:
        if entry is None or (entry.stream, *entry[1:4]) in seen:
            continue
        seen.add((entry.stream, *entry[1:4]))
        place = f"the file {path!r}" if number == 0 else f"the file {path!r} that version {number} replaced"
        for problem in contents.problems(entry.stream, entry.offset, entry.size, entry.digest):
            yield f"{place}: {problem}"


def _listed(found: tuple[str, ...], count: int, heading: str) -> Iterator[str]:
    if count:
        more = f", of which the first {len(found)}" if count > len(found) else ""
        yield f"{heading}: {count:,}{more}:"
        yield from (f"  {problem}" for problem in found)


def _shown(date: datetime) -> str:
    return f"{date:%Y-%m-%d %H:%M} UTC"
