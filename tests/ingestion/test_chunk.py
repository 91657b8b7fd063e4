"""The forms of the original ebulk, as different clients write them."""

from __future__ import annotations

import base64
import io
import tracemalloc
from hashlib import sha256
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Products.ERP5Wendelin.errors import BadInput, TooLarge
from Products.ERP5Wendelin.ingestion import chunk, multipart
from Products.ERP5Wendelin.ingestion.chunk import FORM, IN_MEMORY, MULTIPART, READ_SIZE, Chunk
from Products.ERP5Wendelin.protocol import MIB

ALL = bytes(range(256)) * 5
NO_FIELD = "The form has no field data_chunk. What is no form goes with another Content-Type."


def decoded(body, media_type=FORM, boundary=""):
    with Chunk(io.BytesIO(body), media_type, boundary).decoded() as content:
        data = content.file.read()
        assert (len(data), sha256(data).digest()) == (content.size, content.sha256)
        return data


def forms(data):
    """The bodies that clients make of bytes."""
    text = base64.b64encode(data)
    return {
        "percent-encoded": urlencode({"data_chunk": text}).encode(),
        "lower case escapes": b"data_chunk=" + text.replace(b"+", b"%2b").replace(b"/", b"%2f").replace(b"=", b"%3d"),
        "all escaped": b"data_chunk=" + b"".join(b"%%%02X" % byte for byte in text),
        "raw": b"data_chunk=" + text,
        "raw with spaces for plus": b"data_chunk=" + text.replace(b"+", b"%20"),
        "in lines": b"data_chunk=" + base64.encodebytes(data),
        "in escaped lines": b"data_chunk=" + quote(base64.encodebytes(data).replace(b"\n", b"\r\n")).encode(),
        "without padding": b"data_chunk=" + text.rstrip(b"="),
        "among other fields": b"a=b&empty=&flag&data%5Fchunk=" + quote(text, safe="").encode() + b"&c=d",
    }


@pytest.mark.parametrize("name", list(forms(b"")))
@pytest.mark.parametrize("data", [b"", b"a", b"ab", b"abc", ALL, b"\xfb\xef\xbe" * 9], ids=len)
def test_bytes_are_what_the_field_stands_for(name, data):
    assert decoded(forms(data)[name]) == data


@pytest.mark.parametrize("read_size", [1, 2, 3, 5, 7])
@pytest.mark.parametrize("name", list(forms(b"")))
def test_reading_in_pieces_of_any_size_gives_the_same(name, read_size, monkeypatch):
    monkeypatch.setattr(chunk, "READ_SIZE", read_size)
    assert decoded(forms(ALL)[name]) == ALL


@given(st.binary(max_size=300), st.sampled_from(list(forms(b""))), st.integers(1, 50))
def test_whatever_is_sent_arrives(data, name, read_size):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunk, "READ_SIZE", read_size)
        assert decoded(forms(data)[name]) == data


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"data_chunk=QUI*", "data_chunk is not base64: character 4 of it, '*', does not belong there."),
        (b"data_chunk=QUJD\xff", "data_chunk is not base64: character 5 of it, '\\xff', does not belong there."),
        (b"data_chunk=QUI%ZZ", "data_chunk is not base64: character 4 of it, '%', does not belong there."),
        (b"data_chunk=QUI%2", "data_chunk is not base64: character 4 of it, '%', does not belong there."),
        (b"data_chunk=QQ==QQ==", "data_chunk is not base64: character 3 of it, '=', does not belong there."),
        (b"data_chunk=QUJDQ", "data_chunk is not base64: it ends within a byte, after 5 characters."),
        (b"data_chunk=QUI==", "data_chunk is not base64: 2 characters of padding end it, and 1 belong there."),
        (b"chunk=QUI=", NO_FIELD),
        (b"data_chunk", NO_FIELD),
        (b"", NO_FIELD),
        (b"a" * 2000 + b"=b", "The form has a field whose name is longer than 1024 bytes."),
    ],
)
def test_malformed_form_is_refused_with_the_place(body, problem):
    with pytest.raises(BadInput) as caught:
        decoded(body)
    assert str(caught.value) == problem


def test_padding_in_the_middle_is_refused_wherever_the_pieces_end(monkeypatch):
    monkeypatch.setattr(chunk, "READ_SIZE", 15)
    with pytest.raises(BadInput, match=r"^data_chunk is not base64: character 5 of it, 'Q', does not belong there\.$"):
        decoded(b"data_chunk=QQ==QQ==")


def test_body_that_is_no_form_is_refused():
    with pytest.raises(BadInput) as caught:
        decoded(b"abc", "application/octet-stream")
    assert str(caught.value) == (
        "The body must be a form (application/x-www-form-urlencoded) with the field data_chunk, in base64."
    )


def part(name, content, more=b""):
    return b'--limit\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n' % (name, more, content)


@pytest.mark.parametrize("read_size", [1, 3, 40, MIB])
def test_multipart_form_is_read(read_size, monkeypatch):
    monkeypatch.setattr(multipart, "READ_SIZE", read_size)
    file = part(b"data_chunk", base64.encodebytes(ALL), b'; filename="x"\r\nContent-Type: text/plain')
    body = b"preamble\r\n" + part(b"a", b"b") + file + part(b"c", b"") + b"--limit--\r\n"
    assert decoded(body, MULTIPART, "limit") == ALL


@pytest.mark.parametrize(
    ("body", "boundary", "problem"),
    [
        (b"", "", "The header Content-Type names no boundary, which multipart/form-data needs."),
        (b"--limit--\r\n", "limit", NO_FIELD),
        (
            part(b"data_chunk", b"QQ=="),
            "limit",
            "The form in multipart/form-data is cut off or malformed. Send it again.",
        ),
    ],
)
def test_malformed_multipart_form_is_refused(body, boundary, problem):
    with pytest.raises(BadInput) as caught:
        decoded(body, MULTIPART, boundary)
    assert str(caught.value) == problem


def test_plain_policies_get_the_field_or_the_body_in_memory():
    assert Chunk(io.BytesIO(b"a=1&data_chunk=b+c%2B%00&d=e"), FORM).read(10) == b"b c+\0"
    assert Chunk(io.BytesIO(ALL), "application/msgpack").read(len(ALL)) == ALL
    assert Chunk(io.BytesIO(part(b"data_chunk", ALL) + b"--limit--"), MULTIPART, "limit").read(MIB) == ALL
    with pytest.raises(TooLarge, match=r"^What is sent at once may have at most 1 MiB\. Send less at a time\.$"):
        Chunk(io.BytesIO(bytes(MIB + 1))).read(MIB)


def test_chunk_can_be_read_again():
    again = Chunk(io.BytesIO(forms(ALL)["raw"]), FORM)
    for _ in range(2):
        with again.decoded() as content:
            assert content.file.read() == ALL


def test_large_form_is_decoded_in_bounded_memory(tmp_path):
    data = bytes(24 * MIB)
    body = tmp_path / "body"
    body.write_bytes(b"data_chunk=" + base64.b64encode(data))
    with body.open("rb") as file:
        tracemalloc.start()
        try:
            with Chunk(file, FORM).decoded() as content:
                assert content.size == len(data)
            assert tracemalloc.get_traced_memory()[1] < 12 * MIB
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize(("size", "calls"), [(0, 0), (IN_MEMORY, 0), (IN_MEMORY + 1, 1), (3 * IN_MEMORY, 1)])
def test_reading_a_large_chunk_says_so_once_before_it_takes_memory(size, calls):
    read_before = []
    source = io.BytesIO(bytes(size))
    assert len(Chunk(source).read(4 * IN_MEMORY, lambda: read_before.append(source.tell()))) == size
    assert len(read_before) == calls
    assert all(position <= IN_MEMORY + READ_SIZE for position in read_before)
