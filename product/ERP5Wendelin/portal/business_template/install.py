"""Installing, upgrading and removing business templates: all that was asked for, or nothing of it.

A template's objects follow the template as long as nobody else changes them; see `change` for what happens to the
others. An object that two templates have, both the same, goes with the last of them. One that was there before any
template stays when its template goes. What fails in the middle dooms the transaction: it can only be aborted, which
leaves the site as it was.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import transaction

from Products.ERP5Wendelin.errors import Conflict, NotFound
from Products.ERP5Wendelin.portal.business_template.apply import Result, apply, key_of
from Products.ERP5Wendelin.portal.business_template.change import Action, Change, Key
from Products.ERP5Wendelin.portal.business_template.kinds import KINDS
from Products.ERP5Wendelin.portal.business_template.kinds.kind import Kind
from Products.ERP5Wendelin.portal.business_template.metadata import version_key
from Products.ERP5Wendelin.portal.business_template.template import Item, Template
from Products.ERP5Wendelin.portal.business_template.text import difference
from Products.ERP5Wendelin.portal.business_template.tool import BusinessTemplate, installed_templates

Kinds = Mapping[str, Kind]


def install(site: Any, templates: Sequence[Template], *, theirs: bool = False, kinds: Kinds = KINDS) -> list[Result]:
    """Install templates, those that others need first. What is installed already stays as it is.

    Where an object is there already, and different, it is kept and reported as a conflict; `theirs` takes the
    template's. Conflict: another version is installed, or another template has an object differently.
    """
    documents = installed_templates(site)
    for template in templates:
        if template.name in documents and not _is_installed(template, documents[template.name]):
            raise Conflict(
                f"{template.name} {documents[template.name].getVersion()} is installed, and is not the same as"
                f" {template.metadata.version}. To change to that: wendelin bt5 upgrade DIR {template.name}"
            )
    with _all_or_nothing():
        return apply(site, templates, (), lambda change: theirs and change.action is Action.CONFLICT, kinds)


def upgrade(
    site: Any,
    templates: Sequence[Template],
    *,
    theirs: bool = False,
    reinstall: Collection[str] = (),
    downgrade: bool = False,
    kinds: Kinds = KINDS,
) -> list[Result]:
    """Bring installed templates to other versions.

    What both the template and an administrator changed is kept and reported as a conflict; `theirs` takes the
    template's. `reinstall`: paths of objects, or of folders of them, that become what the template has in any case.
    NotFound: a template is not installed, or has no such path. Conflict: the version is older, and not `downgrade`.
    """
    documents = installed_templates(site)
    _check_installed(
        documents, [template.name for template in templates], " To install it: wendelin bt5 install DIR {}"
    )
    for template in templates:
        version = documents[template.name].getVersion()
        if version_key(template.metadata.version) < version_key(version) and not downgrade:
            raise Conflict(
                f"{template.name} {version} is installed, and {template.metadata.version} is older."
                " To go back to that, add --downgrade."
            )
    paths = {item.path for template in templates for item in template.items}
    for path in reinstall:
        if not any(_is_within(candidate, path) for candidate in paths):
            raise NotFound(f"There is no object {path} in {', '.join(template.name for template in templates)}.")

    def takes(change: Change) -> bool:
        named = any(_is_within(change.key.path, path) for path in reinstall)
        return named or (theirs and change.action is not Action.KEPT)

    with _all_or_nothing():
        return apply(site, templates, (), takes, kinds)


def remove(site: Any, names: Sequence[str], *, force: bool = False, kinds: Kinds = KINDS) -> list[Result]:
    """Take away what templates brought, but for what an administrator has changed, unless `force`.

    NotFound: one is not installed. Conflict, with all reasons: another template needs it, or users' data would be lost.
    """
    _check_installed(installed_templates(site), names)
    with _all_or_nothing():
        return apply(site, (), names, lambda change: force, kinds)


def changed_objects(site: Any, document: BusinessTemplate, kinds: Kinds = KINDS) -> list[Key]:
    """The objects of an installed template that are not as it has them."""
    items = document.installed_items()
    return [key for key, item in items.items() if kinds[key.kind].read(site, key.path) != item.data]


def differences(site: Any, items: Iterable[Item], kinds: Kinds = KINDS) -> Iterator[str]:
    """A unified diff, from the site to the template, for each object that differs."""
    for item in items:
        data = kinds[item.kind].read(site, item.path)
        if data != item.data:
            yield difference(f"{item.kind}/{item.path}", data, item.data)


def items_of(document: BusinessTemplate) -> list[Item]:
    """The objects of an installed template, as it has them."""
    items = document.installed_items()
    return [Item(key.kind, key.path, item.data, document.getId()) for key, item in items.items()]


def _is_installed(template: Template, document: BusinessTemplate) -> bool:
    installed = {key: item.data for key, item in document.installed_items().items()}
    offered = {key_of(item): item.data for item in template.items}
    return document.getVersion() == template.metadata.version and installed == offered


def _check_installed(documents: Mapping[str, BusinessTemplate], names: Iterable[str], advice: str = "") -> None:
    for name in names:
        if name not in documents:
            installed = ", ".join(documents) or "none"
            raise NotFound(f"{name} is not installed. Installed are: {installed}.{advice.format(name)}")


def _is_within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


@contextmanager
def _all_or_nothing() -> Iterator[None]:
    """What fails in here may have done half of it, which nobody may commit.

    A savepoint would do, but for the catalogue: when a transaction is finished it loads objects again that a
    savepoint has put aside, and those which are new can't be loaded just then.
    """
    try:
        yield
    except BaseException:
        transaction.doom()
        raise
