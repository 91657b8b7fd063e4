"""Reading folders: what is refused, and why."""

from __future__ import annotations

import os
import pickle
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Products.ERP5Wendelin.portal.business_template import files as files_module
from Products.ERP5Wendelin.portal.business_template.files import Files
from Products.ERP5Wendelin.portal.business_template.kinds import KINDS
from Products.ERP5Wendelin.portal.business_template.reader import read, read_items
from Products.ERP5Wendelin.portal.business_template.template import Template, TemplateError
from support.exports import export, in_state, persistent, write_template

ROLES = {
    "RoleTemplateItem/role_list.xml": "<role_list>\n <role>Brewer</role>\n</role_list>",
    "bt/template_role_list": "Brewer",
}
POLICY = export("Ingestion Policy", {"id": "p", "portal_type": "Ingestion Policy", "script_id": "parse"})
SCRIPT = export("PythonScript", {"id": "s", "_params": "a"}, "Products.PythonScripts.PythonScript")


def refused(directory: Path) -> str:
    with pytest.raises(TemplateError) as caught:
        read(directory)
    return str(caught.value)


@pytest.fixture
def template(tmp_path):
    """Writes a template of these files, with what there is to say about the policy `p` if it is in it."""

    def write(files=None, **lists):
        return write_template(tmp_path / "t", {**(files or {}), **{f"bt/{name}": text for name, text in lists.items()}})

    return write


def test_template_has_name_metadata_and_items(template):
    found = read(
        template(
            {**ROLES, "PathTemplateItem/portal_ingestion_policies/p.xml": POLICY},
            template_path_list="portal_ingestion_policies/p",
        )
    )
    assert (found.name, found.metadata.title) == ("t", "t")
    assert [(item.kind, item.path, item.file) for item in found.items] == [
        ("RoleTemplateItem", "Brewer", "t/RoleTemplateItem/role_list.xml"),
        ("PathTemplateItem", "portal_ingestion_policies/p", "t/PathTemplateItem/portal_ingestion_policies/p.xml"),
    ]
    assert [item.data for item in found.items] == [
        True,
        {
            "portal_type": "Ingestion Policy",
            "properties": {"script_id": "parse"},
            "categories": (),
            "state": None,
            "documents": {},
        },
    ]


def test_items_come_in_the_order_of_kinds(template):
    found = read(BT5 / "erp5_wendelin")
    order = list(KINDS)
    assert [order.index(item.kind) for item in found.items] == sorted(order.index(item.kind) for item in found.items)


def test_folder_that_is_no_template_is_refused(tmp_path):
    assert refused(tmp_path) == f"{tmp_path}: There is no business template: it has no folder 'bt'."
    assert "There is no business template" in refused(tmp_path / "missing")


def test_title_that_is_not_the_folder_s_is_refused(template):
    assert refused(template(title="other")) == "t/bt/title: The title is 'other', but the folder 't'."


def test_unknown_kind_is_refused(template):
    assert refused(template({"ExtensionTemplateItem/x.py": ""})) == (
        f"t/ExtensionTemplateItem: There is no such kind of items. Kinds are: {', '.join(KINDS)}."
    )


def test_file_that_is_no_item_s_is_refused(template):
    assert refused(template({**ROLES, "RoleTemplateItem/notes.txt": ""})) == (
        "t/RoleTemplateItem/notes.txt: It belongs to no object."
    )
    assert (
        refused(template({"README": ""})) == f"t/README: There is no such kind of items. Kinds are: {', '.join(KINDS)}."
    )


def test_item_that_is_not_listed_is_refused(template):
    assert refused(template({**ROLES, "bt/template_role_list": ""})) == (
        "t/RoleTemplateItem/role_list.xml: It is not listed in bt/template_role_list: 'Brewer'."
    )


def test_listed_item_that_is_missing_is_refused(template):
    assert refused(template({**ROLES, "bt/template_role_list": "Brewer\nBaker"})) == (
        "t/bt/template_role_list: 'Baker' is listed, but there is no file of it."
    )


def test_lists_may_have_patterns(template):
    paths = {f"PathTemplateItem/portal_ingestion_policies/{id}.xml": POLICY.replace(">p<", f">{id}<") for id in "pq"}
    assert len(read(template(paths, template_path_list="portal_ingestion_policies/*")).items) == 2
    assert len(read(template(paths, template_path_list="portal_ingestion_policies/**")).items) == 2


def test_link_is_refused_wherever_it_leads(template, tmp_path):
    directory = template(ROLES)
    (directory / "RoleTemplateItem" / "passwd.xml").symlink_to("/etc/passwd")
    assert (
        refused(directory)
        == "t/RoleTemplateItem/passwd.xml: A template has files and folders only, no links or devices."
    )
    (directory / "RoleTemplateItem" / "passwd.xml").unlink()
    (directory / "SkinTemplateItem").symlink_to(tmp_path)
    assert refused(directory) == "t/SkinTemplateItem: A template has files and folders only, no links or devices."


def test_device_is_refused_and_not_read(template):
    directory = template(ROLES)
    os.mkfifo(directory / "RoleTemplateItem" / "pipe.xml")
    assert "no links or devices" in refused(directory)


@pytest.mark.parametrize(
    "name", ["%2F", "a%2fb.xml", "%2e%2e", "..%2Fx.xml", "%00.xml", "a%0Ab.xml", "%5c.xml", "%FF.xml", "%ED%A0%80"]
)
def test_name_that_would_lead_elsewhere_is_refused(template, name):
    message = refused(template({f"SkinTemplateItem/{name}": ""}))
    assert message.startswith(f"t/SkinTemplateItem/{name}: ")
    assert message.endswith(" can't be a name in a template.")


def test_two_names_for_one_path_are_refused(template):
    found = refused(template({"SkinTemplateItem/a b.xml": "", "SkinTemplateItem/a%20b.xml": ""}))
    assert found == "t/SkinTemplateItem/a%20b.xml: 'SkinTemplateItem/a b.xml' is there twice."


def test_text_that_is_not_utf_8_is_refused(template):
    assert refused(template({**ROLES, "RoleTemplateItem/role_list.xml": b"<role_list>\xff</role_list>"})) == (
        "t/RoleTemplateItem/role_list.xml: It is not UTF-8 (byte 11)."
    )
    assert refused(template({"bt/description": b"\xff"})) == "t/bt/description: It is not UTF-8 (byte 0)."


def test_large_file_is_refused(template, monkeypatch):
    monkeypatch.setattr(files_module, "MAX_FILE_SIZE", 1 << 20)
    assert refused(template({"bt/description": "x" * ((1 << 20) + 1)})) == (
        "t/bt/description: A file of a template has at most 1 MiB."
    )


def test_large_template_is_refused_before_it_is_read(template, monkeypatch):
    monkeypatch.setattr(files_module, "MAX_SIZE", 1 << 20)
    assert refused(template({"bt/a": "x" * (1 << 19), "bt/b": "x" * (1 << 20)})) == "t: A template has at most 1 MiB."


def test_many_files_are_refused(template, monkeypatch):
    monkeypatch.setattr(files_module, "MAX_FILES", 10)
    assert refused(template({f"bt/{number}": "" for number in range(11)})) == "t: A template has at most 10 files."


def test_deep_folders_are_refused(template):
    assert refused(template({"bt/" + "a/" * 20 + "b": ""})).endswith("/a/a: Folders in a template are at most 16 deep.")


PERMISSIONS = "SitePermissionTemplateItem/permission_list.xml"
CHAINS = "PortalTypeWorkflowChainTemplateItem/workflow_chain_type.xml"
ALLOWED = "PortalTypeAllowedContentTypeTemplateItem/allowed_content_types.xml"
PORTAL_TYPE = "PortalTypeTemplateItem/portal_types/A.xml"
MODULE = "ModuleTemplateItem/a_module.xml"
DOCUMENT = "PathTemplateItem/m/p.xml"
CALLABLE = "PathTemplateItem/portal_callables/s"
SKIN = "SkinTemplateItem/portal_skins"
PAGES = "Products.PageTemplates.ZopePageTemplate"
PRIORITY = "business_template_skin_layer_priority"
BOUND = {"id": "s", "_bind_names": {"name_context": "self"}}
BOUND_SCRIPT = export("PythonScript", BOUND, "Products.PythonScripts.PythonScript")


def roles(*names):
    """A list of roles, as a file."""
    elements = "".join(f"<role>{name}</role>" for name in names)
    return {"RoleTemplateItem/role_list.xml": f"<role_list>{elements}</role_list>"}


def permission(name, kind):
    """A list of one permission, as a file."""
    element = f"<permission type='{kind}'><name>{name}</name></permission>"
    return {PERMISSIONS: f"<permission_list>{element}</permission_list>"}


def module(inside):
    """A module, as a file."""
    return {MODULE: f"<module><id>a_module</id>{inside}</module>"}


def portal_type(name="Base Type", module="erp5.portal_type", **properties):
    """A portal type, as a file."""
    return {PORTAL_TYPE: export(name, {"id": "A", **properties}, module)}


def document(name="Data Supply", **properties):
    """A document, as a file."""
    return {DOCUMENT: export(name, {"id": "p", **properties})}


def script(source):
    """A script, as files."""
    return {f"{CALLABLE}.xml": SCRIPT, f"{CALLABLE}.py": source}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (roles(""), "line 1, <role>: '' can't be a name."),
        (roles("Manager"), "<role>: The role Manager is Zope's own."),
        (roles("a|b"), "<role>: 'a|b' can't be a name."),
        (roles("a", "a"), "'a' is there twice."),
        ({"RoleTemplateItem/role_list.xml": "<!DOCTYPE a><role_list/>"}, "A template's XML has no DOCTYPE."),
        (
            permission("No", "tuple"),
            "Expected type='tuple' or 'list' (acquired), and one <name> of a permission of this lake",
        ),
        (
            permission("View", "set"),
            "Expected type='tuple' or 'list' (acquired), and one <name> of a permission of this lake",
        ),
        (permission("View", "list"), "A site acquires permissions from nothing."),
        (
            {CHAINS: "<workflow_chain><chain><type>a</type></chain></workflow_chain>"},
            "<chain>: Expected a <type> and a <workflow> in it.",
        ),
        (
            {CHAINS: "<workflow_chain><chain><type>a</type><workflow>b, b</workflow></chain></workflow_chain>"},
            "line 1: a | b is there twice.",
        ),
        (
            {ALLOWED: "<allowed_content_type_list><portal_type/></allowed_content_type_list>"},
            "<portal_type>: '' can't be a name.",
        ),
        (portal_type(type_class="os.system"), "There is no class 'os.system'. Classes are: Alarm, "),
        (portal_type(id="B"), "Its id is 'B', but its file is that of 'A'."),
        (portal_type(evil="x"), "Base Type has no property 'evil' here."),
        (portal_type("system", "os"), "Objects of the class os.system are not read from templates."),
        (portal_type("Category"), "Expected Base Type, not Category."),
        (
            {"PortalTypeTemplateItem/A.xml": export("Base Type", {"id": "A"})},
            "Portal types are in the folder portal_types.",
        ),
        ({MODULE: "<module><id>b</id></module>"}, "Its id is 'b', but its file is that of 'a_module'."),
        (module(""), "<portal_type>: '' can't be a name."),
        (module("<script/>"), "<script>: Expected <id> or "),
        (module("<id>a_module</id>"), "<id>: It is there twice."),
        ({"ModuleTemplateItem/x/a_module.xml": "<module/>"}, "It belongs to no object."),
        (
            {"ToolTemplateItem/a.xml": export("Alarm Tool", {"id": "a", "portal_type": "Other"})},
            "Its class is 'Alarm Tool', but its portal type 'Other'.",
        ),
        (
            {"CategoryTemplateItem/portal_categories/a.xml": export("Category", {"id": "a"})},
            "Expected Base Category, not Category.",
        ),
        (
            {"CategoryTemplateItem/a.xml": export("Base Category", {"id": "a"})},
            "Base categories are in the folder portal_categories.",
        ),
        ({"PathTemplateItem/p.xml": POLICY}, "Documents are in modules and tools: it needs a folder."),
        (document(function="f"), "Data Supply has no property 'function' here."),
        (document(title=1), "title must be text."),
        (document(categories="use/a"), "categories must be a list of text."),
        (portal_type(description=("a",)), "description must be text."),
        (
            {"PathTemplateItem/m/p/1/2.xml": document(id="2")[DOCUMENT], **document()},
            "It is in 1, which is not in the template.",
        ),
        (document(effective_date="yesterday"), "Invalid isoformat string: 'yesterday'"),
        (
            document("Person"),
            "Neither the lake nor this template has a portal type 'Person': what it may have is unknown.",
        ),
        (document(categories=("group/a",)), "Data Supply has no base category 'group'. It has: destination, "),
        (document(categories=("source/../a",)), "'source/../a' leads nowhere; write 'base_category/path'."),
        (
            {"PathTemplateItem/m/p/1.xml": export("Data Supply Line", {"id": "1"})},
            "It is in m/p, which is not in the template.",
        ),
        (
            {f"{SKIN}/custom.xml": export("Folder", {"id": "custom"}, "OFS.Folder")},
            "The layer custom is the site's own.",
        ),
        (
            {"PathTemplateItem/acl_users/s.xml": SCRIPT, "PathTemplateItem/acl_users/s.py": ""},
            "Scripts are in portal_callables, or in a skin.",
        ),
        ({f"{SKIN}/a/s.xml": SCRIPT, f"{SKIN}/a/s.py": ""}, "It is in portal_skins/a, which has no file."),
        (
            {f"{SKIN}/s.xml": SCRIPT, f"{SKIN}/s.py": ""},
            "Objects of the class Products.PythonScripts.PythonScript.PythonScript are not read from templates here.",
        ),
        ({f"{CALLABLE}.xml": SCRIPT}, "Expected its source in one file beside it, found none."),
        ({f"{CALLABLE}.xml": SCRIPT, f"{CALLABLE}.txt": ""}, "Expected its source in one file beside it, found none."),
        (script(b"\xff"), "Its source is not UTF-8 (byte 0)."),
        (
            script("##bind context=x\n"),
            "Its source begins with '##', which Zope would take for settings of the script.",
        ),
        (
            {f"{CALLABLE}.xml": export("PythonScript", {"id": "s", "_body": 1}, "Products.PythonScripts.PythonScript")},
            "_body must be text or bytes.",
        ),
        (
            {f"{CALLABLE}.xml": export("ZopePageTemplate", {"id": "s", "expand": 2}, PAGES), f"{CALLABLE}.zpt": "<p/>"},
            "expand must be 0 or 1.",
        ),
        (
            {f"{SKIN}/a.xml": export("Folder", {"id": "a", PRIORITY: "1"}, "OFS.Folder")},
            "business_template_skin_layer_priority must be a number.",
        ),
        (script("a\0"), "Its source has control characters."),
        (
            {f"{CALLABLE}.xml": BOUND_SCRIPT, f"{CALLABLE}.py": ""},
            "_bind_names must be Zope's own names: container, context, script, traverse_subpath.",
        ),
    ],
)
def test_hostile_or_mistaken_file_is_refused_with_its_name(template, files, message):
    found = refused(template(files))
    assert message in found
    assert found.startswith(f"t/{next(iter(files))}")


def test_documents_have_properties_relations_states_and_documents(template):
    supply = export(
        "Data Supply",
        {
            "id": "default",
            "title": "Default",
            "default_reference": "sensor",
            "description": None,
            "effective_date": "2020-01-01T01:00:00+01:00",
            "categories": ("source/person_module/1", "source/person_module/1"),
            "_View_Permission": ("Manager",),
            "_count": None,
            "workflow_history": persistent(2),
        },
        parts=in_state("validated"),
    )
    line = export(
        "Data Supply Line",
        {"id": "1", "quantity": 1, "categories": ("use/big_data/ingestion", "resource/data_operation_module/x")},
    )
    path = "PathTemplateItem/data_supply_module/default"
    found = read(
        template(
            {f"{path}.xml": supply, f"{path}/1.xml": line},
            template_path_list="data_supply_module/default\ndata_supply_module/default/**",
        )
    )
    (item,) = found.items
    assert item.path == "data_supply_module/default"
    assert item.data == {
        "portal_type": "Data Supply",
        "properties": {"effective_date": "2020-01-01T00:00:00+00:00", "reference": "sensor", "title": "Default"},
        "categories": ("source/person_module/1",),
        "state": "validated",
        "documents": {
            "1": {
                "portal_type": "Data Supply Line",
                "properties": item.data["documents"]["1"]["properties"],
                "categories": ("use/big_data/ingestion", "resource/data_operation_module/x"),
                "state": None,
                "documents": {},
            }
        },
    }


def test_source_may_be_in_the_xml_or_beside_it(template):
    inside = export("File", {"__name__": "s", "data": "a\n", "content_type": "text/css"}, "OFS.Image")
    beside = export("File", {"__name__": "s.css", "title": "S"}, "OFS.Image")
    folder = "PathTemplateItem/portal_callables"
    files = {f"{folder}/s.xml": inside, f"{folder}/s.css.xml": beside, f"{folder}/s.css.css": b"\xff\r\n"}
    found = read(template(files, template_path_list="portal_callables/*"))
    assert {item.path: item.data for item in found.items} == {
        "portal_callables/s": {"class": "File", "title": "", "content_type": "text/css", "source": "a\n"},
        "portal_callables/s.css": {
            "class": "File",
            "title": "S",
            "content_type": "application/octet-stream",
            "source": b"\xff\r\n",
        },
    }


def test_script_is_read_as_zope_keeps_it(template):
    data = read(template(script("\r\n\r\nreturn 1\r\n\n\n"), template_path_list="portal_callables/s")).items[0].data
    assert data == {"class": "PythonScript", "title": "", "parameters": "a", "proxy_roles": (), "source": "return 1\n"}
    assert read(template(script(" \n"), template_path_list="portal_callables/s")).items[0].data["source"] == ""


def test_document_in_a_document_that_is_not_listed_is_refused(template):
    path = "PathTemplateItem/data_supply_module/default"
    files = {
        f"{path}.xml": export("Data Supply", {"id": "default"}),
        f"{path}/1.xml": export("Data Supply Line", {"id": "1"}),
    }
    assert refused(template(files, template_path_list="data_supply_module/default")) == (
        f"t/{path}.xml: It is not listed in bt/template_path_list: 'data_supply_module/default/**'."
    )


BT5 = Path(__file__).parents[3] / "bt5"
OURS = sorted(path for path in BT5.glob("*/*/**/*") if path.is_file())


@settings(max_examples=60)
@given(st.data())
def test_any_damage_to_our_templates_is_an_error_or_another_template(tmp_path_factory, data):
    chosen = data.draw(st.lists(st.sampled_from(OURS), min_size=1, max_size=8, unique=True))
    files = {"/".join(path.relative_to(BT5).parts[1:]): path.read_bytes() for path in chosen}
    for victim in data.draw(st.lists(st.sampled_from(sorted(files)), max_size=3)):
        content = files[victim]
        start = data.draw(st.integers(0, len(content)))
        stop = data.draw(st.integers(start, min(len(content), start + 200)))
        damage = data.draw(st.binary(max_size=20) | st.sampled_from([b"", b"<", b"&#0;", b"<a/>", b"\n"]))
        files[victim] = content[:start] + damage + content[stop:]
    assert_template_or_error(tmp_path_factory, files)


NAMES = [
    "title",
    "description",
    "categories",
    "type_class",
    "workflow_history",
    "state_variable",
    "trigger_type",
    "_params",
]
NAMES += [
    "state_permission_role_list_dict",
    "acquire_permission",
    "aggregated_portal_type",
    "effective_date",
    "enabled",
]
NAMES += ["periodicity_minute", "_bind_names", "_body", "content_type", "default_reference", "quantity", "int_index"]
TEXTS = [
    "",
    "x",
    "use/a",
    "source/portal_workflow/w/state_a",
    "destination/../x",
    "DataSet",
    "2020-01-01",
    "\x85 é",
]
PLACES = [
    ("PortalTypeTemplateItem/portal_types/a.xml", "Base Type"),
    ("WorkflowTemplateItem/portal_workflow/a.xml", "Workflow"),
    ("WorkflowTemplateItem/portal_workflow/a/state_a.xml", "Workflow State"),
    ("WorkflowTemplateItem/portal_workflow/a/transition_a.xml", "Workflow Transition"),
    ("ToolTemplateItem/a.xml", "Alarm Tool"),
    ("CategoryTemplateItem/portal_categories/a.xml", "Base Category"),
    ("PathTemplateItem/m/a.xml", "Data Supply"),
    ("PathTemplateItem/m/a/1.xml", "Data Supply Line"),
    ("PathTemplateItem/m/a.xml", "Alarm"),
    ("PathTemplateItem/m/a.xml", "Data Operation"),
    ("PathTemplateItem/m/a.xml", "PyData Script"),
]
plain = st.recursive(
    st.none()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(TEXTS),
    lambda inside: (
        st.lists(inside, max_size=3) | st.dictionaries(st.sampled_from([*TEXTS, "validation_state"]), inside)
    ),
    max_leaves=8,
)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(PLACES), st.dictionaries(st.sampled_from(NAMES), plain)), max_size=4))
def test_any_values_of_properties_are_an_error_or_a_template(tmp_path_factory, objects):
    files = {}
    for (path, name), properties in objects:
        files[path] = export(name, {"id": Path(path).stem, **properties})
    assert_template_or_error(tmp_path_factory, files)


def assert_template_or_error(tmp_path_factory, files):
    directory = write_template(tmp_path_factory.mktemp("damaged") / "t", files)
    with suppress(TemplateError):
        assert all(pickle.dumps(item) for item in read_items(Files(directory)))
    with suppress(TemplateError):
        assert isinstance(read(directory), Template)
