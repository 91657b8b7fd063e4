"""Carrying out an installation: templates come, change and go in one step, object by object as `change` has it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from transaction.interfaces import TransientError

from Products.ERP5Wendelin.errors import Conflict
from Products.ERP5Wendelin.portal.business_template.change import Action, Change, Key, plan
from Products.ERP5Wendelin.portal.business_template.kinds.kind import Kind
from Products.ERP5Wendelin.portal.business_template.metadata import (
    check_dependencies,
    depends_on,
    unmet_dependencies,
)
from Products.ERP5Wendelin.portal.business_template.template import Data, Item, Metadata, Template, TemplateError
from Products.ERP5Wendelin.portal.business_template.text import difference
from Products.ERP5Wendelin.portal.business_template.tool import InstalledItem, installed_templates, template_tool

Takes = Callable[[Change], bool]
"""Whether to take the template's version of an object that would stay as an administrator has it."""


@dataclass(frozen=True)
class Result:
    """What was done for one template: the versions before and after, None for none, and each of its objects."""

    name: str
    before: str | None
    after: str | None
    changes: tuple[Change, ...]


def apply(
    site: Any, coming: Sequence[Template], going: Collection[str], takes: Takes, kinds: Mapping[str, Kind]
) -> list[Result]:
    """Make a site have the templates in `coming`, and not those in `going`; all others stay as they are.

    Raises in the middle of it; the caller undoes what was done until then. TemplateError: a template can't be
    installed, for want of another or for what is in it. Conflict, with all reasons: templates have an object
    differently, another template needs one that goes, or users' data would be lost.
    """
    step = _Step(site, {template.name: template for template in coming}, going, takes, kinds)
    order = in_order(step.metadata)
    step.check_dependencies()
    step.check_shared_objects()
    step.stop_at_obstacles()
    results = [step.put(step.coming[name]) for name in order if name in step.coming]
    results += [step.take_away(name) for name in reversed(order) if name in going]
    step.stop_at_obstacles()
    return results


def in_order(metadata: Mapping[str, Metadata]) -> list[str]:
    """The names of templates, with those that others need first. TemplateError: some need each other."""
    order: list[str] = []

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            raise TemplateError(f"Templates need each other: {' > '.join((*path[path.index(name) :], name))}.")
        for other in metadata:
            if other != name and depends_on(metadata[name], metadata[other]):
                visit(other, (*path, name))
        if name not in order:
            order.append(name)

    for name in metadata:
        visit(name, ())
    return order


class _Step:
    """One step from the templates that a site has to those that it is to have."""

    def __init__(
        self,
        site: Any,
        coming: Mapping[str, Template],
        going: Collection[str],
        takes: Takes,
        kinds: Mapping[str, Kind],
    ) -> None:
        self.site = site
        self.coming = coming
        self.going = going
        self.takes = takes
        self.kinds = kinds
        self.documents = installed_templates(site)
        self.metadata = {name: document.metadata() for name, document in self.documents.items()}
        self.metadata |= {name: template.metadata for name, template in coming.items()}
        self.before: dict[Key, InstalledItem] = {}
        """The objects of all templates, as they were last installed."""
        self.after: dict[Key, dict[str, Data]] = {}
        """Object -> the templates that will have it, and as what."""
        self.obstacles: list[str] = []
        """Why it can't be done, sentences."""
        for name, document in self.documents.items():
            items = document.installed_items()
            self.before.update(items)
            if name not in coming and name not in going:
                self._will_have(name, {key: item.data for key, item in items.items()})
        for name, template in coming.items():
            self._will_have(name, {key_of(item): item.data for item in template.items})

    def _will_have(self, name: str, objects: Mapping[Key, Data]) -> None:
        for key, data in objects.items():
            self.after.setdefault(key, {})[name] = data

    def check_dependencies(self) -> None:
        """Each template that will be there must have those that it needs."""
        staying = {name: metadata for name, metadata in self.metadata.items() if name not in self.going}
        for name, metadata in staying.items():
            if name in self.coming:
                check_dependencies(self.coming[name], staying.values())
            else:
                unmet = unmet_dependencies(metadata, staying.values())
                self.obstacles += [f"{name} needs {dependency}." for dependency in unmet]

    def check_shared_objects(self) -> None:
        """Templates may have the same object, but not differently."""
        self.obstacles += [
            f"Both {first} and {name} have {key.path} ({key.kind}), but differently."
            for key, ((first, data), *others) in ((key, owners.items()) for key, owners in self.after.items())
            for name, other_data in others
            if other_data != data
        ]

    def stop_at_obstacles(self) -> None:
        """Conflict, with all reasons that were found so far."""
        if self.obstacles:
            raise Conflict(f"Nothing was changed. {' '.join(self.obstacles)}")

    def put(self, template: Template) -> Result:
        """Install a template, or change an installed one."""
        document = self.documents.get(template.name)
        changes = self._change(template.name, template.items)
        items = {
            change.key: InstalledItem(change.new, self._is_brought(change))
            for change in changes
            if change.new is not None
        }
        self.before.update(items)
        version = document.getVersion() if document else None
        template_tool(self.site).of_name(template.name).record(template.metadata, items)
        return Result(template.name, version, template.metadata.version, tuple(changes))

    def take_away(self, name: str) -> Result:
        """Remove an installed template."""
        version = self.documents[name].getVersion()
        changes = self._change(name, ())
        template_tool(self.site)._delObject(name)
        return Result(name, version, None, tuple(changes))

    def _change(self, name: str, items: Sequence[Item]) -> list[Change]:
        """Bring a template's objects from what was installed to `items`."""
        own = self.documents[name].installed_items() if name in self.documents else {}
        base = {key: item.data for key, item in own.items()}
        # one that another template had, or has, is known as well: it may have moved from there to here
        base.update(
            {key: self.before[key].data for key in map(key_of, items) if key in self.before and key not in base}
        )

        def stays(key: Key) -> str:
            others = self.after.get(key, {}).keys() - {name}
            if others:
                return f"it is in {' and '.join(sorted(others))}, too"
            return "" if own[key].brought else "it was there before the template"

        changes = list(plan(base, items, self._read, stays, self.takes))
        files = {key_of(item): item.file for item in items}
        for change in changes:
            self._carry_out(change, files)
        for change in changes:
            self._verify(change, files)
        return changes

    def _read(self, key: Key) -> Data:
        return self.kinds[key.kind].read(self.site, key.path)

    def _is_brought(self, change: Change) -> bool:
        known = self.before.get(change.key)
        return known.brought if known else change.action is Action.MADE

    def _carry_out(self, change: Change, files: Mapping[Key, str]) -> None:
        kind, path = self.kinds[change.key.kind], change.key.path
        if change.action in (Action.MADE, Action.UPDATED):
            try:
                # a copy, since the template may be installed again in this process
                kind.install(self.site, path, copy.deepcopy(change.new), change.site)
            except TransientError:
                raise
            except Exception as error:
                raise TemplateError(f"{path} can't be installed: {error}", files[change.key]) from error
        elif change.action is Action.REMOVED:
            refusal = kind.refusal(self.site, path)
            if refusal is None:
                kind.remove(self.site, path, change.site)
            else:
                self.obstacles.append(refusal)

    def _verify(self, change: Change, files: Mapping[Key, str]) -> None:
        """TemplateError unless the site has what was installed: else it would seem to be an administrator's change."""
        if change.action in (Action.MADE, Action.UPDATED):
            data = self._read(change.key)
            if data != change.new:
                raise TemplateError(
                    f"{change.key.path} is, once installed, not what the template says:\n"
                    + difference(change.key.path, data, change.new),
                    files[change.key],
                )


def key_of(item: Item) -> Key:
    """Which object an item is."""
    return Key(item.kind, item.path)
