"""What a push keeps in the database: class paths and names of attributes are read by all later releases."""

from __future__ import annotations

import io
from hashlib import sha256

import transaction

from Products.ERP5Wendelin.ingestion import upload
from Products.ERP5Wendelin.ingestion.delta import Base
from support.pushes import plan, send_large, start, stop


def class_path(instance: object) -> str:
    return f"{type(instance).__module__}.{type(instance).__qualname__}"


def test_a_data_ingestion_keeps_its_state(data_set):
    ingestion = start(data_set)
    ingestion._p_activate()
    assert class_path(ingestion.aq_base) == "Products.ERP5Wendelin.content.data_ingestion.DataIngestion"
    own = {
        *("data_set", "base_version", "message", "author"),
        *("staged", "expected", "removed", "uploads", "contents", "file_count", "size"),
    }
    assert own <= set(ingestion.aq_base.__getstate__())
    stop(ingestion)
    assert ingestion.aq_base.__getstate__()["result"] == {"version": 0, "added": 0, "modified": 0, "removed": 0}


def test_an_upload_keeps_its_state(data_set):
    made = send_large(start(data_set), "a", b"12345")
    made._p_activate()
    assert class_path(made) == "Products.ERP5Wendelin.content.upload.Upload"
    assert set(made.__getstate__()) == {
        *("ingestion", "id", "path", "length", "offset", "digest", "mtime_ns", "mode", "metadata"),
        *("stream", "created", "modified", "planned"),
    }


def test_an_upload_with_a_base_has_it_in_its_state_until_it_is_complete(data_set):
    first = start(data_set)
    send_large(first, "a", b"12345")
    stop(first)
    base = Base(sha256(b"12345").digest(), 5)
    made = upload.create(start(data_set), "a", 7, None, None, None, "", base)
    transaction.commit()
    own = {"base", "base_digest", "reused"}
    assert own <= set(made.__getstate__())
    assert (made.base.size, made.base_digest, made.reused) == (5, base.digest, ((0, 5),))
    assert upload.receive(made._p_jar.db(), made, 0, io.BytesIO(b"12345.."), 7) == 7
    transaction.begin()
    made._p_activate()
    assert not own & set(made.__getstate__())


def test_what_is_staged_and_expected_is_plain_tuples(data_set):
    ingestion = start(data_set)
    plan(ingestion, {"a": b"1", "empty": b""})
    send_large(ingestion, "b", b"2")
    assert [type(value) for tree in (ingestion.staged, ingestion.expected) for value in tree.values()] == [tuple] * 3
