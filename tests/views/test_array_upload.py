"""`/arrays/{reference}/data`, written: whole files, pieces of them, rows, slices."""

from __future__ import annotations

import threading

import numpy
import pytest
import transaction
from backports import zstd

from Products.ERP5Wendelin.blockwise import boxes
from Products.ERP5Wendelin.ingestion.array_upload import Upload, check_appendable
from Products.ERP5Wendelin.storage.transaction import in_transaction, separate_connection
from Products.ERP5Wendelin.views.api import array_upload
from support.arrays import loaded, npy, store, unfinished

VALUES = numpy.arange(700_000, dtype="<f8").reshape(-1, 7)
"""5.6 MB, in three blocks."""

FILE = npy(VALUES)
URL = "/arrays/table/data"
WHOLE = "Send it whole: nothing was stored."
CUT = "The .npy file was cut off: an array of shape (100000, 7) and dtype float64 has 5600000 bytes, and fewer came. "


def content(server, reference="table"):
    return loaded(server.request("GET", f"/arrays/{reference}/data"))


# the whole content


def test_file_makes_an_array_and_another_one_replaces_its_content(server):
    made = server.request("PUT", URL, FILE)
    assert (made.status, made.headers["Location"]) == (201, f"{server.api}/arrays/table")
    assert [made.data[name] for name in ("shape", "dtype", "state")] == [[100_000, 7], "<f8", "draft"]
    assert numpy.array_equal(content(server), VALUES)
    other = numpy.array([(1, 2.5)], [("n", ">i4"), ("x", "<f4")])
    again = server.request("PUT", URL, npy(other))
    assert (again.status, again.data["shape"], again.data["dtype"]) == (200, [1], [["n", ">i4"], ["x", "<f4"]])
    assert content(server).tolist() == [(1, 2.5)]
    assert unfinished(server) == []


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_file_of_each_version_is_taken(server, version):
    assert server.request("PUT", URL, npy(VALUES[:3], version)).status == 201
    assert numpy.array_equal(content(server), VALUES[:3])


@pytest.mark.parametrize("shape", [(100, 70, 100), (7, 3), (5,), (3, 0, 2)])
def test_file_in_fortran_order_is_put_into_c_order(server, monkeypatch, shape):
    monkeypatch.setattr(boxes, "BOX_SIZE", 100_000)
    values = numpy.asfortranarray(numpy.arange(numpy.prod(shape), dtype="<i4").reshape(shape))
    assert server.request("PUT", URL, npy(values)).status == 201
    assert numpy.array_equal(content(server), values)


def test_file_may_come_in_a_content_coding(server):
    assert server.request("PUT", URL, zstd.compress(FILE), {"Content-Encoding": "zstd"}).status == 201
    assert numpy.array_equal(content(server), VALUES)


BAD = [
    (FILE[:-1], f"{CUT}{WHOLE}"),
    (FILE + b"x", f"There are bytes behind the 5600000 of the .npy file's elements. {WHOLE}"),
    (FILE[:60], "The .npy file ends within its header: it was cut off, or is none."),
    (b"", "The .npy file ends within its header: it was cut off, or is none."),
    (npy(numpy.float64(1)), "() is no shape of an array: give a length of at least 0 for each of one or more axes."),
    (npy(numpy.zeros(2, "V0")), "An array of |V0 cannot be stored: its elements have no size. "),
]


@pytest.mark.parametrize("coding", [None, "zstd"])
@pytest.mark.parametrize(("body", "detail"), BAD)
def test_file_that_is_not_what_it_says_is_400_and_nothing_of_it_stays(server, body, detail, coding):
    store(server, "table", [1])
    sent, headers = (body, {}) if coding is None else (zstd.compress(body), {"Content-Encoding": coding})
    for path in (URL, "/arrays/other/data"):
        answer = server.request("PUT", path, sent, headers)
        assert answer.status == 400
        assert answer.data["detail"].startswith(detail)
    assert content(server).tolist() == [1]
    assert server.request("GET", "/arrays/other").status == 404
    assert unfinished(server) == []


def test_pickles_are_refused_and_never_loaded(server, tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    body = npy(numpy.array([Trap()]))
    for method, path in (("PUT", URL), ("PUT", "/arrays/other/data?slice=0"), ("POST", "/arrays/other/data")):
        store(server, "other", [1.0])
        answer = server.request(method, path, body)
        assert answer.status == 400
        assert answer.data["detail"].startswith(
            "The dtype '|O' has objects, which would be pickles: they are not taken."
        )
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("fortran_order", [False, True])
@pytest.mark.parametrize(
    ("shape", "coding", "detail"),
    [
        ("(1152921504606846976,)", None, "The .npy file was cut off: an array of shape (1152921504606846976,) "),
        ("(1152921504606846976,)", "zstd", "An array of shape (1152921504606846976,) and float64 is larger than "),
        ("(65536, 1073741824)", "zstd", "The .npy file was cut off: an array of shape (65536, 1073741824) and dtype "),
    ],
)
def test_header_that_claims_more_than_there_is_takes_no_memory(server, shape, coding, detail, fortran_order):
    text = f"{{'descr': '<f8', 'fortran_order': {fortran_order}, 'shape': {shape}}}".encode()
    body = b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text + bytes(8)
    headers = {} if coding is None else {"Content-Encoding": coding}
    answer = server.request("PUT", URL, body if coding is None else zstd.compress(body), headers)
    assert answer.status == 400
    assert answer.data["detail"].startswith(detail)
    assert unfinished(server) == []


def test_reader_never_sees_half_of_what_replaces_an_array(server):
    store(server, "table", numpy.zeros(500_000))
    stop = threading.Event()
    seen = set()

    def read():
        while not stop.is_set():
            values = content(server)
            seen.add((len(values), values.min(), values.max()))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for number in range(1, 4):
            assert server.request("PUT", URL, npy(numpy.full(300_000 * number, number, "f8"))).status == 200
    finally:
        stop.set()
        reader.join()
    assert seen <= {(500_000, 0, 0), *((300_000 * number, number, number) for number in range(1, 4))}


# pieces


def put_piece(server, start, stop, *, key="k", user="ada", file=FILE, **headers):
    named = {} if key is None else {"Idempotency-Key": key}
    sent = {"Content-Range": f"bytes {start}-{stop - 1}/{len(file)}", **named, **headers}
    return server.request("PUT", URL, file[start:stop], sent, user=user)


def test_pieces_become_the_content_with_the_last_one(server):
    store(server, "table", [1])
    first = put_piece(server, 0, 3_000_000)
    assert (first.status, first.headers["Upload-Offset"], first.body) == (202, "3000000", b"")
    assert put_piece(server, 3_000_000, 3_000_001).headers["Upload-Offset"] == "3000001"
    assert content(server).tolist() == [1]
    last = put_piece(server, 3_000_001, len(FILE))
    assert (last.status, last.data["shape"]) == (200, [100_000, 7])
    assert numpy.array_equal(content(server), VALUES)
    assert unfinished(server) == []


def test_pieces_make_an_array_where_there_is_none(server):
    put_piece(server, 0, 1000)
    assert server.request("GET", "/arrays/table").status == 404
    assert put_piece(server, 1000, len(FILE)).status == 201


def test_piece_that_is_not_the_next_is_409_with_where_to_go_on(server):
    put_piece(server, 0, 1_000_000)
    for start, stop in ((0, 1_000_000), (1_000_001, 2_000_000), (500_000, 2_000_000)):
        answer = put_piece(server, start, stop)
        assert (answer.status, answer.headers["Upload-Offset"], answer.data["offset"]) == (409, "1000000", 1_000_000)
        assert answer.data["detail"] == "1000000 bytes of this upload are here. Go on from byte 1000000."


def test_upload_that_is_not_known_or_has_expired_begins_anew(server):
    put_piece(server, 0, 1_000_000)
    for key, user in (("other", "ada"), ("k", "eve")):
        answer = put_piece(server, 1_000_000, 2_000_000, key=key, user=user)
        assert (answer.status, answer.headers["Upload-Offset"]) == (409, "0")
    with server.lake.open() as site:
        site.data_array_module._arrivals.clear()
        transaction.commit()
    assert put_piece(server, 1_000_000, 2_000_000).headers["Upload-Offset"] == "0"


def test_last_piece_that_is_sent_again_is_told_that_all_is_there(server):
    put_piece(server, 0, 1_000_000)
    assert put_piece(server, 1_000_000, len(FILE)).status == 201
    for start in (0, 1_000_000):
        again = put_piece(server, start, len(FILE))
        assert (again.status, again.data["shape"]) == (200, [100_000, 7])
    assert unfinished(server) == []


def test_last_piece_that_was_stored_and_not_made_an_array_of_makes_it(server, monkeypatch):
    put_piece(server, 0, 1_000_000)
    with monkeypatch.context() as broken:
        broken.setattr(Upload, "place", lambda *_: 1 / 0)
        assert put_piece(server, 1_000_000, len(FILE)).status == 500
    assert put_piece(server, 1_000_000, len(FILE)).status == 201
    assert numpy.array_equal(content(server), VALUES)


RANGE = "Content-Range must say which bytes of the .npy file the body has: bytes 0-1048575/8000128."


@pytest.mark.parametrize(
    ("headers", "detail"),
    [
        ({"Content-Range": "bytes 0-9/5600128"}, RANGE),
        ({"Content-Range": "bytes 5-2/5600128"}, RANGE),
        ({"Content-Range": "bytes 0-999/900"}, RANGE),
        ({"Content-Range": "bytes 0-999/*"}, RANGE),
        ({"Content-Range": "rows 0-999/5600128"}, RANGE),
        (
            {"Content-Range": "bytes 0-999/5600129"},
            "The header Content-Range speaks of 5600129 bytes, and the .npy file of this upload has 5600128: use "
            "another key for another file.",
        ),
        (
            {"Content-Range": "bytes 0-999/5600128", "Idempotency-Key": ""},
            "What has the header Content-Range is a piece of an upload: name that in the header Idempotency-Key.",
        ),
    ],
)
def test_piece_that_cannot_be_is_400_saying_why(server, headers, detail):
    answer = server.request("PUT", URL, FILE[:1000], {"Idempotency-Key": "k", **headers})
    assert (answer.status, answer.data["detail"]) == (400, detail)
    assert unfinished(server) == []


def test_first_piece_must_have_the_header_and_be_in_c_order(server):
    short = put_piece(server, 0, 100)
    assert (short.status, short.data["detail"]) == (
        400,
        "The .npy file ends within its header: it was cut off, or is none.",
    )
    fortran = put_piece(server, 0, 1000, file=npy(numpy.asfortranarray(VALUES)))
    assert fortran.status == 400
    assert fortran.data["detail"] == (
        "A .npy file in Fortran order is not taken in pieces. Send it at once, or write it in C order, as numpy.save "
        "does with what numpy.ascontiguousarray gives."
    )


# rows


def test_rows_are_appended_and_it_is_told_where(server):
    store(server, "table", VALUES)
    answer = server.request("POST", URL, npy(-VALUES[:3]))
    assert (answer.status, answer.data) == (200, {"shape": [100_003, 7], "start": 100_000, "stop": 100_003})
    assert numpy.array_equal(content(server), numpy.concatenate([VALUES, -VALUES[:3]]))
    nothing = server.request("POST", URL, npy(VALUES[:0]))
    assert nothing.data == {"shape": [100_003, 7], "start": 100_003, "stop": 100_003}


def test_rows_that_come_again_with_their_key_are_not_appended_again(server):
    store(server, "table", VALUES[:1])
    for key, rows, found in (
        ('"a"', VALUES[:2], {"shape": [3, 7], "start": 1, "stop": 3}),
        ("a", VALUES[:2], {"shape": [3, 7], "start": None, "stop": None}),
        ("a", VALUES[:1], {"shape": [4, 7], "start": 3, "stop": 4}),
        ("b", VALUES[:1], {"shape": [5, 7], "start": 4, "stop": 5}),
    ):
        assert server.request("POST", URL, npy(rows), {"Idempotency-Key": key}).data == found


def test_rows_that_many_append_at_the_same_time_are_all_there_once(server):
    store(server, "table", numpy.zeros((0, 100)))

    def append(number):
        for turn in range(5):
            rows = npy(numpy.full((30, 100), 5 * number + turn, "f8"))
            for _ in range(2):
                answer = server.request("POST", URL, rows, {"Idempotency-Key": "same"})
                assert answer.status == 200

    threads = [threading.Thread(target=append, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    values = content(server)
    assert values.shape == (600, 100)
    assert sorted(values[::30, 0]) == list(range(20))
    assert numpy.array_equal(values[:, :1] * numpy.ones(100), values)


def test_rows_that_meet_those_of_another_process_are_appended_behind_them(server, monkeypatch):
    store(server, "table", VALUES[:1])
    overtaken = []

    def check(array, values):
        check_appendable(array, values)
        if not overtaken:
            overtaken.append(True)
            with separate_connection(server.lake.db) as other:
                in_transaction(other, lambda: other.get(array._p_oid).append(-VALUES[:2]), note="another process")

    monkeypatch.setattr(array_upload, "check_appendable", check)
    answer = server.request("POST", URL, npy(VALUES[5:7]), {"Idempotency-Key": "k"})
    assert (answer.status, answer.data) == (200, {"shape": [5, 7], "start": 3, "stop": 5})
    assert numpy.array_equal(content(server), numpy.concatenate([VALUES[:1], -VALUES[:2], VALUES[5:7]]))


@pytest.mark.parametrize(
    ("values", "detail"),
    [
        (
            VALUES[:2, :6],
            "Values of shape (2, 6) cannot be appended to an array of shape (1, 7): only the first axis may ",
        ),
        (
            VALUES[0],
            "Values of shape (7,) cannot be appended to an array of shape (1, 7): only the first axis may differ.",
        ),
        (numpy.ones((1, 7), "c16"), "Values of dtype complex128 might lose something in an array of dtype float64. "),
        (numpy.ones((1, 7), "S3"), "Values of dtype |S3 might lose something in an array of dtype float64. "),
    ],
)
def test_rows_that_do_not_fit_are_409_with_what_both_are(server, values, detail):
    store(server, "table", VALUES[:1])
    answer = server.request("POST", URL, npy(values))
    assert answer.status == 409
    assert answer.data["detail"].startswith(detail)
    assert len(content(server)) == 1


@pytest.mark.parametrize("dtype", [">f8", "f4", "i4", "?"])
def test_rows_that_lose_nothing_are_converted(server, dtype):
    store(server, "table", VALUES[:1])
    rows = numpy.array([[0, 1, 0, 1, 1, 1, 0]], dtype)
    assert server.request("POST", URL, npy(rows)).status == 200
    assert content(server)[1].tolist() == rows[0].tolist()


def test_more_than_64_mib_at_once_are_413_that_says_to_cut(server):
    store(server, "table", numpy.zeros((1, 1), "u1"))
    body = npy(numpy.zeros((64 * 2**20 + 1, 1), "u1"))
    for method, path in (("POST", URL), ("PUT", f"{URL}?slice=0")):
        answer = server.request(method, path, zstd.compress(body), {"Content-Encoding": "zstd"})
        assert (answer.status, answer.data["detail"]) == (
            413,
            "What is written at once may have at most 64 MiB, and the .npy file has 67108865 bytes of elements. Cut "
            "it, and send one part after the other.",
        )


def test_few_bytes_that_would_be_more_than_64_mib_in_the_array_are_413(server):
    """A million texts of one byte each would take a terabyte of memory on their way into this array."""
    server.request("PUT", "/arrays/texts", {"shape": [0], "dtype": "S1000000"})
    answer = server.request("POST", "/arrays/texts/data", npy(numpy.zeros(1_000_000, "S1")))
    assert (answer.status, answer.data["detail"]) == (
        413,
        "What is written at once may have at most 64 MiB, and as elements of |S1000000 these values have 1000000000000 "
        "bytes. Cut the .npy file, and send one part after the other.",
    )
    assert server.request("POST", "/arrays/texts/data", npy(numpy.zeros(2, "S1"))).data["stop"] == 2


# slices


@pytest.mark.parametrize(
    ("text", "index", "values"),
    [
        ("", ..., 5.0),
        ("3", 3, -VALUES[0]),
        ("-5:,2", (slice(-5, None), 2), numpy.arange(5)),
        ("::-1000,::2", (slice(None, None, -1000), slice(None, None, 2)), numpy.arange(4.0)),
        ("7,6", (7, 6), numpy.float32(2)),
        ("10:10", slice(10, 10), numpy.zeros((0, 7))),
        ("0:7,...", (slice(0, 7), ...), numpy.asfortranarray(VALUES[70:77])),
    ],
)
def test_slice_is_written_as_numpy_would(server, text, index, values):
    store(server, "table", VALUES)
    answer = server.request("PUT", f"{URL}?slice={text}", npy(values))
    assert (answer.status, answer.data["shape"]) == (200, [100_000, 7])
    expected = VALUES.copy()
    expected[index] = values
    assert numpy.array_equal(content(server), expected)


@pytest.mark.parametrize(
    ("text", "values", "status", "detail"),
    [
        ("0:3", VALUES[:2], 409, "Values of shape (2, 7) cannot be written to a slice of shape (3, 7)."),
        ("0", VALUES[:2], 409, "Values of shape (2, 7) cannot be written to a slice of shape (7,)."),
        (
            "0",
            numpy.ones(7, "c16"),
            409,
            "Values of dtype complex128 might lose something in an array of dtype float64. ",
        ),
        ("100000", 1.0, 400, "Index 100000 is out of bounds for axis 0, which has a length of 100000."),
        ("0,0,0", 1.0, 400, "The index has more parts than the array has axes: 2."),
        ("x", 1.0, 400, "'x' is no part of a slice: "),
    ],
)
def test_slice_that_does_not_fit_is_refused_saying_why(server, text, values, status, detail):
    store(server, "table", VALUES)
    answer = server.request("PUT", f"{URL}?slice={text}", npy(values))
    assert answer.status == status
    assert answer.data["detail"].startswith(detail)
    assert numpy.array_equal(content(server), VALUES)


def test_slice_of_more_than_a_transaction_holds_is_413_however_few_values_are_sent(server):
    server.request("PUT", "/arrays/huge", {"shape": [10**10, 3], "dtype": "<f8"})
    for text, status in ((":2796203", 413), ("::1000,0", 413), (":1000", 200), ("::1000000000,0", 200)):
        answer = server.request("PUT", f"/arrays/huge/data?slice={text}", npy(1.0))
        assert answer.status == status
    refused = server.request("PUT", "/arrays/huge/data?slice=::1000,0", npy(1.0))
    assert refused.data["detail"] == (
        "A slice that is written may have at most 64 MiB, spread over 256 MiB of the array. Cut it, and write one part "
        "after the other."
    )


def test_slice_in_pieces_is_400(server):
    store(server, "table", VALUES)
    answer = server.request("PUT", f"{URL}?slice=0", npy(1.0), {"Content-Range": "bytes 0-9/10"})
    assert (answer.status, answer.data["detail"]) == (
        400,
        "A slice is written at once: leave out the header Content-Range.",
    )


# who may


def test_contributors_write_to_each_other_s_arrays_until_they_are_given_up(server):
    store(server, "table", VALUES[:1])
    for method, path in (("POST", URL), ("PUT", f"{URL}?slice=0:1"), ("PUT", URL)):
        assert server.request(method, path, npy(VALUES[:1]), user="eve").status == 200
    server.request("POST", "/arrays/table/state", {"transition": "invalidate"})
    for method, path, status in (("POST", URL, 404), ("PUT", f"{URL}?slice=0", 404), ("PUT", URL, 409)):
        assert server.request(method, path, npy(VALUES[:1]), user="eve").status == status


def test_who_may_push_and_make_nothing_replaces_and_makes_no_array(server):
    with server.lake.open("boss") as site:
        site.manage_permission("Wendelin: Add Data Set", ["Manager"])
        transaction.commit()
    answer = server.request("PUT", URL, npy(VALUES[:1]))
    assert (answer.status, answer.data["detail"]) == (
        403,
        "There is no array 'table', and you may not make one. Ask a contributor to.",
    )
    store(server, "table", VALUES[:2], user="boss")
    server.request("POST", "/arrays/table/state", {"transition": "validate"}, user="boss")
    assert server.request("PUT", URL, npy(VALUES[:1])).status == 200


# views


def test_view_is_listed_read_and_not_written_to(server):
    store(server, "table", VALUES)
    with server.lake.open() as site:
        module = site.data_array_module
        table = module.getDataArray("table")
        view = module.newContent(portal_type="Data Array View", reference="columns")
        for name, index in (("first", ":,0"), ("last", "::1,-1")):
            view.newContent(
                portal_type="Data Array View Line",
                predecessor_value=table,
                index_expression=index,
                name_list=[name],
            )
        module.newContent(portal_type="Data Array View", reference="empty")
        transaction.commit()
    items = {item["reference"]: item for item in server.request("GET", "/arrays").data["items"]}
    assert [items["columns"][name] for name in ("shape", "dtype")] == [[100_000], [["first", "<f8"], ["last", "<f8"]]]
    assert items["empty"]["shape"] is None
    found = content(server, "columns")
    assert numpy.array_equal(found["last"], VALUES[:, 6])
    part = server.request("GET", "/arrays/columns/data?format=raw", headers={"Range": "bytes=160-175"})
    assert part.body == VALUES[10, [0, 6]].tobytes()
    for method, path, body in (
        ("PUT", "/data", npy([1.0])),
        ("PUT", "/data?slice=0", npy([1.0])),
        ("POST", "/data", npy([1.0])),
        ("PUT", "", {"shape": [1], "dtype": "<f8"}),
        ("PATCH", "", {"names": ["a", "b"]}),
    ):
        answer = server.request(method, f"/arrays/columns{path}", body)
        assert (answer.status, answer.data["detail"]) == (
            409,
            "'columns' is a Data Array View: it shows other arrays. Change these instead.",
        )
