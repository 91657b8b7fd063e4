"""`/arrays/{reference}/data`, read: slices as .npy files and as raw bytes, of one snapshot."""

from __future__ import annotations

import gc
import http.client
import socket
import time
from urllib.parse import quote

import numpy
import pytest
import transaction
from ZODB.POSException import ConflictError

from Products.ERP5Wendelin.download import array_body
from Products.ERP5Wendelin.download.array_body import body_of
from Products.ERP5Wendelin.storage.block import BLOCK_SIZE
from Products.ERP5Wendelin.views.api import array_data
from support.arrays import loaded, npy, store
from support.http_server import basic
from support.site import PASSWORD

VALUES = numpy.arange(3 * 90_000 * 7, dtype="<f8").reshape(3, 90_000, 7)
"""15 MB in 8 blocks; a step along the first axis is more than two of them."""

URL = "/arrays/table/data"


@pytest.fixture(autouse=True)
def begun(server):
    """The first request of all makes a record of Zope's own, and with it another snapshot."""
    server.request("GET", "/arrays")


@pytest.fixture
def table(server):
    store(server, "table", VALUES)
    return VALUES


def snapshot_of(server, reference="table"):
    return server.request("GET", f"/arrays/{reference}").data["snapshot"]


SLICES = [
    ("", ...),
    ("1", 1),
    ("...,0", (..., 0)),
    ("-1,80000:", (-1, slice(80_000, None))),
    ("::-1,::1000", (slice(None, None, -1), slice(None, None, 1000))),
    (":,:,1:3", (slice(None), slice(None), slice(1, 3))),
    ("2,::-1", (2, slice(None, None, -1))),
    ("1,5:7", (1, slice(5, 7))),
    ("0,1,2", (0, 1, 2)),
    ("3:", slice(3, None)),
    (":,10:5", (slice(None), slice(10, 5))),
]


def test_slice_is_numpy_s_as_a_file_raw_and_in_ranges(server, table):
    for text, index in SLICES:
        check_slice(server, table, text, index)


def check_slice(server, table, text, index):
    expected = table[index]
    url = f"{URL}?slice={quote(text)}"
    whole = server.request("GET", url)
    found = loaded(whole)
    assert (found.dtype, found.shape) == (table.dtype, expected.shape)
    assert numpy.array_equal(found, expected)
    assert server.request("GET", f"{url}&format=raw").body == expected.tobytes()
    header, size = len(whole.body) - expected.nbytes, len(whole.body)
    for first, last in ((0, 0), (header - 2, header + 9), (size // 2, size - 1), (size - 5, size + 100)):
        if first < size:
            part = server.request("GET", url, headers={"Range": f"bytes={first}-{last}"})
            assert (part.status, part.body) == (206, whole.body[first : last + 1])
            assert part.headers["Content-Range"] == f"bytes {first}-{min(last, size - 1)}/{size}"
    head = server.request("HEAD", url)
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", str(size))


def test_headers_say_what_it_is_and_of_which_snapshot(server, table):
    answer = server.request("GET", f"{URL}?slice=0")
    names = ("Content-Type", "Accept-Ranges", "Cache-Control", "Content-Disposition", "X-Content-Type-Options")
    assert [answer.headers[name] for name in names] == [
        *("application/octet-stream", "bytes", "private, no-cache"),
        *('attachment; filename="table.npy"', "nosniff"),
    ]
    snapshot = answer.headers["Array-Snapshot"]
    assert answer.headers["ETag"] == f'"{snapshot}-npy-0,0:90000:1,0:7:1"'
    assert snapshot == snapshot_of(server)
    store(server, "a/b", [1])
    raw = server.request("GET", "/arrays/a/b/data?format=raw")
    assert raw.headers["Content-Disposition"] == 'attachment; filename="a_b.raw"'


@pytest.mark.parametrize(
    "dtype",
    [
        ">i2",
        "?",
        "S3",
        "<U2",
        "<M8[ns]",
        [("time", "<M8[s]"), ("values", ">f4", (3,))],
        [(("A title", "n"), "i1"), ("inner", [("x", "<f8")])],
        numpy.dtype([("a", "i1"), ("b", "f8")], align=True),
    ],
    ids=str,
)
def test_elements_of_any_dtype_of_fixed_size_are_sent(server, dtype):
    values = numpy.arange(1000 * numpy.dtype(dtype).itemsize).astype("u1").view(dtype).reshape(10, 100)
    if values.dtype == bool:
        values = values.view("u1") % 2 == 1
    store(server, "table", values)
    sent = numpy.zeros(values.shape, values.dtype)
    sent[...] = values  # its columns, and zeros between them
    for text, index in (("", ...), ("2:4", slice(2, 4)), ("::3,::-7", (slice(None, None, 3), slice(None, None, -7)))):
        answer = server.request("GET", f"{URL}?slice={text}")
        found = loaded(answer)
        assert (found.dtype, found.shape) == (values.dtype, values[index].shape)
        assert answer.body.endswith(sent[index].tobytes())


def test_array_without_elements_is_a_header_alone(server):
    store(server, "table", numpy.zeros((0, 4), "i2"))
    assert loaded(server.request("GET", URL)).shape == (0, 4)
    raw = server.request("GET", f"{URL}?format=raw")
    assert (raw.status, raw.body, raw.headers["Content-Length"]) == (200, b"", "0")


def test_array_of_more_elements_than_there_is_memory_is_read_in_slices(server):
    made = server.request("PUT", "/arrays/huge", {"shape": [2**40, 2**18], "dtype": "<f8"})
    assert made.data["size"] == 2**61
    assert loaded(server.request("GET", f"/arrays/huge/data?slice={2**39},:5")).tolist() == [0] * 5
    head = server.request("HEAD", "/arrays/huge/data")
    assert int(head.headers["Content-Length"]) > 2**61
    last = server.request("GET", "/arrays/huge/data?format=raw", headers={"Range": "bytes=-100"})
    assert (last.status, last.body) == (206, bytes(100))
    sparse = server.request("GET", f"/arrays/huge/data?slice=::{2**37},7")
    assert loaded(sparse).tolist() == [0] * 8


BAD_QUERIES = [
    ("slice=3", "Index 3 is out of bounds for axis 0, which has a length of 3."),
    ("slice=0,-90001", "Index -90001 is out of bounds for axis 1, which has a length of 90000."),
    ("slice=0,0,0,0", "The index has more parts than the array has axes: 3."),
    ("slice=::0", "The part '::0' of a slice has a step of 0: take 1 or more, or less than 0."),
    ("slice=a", "'a' is no part of a slice: "),
    ("slice=1e3", "'1e3' is no part of a slice: "),
    ("slice=__import__('os')", "\"__import__('os')\" is no part of a slice: "),
    ("format=csv", "There is no format 'csv'. Formats are: npy, raw."),
    ("snapshot=12", "'12' names no snapshot: one has 16 hexadecimal digits, such as 03f6a5c1d2e3b4a5."),
]


def test_what_there_is_not_is_400_saying_why(server, table):
    for query, detail in BAD_QUERIES:
        answer = server.request("GET", f"{URL}?{query}")
        assert answer.status == 400
        assert answer.data["detail"].startswith(detail)


def test_download_in_parts_is_of_one_snapshot_whatever_is_written_meanwhile(server, table):
    snapshot = snapshot_of(server)
    url = f"{URL}?snapshot={snapshot}"
    whole = server.request("GET", url)
    first = server.request("GET", url, headers={"Range": "bytes=0-9999999"})
    server.request("PUT", f"{URL}?slice=1:", npy(-1.0))
    server.request("PUT", URL, npy(numpy.zeros(5)))
    ask = {"Range": "bytes=10000000-", "If-Range": first.headers["ETag"]}
    rest = server.request("GET", url, headers=ask)
    assert (first.status, rest.status, rest.headers["Array-Snapshot"]) == (206, 206, snapshot)
    assert first.body + rest.body == whole.body
    assert numpy.array_equal(loaded(whole), table)
    assert loaded(server.request("GET", URL)).tolist() == [0] * 5


def test_without_a_snapshot_another_content_is_sent_whole_to_who_has_a_part(server):
    store(server, "table", numpy.arange(10.0))
    first = server.request("GET", URL, headers={"Range": "bytes=0-99"})
    store(server, "table", -numpy.arange(10.0))
    rest = server.request("GET", URL, headers={"Range": "bytes=100-", "If-Range": first.headers["ETag"]})
    assert rest.status == 200
    assert loaded(rest)[1] == -1


def test_what_has_not_changed_is_304_and_what_has_is_412(server):
    store(server, "table", numpy.arange(10.0))
    etag = server.request("GET", URL).headers["ETag"]
    same = server.request("GET", URL, headers={"If-None-Match": etag})
    assert (same.status, same.body, same.headers["ETag"]) == (304, b"", etag)
    store(server, "table", -numpy.arange(10.0))
    assert server.request("GET", URL, headers={"If-None-Match": etag}).status == 200
    assert server.request("GET", URL, headers={"If-Match": etag}).status == 412


def test_range_behind_the_end_is_416_with_the_size(server):
    store(server, "table", numpy.arange(10.0))
    answer = server.request("GET", f"{URL}?format=raw", headers={"Range": "bytes=80-"})
    assert (answer.status, answer.headers["Content-Range"]) == (416, "bytes */80")


def test_snapshot_from_before_the_array_is_404(server):
    store(server, "other", [1])
    before = snapshot_of(server, "other")
    while True:  # documents are dated to the second
        store(server, "table", [1])
        if server.request("GET", f"{URL}?snapshot={before}").status == 404:
            break
        with server.lake.open("boss") as site:
            site.data_array_module.manage_delObjects([site.data_array_module.getDataArray("table").getId()])
            transaction.commit()
    answer = server.request("GET", f"{URL}?snapshot={before}")
    assert answer.data["detail"].startswith(f"The array 'table' is newer than the snapshot {before} (20")


@pytest.mark.parametrize("text", ["ffffffffffffffff", "7fffffffffffffff"])
def test_snapshot_that_is_still_to_come_is_410_and_tells_nothing_of_the_database(server, text):
    store(server, "table", [1])
    answer = server.request("GET", f"{URL}?snapshot={text}")
    assert answer.status == 410
    assert answer.data["detail"].startswith(f"The lake does not have the snapshot {text} (")
    assert answer.data["detail"].endswith(" UTC), or no longer. Begin anew, without one.")
    assert "Data.fs" not in answer.data["detail"]


def test_snapshot_that_was_packed_is_410(server):
    store(server, "table", numpy.arange(3 * BLOCK_SIZE, dtype="u1"))
    snapshot = snapshot_of(server)
    store(server, "table", numpy.zeros(5))
    server.lake.db.pack(time.time() + 1)
    answer = server.request("GET", f"{URL}?snapshot={snapshot}")
    assert answer.status == 410
    assert answer.data["detail"].startswith(f"The lake does not have the snapshot {snapshot} (")


def test_snapshot_is_read_by_who_may_view_the_array_now_and_might_then(server):
    store(server, "table", [1])
    draft = snapshot_of(server)
    server.request("POST", "/arrays/table/state", {"transition": "publish"})
    published = snapshot_of(server)
    for user in ("dan", None):
        assert loaded(server.request("GET", f"{URL}?snapshot={published}", user=user)).tolist() == [1]
        refused = server.request("GET", f"{URL}?snapshot={draft}", user=user)
        assert refused.status == 404
        assert refused.data["detail"].startswith(f"You may not see the array 'table' as it was in snapshot {draft} (")
    assert server.request("GET", f"{URL}?snapshot={draft}").status == 200
    server.request("POST", "/arrays/table/state", {"transition": "invalidate"})
    for user, status in (("dan", 404), (None, 401), ("ada", 404), ("boss", 200)):
        assert server.request("GET", f"{URL}?snapshot={published}", user=user).status == status


def test_elements_that_are_far_from_one_another_are_sent_in_their_order(server):
    """128 boxes of one element each, some of which are read in a step."""
    server.request("PUT", "/arrays/far", {"shape": [2**40], "dtype": "|u1"})
    with server.lake.open() as site:
        for number in range(128):
            site.data_array_module.getDataArray("far").setArrayIndex(number * 2**33, number + 1)
        transaction.commit()
    expected = numpy.arange(1, 129, dtype="u1")
    url = f"/arrays/far/data?slice=::{2**33}"
    assert numpy.array_equal(loaded(server.request("GET", url)), expected)
    part = server.request("GET", f"{url}&format=raw", headers={"Range": "bytes=20-109"})
    assert (part.status, part.body) == (206, expected[20:110].tobytes())


def test_view_of_a_snapshot_shows_what_the_caller_might_view_then(server):
    store(server, "table", [1])
    with server.lake.open("ada") as site:
        view = site.data_array_module.newContent(portal_type="Data Array View", reference="view")
        table = site.data_array_module.getDataArray("table")
        view.newContent(portal_type="Data Array View Line", reference="x", predecessor_value=table)
        view.publish()
        transaction.commit()
    draft = snapshot_of(server)
    server.request("POST", "/arrays/table/state", {"transition": "publish"})
    url = "/arrays/view/data"
    for user in ("dan", None):
        assert loaded(server.request("GET", url, user=user))["x"].tolist() == [1]
        refused = server.request("GET", f"{url}?snapshot={draft}", user=user)
        assert (refused.status, refused.data["detail"][:48]) == (
            404,
            "You may not see the array 'view' as it was in sn",
        )
    assert loaded(server.request("GET", f"{url}?snapshot={draft}"))["x"].tolist() == [1]


def test_slices_with_gaps_take_turns_and_one_too_many_is_503(server, table, monkeypatch):
    taken = [array_body.GATHERING.acquire(blocking=False) for _ in range(8)]
    try:
        assert all(taken)
        answer = server.request("GET", f"{URL}?slice=...,0:6")
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        assert answer.data["detail"] == (
            "Too many slices with gaps are being put together now. Ask again in a second, or for whole rows, which are "
            "sent as they are stored."
        )
        assert server.request("GET", f"{URL}?slice=1:").status == 200
        assert server.request("GET", f"{URL}?slice=...,::1000,0").status == 200
    finally:
        array_body.GATHERING.release(8)
    assert loaded(server.request("GET", f"{URL}?slice=...,0:6")).shape == (3, 90_000, 6)


def test_turn_is_given_back_where_the_snapshot_is_gone(server, table):
    snapshot = snapshot_of(server)
    store(server, "table", -VALUES)
    server.lake.db.pack(time.time() + 1)
    assert server.request("GET", f"{URL}?slice=...,0:6&snapshot={snapshot}").status == 410
    assert array_body.GATHERING._value == 8


def test_turn_of_who_goes_away_in_the_middle_is_given_back(server):
    store(server, "table", numpy.zeros((200_000, 20)))
    connection = socket.create_connection((server.host, server.port))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    request = f"GET /erp5/api/v1{URL}?slice=:,1: HTTP/1.1\r\nHost: x\r\nAuthorization: {basic('ada', PASSWORD)}\r\n\r\n"
    connection.sendall(request.encode())
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    assert answer.status == 200
    assert array_body.GATHERING._value == 7
    answer.close()
    connection.close()
    deadline = time.monotonic() + 30
    while array_body.GATHERING._value < 8:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_turns_of_requests_that_begin_anew_are_given_back_at_once(server, table, monkeypatch):
    left = [5]

    def meet():
        left[0] -= 1
        raise ConflictError

    def answer(*arguments):
        if left[0]:
            transaction.get().addBeforeCommitHook(meet)
        return body_of(*arguments)

    monkeypatch.setattr(array_data, "body_of", answer)
    gc.disable()
    try:
        assert loaded(server.request("GET", f"{URL}?slice=...,0:6")).shape == (3, 90_000, 6)
        deadline = time.monotonic() + 30
        while array_body.GATHERING._value < 8:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        gc.enable()
    assert left == [0]
