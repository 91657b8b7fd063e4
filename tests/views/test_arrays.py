"""`/arrays`: what arrays there are, how they are made, described and changed."""

from __future__ import annotations

import json

import numpy
import pytest
import transaction

from support.arrays import npy, store

ZEROS = {"shape": [3, 4], "dtype": "<f8"}


def in_state(server, reference, transition):
    assert server.request("PUT", f"/arrays/{reference}", ZEROS).status == 201
    if transition is not None:
        answer = server.request("POST", f"/arrays/{reference}/state", {"transition": transition})
        assert answer.status == 200


def references(answer):
    assert answer.status == 200
    return [item["reference"] for item in answer.data["items"]]


def test_array_is_made_of_zeros(server):
    made = server.request("PUT", "/arrays/table", {**ZEROS, "title": "A table"})
    assert (made.status, made.headers["Location"]) == (201, f"{server.api}/arrays/table")
    found = server.request("GET", "/arrays/table")
    assert {**found.data, "snapshot": ""} == {**made.data, "snapshot": ""}
    assert [found.data[name] for name in ("reference", "title", "description", "state", "names")] == [
        *("table", "A table", "", "draft"),
        [],
    ]
    assert [found.data[name] for name in ("shape", "dtype", "size")] == [[3, 4], "<f8", 96]
    with server.lake.open() as site:
        assert numpy.array_equal(site.data_array_module.getDataArray("table").getArraySlice(0, 3), numpy.zeros((3, 4)))


def test_array_that_is_there_with_that_shape_and_dtype_is_left_as_it_is(server):
    store(server, "table", numpy.ones((3, 4)))
    again = server.request("PUT", "/arrays/table", {**ZEROS, "title": "Other"}, user="eve")
    assert (again.status, again.data["title"]) == (200, "")
    with server.lake.open() as site:
        assert site.data_array_module.getDataArray("table").getArrayIndex((0, 0)) == 1


def test_half_a_character_that_a_script_has_stored_is_escaped_and_keeps_nobody_from_the_list(server):
    with server.lake.open() as site:
        site.data_array_module.newDataArray("table", title="half \ud800")
        transaction.commit()
    answer = server.request("GET", "/arrays")
    assert [item["title"] for item in answer.data["items"]] == ["half \ud800"]
    assert b'"half \\ud800"' in answer.body


def test_views_that_cannot_be_read_are_listed_without_a_shape(server):
    store(server, "large", numpy.zeros((2, 1000, 1000), "f4"))
    with server.lake.open() as site:
        module = site.data_array_module
        for reference in ("itself", "of-large"):
            view = module.newContent(portal_type="Data Array View", reference=reference)
            shown = view if reference == "itself" else module.getDataArray("large")
            view.newContent(portal_type="Data Array View Line", reference="x", predecessor_value=shown)
            view.validate()
        transaction.commit()
    items = server.request("GET", "/arrays").data["items"]
    assert [(item["reference"], item["shape"]) for item in items] == [
        *(("itself", None), ("large", [2, 1000, 1000])),
        ("of-large", None),
    ]
    for reference, status in (("itself", 409), ("of-large", 400)):
        assert server.request("GET", f"/arrays/{reference}", user="dan").data["shape"] is None
        assert server.request("GET", f"/arrays/{reference}/data").status == status


@pytest.mark.parametrize(
    ("other", "described"),
    [
        ({"shape": [4, 4], "dtype": "<f8"}, "[4, 4] and float64"),
        ({"shape": [3, 4], "dtype": "<f4"}, "[3, 4] and float32"),
    ],
)
def test_array_that_is_there_with_another_shape_or_dtype_is_409_with_both(server, other, described):
    server.request("PUT", "/arrays/table", ZEROS)
    answer = server.request("PUT", "/arrays/table", other)
    assert (answer.status, answer.data["detail"]) == (
        409,
        "There is an array 'table' already, with the shape [3, 4] and the dtype float64, and not "
        f"{described}. Choose another reference, or replace its content by PUT of a .npy file to …/data.",
    )


def test_array_that_was_given_no_shape_yet_is_described_and_says_so(server):
    with server.lake.open() as site:
        site.data_array_module.newDataArray("empty")
        transaction.commit()
    found = server.request("GET", "/arrays/empty").data
    assert [found[name] for name in ("shape", "dtype", "size", "names")] == [None, None, 0, []]
    assert server.request("GET", "/arrays").data["items"][0]["shape"] is None
    conflict = server.request("PUT", "/arrays/empty", ZEROS)
    assert conflict.status == 409
    assert (
        "There is an array 'empty' already, with no elements yet, and not [3, 4] and float64."
        in conflict.data["detail"]
    )
    for method, path, body in (("GET", "", None), ("POST", "", npy([1.0])), ("PUT", "?slice=0", npy([1.0]))):
        answer = server.request(method, f"/arrays/empty/data{path}", body)
        assert answer.status == 409
        assert answer.data["detail"].startswith("Data Array 'empty' has no array yet")


@pytest.mark.parametrize(
    ("dtype", "described"),
    [
        ("float32", "<f4"),
        ("datetime64[ns]", "<M8[ns]"),
        (">i2", ">i2"),
        ([["time", "<M8[s]"], ["values", "<f4", [3]]], [["time", "<M8[s]"], ["values", "<f4", [3]]]),
        ([[["A title", "n"], "S3"], ["inner", [["x", "u1"]]]], [[["A title", "n"], "|S3"], ["inner", [["x", "|u1"]]]]),
    ],
)
def test_dtype_may_be_any_of_fixed_size(server, dtype, described):
    answer = server.request("PUT", "/arrays/table", {"shape": [2], "dtype": dtype})
    assert (answer.status, answer.data["dtype"]) == (201, described)
    assert server.request("PUT", "/arrays/table", {"shape": [2], "dtype": described}).status == 200


NO_DTYPE = 'dtype must be text, as in "<f8", or a list of columns, as in [["t", "<M8[s]"], ["values", "<f4", [3]]].'


BAD_BODIES = [
    ({"dtype": "<f8"}, "shape is missing; it must be a list."),
    ({"shape": [3]}, NO_DTYPE),
    ({"shape": [3], "dtype": 8}, NO_DTYPE),
    ({"shape": [3, -1], "dtype": "<f8"}, "shape[1] must be a whole number from 0."),
    ({"shape": [True], "dtype": "<f8"}, "shape[0] must be a whole number from 0."),
    ({"shape": [], "dtype": "<f8"}, "() is no shape of an array: give a length of at least 0 for each of one or "),
    ({"shape": [2**62, 2**62], "dtype": "<f8"}, "An array of shape (4611686018427387904, 4611686018427387904) "),
    ({"shape": [1] * 33, "dtype": "<f8"}, "An array of 33 axes cannot be made: it may have 32 axes."),
    ({"shape": [3], "dtype": "O"}, "The dtype 'O' has objects, which would be pickles: they are not taken. "),
    ({"shape": [3], "dtype": "<f8,<q8"}, "'<f8,<q8' is no dtype: "),
    ({"shape": [3], "dtype": [["a"]]}, 'dtype[0] must be a column: ["name", dtype] or ["name", dtype, shape].'),
    ({"shape": [3], "dtype": [["a", [["b", 3]]]]}, NO_DTYPE.replace("dtype", "dtype[0][1][0][1]", 1)),
    ({"shape": [3], "dtype": "S"}, "An array of |S0 cannot be stored: its elements have no size."),
    (
        {"shape": [3], "dtype": [["\ud800", "<f8"]]},
        r"'\ud800' can't be the name or title of a column: it must be text ",
    ),
    ({"shape": [3], "dtype": [["\x1b[2J", "<f8"]]}, r"'\x1b[2J' can't be the name or title of a column: it must be "),
    (
        {"shape": [3], "dtype": [[f"column {number}", "<f8"] for number in range(5000)]},
        "dtype has columns that take 118976 bytes in the header of a .npy file; at most 65536 are taken. Let columns "
        "of one type be an axis.",
    ),
    ({"shape": [3], "dtype": json.loads('[["a", ' * 400 + "[]" + "]]" * 400)}, "dtype[0][1][0][1]"),
]


def test_array_that_cannot_be_is_400_saying_why(server):
    for body, detail in BAD_BODIES:
        answer = server.request("PUT", "/arrays/table", body)
        assert answer.status == 400
        assert answer.data["detail"].startswith(detail)
    assert references(server.request("GET", "/arrays")) == []


@pytest.mark.parametrize(
    ("reference", "detail"),
    [
        ("..", "The reference '..' is a name that folders keep for themselves."),
        ("a//b", "The reference 'a//b' has an empty part: write one slash between two names."),
        ("%20a", "The reference ' a' begins or ends with white space."),
        ("/".join(["a" * 100] * 3), "The reference of the array is longer than 200 characters."),
    ],
)
def test_bad_reference_is_400_saying_why(server, reference, detail):
    for path, body in ((reference, ZEROS), (f"{reference}/data", npy([1.0]))):
        answer = server.request("PUT", f"/arrays/{path}", body)
        assert (answer.status, answer.data["detail"]) == (400, detail)


def test_reference_may_have_slashes_escaped_or_not(server):
    assert server.request("PUT", "/arrays/lab/run%2F1", ZEROS).status == 201
    assert server.request("GET", "/arrays/lab%2Frun/1").data["reference"] == "lab/run/1"
    assert server.request("GET", "/arrays/lab/run/1/data").status == 200


def test_lists_are_searched_and_paged(server):
    for reference in ("brain/a", "brain/b", "heart"):
        server.request("PUT", f"/arrays/{reference}", ZEROS)
    server.request("POST", "/arrays/brain/b/state", {"transition": "publish"})
    assert references(server.request("GET", "/arrays?search=bra")) == ["brain/a", "brain/b"]
    assert references(server.request("GET", "/arrays?state=published")) == ["brain/b"]
    first = server.request("GET", "/arrays?limit=2")
    assert references(first) == ["brain/a", "brain/b"]
    last = server.request("GET", f"/arrays?limit=2&cursor={first.data['next']}")
    assert (references(last), last.data["next"]) == (["heart"], None)
    assert set(last.data["items"][0]) == {"reference", "title", "state", "shape", "dtype", "size", "modified"}


@pytest.mark.parametrize(
    ("transition", "readers"),
    [
        (None, {"ada", "eve", "boss"}),
        ("validate", {"ada", "eve", "dan", "boss"}),
        ("publish", {"ada", "eve", "dan", "boss", None}),
        ("invalidate", {"boss"}),
    ],
)
def test_state_says_who_sees_it(server, transition, readers):
    in_state(server, "table", transition)
    for user in ("ada", "eve", "dan", "boss", None):
        seen = user in readers
        status = 200 if seen else 404 if user else 401
        for path in ("", "/data"):
            assert server.request("GET", f"/arrays/table{path}", user=user).status == status
        assert references(server.request("GET", "/arrays", user=user)) == (["table"] if seen else [])


def test_what_one_may_not_see_is_told_apart_from_nothing_by_nobody(server):
    in_state(server, "secret", None)
    for user, detail in (
        ("dan", "There is no array 'secret' that you may see. Check the spelling."),
        (None, "There is no public array 'secret'. Log in if you have an account."),
    ):
        hidden = server.request("GET", "/arrays/secret", user=user)
        missing = server.request("GET", "/arrays/absent", user=user)
        assert hidden.status == missing.status
        assert hidden.data["detail"] == missing.data["detail"].replace("absent", "secret") == detail


def test_patch_changes_what_it_names(server):
    server.request("PUT", "/arrays/table", {**ZEROS, "title": "Table"})
    answer = server.request("PATCH", "/arrays/table", {"description": "What was measured."})
    assert (answer.status, answer.data["title"], answer.data["description"]) == (200, "Table", "What was measured.")
    assert references(server.request("GET", "/arrays?search=measured")) == ["table"]


def test_array_is_given_up_once_and_its_reference_stays_taken(server):
    in_state(server, "table", None)
    assert [server.request("DELETE", "/arrays/table", user="boss").status for _ in range(2)] == [204, 204]
    assert server.request("GET", "/arrays/table").status == 404
    for path, body in (("", ZEROS), ("/data", npy([1.0]))):
        answer = server.request("PUT", f"/arrays/table{path}", body)
        assert (answer.status, answer.data["detail"]) == (
            409,
            "The reference 'table' is taken, by an array that you may not see. Choose another.",
        )


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "", {"title": "Mine"}),
        ("DELETE", "", None),
        ("POST", "/state", {"transition": "invalidate"}),
        ("POST", "/data", npy([[1.0] * 4])),
        ("PUT", "/data", npy([1.0])),
        ("PUT", "/data?slice=0", npy([1.0])),
        ("PUT", "", ZEROS),
    ],
)
def test_downloader_may_not_change_anything(server, method, path, body):
    in_state(server, "table", "publish")
    answer = server.request(method, f"/arrays/table{path}", body, user="dan")
    assert (answer.status, answer.data["detail"]) == (
        403,
        "You may not do this: it takes the role of contributor or manager.",
    )
    assert server.request(method, f"/arrays/table{path}", body, user=None).status == 401


def test_unknown_transition_is_400(server):
    in_state(server, "table", None)
    answer = server.request("POST", "/arrays/table/state", {"transition": "hide"})
    assert (answer.status, answer.data["detail"]) == (400, "transition must be one of validate, publish, invalidate.")


def test_columns_are_given_other_names(server):
    server.request("PUT", "/arrays/table", {"shape": [2], "dtype": [["a", "<f8"], ["b", "<i4"]]})
    answer = server.request("PATCH", "/arrays/table", {"names": ["time", "count"]})
    assert (answer.status, answer.data["names"]) == (200, ["time", "count"])
    assert answer.data["dtype"] == [["time", "<f8"], ["count", "<i4"]]


BAD_NAMES = [
    (["time"], "An array of [('a', '<f8'), ('b', '<i4')] has 2 columns, which can't have 1 names."),
    (["time", "time"], "['time', 'time'] can't be the names of columns: give texts that all differ."),
    (["time", 7], "names[1] must be text."),
    ("time", "names must be a list."),
]


def test_names_that_columns_cannot_have_are_400(server):
    server.request("PUT", "/arrays/table", {"shape": [2], "dtype": [["a", "<f8"], ["b", "<i4"]]})
    for names, detail in BAD_NAMES:
        answer = server.request("PATCH", "/arrays/table", {"names": names})
        assert (answer.status, answer.data["detail"]) == (400, detail)
