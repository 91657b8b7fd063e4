"""PathTemplateItem: documents in modules and tools. CategoryTemplateItem: base categories.

::

    PathTemplateItem/data_supply_module/default.xml            an exported document
    PathTemplateItem/data_supply_module/default/1.xml          a document in it: part of the same item
    PathTemplateItem/portal_categories/use/big_data.xml        a category; each category is an item
    PathTemplateItem/portal_callables/IngestionPolicy_parse.xml, .py       an object with a source (`sources`)
    CategoryTemplateItem/portal_categories/use.xml             a base category

Data of a document::

    {'portal_type': 'Data Supply', 'properties': {'title': …}, 'categories': ('use/big_data/ingestion', …),
     'state': 'validated', 'documents': {'1': {…}}}

`properties` are those that its class declares and that are not as the class has them, by the attributes in which they
are stored; dates are ISO 8601. `state` is the last one in `workflow_history`, and None for what a new document has,
which is 'draft' in an export.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

from AccessControl.SecurityManagement import getSecurityManager
from Acquisition import aq_base
from DateTime import DateTime
from Products.CMFCore.interfaces import ITypesTool, IWorkflowTool
from zope.component import getUtility

from Products.ERP5Wendelin.content.accessors import SEVERAL, checked
from Products.ERP5Wendelin.content.folder import Container, Folder
from Products.ERP5Wendelin.content.portal_types import DOCUMENT_CLASSES, PORTAL_TYPE_CLASSES
from Products.ERP5Wendelin.content.scripts import CALLABLES
from Products.ERP5Wendelin.errors import BadInput
from Products.ERP5Wendelin.portal.business_template.kinds.kind import (
    Source,
    check_id,
    find,
    portal_type_of,
    take,
    texts,
)
from Products.ERP5Wendelin.portal.business_template.kinds.sources import (
    install_object,
    is_source,
    read_object,
    read_source,
)
from Products.ERP5Wendelin.portal.business_template.template import Data, Item
from Products.ERP5Wendelin.portal.business_template.xml import Record

CATEGORIES = "portal_categories"
INITIAL = "draft"

RENAMED = {"default_reference": "reference"}
"""Attribute in which ERP5 stores a property -> ours."""

STATE_VARIABLES = ("validation_state", "simulation_state")

IGNORED = frozenset(
    {
        "acquisition_append_value",
        "acquisition_base_category",
        "acquisition_copy_value",
        "acquisition_mask_value",
        "acquisition_object_id",
        "acquisition_portal_type",
        "acquisition_sync_value",
        "automatic_solve",
        "base_contribution_list",
        "category_type",
        "codification",
        "comment",
        "configuration_form_id",
        "criterion_property",
        "data_operation_script_id",
        "fallback_base_category",
        "id_generator",
        "id_group",
        "individual_variation_base_category_list",
        "listbox_selected",
        "mapped_value_property_list",
        "membership_criterion_base_category",
        "membership_criterion_category",
        "multimembership_criterion_base_category",
        "price",
        "quantity",
        "quantity_unit_list",
        "required_aggregated_portal_type",
        "rid",
        "short_title",
        "sid",
        "sort_index",
        "start_date",
        "stop_date",
        "test_method_id",
        "use_list",
        "version",
    }
)
"""Properties of ERP5's documents and categories that say nothing here, unless a class declares them."""


class _DocumentKind:
    """Documents by their paths from the site."""

    name: str
    list_name: str

    def items(self, source: Source) -> Iterator[Item]:
        records = dict(source.exported(self.name))
        found: dict[str, Item] = {}
        # what contains something comes before it
        for path, record in sorted(records.items(), key=lambda entry: entry[0].split("/")):
            file = f"{self.name}/{path}.xml"
            self.check_place(path, record)
            item = _item_of(path)
            if item == path:
                data = read_source(source, file, record) if is_source(record) else _document(source, path, record)
                found[path] = Item(self.name, path, data, source.files.name(file))
            elif item not in found or "documents" not in found[item].data:
                raise record.error(f"It is in {item}, which is not in the template.")
            else:
                _within(found[item].data, path.removeprefix(f"{item}/"), record, _document(source, path, record))
        yield from found.values()

    def check_place(self, path: str, record: Record) -> None:
        """TemplateError if documents of this kind can't be there."""

    def listed(self, path: str) -> str:
        return path

    def read(self, site: Any, path: str) -> Data | None:
        document = find(site, path)
        if document is None:
            return None
        return read_object(document) or _read(document, path)

    def install(self, site: Any, path: str, data: Data, old: Data | None) -> None:
        parent, _, id = path.rpartition("/")
        container = find(site, parent)
        if container is None:
            raise BadInput(f"There is no {parent} for {id}.")
        if "class" in data:
            install_object(container, id, data)
        elif not isinstance(aq_base(container), Container):
            raise BadInput(f"{parent} can't contain documents such as {id}.")
        else:
            _install(container, id, data)
            for left in (old or {}).get("documents", {}).keys() - data["documents"].keys():
                container._getOb(id)._delObject(left)

    def remove(self, site: Any, path: str, data: Data) -> None:
        parent, _, id = path.rpartition("/")
        if find(site, path) is not None:
            find(site, parent)._delObject(id)

    def refusal(self, site: Any, path: str) -> str | None:
        document = find(site, path)
        if document is None or not _is_category(path) or not document.objectIds():
            return None
        return f"{path} has categories that no template brought: {', '.join(sorted(document.objectIds())[:5])}."


class PathKind(_DocumentKind):
    """Documents in modules and tools."""

    name = "PathTemplateItem"
    list_name = "template_path_list"

    def check_place(self, path: str, record: Record) -> None:
        if "/" not in path:
            raise record.error("Documents are in modules and tools: it needs a folder.")
        if is_source(record) and not path.startswith(f"{CALLABLES}/"):
            raise record.error(f"Scripts are in {CALLABLES}, or in a skin.")


class CategoryKind(_DocumentKind):
    """Base categories, in the tool `portal_categories`."""

    name = "CategoryTemplateItem"
    list_name = "template_base_category_list"

    def check_place(self, path: str, record: Record) -> None:
        portal_type_of(record, "Base Category")
        if path.count("/") != 1 or not path.startswith(f"{CATEGORIES}/"):
            raise record.error(f"Base categories are in the folder {CATEGORIES}.")

    def listed(self, path: str) -> str:
        return path.removeprefix(f"{CATEGORIES}/")


def _item_of(path: str) -> str:
    """The path of the item to which a document belongs: its own, or that of the document in the module."""
    return path if _is_category(path) else "/".join(path.split("/")[:2])


# reading exports


def _document(source: Source, path: str, record: Record) -> Data:
    """The data of an exported document. TemplateError: it has what its class does not declare."""
    check_id(record, path.rpartition("/")[2])
    portal_type = portal_type_of(record)
    cls = _class_of(source, portal_type)
    if cls is None:
        raise record.error(
            f"Neither the lake nor this template has a portal type {portal_type!r}: what it may have is unknown."
        )
    kinds = declared_properties(cls)
    attributes = {name: _attribute(name, kinds) for name in record.properties}
    own = frozenset(name for name, attribute in attributes.items() if attribute in kinds)
    taken = take(record, {"categories": texts}, IGNORED | own | {"workflow_history"})
    properties = {}
    # ERP5's own attributes go before local properties: 'aggregated_portal_type' before 'aggregated_portal_type_list'
    for name in sorted(own, key=lambda name: (name == attributes[name], name), reverse=True):
        if record.properties[name] is not None:
            attribute = attributes[name]
            properties[attribute] = _checked(record, name, attribute, kinds[attribute])
    return {
        "portal_type": portal_type,
        "properties": _without_defaults(cls, properties),
        "categories": () if _is_category(path) else _categories(record, cls, taken.get("categories", ())),
        "state": _state(record),
        "documents": {},
    }


def _within(data: Data, path: str, record: Record, document: Data) -> None:
    """Put a document's data into that of the document that contains it, which is already in `data`."""
    *parents, id = path.split("/")
    for parent in parents:
        if parent not in data["documents"]:
            raise record.error(f"It is in {parent}, which is not in the template.")
        data = data["documents"][parent]
    data["documents"][id] = document


def _class_of(source: Source, portal_type: str) -> type | None:
    return DOCUMENT_CLASSES.get(source.type_classes.get(portal_type, ""), PORTAL_TYPE_CLASSES.get(portal_type))


def declared_properties(cls: type) -> dict[str, str]:
    """Attribute -> kind, of the properties that a class and those above it declare."""
    declared: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        declared.update(vars(base).get("properties", {}))
    return {f"{name}_list" if kind in SEVERAL else name: kind for name, kind in declared.items()}


def _attribute(name: str, kinds: dict[str, str]) -> str:
    """Where a property is stored that ERP5 has under another name, as a rule."""
    name = RENAMED.get(name, name)
    return f"{name}_list" if kinds.get(f"{name}_list") in SEVERAL else name


def _checked(record: Record, name: str, attribute: str, kind: str) -> Data:
    """A property's value, in its plain form."""
    value = record.properties[name]
    try:
        return _plain(_stored(attribute, kind, value))
    except (BadInput, ValueError) as error:
        raise record.error(str(error), name) from None


def _without_defaults(cls: type, properties: dict[str, Data]) -> dict[str, Data]:
    return {name: value for name, value in sorted(properties.items()) if value != _plain(getattr(cls, name))}


def _stored(attribute: str, kind: str, value: Data) -> Any:
    """A property's value as a document stores it."""
    if kind == "date" and isinstance(value, str):
        value = datetime.fromisoformat(value)
    return checked(attribute, kind, value)


def _plain(value: Any) -> Data:
    """A stored value as data."""
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).isoformat()
    return value


def _categories(record: Record, cls: type, categories: tuple[str, ...]) -> tuple[str, ...]:
    bases = {base for above in cls.__mro__ for base in vars(above).get("base_categories", ())}
    for text in categories:
        base, _, path = text.partition("/")
        if base not in bases:
            detail = f"{record.kind.name} has no base category {base!r}. It has: {', '.join(sorted(bases)) or 'none'}."
            raise record.error(detail, "categories")
        if any(part in ("", ".", "..") for part in path.split("/")):
            raise record.error(f"{text!r} leads nowhere; write 'base_category/path'.", "categories")
    return tuple(dict.fromkeys(categories))


def _state(record: Record) -> str | None:
    """The state that a document's history says it is in; None for 'draft', and where it says nothing."""
    history = record.properties.get("workflow_history")
    for variable in STATE_VARIABLES:
        for changes in history.values() if isinstance(history, dict) else ():
            last = changes[-1] if isinstance(changes, (tuple, list)) and changes else None
            state = last.get(variable) if isinstance(last, dict) else None
            if isinstance(state, str):
                return None if state == INITIAL else state
    return None


# on the site


def _is_category(path: str) -> bool:
    return path.startswith(f"{CATEGORIES}/")


def _read(document: Any, path: str) -> Data:
    cls = type(aq_base(document))
    properties = {name: _plain(getattr(aq_base(document), name)) for name in declared_properties(cls)}
    contents = document.objectValues() if isinstance(aq_base(document), Folder) and not _is_category(path) else ()
    return {
        "portal_type": document.getPortalType(),
        "properties": _without_defaults(cls, properties),
        "categories": () if _is_category(path) else tuple(document.categories),
        "state": _read_state(document),
        "documents": {child.getId(): _read(child, path) for child in contents},
    }


def _install(container: Any, id: str, data: Data) -> None:
    """Make a document what data says, and what it contains."""
    document = container._getOb(id, None)
    if document is not None and document.getPortalType() != data["portal_type"]:
        raise BadInput(f"{id} is a {document.getPortalType()} already, and can't become a {data['portal_type']}.")
    kinds = declared_properties(_class_on(container, data["portal_type"]))
    values = {name: _stored(name, kinds[name], value) for name, value in data["properties"].items()}
    if document is None:
        document = container.newContent(data["portal_type"], id, **values)
    for name in kinds.keys() - values.keys():
        # back to what the class has
        vars(aq_base(document)).pop(name, None)
    for name, value in values.items():
        setattr(document, name, value)
    document.categories = data["categories"]
    document._p_changed = True
    for child, child_data in data["documents"].items():
        _install(document, child, child_data)
    _set_state(document, data["state"])
    document.reindexObject()


def _class_on(container: Any, portal_type: str) -> type:
    """The class of a portal type's documents. BadInput: the site has no such portal type."""
    info = getUtility(ITypesTool).getTypeInfo(portal_type)
    if info is None:
        raise BadInput(f"There is no portal type {portal_type!r} for what is in {container.getId()}.")
    return info.documentClass()


def _workflow(document: Any) -> Any:
    """The workflow that says in which state a document is; None if it has none."""
    workflows = getUtility(IWorkflowTool).getWorkflowsFor(document)
    return next((workflow for workflow in workflows if workflow.state_var in STATE_VARIABLES), None)


def _read_state(document: Any) -> str | None:
    workflow = _workflow(document)
    if workflow is None:
        return None
    state = getUtility(IWorkflowTool).getInfoFor(document, workflow.state_var, workflow.initial_state)
    return None if state == workflow.initial_state else state


def _set_state(document: Any, state: str | None) -> None:
    """Bring a document into a state without a transition, since the template says that it is in it."""
    workflow = _workflow(document)
    if state is None and (workflow is None or _read_state(document) is None):
        return
    if workflow is None or (state is not None and state not in workflow.states):
        raise BadInput(f"A {document.getPortalType()} has no state {state!r}.")
    if state == _read_state(document):
        return
    status = {
        "action": "",
        "actor": getSecurityManager().getUser().getId() or "",
        "time": DateTime(),
        workflow.state_var: state or workflow.initial_state,
    }
    getUtility(IWorkflowTool).setStatusOf(workflow.getId(), document, status)
    workflow.updateRoleMappingsFor(document)
    document.reindexObjectSecurity()
