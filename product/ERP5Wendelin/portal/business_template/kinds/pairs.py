"""Items that are pairs of names in a list: which portal types another may hold, and which workflows it has. Data: True.

::

    PortalTypeAllowedContentTypeTemplateItem/allowed_content_types.xml
        <allowed_content_type_list>
         <portal_type id="Data Set Module"><item>Data Set</item></portal_type>
    PortalTypeWorkflowChainTemplateItem/workflow_chain_type.xml
        <workflow_chain>
         <chain><type>Data Set</type><workflow>data_set_workflow</workflow></chain>

A path is 'Data Set Module | Data Set', as in the lists of `bt/`. Several templates may add to one portal type.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.portal.business_template.kinds.kind import Source, check_name, pair
from Products.ERP5Wendelin.portal.business_template.template import Data, Item, TemplateError
from Products.ERP5Wendelin.portal.business_template.xml import attribute, children, leaf, parse

EDIT_WORKFLOW = "edit_workflow"
"""ERP5's workflow that only notes changes; documents here have a modification date without it."""


class _PairKind(ABC):
    """Pairs of a portal type and another name, from one file."""

    name: str
    list_name: str
    file_name: str

    def items(self, source: Source) -> Iterator[Item]:
        path = f"{self.name}/{self.file_name}"
        if path not in source.files:
            return
        file = source.files.name(path)
        seen = set()
        for left, right, line in self.pairs(source.files.text(path), file):
            if (left, right) in seen:
                raise TemplateError(f"{left} | {right} is there twice.", file, line)
            seen.add((left, right))
            yield Item(self.name, f"{left} | {right}", True, file)

    @abstractmethod
    def pairs(self, text: str, file: str) -> Iterator[tuple[str, str, int]]:
        """The two names and the line of each pair in the file."""

    @abstractmethod
    def names(self, site: Any, left: str) -> tuple[str, ...]:
        """What the site has for a portal type."""

    @abstractmethod
    def set_names(self, site: Any, left: str, names: tuple[str, ...]) -> None:
        """Set what the site has for a portal type. BadInput: it can't be."""

    def listed(self, path: str) -> str:
        return path

    def read(self, site: Any, path: str) -> Data | None:
        left, right = pair(path)
        return True if right in self.names(site, left) else None

    def install(self, site: Any, path: str, data: Data, old: Data | None) -> None:
        left, right = pair(path)
        names = self.names(site, left)
        if right not in names:
            self.set_names(site, left, (*names, right))

    def remove(self, site: Any, path: str, data: Data) -> None:
        left, right = pair(path)
        names = self.names(site, left)
        if right in names:
            self.set_names(site, left, tuple(name for name in names if name != right))

    def refusal(self, site: Any, path: str) -> str | None:
        return None


class AllowedContentTypeKind(_PairKind):
    """Which portal types the documents of another may contain."""

    name = "PortalTypeAllowedContentTypeTemplateItem"
    list_name = "template_portal_type_allowed_content_type_list"
    file_name = "allowed_content_types.xml"

    def pairs(self, text: str, file: str) -> Iterator[tuple[str, str, int]]:
        root = parse(text, file, "allowed_content_type_list")
        attribute(root, file)
        for element in children(root, file, "portal_type"):
            (portal_type,) = attribute(element, file, "id")
            check_name(portal_type, file, element.sourceline, "portal_type")
            for item in children(element, file, "item"):
                yield portal_type, check_name(leaf(item, file), file, item.sourceline, "item"), item.sourceline

    def names(self, site: Any, left: str) -> tuple[str, ...]:
        portal_type = site.portal_types.getTypeInfo(left)
        return () if portal_type is None else tuple(portal_type.allowed_content_types)

    def set_names(self, site: Any, left: str, names: tuple[str, ...]) -> None:
        portal_type = site.portal_types.getTypeInfo(left)
        if portal_type is None:
            raise BadInput(f"There is no portal type {left!r} that could contain {', '.join(names)}.")
        portal_type.manage_changeProperties(filter_content_types=True, allowed_content_types=names)


class WorkflowChainKind(_PairKind):
    """Which workflows the documents of a portal type have."""

    name = "PortalTypeWorkflowChainTemplateItem"
    list_name = "template_portal_type_workflow_chain_list"
    file_name = "workflow_chain_type.xml"

    def pairs(self, text: str, file: str) -> Iterator[tuple[str, str, int]]:
        root = parse(text, file, "workflow_chain")
        attribute(root, file)
        for element in children(root, file, "chain"):
            attribute(element, file)
            parts = children(element, file, "type", "workflow")
            if [part.tag for part in parts] != ["type", "workflow"]:
                raise TemplateError("Expected a <type> and a <workflow> in it.", file, element.sourceline, "chain")
            portal_type = check_name(leaf(parts[0], file), file, parts[0].sourceline, "type")
            for workflow in leaf(parts[1], file).split(","):
                if workflow.strip() != EDIT_WORKFLOW:
                    yield (
                        portal_type,
                        check_name(workflow.strip(), file, parts[1].sourceline, "workflow"),
                        parts[1].sourceline,
                    )

    def names(self, site: Any, left: str) -> tuple[str, ...]:
        # the tool tells the chain of known portal types only
        return tuple((site.portal_workflow._chains_by_type or {}).get(left, ()))

    def set_names(self, site: Any, left: str, names: tuple[str, ...]) -> None:
        missing = [name for name in names if site.portal_workflow.getWorkflowById(name) is None]
        if missing:
            raise BadInput(f"There is no workflow {missing[0]!r} that documents of the type {left!r} could have.")
        if site.portal_types.getTypeInfo(left) is None:
            raise BadInput(f"There is no portal type {left!r} that could have the workflow {names[-1]!r}.")
        site.portal_workflow.setChainForPortalTypes([left], names)
