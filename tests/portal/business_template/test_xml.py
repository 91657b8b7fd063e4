"""Reading exports: what they may say, and that nothing else gets through."""

from __future__ import annotations

import base64
import os
import pickle
import re
from contextlib import suppress
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Products.ERP5Wendelin.portal.business_template.template import TemplateError
from Products.ERP5Wendelin.portal.business_template.xml import MAX_DEPTH, Global, parse, read_record
from support.exports import Part, export, item, oid, persistent, record, value

FILE = "t/PathTemplateItem/x.xml"


def read(xml):
    return read_record(xml, FILE)


def read_value(xml):
    """The value of a property written so."""
    return read(export("Thing", {"it": Part(xml)})).properties["it"]


def refused(xml):
    """Why a property of this value is refused, with the place."""
    with pytest.raises(TemplateError) as caught:
        read_value(xml)
    return str(caught.value)


plain = st.recursive(
    st.none()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(alphabet=st.characters(codec="utf-8", min_codepoint=32) | st.sampled_from("\n\t\\'\"")),
    lambda children: st.lists(children).map(tuple) | st.dictionaries(st.text("ab", max_size=3), children),
    max_leaves=20,
)


@given(plain)
def test_plain_data_is_read_as_it_was_written(data):
    assert read_value(value(data)) == data


def test_record_has_class_properties_and_lines():
    found = read(export("Data Product", {"id": "default", "title": "Default"}))
    assert found.kind == Global("erp5.portal_type", "Data Product")
    assert found.properties == {"id": "default", "title": "Default"}
    assert found.lines["title"] > found.lines["id"] > 1
    assert str(found.error("No.", "title")) == f"{FILE}, line {found.lines['title']}, <key>: No."


@pytest.mark.parametrize(
    ("xml", "expected"),
    [
        ("<string>one\\n\ntwo</string>", "one\ntwo"),
        ("<string>a long line that the\nexport has broken</string>", "a long line that theexport has broken"),
        (r"<string>\x41\101\\n\'\"\t</string>", "AA\\n'\"\t"),
        (r"<string>\xc3\xa9</string>", "é"),
        ('<string encoding="cdata"><![CDATA[\n\n<b>&\\n\n</b>\n\n]]></string>', "<b>&\n</b>"),
        ('<string encoding="base64">w6k=</string>', "é"),
        ("<unicode>é</unicode>", "é"),
        ('<string encoding="base64">/w==</string>', b"\xff"),
        ('<bytes encoding="base64">/w==</bytes>', b"\xff"),
        ("<int>-12</int>", -12),
        ("<long>12L</long>", 12),
        ("<float>1.5e3</float>", 1500.0),
        ("<bool>1</bool>", True),
        ("<list><none/></list>", [None]),
        ("<tuple/>", ()),
        ('<tuple><string id="1.1">a</string><reference id="1.1"/></tuple>', ("a", "a")),
        ("<dictionary><item><key><int>1</int></key><value><none/></value></item></dictionary>", {1: None}),
    ],
)
def test_values_are_read_as_exports_write_them(xml, expected):
    assert read_value(xml) == expected


RECONSTRUCTED = """<object>
  <klass><global id="1.1" name="_reconstructor" module="copy_reg"/></klass>
  <tuple><global id="1.2" name="{}" module="{}"/><global id="1.3" name="object" module="__builtin__"/><none/></tuple>
  <state>{}</state>
</object>"""


def test_date_is_read_as_iso_8601_in_utc():
    state = "<tuple><float>1420502400.0</float><string>GMT</string></tuple>"
    assert read_value(RECONSTRUCTED.format("DateTime", "DateTime.DateTime", state)) == "2015-01-06T00:00:00+00:00"


def test_parts_in_other_records_are_put_in_their_places():
    mapping = record(2, "Persistence.mapping", "PersistentMapping", {"data": {"View": ("Manager",)}})
    count = record(3, "BTrees.Length", "Length", 0)
    found = read(export("Thing", {"roles": persistent(2), "_count": persistent(3)}, parts=mapping + count))
    assert found.properties == {"roles": {"View": ("Manager",)}, "_count": None}


def test_pickles_and_classes_outside_the_list_are_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'evil'}",)

    pickled = base64.b64encode(pickle.dumps(Evil())).decode()
    assert read_value(f'<bytes encoding="base64">{pickled}</bytes>') == pickle.dumps(Evil())
    call = (
        '<object><klass><global name="system" module="os"/></klass><tuple><string>touch evil</string></tuple></object>'
    )
    assert "Objects of the class os.system are not read from templates." in refused(call)
    assert "Objects of the class os.system are not read from templates." in refused(
        RECONSTRUCTED.format("system", "os", "<tuple/>")
    )
    with pytest.raises(TemplateError, match=r"Objects of the class os\.system are not read from templates\."):
        read(export("Thing", {"it": persistent(2)}, parts=record(2, "os", "system", ("touch evil",))))
    assert not (tmp_path / "evil").exists()


DOCTYPE = '<?xml version="1.0"?>\n<!DOCTYPE ZopeData {}>\n<ZopeData><record id="1">&x;</record></ZopeData>'


@pytest.mark.parametrize(
    "doctype",
    [
        '[<!ENTITY x SYSTEM "file:///etc/passwd">]',
        '[<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY x "&b;&b;&b;&b;&b;&b;&b;&b;">]',
        'SYSTEM "http://127.0.0.1:9/evil.dtd"',
        "[]",
    ],
)
def test_doctype_is_refused_and_nothing_is_fetched_or_expanded(doctype):
    with pytest.raises(TemplateError) as caught:
        read(DOCTYPE.format(doctype))
    assert str(caught.value) == f"{FILE}, line 2: A template's XML has no DOCTYPE."


def test_doctype_behind_a_byte_order_mark_is_refused():
    with pytest.raises(TemplateError, match=r"A template's XML has no DOCTYPE\.$"):
        read("\ufeff<!DOCTYPE ZopeData [<!ENTITY x 'y'>]><ZopeData/>")


def test_class_is_read_from_old_exports_too():
    xml = export("Thing", {"id": "a"})
    name = '<global name="Thing" module="erp5.portal_type"/>'
    assert read(xml.replace(name, f"<tuple>{name}<tuple/></tuple>")) == read(xml)


def test_entity_without_a_doctype_is_not_well_formed():
    assert "This is not well-formed XML: Entity 'x' not defined" in refused("<string>&x;</string>")


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        ("<script>x</script>", "<script>: Expected <string> or "),
        ("<string>a<b/></string>", "<b>: Expected text in <string>."),
        ('<string href="x">a</string>', "<string>: Unknown attribute 'href'."),
        ('<string encoding="rot13">a</string>', "Unknown encoding 'rot13'; there are: repr, cdata, base64."),
        ('<string encoding="base64">a</string>', "This is not base64."),
        (r"<string>\q</string>", r"Unknown escape '\\q' in the text."),
        (r"<string>\xff</string>", "The text is not UTF-8."),
        (r"<string>\777</string>", r"Unknown escape '\\777' in the text."),
        ("<int>1_0</int>", "'1_0' is not an integer of at most 30 digits."),
        (f"<int>{'9' * 5000}</int>", "is not an integer of at most 30 digits."),
        ("<float>nan</float>", "'nan' is not a finite number."),
        ("<float>1e999</float>", "'1e999' is not a finite number."),
        ("<bool>yes</bool>", "'yes' is neither 0 nor 1."),
        ("<none>0</none>", "Expected nothing in it."),
        ("<tuple>text</tuple>", "There is text where elements are expected: 'text'."),
        ("<tuple/><tuple/>", "Expected one value in it."),
        ("<tuple><item/></tuple>", "<item>: Expected"),
        ("<dictionary><item><key><int>1</int></key></item></dictionary>", "Expected a <key> and a <value> in it."),
        (
            "<dictionary><item><key><tuple/></key><value><none/></value></item></dictionary>",
            "A key is text or a number.",
        ),
        (f"<dictionary>{item('a', 1)}{item('a', 2)}</dictionary>", "The key 'a' is there twice."),
        (
            '<object><klass><global name="DateTime" module="DateTime.DateTime"/></klass><tuple/></object>',
            "Expected a <state> in it.",
        ),
        ('<reference id="9.9"/>', "There is no class or text of the id '9.9' before it."),
        ('<tuple><tuple id="2"/><reference id="2"/></tuple>', "There is no class or text of the id '2' before it."),
        ("<global name='system'/>", "A class has a name and a module."),
        ("<object><klass><none/></klass><tuple/></object>", "Objects of the class None are not read from templates."),
        ("<object/>", "Expected a <klass>, its arguments and a <state>."),
        (
            RECONSTRUCTED.format("DateTime", "DateTime.DateTime", "<string>x</string>"),
            "This is not the state of a DateTime.DateTime.DateTime.",
        ),
        (
            RECONSTRUCTED.format("DateTime", "DateTime.DateTime", "<tuple><float>1e300</float></tuple>"),
            "This is not the state of a",
        ),
        (
            f'<persistent><string encoding="base64">{oid(7)}</string></persistent>',
            "It names no record, or one that something else has named.",
        ),
    ],
)
def test_what_is_not_plain_is_refused_with_its_place(xml, message):
    assert message in refused(xml)
    assert re.match(re.escape(FILE) + r", line \d+, <\w+>: ", refused(xml))


def test_global_is_no_value_of_a_property():
    assert "A class is no value." in refused('<tuple><global name="system" module="os"/></tuple>')


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        ("", "This is not well-formed XML: Document is empty"),
        ("<ZopeData>", "This is not well-formed XML: "),
        ("<module/>", "line 1, <module>: Expected <ZopeData>."),
        ("<ZopeData/>", "There is no <record> in it."),
        ("<ZopeData><record/></ZopeData>", "Expected two <pickle> in it: the class and the state."),
        (
            "<ZopeData><record><pickle><none/></pickle><pickle><none/></pickle></record></ZopeData>",
            "Expected the object's class, a <global>.",
        ),
        (
            f"<ZopeData>{record(1, 'a', 'b', None)}</ZopeData>",
            "Expected the object's properties, a <dictionary>.",
        ),
        (
            export("Thing", {"it": persistent(2)}, parts=record(2, "Persistence.mapping", "PersistentMapping", {})),
            "This is not the state of a Persistence.mapping.PersistentMapping.",
        ),
        (
            export("Thing", Part(value({}).replace("<dictionary>", f"<dictionary>{item(1, 2)}"))),
            "A property's name is text, not 1.",
        ),
        (export("Thing", {}, parts=record(1, "a", "b", {})), "There is another record of this id."),
        (export("Thing", {}, parts=record(2, "a", "b", {})), "Nothing names this record."),
        ("<?xml version='1.0' encoding='utf-16'?><ZopeData/>", "There is no <record> in it."),
        ("<ZopeData>\ud800</ZopeData>", "This is not well-formed XML: "),
    ],
)
def test_file_that_is_no_export_is_refused(xml, message):
    with pytest.raises(TemplateError) as caught:
        read(xml)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{FILE}, line ")


def test_part_that_is_named_twice_is_refused():
    mapping = record(2, "Persistence.mapping", "PersistentMapping", {"data": {}})
    with pytest.raises(TemplateError, match="It names no record, or one that something else has named"):
        read(export("Thing", {"a": persistent(2), "b": persistent(2)}, parts=mapping))


def test_part_that_names_itself_is_refused():
    mapping = record(2, "Persistence.mapping", "PersistentMapping", {"data": {"x": persistent(2)}})
    with pytest.raises(TemplateError, match="It names no record, or one that something else has named"):
        read(export("Thing", {"a": persistent(2)}, parts=mapping))


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 200, 100_000])
def test_deep_nesting_is_refused(depth):
    message = refused("<tuple>" * depth + "</tuple>" * depth)
    assert (
        f"Values are nested more than {MAX_DEPTH} deep." in message
        or "This is not well-formed XML: Excessive depth" in message
    )


def test_too_many_elements_are_refused():
    assert "A file has at most 200000 elements." in refused(f"<tuple>{'<none/>' * 200_001}</tuple>")


@given(st.text())
def test_any_text_is_an_error_or_a_record(text):
    with pytest.raises(TemplateError):
        read(text)


LEAVES = ["string", "unicode", "bytes", "int", "float", "bool", "none", "global", "reference"]
BRANCHES = [
    "tuple",
    "list",
    "dictionary",
    "item",
    "key",
    "value",
    "object",
    "klass",
    "state",
    "persistent",
    "record",
    "a",
]
NAMES = ["id", "aka", "name", "module", "encoding"]
TEXTS = ["", "1", "1.1", "base64", "cdata", "os", "data", "\\x41", oid(2)]


@st.composite
def trees(draw, depth=5):
    """XML of known elements in any order, with attributes that may make sense."""
    attributes = draw(st.dictionaries(st.sampled_from(NAMES), st.sampled_from(TEXTS), max_size=2))
    written = "".join(f" {name}={quoteattr(text)}" for name, text in attributes.items())
    if not depth or draw(st.booleans()):
        tag, inside = draw(st.sampled_from(LEAVES)), draw(st.sampled_from(TEXTS))
    else:
        tag, inside = draw(st.sampled_from(BRANCHES)), "".join(draw(st.lists(trees(depth - 1), max_size=3)))
    return f"<{tag}{written}>{inside}</{tag}>"


@given(trees(), st.lists(trees(), max_size=2))
def test_any_tree_in_a_record_is_an_error_or_plain_data(state, more):
    xml = export("Thing", {"it": Part(state)}, parts="".join(more))
    with suppress(TemplateError):
        assert_plain(read(xml).properties)


def assert_plain(data):
    assert isinstance(data, (dict, list, tuple, str, int, float, bool, bytes, type(None)))
    if isinstance(data, dict):
        data = [*data, *data.values()]
    if isinstance(data, (list, tuple)):
        for part in data:
            assert_plain(part)


def test_comments_and_processing_instructions_are_passed_over():
    root = parse("<!-- a --><?b c?><list><!-- <!DOCTYPE> --><a/></list>", FILE, "list")
    assert [child.tag for child in root] == ["a"]
