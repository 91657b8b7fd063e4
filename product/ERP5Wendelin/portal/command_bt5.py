"""`wendelin bt5`: install, upgrade, remove, list and compare business templates."""

from __future__ import annotations

import argparse
import os
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import transaction

from Products.ERP5Wendelin.content.site import enter_site
from Products.ERP5Wendelin.portal.business_template import install
from Products.ERP5Wendelin.portal.business_template.apply import Result
from Products.ERP5Wendelin.portal.business_template.change import Action, Change
from Products.ERP5Wendelin.portal.business_template.metadata import version_key
from Products.ERP5Wendelin.portal.business_template.shipped import DEFAULT_TEMPLATES, load, shipped, shipped_names
from Products.ERP5Wendelin.portal.business_template.text import difference
from Products.ERP5Wendelin.portal.business_template.tool import installed_templates
from Products.ERP5Wendelin.portal.instance import find, perform
from Products.ERP5Wendelin.portal.setup import add_tools

DESCRIPTION = """\
What a site is made of: portal types, workflows, modules, scripts. Objects
that an administrator changed are kept.

  wendelin bt5 upgrade /srv/lake --dry-run
                              what an upgrade of the lake's software changes
  wendelin bt5 diff /srv/lake
                              what was changed on the site by hand
  wendelin bt5 install /srv/lake ./hospital_lake
                              add a template of your own
"""

TEMPLATES = "the name of one that comes with the lake, or the path of a folder, with a slash in it"


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "bt5",
        help="install, upgrade and remove business templates",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    _add(verbs, "list", run_list, "list templates", "Print a line a template: name, installed version, notes.")

    diff = _add(
        verbs,
        "diff",
        run_diff,
        "compare the site with templates",
        "Print what to change on the site to have what the templates say, as a unified diff.",
    )
    diff.add_argument("templates", metavar="TEMPLATE", nargs="*", help=f"{TEMPLATES} (default: all that are installed)")

    put = _add(
        verbs,
        "install",
        run_install,
        "install templates",
        "Install templates. What is there already and the same is adopted; what is different is kept and reported.",
    )
    put.add_argument("templates", metavar="TEMPLATE", nargs="*", help=f"{TEMPLATES} (default: all of the lake's own)")
    put.add_argument("--theirs", action="store_true", help="take the template's where the site has something else")

    upgrade = _add(
        verbs,
        "upgrade",
        run_upgrade,
        "upgrade installed templates",
        "Upgrade templates. What an administrator changed is kept, and reported if the template has changed it, too.",
    )
    upgrade.add_argument("templates", metavar="TEMPLATE", nargs="*", help=f"{TEMPLATES} (default: all installed ones)")
    upgrade.add_argument("--theirs", action="store_true", help="take the template's of what both have changed")
    upgrade.add_argument(
        "--reinstall",
        metavar="PATH",
        action="append",
        default=[],
        help="take the template's of this object, or of all in this folder, whoever changed it (may be repeated)",
    )
    upgrade.add_argument("--downgrade", action="store_true", help="allow an older version than the installed one")

    remove = _add(
        verbs,
        "remove",
        run_remove,
        "remove templates",
        "Take away what templates brought; refused where users' data would be lost. What an administrator changed,"
        " or had before, stays.",
    )
    remove.add_argument("templates", metavar="NAME", nargs="+", help="an installed template")
    remove.add_argument("--force", action="store_true", help="take away what an administrator changed, too")

    for changing in (put, upgrade, remove):
        changing.add_argument("--dry-run", action="store_true", help="only say what would be done")


def _add(verbs: Any, name: str, run: Any, summary: str, description: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=summary, description=description)
    parser.add_argument("directory", metavar="DIR", help="the instance")
    parser.set_defaults(run=run)
    return parser


def run_list(arguments: argparse.Namespace) -> None:
    for line in perform(find(arguments.directory), lambda app: list(template_lines(enter_site(app)))):
        print(line)


def run_diff(arguments: argparse.Namespace) -> None:
    names = _absolute(arguments.templates)
    print(perform(find(arguments.directory), lambda app: "".join(_diffs(enter_site(app), names))), end="")


def run_install(arguments: argparse.Namespace) -> None:
    names = _absolute(arguments.templates) or DEFAULT_TEMPLATES

    def put(app: Any) -> list[Result]:
        site = enter_site(app)
        add_tools(site)
        return install.install(site, [load(name) for name in names], theirs=arguments.theirs)

    _change(arguments, put)


def run_upgrade(arguments: argparse.Namespace) -> None:
    names = _absolute(arguments.templates)

    def upgrade(app: Any) -> list[Result]:
        site = enter_site(app)
        return install.upgrade(
            site,
            [load(name) for name in names or _shipped_and_installed(site)],
            theirs=arguments.theirs,
            reinstall=arguments.reinstall,
            downgrade=arguments.downgrade,
        )

    _change(arguments, upgrade)


def run_remove(arguments: argparse.Namespace) -> None:
    def remove(app: Any) -> list[Result]:
        return install.remove(enter_site(app), arguments.templates, force=arguments.force)

    _change(arguments, remove)


def template_lines(site: Any) -> Iterator[str]:
    """A line for each template that is installed or comes with the lake: name, installed version or -, notes."""
    documents = installed_templates(site)
    for name in sorted({*documents, *shipped_names()}):
        document, notes = documents.get(name), []
        if document and (changed := len(install.changed_objects(site, document))):
            notes.append(f"{changed} {'object' if changed == 1 else 'objects'} changed")
        if name in shipped_names():
            available = shipped(name).metadata.version
            if document is None or version_key(document.getVersion()) < version_key(available):
                notes.append(f"{available} available")
        yield "\t".join((name, document.getVersion() if document else "-", ", ".join(notes))).rstrip("\t")


def result_lines(result: Result) -> Iterator[str]:
    """What was done for a template: a line with the counts, and one for each object that is not the same as before."""
    yield f"{_headline(result)}; {_counts(result.changes) or 'no objects'}"
    for change in result.changes:
        if change.action is Action.SAME:
            continue
        reason = f": {change.reason}" if change.action is Action.LEFT and change.reason else ""
        yield f"  {change.action.value:<9} {change.key.path} ({change.key.kind}){reason}"
        if change.action is Action.CONFLICT:
            diff = difference(change.key.path, change.site, change.new)
            yield textwrap.indent(diff.rstrip("\n"), " " * 12, lambda line: True)


def _headline(result: Result) -> str:
    if result.after is None:
        return f"{result.name} {result.before}: removed"
    if result.before is None:
        return f"{result.name} {result.after}: installed"
    if result.before != result.after:
        return f"{result.name} {result.after}: replaces {result.before}"
    return f"{result.name} {result.after}: is installed"


def _counts(changes: Sequence[Change]) -> str:
    counted = Counter(change.action for change in changes)
    words = {action: "in conflict" if action is Action.CONFLICT else action.value for action in Action}
    return ", ".join(f"{counted[action]} {words[action]}" for action in Action if counted[action])


def _change(arguments: argparse.Namespace, function: Callable[[Any], list[Result]]) -> None:
    """Do it, or only see what it would do, and print what was done."""

    def do(app: Any) -> list[Result]:
        results = function(app)
        if arguments.dry_run:
            transaction.abort()
        return results

    results = perform(find(arguments.directory), do)
    if arguments.dry_run:
        print("Nothing was changed. This is what would be:")
    for result in results:
        print("\n".join(result_lines(result)))
    if any(change.action is Action.CONFLICT for result in results for change in result.changes):
        print("What is in conflict was kept. For the template's: wendelin bt5 upgrade DIR TEMPLATE --reinstall PATH")
    if not results:
        print("There is nothing to upgrade.")


def _diffs(site: Any, names: Sequence[str]) -> Iterator[str]:
    if names:
        for name in names:
            yield from install.differences(site, load(name).items)
    else:
        for name, document in installed_templates(site).items():
            items = shipped(name).items if name in shipped_names() else install.items_of(document)
            yield from install.differences(site, items)


def _shipped_and_installed(site: Any) -> list[str]:
    return [name for name in installed_templates(site) if name in shipped_names()]


def _absolute(names: Sequence[str]) -> list[str]:
    """Names as they are, and absolute paths: Zope may change the current directory."""
    return [os.path.abspath(name) if os.sep in name else name for name in names]
