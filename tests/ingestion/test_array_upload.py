"""Uploads of .npy files: what two requests do at the same moment, and what a server that is killed leaves."""

from __future__ import annotations

import io
from datetime import timedelta

import numpy
import pytest
import transaction

from Products.ERP5Wendelin.content.base import now
from Products.ERP5Wendelin.errors import BadInput, NotReady, WrongOffset
from Products.ERP5Wendelin.ingestion.array_upload import Piece, Upload
from Products.ERP5Wendelin.protocol import UPLOAD_LIFETIME
from support.arrays import npy

VALUES = numpy.arange(500_000.0)
FILE = npy(VALUES)


def begin(lake):
    with lake.open() as site:
        return Upload(lake.db, site.data_array_module, "test", "ada")


@pytest.fixture
def upload(lake):
    return begin(lake)


def piece(start, stop):
    return io.BytesIO(FILE[start:stop]), Piece(start, stop, len(FILE))


def placed(lake, upload):
    """The elements of a document that is given what was stored."""
    with lake.open() as site:
        document = site.data_array_module.newDataArray("table")
        upload.place(site.data_array_module, document)
        transaction.commit()
        return document.getArraySlice(0, 10**6)


class Racing(io.BytesIO):
    """The body of a request; while it is read, `meanwhile` happens, once."""

    def __init__(self, data, meanwhile):
        super().__init__(data)
        self._meanwhile = [meanwhile]

    def read(self, size=-1):
        if self._meanwhile:
            self._meanwhile.pop()()
        return super().read(size)


def test_piece_that_comes_twice_at_the_same_time_is_stored_once(lake, upload):
    upload.receive_piece(*piece(0, 1000))
    source = Racing(FILE[1000:2000], lambda: upload.receive_piece(*piece(1000, 2000)))
    assert upload.receive_piece(source, Piece(1000, 2000, len(FILE))) == 2000
    assert upload.receive_piece(*piece(2000, len(FILE))) == len(FILE)
    assert numpy.array_equal(placed(lake, upload), VALUES)


def test_piece_that_another_one_overtakes_is_refused_with_where_to_go_on(upload):
    upload.receive_piece(*piece(0, 1000))
    source = Racing(FILE[1000:2000], lambda: upload.receive_piece(*piece(1000, 1500)))
    with pytest.raises(WrongOffset, match=r"^1500 bytes of this upload are here\. Go on from byte 1500\.$") as caught:
        upload.receive_piece(source, Piece(1000, 2000, len(FILE)))
    assert caught.value.extra == {"offset": 1500}


def test_who_comes_second_to_make_the_array_is_told_to_ask_again(lake, upload):
    upload.receive(io.BytesIO(FILE), len(FILE))
    assert numpy.array_equal(placed(lake, upload), VALUES)
    with (
        lake.open() as site,
        pytest.raises(NotReady, match=r"^The same was sent twice at the same time\. Send it once "),
    ):
        upload.place(site.data_array_module, site.data_array_module.getDataArray("table"))


def test_what_a_killed_server_has_stored_is_gone_on_with_by_the_next(lake, upload):
    class Killed(BaseException):
        pass

    def kill():
        raise Killed

    upload.receive_piece(*piece(0, 1_000_000))
    with pytest.raises(Killed):
        upload.receive_piece(Racing(FILE[1_000_000:], kill), Piece(1_000_000, len(FILE), len(FILE)))
    next_one = begin(lake)
    assert next_one.receive_piece(*piece(1_000_000, len(FILE))) == len(FILE)
    assert numpy.array_equal(placed(lake, next_one), VALUES)


def test_source_that_breaks_leaves_nothing_of_a_whole_file(upload):
    def fail():
        raise BadInput("The body ends in the middle of its zstd.")

    source = Racing(FILE[128:], fail)
    source.seek(0)
    header = io.BytesIO(FILE[:128])

    class Body:
        def read(self, size):
            return header.read(size) or source.read(size)

    with pytest.raises(BadInput, match="in the middle of its zstd"):
        upload.receive(Body(), None)
    assert not upload.is_here()


def test_upload_that_nobody_goes_on_with_expires(lake, upload):
    upload.receive_piece(*piece(0, 1000))
    with lake.open() as site:
        module = site.data_array_module
        assert module.dropExpiredArrivals(now() + timedelta(seconds=UPLOAD_LIFETIME - 60)) == 0
        assert module.dropExpiredArrivals(now() + timedelta(seconds=UPLOAD_LIFETIME + 60)) == 1
        transaction.commit()
    assert not upload.is_here()
    with pytest.raises(WrongOffset, match=r"^0 bytes of this upload are here\. Go on from byte 0\.$"):
        upload.receive_piece(*piece(1000, 2000))


def test_array_that_is_replaced_was_not_imported_any_more(lake, upload):
    upload.receive(io.BytesIO(FILE), len(FILE))
    with lake.open() as site:
        document = site.data_array_module.newDataArray("table")
        document.provenance = {"data_set": "scans"}
        upload.place(site.data_array_module, document)
        assert document.getProvenance() is None
