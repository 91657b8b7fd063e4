"""The tool of alarms, `portal_alarms`. It is its managers' alone.

State (public format): that of `content.tool`, and `lease`: held by the process that runs the alarms.
"""

from __future__ import annotations

from typing import Any

from AccessControl.SecurityInfo import ClassSecurityInfo

from Products.ERP5Wendelin.content.declaration import declared
from Products.ERP5Wendelin.content.tool import Tool
from Products.ERP5Wendelin.storage.lease import Lease


@declared
class AlarmTool(Tool):
    """All alarms, by their ids."""

    security = ClassSecurityInfo()
    security.declarePrivate("lease")

    id = "portal_alarms"
    portal_type = meta_type = "Alarm Tool"

    _View_Permission = _Access_contents_information_Permission = _Modify_portal_content_Permission = ("Manager",)

    def __init__(self, id: str = "", title: str = "") -> None:
        super().__init__(id, title)
        self.lease = Lease()

    @security.private
    def due_ids(self, time: Any) -> list[str]:
        """The ids of the alarms that are due at a time, the longest waiting first."""
        dates = ((alarm.next_date(time), alarm.getId()) for alarm in self.objectValues(portal_type="Alarm"))
        return [id for date, id in sorted((date, id) for date, id in dates if date is not None and date <= time)]
