"""The md5 of files that came without, for the original ebulk: computed a part at a time.

What the alarm remembers: `id`, of the data set that was looked at last; `versions`, by the ids of data sets the newest
version of which all files have their md5, so that a data set is not walked through again before it changes.
"""

from __future__ import annotations

from typing import Any

from AccessControl.SecurityInfo import ModuleSecurityInfo

from Products.ERP5Wendelin.alarms.budget import Budget
from Products.ERP5Wendelin.content.alarm import Report, checked_alarm
from Products.ERP5Wendelin.ingestion.md5 import compute_missing
from Products.ERP5Wendelin.protocol import MIB

SECONDS = 60
"""How long a run goes on: the other alarms wait for it."""

SIZE = 8 * 1024 * MIB
"""How many bytes a run reads, about."""

STEP = 2 * 1024 * MIB
"""How many bytes are read between two looks at the budget, but for a file that is larger by itself.

Three seconds' work; each step walks through the whole data set, which with a million files takes as long.
"""

security = ModuleSecurityInfo("Products.ERP5Wendelin.alarms.md5")
security.declarePublic("compute_md5")


def compute_md5(alarm: Any) -> Report:
    """Compute md5 for as long as the budget allows, data set after data set; the next run goes on behind the last."""
    module = checked_alarm(alarm).getPortalObject().data_set_module
    memory, budget = alarm.recall(), Budget(SECONDS, SIZE)
    last, versions = memory.get("id", ""), dict(memory.get("versions", {}))
    ids = list(module.objectIds())
    done = 0
    # behind the last one first, and then from the beginning
    for id in sorted(ids, key=lambda id: (id <= last, id)):
        data_set = module._getOb(id, None)
        if data_set is None:  # deleted since the run began
            continue
        version = data_set.getVersion()
        if versions.get(id) == version:
            continue
        left = 1
        while left and budget.is_left:
            count, left = compute_missing(module._p_jar.db(), data_set, STEP, keep_going=lambda: not budget.interrupted)
            budget.spend(STEP)
            done += count
        last = id
        if left:
            break
        versions[id] = version
    alarm.remember({"id": last, "versions": {id: versions[id] for id in ids if id in versions}})
    rest = len(ids) - len(versions.keys() & set(ids))
    return Report(failed=False, text=f"Computed: {done} files. Data sets not done yet: {rest}.")
