"""Bodies go in zstd where a lake takes it and a sample shrinks; what comes in zstd is decoded in bounds."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from ebulk.errors import EbulkError
from ebulk.remote.coding import Codings, DamagedError, Decoder, shrinks, zstd
from ebulk.remote.failure import TransientError
from ebulk.remote.retry import Notices
from ebulk.remote.session import Session, Settings
from support.scripted_server import Request, document, problem, reply, scripted, scripted_server

MIB = 1024 * 1024
TEXT = b"".join(b"%06d the quick brown fox\n" % number for number in range(40_000))
NOISE = os.urandom(MIB)
TOLD = {"Accept-Encoding": "zstd"}


def codings(compress: str = "auto", told: bool = True) -> Codings:
    found = Codings(compress)
    if told:
        found.learn(TOLD)
    return found


def session_with(url: str, **options: object) -> Session:
    return Session(Settings(url, stall_timeout=5.0, backoff=lambda failures: 0.0, **options))


def blocks(data: bytes, size: int = 256 * 1024) -> Iterator[memoryview]:
    """A body in a buffer that is used over again."""
    buffer = bytearray(size)
    for start in range(0, len(data), size):
        part = data[start : start + size]
        buffer[: len(part)] = part
        yield memoryview(buffer)[: len(part)]


def sent(found: Codings, data: bytes) -> tuple[bytes, bool]:
    parts, encoded = found.encoded(blocks(data), len(data))
    return b"".join(map(bytes, parts)), encoded


def test_text_is_encoded_several_times_smaller_in_one_frame_that_says_its_length():
    body, encoded = sent(codings(), TEXT)
    assert encoded
    assert len(body) < len(TEXT) / 4
    assert zstd.get_frame_info(body).decompressed_size == len(TEXT)
    assert zstd.decompress(body) == TEXT


@pytest.mark.parametrize(
    ("found", "data"),
    [
        (codings(), NOISE),
        (codings(), TEXT[:4000]),
        (codings(told=False), TEXT),
        (codings("never"), TEXT),
        (codings("always"), TEXT[:4000]),
        (codings("always", told=False), TEXT),
    ],
    ids=["noise", "short", "lake takes none", "never", "always, short", "always, lake takes none"],
)
def test_others_go_as_they_are(found, data):
    assert sent(found, data) == (data, False)


def test_noise_is_encoded_when_that_is_always_wanted():
    body, encoded = sent(codings("always"), NOISE)
    assert encoded
    assert zstd.decompress(body) == NOISE


def test_sample_sees_beginning_middle_and_end():
    text, noise = memoryview(TEXT), memoryview(NOISE)
    assert shrinks(text)
    assert not shrinks(noise)
    for place in (0, MIB // 2, MIB - 16_000):
        mixed = bytearray(NOISE)
        mixed[place : place + 16_000] = TEXT[:16_000]
        assert shrinks(memoryview(mixed)), place
    assert shrinks(memoryview(b"x" * 5000))


def decoder(data: bytes, piece: int = 1000) -> Decoder:
    pieces = [data[start : start + piece] for start in range(0, len(data), piece)]
    return Decoder(lambda size: pieces.pop(0) if pieces else b"")


def test_decoder_gives_no_more_than_it_is_asked_for():
    bomb = decoder(zstd.compress(bytes(64 * MIB)))
    assert [len(bomb.read(1000)) for _ in range(3)] == [1000, 1000, 1000]


def test_frames_follow_each_other_and_an_empty_one_is_no_end():
    source = decoder(zstd.compress(b"one ") + zstd.compress(b"") + zstd.compress(b"two"), 5)
    assert b"".join(iter(lambda: source.read(2), b"")) == b"one two"
    assert source.read(1) == b""


@pytest.mark.parametrize(
    ("data", "message"), [(zstd.compress(NOISE)[:-5], "it ends too early"), (b"no zstd", "it is no zstd")]
)
def test_what_is_no_zstd_to_its_end_is_told(data, message):
    source = decoder(data)
    with pytest.raises(DamagedError, match=f"^{message}$"):
        b"".join(iter(lambda: source.read(MIB), b""))


def test_window_above_eight_mebibytes_is_refused():
    options = {zstd.CompressionParameter.window_log: 25, zstd.CompressionParameter.compression_level: 1}
    compressor = zstd.ZstdCompressor(options=options)
    frame = compressor.compress(TEXT) + compressor.flush()
    with pytest.raises(DamagedError):
        decoder(frame).read(1)


def test_body_goes_in_zstd_once_an_answer_said_that_the_lake_takes_it():
    with scripted(document([], Accept_Encoding="zstd")) as server, session_with(server.url) as session:
        for _ in range(2):
            body = (memoryview(TEXT),)
            with session.request("PUT", session.api("/x"), expect=(200,), body=body, length=len(TEXT)) as answer:
                answer.read_all()
        first, second = server.requests
        assert (first.headers.get("content-encoding"), first.body) == (None, TEXT)
        assert (second.headers["content-encoding"], second.headers["transfer-encoding"]) == ("zstd", "chunked")
        assert zstd.decompress(second.body) == TEXT
        assert session.settings.traffic.sent == len(TEXT) + len(second.body)


def test_zstd_that_a_proxy_refuses_is_not_sent_again():
    def answer(request: Request):
        if request.headers.get("content-encoding"):
            return reply(411, b"Length required")
        return document("there", Accept_Encoding="zstd")

    notes: list[str] = []
    with scripted_server(answer) as server, session_with(server.url, notices=Notices(notes.append)) as session:
        for _ in range(3):
            assert session.call("POST", session.api("/x"), f'"{TEXT.decode()}"') == (200, "there")
        assert [request.headers.get("content-encoding") for request in server.requests] == [None, "zstd", None, None]
    assert notes == [f"{server.address} refuses zstd (HTTP 411): going on without. Trying again."]


def test_refusal_of_a_plain_body_is_an_error():
    with scripted(problem(415, "No.")) as server:
        session = session_with(server.url)
        with session, pytest.raises(EbulkError, match=r"^No\.$"):
            session.call("POST", session.api("/x"), f'"{TEXT.decode()}"')


def test_answer_in_zstd_is_read_decoded_and_counted_as_it_travelled():
    body = zstd.compress(TEXT)
    with scripted(reply(200, body, Content_Encoding="zstd")) as server, session_with(server.url) as session:
        with session.request("GET", session.api("/x"), expect=(200,)) as answer:
            assert b"".join(iter(lambda: answer.read(10_000), b"")) == TEXT
        assert session.settings.traffic.received == len(body)


def test_document_in_zstd_is_read():
    body = zstd.compress(b'{"a": [1.50]}')
    with scripted(reply(200, body, "application/json", Content_Encoding="zstd")) as server:
        with session_with(server.url) as session:
            assert session.call("GET", session.api("/x")) == (200, {"a": ["1.50"]})
        assert server.requests[0].headers["accept-encoding"] == "zstd, gzip"


def test_without_compression_no_answer_in_zstd_is_asked_for():
    with scripted(document([])) as server:
        with session_with(server.url, codings=Codings("never")) as session:
            session.call("GET", session.api("/x"))
        assert server.requests[0].headers["accept-encoding"] == "identity, gzip"


def test_damaged_answer_may_be_asked_for_again():
    with scripted(reply(200, b"no zstd", Content_Encoding="zstd")) as server, session_with(server.url) as session:
        answer = session.request("GET", session.api("/x"), expect=(200,))
        damaged = f"^The answer of {server.address} is damaged: it is no zstd.$"
        with answer, pytest.raises(TransientError, match=damaged):
            answer.read(10)
