"""`wendelin alarm list`, `run`: what an instance does by itself, and having it done now."""

from __future__ import annotations

import argparse
from typing import Any

from DateTime import DateTime

from Products.ERP5Wendelin.content.alarm import Alarm
from Products.ERP5Wendelin.content.site import enter_site
from Products.ERP5Wendelin.errors import WendelinError
from Products.ERP5Wendelin.portal.alarm_runner import alarm_tool, process_name, run_alarm
from Products.ERP5Wendelin.portal.instance import find, opened, perform

DESCRIPTION = """\
What an instance does by itself while it is being served.

  wendelin alarm list /srv/lake
                              what is due when, and how it went the last time
  wendelin alarm run /srv/lake wendelin_check_datastream_consistency
                              compare all that is stored with its digests now
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "alarm",
        help="list and run alarms",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    listing = verbs.add_parser(
        "list",
        help="list alarms",
        description="Print a line an alarm, tabulators between: id, 'enabled' or 'disabled', when it is due, when its"
        " last run began, and how that ended: ok, failed, running or never.",
    )
    listing.add_argument("directory", metavar="DIR", help="the instance")
    listing.set_defaults(run=run_list)

    run = verbs.add_parser(
        "run",
        help="run an alarm now",
        description="Run an alarm now, whether it is due, or enabled, or not, and print its report. The exit code is 1"
        " if it failed, or found something that somebody should look at.",
    )
    run.add_argument("directory", metavar="DIR", help="the instance")
    run.add_argument("id", metavar="ID", help="the alarm's")
    run.set_defaults(run=run_one)


def run_list(arguments: argparse.Namespace) -> None:
    lines = perform(find(arguments.directory), lambda app: [described(each) for each in alarms(enter_site(app))])
    for line in lines:
        print(line)


def alarms(site: Any) -> list[Alarm]:
    """The alarms of a site by their ids."""
    return sorted(alarm_tool(site).objectValues(portal_type="Alarm"), key=lambda alarm: alarm.getId())


def described(alarm: Alarm) -> str:
    """An alarm in a line."""
    last = next(iter(alarm.getRunList()), None)
    if alarm.isActive():
        result = "running"
    elif last is None:
        result = "never"
    else:
        result = "failed" if last["failed"] else "ok"
    enabled = "enabled" if alarm.isEnabled() else "disabled"
    begun = last and last["start"]
    return "\t".join((alarm.getId(), enabled, shown(alarm.getNextAlarmDate()), shown(begun), result))


def shown(date: DateTime | None) -> str:
    """A date in a table; '-' for none."""
    return "-" if date is None else str(date.strftime("%Y-%m-%dT%H:%M:%SZ"))


def run_one(arguments: argparse.Namespace) -> None:
    with opened(find(arguments.directory)) as app:
        report = run_alarm(enter_site(app), arguments.id, process_name())
    if report.text:
        print(report.text, flush=True)
    if report.failed:
        raise WendelinError(f"The alarm {arguments.id!r} failed: see its report.")
