"""Ingestion through policies: tags, supplies, the ingestion that runs, and what the scripts of a site make of them."""

from __future__ import annotations

import io
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import msgpack
import pytest
import transaction
from DateTime import DateTime
from Products.CMFCore.indexing import getQueue
from transaction.interfaces import TransientError

from Products.ERP5Wendelin import errors
from Products.ERP5Wendelin.ingestion import policy
from Products.ERP5Wendelin.ingestion.chunk import Chunk
from Products.ERP5Wendelin.ingestion.policy import CHUNK_SIZE, TAG_LENGTH, ingest
from support.scripts import add_script
from support.site import as_user

TAG = "sensor.product"


@pytest.fixture
def default(site):
    """The policy that the site has from its business template."""
    return site.portal_ingestion_policies["default"]


def streams(site, reference=TAG):
    return [stream for stream in site.data_stream_module.objectValues() if stream.getReference() == reference]


def ingestions(site, reference=TAG):
    found = [each for each in site.data_ingestion_module.objectValues() if each.getReference() == reference]
    return sorted(found, key=lambda each: each.getSimulationState())


def line(document, reference):
    return next(each for each in document.objectValues() if each.getReference() == reference)


def test_chunks_go_to_the_stream_that_the_tag_names_unchanged(site, default):
    everything = bytes(range(256))
    ingest(default, TAG, everything)
    ingest(default, TAG, b"more")
    ingest(default, "other.product", b"\0")
    (stream,) = streams(site)
    assert stream.getData() == everything + b"more"
    assert stream.getValidationState() == "validated"
    assert streams(site, "other.product")[0].getData() == b"\0"


def test_first_chunk_begins_an_ingestion_with_the_lines_of_its_supply(site, default):
    ingest(default, TAG, b"x")
    (ingestion,) = ingestions(site)
    supply = site.data_supply_module["default"]
    assert ingestion.getSimulationState() == "started"
    assert ingestion.getSpecialiseValue() == supply
    assert [each.getPortalType() for each in ingestion.objectValues()] == ["Data Ingestion Line"] * 2
    operation, output = line(ingestion, "ingestion_operation"), line(ingestion, "out_stream")
    assert operation.getResource() == "data_operation_module/wendelin_ingest_data"
    assert (output.getResource(), output.getUse()) == ("data_product_module/default", "big_data/ingestion/stream")
    assert output.getAggregateValueList() == streams(site)
    assert [(each.getIntIndex(), each.getQuantity(), each.getTitle()) for each in (operation, output)] == [
        (each.getIntIndex(), each.getQuantity(), each.getTitle()) for each in supply.objectValues()
    ]


def test_ingestion_is_found_by_the_catalogue(site, default):
    ingest(default, TAG, b"x")
    found = site.portal_catalog(portal_type="Data Ingestion", reference=TAG, simulation_state="started")
    assert [brain.getObject() for brain in found] == ingestions(site)


def test_further_chunks_change_nothing_but_the_stream(site, default):
    ingest(default, TAG, b"x")
    transaction.commit()
    ingest(default, TAG, b"y")
    assert getQueue().length() == 0
    changed = {type(each).__name__ for each in site._p_jar._registered_objects}
    stored = {"ByteStream", "ZBigArray", "ZBigFile", "ZBlk0", "ZBlk1", "ZData", "IOBTree", "LOBTree", "TimeIndex"}
    assert changed <= stored
    assert "ByteStream" in changed


def test_chunk_with_an_id_that_was_taken_is_not_stored_again(site, default):
    for data, id in ((b"1", b"first"), (b"2", b"second"), (b"1", b"first"), (b"3", None), (b"3", None)):
        ingest(default, TAG, data, id)
    assert streams(site)[0].getData() == b"1233"


def test_id_of_a_chunk_whose_script_fails_is_not_remembered(site, default):
    script = add_script(site, "DataIngestionLine_writeIngestionToDataStream", "raise ValueError", "data_chunk, **kw")
    with pytest.raises(errors.ScriptError):
        ingest(default, TAG, b"1", b"first")
    with as_user(site, "system"):
        script.ZPythonScript_edit("data_chunk, out_stream", "out_stream['Data Stream'].appendData(data_chunk)")
    ingest(default, TAG, b"1", b"first")
    assert streams(site)[0].getData() == b"1"


def test_id_is_remembered_by_buckets_as_well(site, default):
    site.data_product_module["default"].setAggregatedPortalTypeList(["Data Bucket Stream"])
    write = """
        buckets = out_stream['Data Bucket Stream']
        buckets.insertBucket(str(len(buckets.getKeyList())), data_chunk)
    """
    add_script(site, "DataIngestionLine_writeIngestionToDataStream", write, "data_chunk, out_stream")
    for data, id in ((b"1", b"first"), (b"2", b"second"), (b"1", b"first")):
        ingest(default, TAG, data, id)
    (buckets,) = streams(site)
    assert [buckets.getBucketByKey(key) for key in buckets.getKeyList()] == [b"1", b"2"]


def test_operation_that_keeps_data_elsewhere_remembers_no_ids(site, default):
    find = "return context.data_operation_module.wendelin_ingest_data, {'note': reference}"
    add_script(site, "IngestionPolicy_getIngestionOperationAndParameterDict", find, "movement_dict, reference")
    write = "context.setDescription(context.getDescription() + note + data_chunk.decode())"
    add_script(site, "DataIngestionLine_writeIngestionToDataStream", write, "data_chunk, note")
    with as_user(site, "boss"):
        for _ in range(2):
            ingest(default, "a", b"1", b"first")
    assert default.getDescription().endswith(".a1a1")


def test_tag_of_one_part_and_of_many_is_taken(site, default):
    for tag in ("syslog", "a.b.c", "a/b c.d", "fühler.1", "no\u00a0break"):
        ingest(default, tag, b"x")
        assert streams(site, tag)[0].getSize() == 1


def test_another_contributor_s_chunk_goes_to_the_same_stream(site, default):
    ingest(default, TAG, b"ada ")
    with as_user(site, "eve"):
        ingest(default, TAG, b"eve")
    assert [stream.getData() for stream in streams(site)] == [b"ada eve"]
    assert len(ingestions(site)) == 1


@pytest.mark.parametrize("user", ["dan", "nobody"])
def test_who_may_not_push_may_not_ingest(site, default, user):
    message = "You may not send data to Ingestion Policy 'default': it takes the role of contributor."
    with as_user(site, user):
        with pytest.raises(errors.NotAuthorised, match=re.escape(message)):
            ingest(default, TAG, b"x")
        with pytest.raises(errors.NotAuthorised, match=re.escape(message)):
            policy.find_operation(default, {}, TAG)
    assert streams(site) == []


@pytest.mark.parametrize(
    ("tag", "message"),
    [
        ("", "Name a tag, such as sensor.product; by HTTP: …/ingest?reference=TAG."),
        ("a" * (TAG_LENGTH + 1), f"A tag has at most {TAG_LENGTH} characters, and no control characters."),
        ("a\nb", "no control characters."),
        ("a\udcff", "no control characters."),
        ("a..b", "Ingestion Policy 'default' does not take the tag 'a..b'. Its script"),
        (".b", "Its script IngestionPolicy_parseSimpleIngestionTag says which tags it takes"),
    ],
)
def test_bad_tag_is_refused(site, default, tag, message):
    with pytest.raises(errors.BadInput, match=re.escape(message)):
        ingest(default, tag, b"x")


def test_chunk_that_is_too_large_is_refused(site, default):
    with pytest.raises(
        errors.TooLarge, match=r"^What is sent at once may have at most 64 MiB\. Send less at a time\.$"
    ):
        ingest(default, TAG, bytes(CHUNK_SIZE + 1))
    with pytest.raises(errors.TooLarge, match="at most 64 MiB"):
        ingest(default, TAG, Chunk(io.BytesIO(bytes(CHUNK_SIZE + 1))))


@pytest.mark.parametrize("state", ["draft", "invalidated"])
def test_policy_that_is_not_validated_is_a_conflict(site, state):
    with as_user(site, "boss"):
        made = site.portal_ingestion_policies.newContent("Ingestion Policy", "mine", reference="mine")
        if state == "invalidated":
            made.invalidate()
        message = f"Ingestion Policy 'mine' is {state}: it takes data once it is validated."
        with pytest.raises(errors.Conflict, match=re.escape(message)):
            ingest(made, TAG, b"x")


def test_policy_without_scripts_or_with_scripts_that_are_gone_is_an_error(site):
    with as_user(site, "boss"):
        made = site.portal_ingestion_policies.newContent("Ingestion Policy", "mine", reference="mine")
        made.validate()
        with pytest.raises(errors.NotFound, match=r"^Ingestion Policy 'mine' names no script: set its script_id\.$"):
            ingest(made, TAG, b"x")
        made.setScriptId("gone")
        with pytest.raises(
            errors.NotFound, match=r"^There is no script 'gone', neither in the layers of portal_skins "
        ):
            ingest(made, TAG, b"x")
        made.edit(script_id="IngestionPolicy_parseSimpleIngestionTag", data_operation_script_id="lost")
        with pytest.raises(errors.NotFound, match=r"^There is no script 'lost', "):
            ingest(made, TAG, b"x")


def test_operation_without_a_script_is_an_error(site, default):
    with as_user(site, "boss"):
        site.data_operation_module.wendelin_ingest_data.setScriptId("")
        with pytest.raises(
            errors.NotFound, match=r"^Data Operation 'ingest-data' names no script: set its script_id\.$"
        ):
            ingest(default, TAG, b"x")


def test_operation_that_was_invalidated_is_a_conflict(site, default):
    with as_user(site, "boss"):
        site.data_operation_module.wendelin_ingest_data.invalidate()
    message = r"^Data Operation 'ingest-data' is invalidated: it takes data once it is validated again\.$"
    with pytest.raises(errors.Conflict, match=message):
        ingest(default, TAG, b"x")


def test_script_that_finds_no_operation_is_an_error(site, default):
    add_script(site, default.getDataOperationScriptId(), "return None, {}", "movement_dict, reference")
    message = f"Ingestion Policy 'default' has no Data Operation for the tag '{TAG}'."
    with pytest.raises(errors.NotFound, match=re.escape(message)):
        ingest(default, TAG, b"x")


def test_script_that_fails_says_where_and_nothing_is_stored(site, default):
    add_script(site, "DataIngestionLine_writeIngestionToDataStream", "x = 1\nx.y", "data_chunk, out_stream")
    with pytest.raises(
        errors.ScriptError, match="/custom/DataIngestionLine_writeIngestionToDataStream failed in line 2:"
    ):
        ingest(default, TAG, b"x")


def test_script_may_be_customised_with_numpy(site, default):
    body = """
        import numpy
        values = numpy.frombuffer(data_chunk, '<i4')
        out_stream['Data Stream'].appendData((values * 2).tobytes())
    """
    add_script(site, "DataIngestionLine_writeIngestionToDataStream", body, "data_chunk, out_stream, **kw")
    ingest(default, TAG, bytes([1, 0, 0, 0, 2, 0, 0, 0]))
    assert streams(site)[0].getData() == bytes([2, 0, 0, 0, 4, 0, 0, 0])


def test_chunk_is_read_for_a_script_that_takes_its_bytes(site, default):
    ingest(default, TAG, Chunk(io.BytesIO(b"abc")))
    assert streams(site)[0].getData() == b"abc"


def test_chunk_that_comes_as_a_stream_and_was_taken_is_not_handed_on_again(site, default):
    write = "out_stream['Data Stream'].appendData(chunk)"
    add_script(site, "DataIngestionLine_writeIngestionToDataStream", write, "chunk, out_stream")
    for _ in range(2):
        ingest(default, TAG, b"abc", b"first")
    assert streams(site)[0].getData() == b"abc"


def test_script_with_a_parameter_chunk_gets_what_is_sent_as_a_stream(site, default):
    add_script(
        site, "DataIngestionLine_writeIngestionToDataStream", "raise ValueError(repr(chunk))", "chunk, out_stream"
    )
    with pytest.raises(errors.ScriptError, match="ValueError: <.*Chunk object"):
        ingest(default, TAG, Chunk(io.BytesIO(b"abc")))


def test_movement_s_bucket_reference_is_handed_on(site, default):
    parse = "return {'reference': reference, 'bucket_reference': 'b1'}"
    add_script(site, "IngestionPolicy_parseSimpleIngestionTag", parse, "reference")
    write = "out_stream['Data Stream'].appendData(bucket_reference.encode())"
    add_script(site, "DataIngestionLine_writeIngestionToDataStream", write, "data_chunk, out_stream, bucket_reference")
    ingest(default, TAG, b"x")
    assert streams(site)[0].getData() == b"b1"


# supplies


def new_supply(site, reference, **properties):
    """A validated supply with lines of its own, whose operation is that for what fluentd sends."""
    supply = site.data_supply_module.newContent("Data Supply", reference=reference, **properties)
    operation = "data_operation_module/wendelin_ingest_data_conversion"
    supply.newContent("Data Supply Line", reference="ingestion_operation", resource=operation)
    supply.newContent("Data Supply Line", reference="out_stream", resource="data_product_module/default")
    supply.validate()
    return supply


def test_supply_of_the_sensor_comes_before_that_of_the_policy(site, default):
    supply = new_supply(site, "sensor")
    ingest(default, TAG, msgpack.packb([0, "text"]))
    assert ingestions(site)[0].getSpecialiseValue() == supply
    assert streams(site)[0].getData() == b"text"


def test_supply_that_came_into_effect_last_is_taken(site, default):
    new_supply(site, "sensor", effective_date=DateTime() - 2)
    newer = new_supply(site, "sensor", effective_date=DateTime() - 1)
    new_supply(site, "sensor")
    ingest(default, TAG, b"x")
    assert ingestions(site)[0].getSpecialiseValue() == newer


def test_supply_that_is_not_in_effect_or_not_validated_is_not_taken(site, default):
    new_supply(site, "sensor", effective_date=DateTime() + 1)
    new_supply(site, "sensor", expiration_date=DateTime() - 1)
    new_supply(site, "sensor").invalidate()
    with as_user(site, "boss"):
        site.data_supply_module["default"].invalidate()
    message = (
        f"No Data Supply takes the tag '{TAG}' of Ingestion Policy 'default': none with the reference 'sensor' "
        "or 'default' is validated and in effect. Add or validate one, or change dates."
    )
    with pytest.raises(errors.NotFound, match=re.escape(message)):
        ingest(default, TAG, b"x")
    assert streams(site) == []


def test_supply_that_expires_takes_nothing_more(site, default):
    supply = new_supply(site, "sensor")
    ingest(default, TAG, b"1")
    supply.setExpirationDate(DateTime() - 1)
    ingest(default, TAG, b"2")
    started, stopped = ingestions(site)
    assert (started.getSimulationState(), stopped.getSimulationState()) == ("started", "stopped")
    assert started.getSpecialiseValue() == site.data_supply_module["default"]
    assert [stream.getData() for stream in streams(site)] == [b"12"]


def test_supply_without_an_operation_or_a_product_is_a_conflict(site, default):
    supply = site.data_supply_module.newContent("Data Supply", reference="sensor")
    supply.validate()
    message = "Data Supply 'sensor' is incomplete: it takes a line whose resource is a Data Operation, and one whose"
    with pytest.raises(errors.Conflict, match=re.escape(message)):
        ingest(default, TAG, b"x")


def test_product_that_does_not_say_where_its_data_is_kept_is_a_conflict(site, default):
    site.data_product_module["default"].setAggregatedPortalTypeList([])
    message = "Data Product 'default' does not say in what its data is kept: set its aggregated_portal_type_list."
    with pytest.raises(errors.Conflict, match=re.escape(message)):
        ingest(default, TAG, b"x")


def test_product_of_a_supply_with_several_is_that_of_the_tag(site, default):
    supply = new_supply(site, "sensor")
    product = site.data_product_module.newContent(
        "Data Product", reference="product", aggregated_portal_type_list=["Data Bucket Stream"]
    )
    product.validate()
    supply.newContent("Data Supply Line", reference="out_buckets", resource_value=product)
    operation = site.data_operation_module.wendelin_ingest_data_conversion
    operation.setScriptId("write_bucket")
    add_script(
        site,
        "write_bucket",
        "out_buckets['Data Bucket Stream'].insertBucket('k', data_chunk)",
        "data_chunk, out_buckets",
    )
    ingest(default, TAG, b"x")
    assert streams(site)[0].getBucketByKey("k") == b"x"
    assert line(ingestions(site)[0], "out_stream").getAggregateList() == []


# the ingestion that runs


def test_chunk_after_the_ingestion_was_stopped_begins_another_for_the_same_stream(site, default):
    ingest(default, TAG, b"1")
    ingestions(site)[0].stop()
    ingest(default, TAG, b"2")
    assert [each.getSimulationState() for each in ingestions(site)] == ["started", "stopped"]
    assert [stream.getData() for stream in streams(site)] == [b"12"]


def test_chunk_after_the_stream_was_invalidated_goes_to_a_new_one(site, default):
    ingest(default, TAG, b"1")
    streams(site)[0].invalidate()
    ingest(default, TAG, b"2")
    assert sorted((stream.getValidationState(), stream.getData()) for stream in streams(site)) == [
        ("invalidated", b"1"),
        ("validated", b"2"),
    ]
    assert [each.getSimulationState() for each in ingestions(site)] == ["started", "stopped"]


def test_stream_that_somebody_made_is_used(site, default):
    made = site.data_stream_module.newContent("Data Stream", reference=TAG)
    made.validate()
    ingest(default, TAG, b"x")
    assert streams(site) == [made]
    assert made.getData() == b"x"


def test_stream_that_was_published_is_still_appended_to(site, default):
    ingest(default, TAG, b"1")
    streams(site)[0].publish()
    ingest(default, TAG, b"2")
    assert [stream.getData() for stream in streams(site)] == [b"12"]


def test_same_tag_at_two_policies_goes_to_one_stream(site, default):
    with as_user(site, "boss"):
        other = policy.add_policy(site.portal_ingestion_policies, "factory")[0]
    ingest(default, TAG, b"1")
    ingest(other, TAG, b"2")
    assert [stream.getData() for stream in streams(site)] == [b"12"]
    assert {each.getSpecialiseValue().getReference() for each in ingestions(site)} == {"default", "factory"}


def test_two_first_chunks_at_the_same_time_make_one_stream(lake):
    both_have_written = threading.Barrier(2)
    one_at_a_time = threading.Lock()

    def send(data):
        with lake.open("ada") as site:
            ingest(site.portal_ingestion_policies["default"], TAG, data)
            both_have_written.wait()
            with one_at_a_time:
                try:
                    transaction.commit()
                except TransientError:
                    transaction.abort()
                    ingest(site.portal_ingestion_policies["default"], TAG, data)
                    transaction.commit()
                    return "repeated"
            return "at once"

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(send, (b"1", b"2"))) == ["at once", "repeated"]
    with lake.open("ada") as site:
        (stream,) = streams(site)
        assert sorted(stream.getData()) == [0x31, 0x32]
        assert len(ingestions(site)) == 1


# adding a policy


def test_added_policy_takes_chunks_unchanged(site):
    with as_user(site, "boss"):
        made = site.portal_ingestion_policies.IngestionPolicyTool_addIngestionPolicy(
            reference="factory", title="Factory", batch_mode=1
        )
    added, supply, product = made
    assert [each.getPortalType() for each in made] == ["Ingestion Policy", "Data Supply", "Data Product"]
    assert [each.getReference() for each in made] == ["factory"] * 3
    assert [each.getValidationState() for each in made] == ["validated"] * 3
    assert added.getRelativeUrl() == "portal_ingestion_policies/factory"
    assert [each.getReference() for each in supply.objectValues()] == ["ingestion_operation", "out_stream"]
    assert line(supply, "out_stream").getResourceValue() == product
    record = msgpack.packb([0, "1,2\n"])
    ingest(added, "factory", record)
    ingest(added, "factory.line", b"1,2\n")
    assert streams(site, "factory")[0].getData() == record
    assert streams(site, "factory.line")[0].getData() == b"1,2\n"
    assert ingestions(site, "factory")[0].getSpecialiseValue() == supply


def test_policy_is_added_for_another_operation(site):
    with as_user(site, "boss"):
        added, supply, _ = site.portal_ingestion_policies.IngestionPolicyTool_addIngestionPolicy(
            "factory", data_operation="wendelin_ingest_data_conversion"
        )
    assert line(supply, "ingestion_operation").getResourceReference() == "ingest-fluent-data"
    ingest(added, "factory", msgpack.packb([0, "1,2\n"]))
    assert streams(site, "factory")[0].getData() == b"1,2\n"


def test_policy_is_added_once(site):
    with as_user(site, "boss"):
        policy.add_policy(site.portal_ingestion_policies, "factory")
        with pytest.raises(errors.Conflict, match=r"^There is a 'factory' in portal_ingestion_policies already\.$"):
            policy.add_policy(site.portal_ingestion_policies, "factory")


def test_policy_is_added_by_managers_only(site):
    message = "You may not add ingestion policies: it takes the role of manager."
    with pytest.raises(errors.NotAuthorised, match=re.escape(message)):
        policy.add_policy(site.portal_ingestion_policies, "factory")


def test_policy_is_added_for_an_operation_that_exists(site):
    with (
        as_user(site, "boss"),
        pytest.raises(errors.NotFound, match="There is no Data Operation 'x' in data_operation_module"),
    ):
        policy.add_policy(site.portal_ingestion_policies, "factory", operation="x")


def test_records_are_unpacked_in_a_script(site, default):
    body = (
        "return context.unpack(b'\\x01\\x92\\x02\\x03'), [r for r in context.unpackLazy(b'\\x91\\x01', use_list=False)]"
    )
    add_script(site, "IngestionPolicy_x", body)
    assert default.IngestionPolicy_x() == ([1, [2, 3]], [(1,)])
    assert site.portal_ingestion_policies.unpack(b"\x93\x01\x02\x03") == [[1, 2, 3]]
    with pytest.raises(errors.BadInput, match=r"^The record of MessagePack that begins at byte 1 is cut off\.$"):
        default.unpack(b"\x01\x92\x02")
    with pytest.raises(errors.BadInput, match=r"^What begins at byte 1 is not MessagePack: "):
        default.unpack(b"\x01\xc1")
