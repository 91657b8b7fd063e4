"""Scripts: where they are found, in whose rights they run, and what is said when they fail."""

from __future__ import annotations

import re

import pytest
import transaction
from Acquisition import aq_base
from OFS.Folder import Folder
from Products.PythonScripts.PythonScript import PythonScript as ZopeScript
from transaction.interfaces import TransientError
from ZODB.POSException import ConflictError

from Products.ERP5Wendelin import errors
from Products.ERP5Wendelin.content.python_script import PythonScript
from Products.ERP5Wendelin.content.scripts import customise, find_script, layers, run, script_of
from support.scripts import add_script, run_text
from support.site import as_user


@pytest.fixture
def layered(site):
    """A site whose skins have a layer `below` after `custom`."""
    with as_user(site, "system"):
        site.portal_skins._setObject("below", Folder("below"))
        site.portal_skins.addSkinSelection("View", "custom,below", make_default=True)
    return site


def test_layer_that_is_first_wins(layered):
    assert layers(layered.portal_skins)[0] == "custom"
    add_script(layered, "Base_x", "return 'below'", folder="portal_skins/below")
    assert layered.Base_x() == "below"
    add_script(layered, "Base_x", "return 'custom'")
    assert layered.Base_x() == "custom"
    layered.portal_skins.custom._delObject("Base_x")
    assert layered.Base_x() == "below"


def test_layer_wins_over_callables(layered):
    add_script(layered, "Base_x", "return 'callable'", folder="portal_callables")
    assert layered.Base_x() == "callable"
    add_script(layered, "Base_x", "return 'below'", folder="portal_skins/below")
    assert layered.Base_x() == "below"


def test_folder_that_is_no_layer_is_not_searched(site):
    with as_user(site, "system"):
        site.portal_skins._setObject("apart", Folder("apart"))
    add_script(site, "Base_x", "return 1", folder="portal_skins/apart")
    assert find_script(site, "Base_x") is None
    with pytest.raises(AttributeError, match="Base_x"):
        _ = site.Base_x


def test_layer_without_a_folder_is_passed_over(site):
    site.portal_skins.addSkinSelection("View", "gone, custom", make_default=True)
    add_script(site, "Base_x", "return 1")
    assert site.Base_x() == 1


def test_attribute_of_a_layer_is_none_of_the_site(layered):
    layered.portal_skins.below.priority = 50
    with pytest.raises(AttributeError, match="priority"):
        _ = layered.priority


def test_script_is_bound_to_the_document_that_it_is_called_on(site):
    add_script(site, "Base_x", "return context.getReference(), container.getId(), script.getId()")
    data_set = site.data_set_module.newDataSet("brain")
    assert data_set.Base_x() == ("brain", "erp5", "Base_x")
    assert script_of(data_set, "Base_x")() == ("brain", "erp5", "Base_x")


def test_script_calls_others_as_methods_of_documents(site):
    add_script(site, "Base_double", "return 2 * number", "number")
    data_set = site.data_set_module.newDataSet("brain")
    add_script(site, "Base_x", "return context.Base_double(number=21)")
    assert data_set.Base_x() == 42


def test_skins_are_those_of_the_database_and_not_of_a_request_before(site):
    add_script(site, "Base_x", "return 1")
    assert site.Base_x() == 1
    transaction.abort()
    assert getattr(site, "Base_x", None) is None


def test_script_that_is_nowhere_is_not_found(site):
    with pytest.raises(
        errors.NotFound,
        match=re.escape("There is no script 'Base_x', neither in the layers of portal_skins (custom")
        + r".*\) nor in portal_callables\. Add it, or install the business template that has it\.$",
    ):
        script_of(site, "Base_x")


@pytest.mark.parametrize("name", ["objectIds", "title", "portal_skins", "_owner", ""])
def test_what_is_no_script_is_not_found_as_one(site, name):
    with pytest.raises(errors.NotFound, match=re.escape(f"There is no script {name!r}")):
        script_of(site, name)


def test_script_runs_with_the_rights_of_who_calls_it(lake):
    with lake.open("ada") as site:
        data_set = site.data_set_module.newDataSet("brain", title="Secret")
        add_script(site, "Base_x", "return context.getTitle()")
        assert run(script_of(data_set, "Base_x")) == "Secret"
        with as_user(site, "dan"), pytest.raises(errors.NotAuthorised, match="line 1"):
            run(script_of(data_set, "Base_x"))
        data_set.publish()
        with as_user(site, "nobody"):
            assert run(script_of(data_set, "Base_x")) == "Secret"


def test_script_has_no_more_rights_than_who_wrote_it(lake):
    with lake.open("boss") as site:
        site.data_set_module.newDataSet("brain").invalidate()
        with as_user(site, "dan"):
            site.portal_skins.custom._setObject("Base_x", PythonScript("Base_x"))
        script = site.portal_skins.custom.Base_x
        assert script.getOwner().getId() == "dan"
        script.ZPythonScript_edit("data_set", "return data_set.getReference()")
        data_set = site.data_set_module.getDataSet("brain")
        with pytest.raises(errors.NotAuthorised):
            run(script_of(site, "Base_x"), data_set)


def test_error_names_script_line_and_message(site):
    with pytest.raises(
        errors.ScriptError,
        match=r"^/erp5/portal_skins/custom/probe failed in line 3: ZeroDivisionError: division by zero$",
    ) as caught:
        run_text(site, "x = 1\n\nreturn x / 0")
    assert caught.value.extra == {"script": "/erp5/portal_skins/custom/probe", "line": 3}
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_error_names_the_innermost_script(site):
    add_script(site, "Base_inner", "x = 1\nraise ValueError('deep')")
    with pytest.raises(
        errors.ScriptError, match=r"^/erp5/portal_skins/custom/Base_inner failed in line 2: ValueError: deep$"
    ):
        run_text(site, "return context.Base_inner()")


def test_error_of_ours_that_a_script_raises_keeps_its_class_and_gets_the_place(site):
    with pytest.raises(errors.BadInput, match=r"^Too odd\. \(/erp5/portal_skins/custom/probe, line 2\)$") as caught:
        run_text(site, "from Products.ERP5Wendelin.errors import BadInput\nraise BadInput('Too odd.', tag='x')")
    assert caught.value.extra == {"script": "/erp5/portal_skins/custom/probe", "line": 2, "tag": "x"}


def test_error_of_a_method_that_a_script_calls_keeps_its_text(site):
    with pytest.raises(errors.Conflict, match=r"^There is a data set 'brain' already\.$") as caught:
        run_text(site, "for i in range(2):\n    context.data_set_module.newContent(reference='brain')")
    assert caught.value.extra["line"] == 2


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("NotFound", errors.NotFound),
        ("BadRequest", errors.BadInput),
        ("Forbidden", errors.NotAuthorised),
    ],
)
def test_error_of_zope_s_gets_the_class_that_means_the_same(site, name, kind):
    with pytest.raises(kind, match=r"^no \(/erp5/portal_skins/custom/probe, line 2\)$"):
        run_text(site, f"from zExceptions import {name}\nraise {name}('no')")


def test_conflict_between_transactions_goes_through(site):
    def conflicts():
        raise ConflictError

    with pytest.raises(TransientError):
        run(conflicts)


def test_script_that_exits_is_an_error_of_the_script(site):
    with pytest.raises(errors.ScriptError, match="ValueError: SystemExit cannot be raised within a PythonScript"):
        run_text(site, "raise SystemExit")


def test_wrong_parameters_are_an_error_of_the_script(site):
    add_script(site, "Base_x", "return 1", "a")
    with pytest.raises(
        errors.ScriptError, match=r"^/erp5/portal_skins/custom/Base_x failed in line 0: TypeError: .*missing"
    ):
        run(script_of(site, "Base_x"))


def test_script_that_can_t_be_compiled_is_refused_and_stays_as_it_was(site):
    script = add_script(site, "Base_x", "return 1")
    with pytest.raises(errors.BadInput, match=r"^The script Base_x can't be compiled: Line 2: .*'\(' was never closed"):
        script.ZPythonScript_edit("a", "x = 1\ny = (")
    assert (script.params(), script.body(), script.errors) == ("", "return 1\n", ())
    assert site.Base_x() == 1
    with pytest.raises(errors.BadInput, match='can\'t be compiled: Line 2: "_x" is an invalid variable name'):
        script.write("##parameters=b\nx = 1\n_x = 1")
    with pytest.raises(errors.BadInput, match="can't be compiled: SyntaxError: Unrecognized header line"):
        script.write("##no=1\nreturn 2")
    assert (script.params(), script.body()) == ("", "return 1\n")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ("a=", "Parameters 'a=': SyntaxError: invalid syntax"),
        ("container", "Parameters 'container': SyntaxError: name 'container' is parameter and global"),
        ("a=unknown", "NameError: name 'unknown' is not defined"),
        ("a=1/0", "ZeroDivisionError: division by zero"),
    ],
)
def test_parameters_that_are_none_are_refused_and_not_logged(site, params, message, caplog):
    script = add_script(site, "Base_x", "return 1")
    wanted = f"^The script Base_x can't be compiled: {re.escape(message)}$"
    with pytest.raises(errors.BadInput, match=wanted):
        script.ZPythonScript_edit(params, "return 2")
    with pytest.raises(errors.BadInput, match=wanted):
        script.write(f"##parameters={params}\nreturn 2")
    assert (script.params(), site.Base_x()) == ("", 1)
    assert caplog.records == []


def test_script_of_zope_s_class_works_and_says_which_line_can_t_be_compiled(site):
    with as_user(site, "system"):
        site.portal_skins.custom._setObject("Base_x", ZopeScript("Base_x"), set_owner=False)
        script = site.portal_skins.custom.Base_x
        script.ZPythonScript_edit("", "return 1")
        assert run(script_of(site, "Base_x")) == 1
        script.ZPythonScript_edit("", "x = 1\nreturn (")
    with pytest.raises(errors.ScriptError, match=r"^/erp5/portal_skins/custom/Base_x can't be compiled: Line 2: "):
        run(script_of(site, "Base_x"))


def test_script_is_customised_once(layered):
    with as_user(layered, "boss"):
        add_script(layered, "Base_x", "return a", "a=1", folder="portal_skins/below")
        below = layered.portal_skins.below.Base_x
        below.ZPythonScript_setTitle("X")
        below.manage_proxy(["Manager"])
        copy = customise(layered, below)
        assert (copy.title, copy.params(), copy.body(), copy._proxy_roles) == ("X", "a=1", "return a\n", ("Manager",))
        copy.ZPythonScript_edit("", "return 2")
        assert layered.Base_x() == 2
        assert aq_base(customise(layered, below)) is aq_base(copy)
        assert layered.Base_x() == 2
