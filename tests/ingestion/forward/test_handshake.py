"""HELO, PING and PONG: who knows the key, and whose password it is."""

from __future__ import annotations

from hashlib import sha512

import msgpack
import pytest

from Products.ERP5Wendelin.errors import BadInput, NotAuthorised
from Products.ERP5Wendelin.ingestion.forward.handshake import Handshake, negative_pong
from Products.ERP5Wendelin.ingestion.forward.settings import Settings

SETTINGS = Settings(shared_key="kéy", hostname="lake")
WITH_USERS = Settings(shared_key="kéy", hostname="lake", users={"ada": "correct hörse"})
SALT = b"\xff\x00" * 8


def digest(*parts):
    return sha512(b"".join(parts)).hexdigest()


def ping(helo, key="kéy", user="", password="", hostname="turbine-7"):
    """The PING of an agent, to this HELO."""
    _, options = msgpack.unpackb(helo)
    proof = digest(options["auth"], user.encode(), password.encode())
    texts = [hostname, digest(SALT, hostname.encode(), options["nonce"], key.encode()), user, proof]
    return b"\x96\xa4PING" + msgpack.packb(texts[0]) + b"\xb0" + SALT + b"".join(map(msgpack.packb, texts[1:]))


def test_helo_asks_for_a_user_only_where_there_are_some():
    name, options = msgpack.unpackb(Handshake(SETTINGS).helo())
    assert (name, options["auth"], options["keepalive"]) == ("HELO", b"", True)
    assert len(options["nonce"]) == 16
    assert len(msgpack.unpackb(Handshake(WITH_USERS).helo())[1]["auth"]) == 16


def test_nonces_and_salts_are_made_anew_for_each_connection():
    helos = [msgpack.unpackb(Handshake(WITH_USERS).helo())[1] for _ in range(10)]
    assert len({helo["nonce"] for helo in helos} | {helo["auth"] for helo in helos}) == 20


def test_who_knows_the_key_is_welcome_and_is_shown_that_the_server_knows_it():
    handshake = Handshake(SETTINGS)
    helo = handshake.helo()
    welcome = handshake.check(ping(helo))
    assert (welcome.hostname, welcome.user) == ("turbine-7", "")
    nonce = msgpack.unpackb(helo)[1]["nonce"]
    assert msgpack.unpackb(welcome.pong) == ["PONG", True, "", "lake", digest(SALT, b"lake", nonce, "kéy".encode())]


def test_who_has_another_key_is_turned_away():
    handshake = Handshake(SETTINGS)
    with pytest.raises(NotAuthorised) as error:
        handshake.check(ping(handshake.helo(), key="key"))
    assert str(error.value) == (
        "shared_key mismatch: 'turbine-7' has another shared key than this server; give both the same"
    )


def test_what_an_agent_calls_itself_makes_no_line_of_the_log():
    handshake = Handshake(WITH_USERS)
    for key in ("kéy", "another"):
        with pytest.raises(NotAuthorised) as error:
            handshake.check(ping(handshake.helo(), key, user="a\nb\x1b[2J\u202e", hostname="c\nd\x1b[2J\u202e"))
        assert str(error.value).isprintable()


def test_a_ping_to_another_helo_is_of_no_use():
    overheard = ping(Handshake(SETTINGS).helo())
    with pytest.raises(NotAuthorised):
        Handshake(SETTINGS).check(overheard)


def test_a_user_with_his_password_is_welcome_under_his_name():
    handshake = Handshake(WITH_USERS)
    assert handshake.check(ping(handshake.helo(), user="ada", password="correct hörse")).user == "ada"


@pytest.mark.parametrize(
    ("user", "password"), [("ada", "wrong"), ("ada", ""), ("bob", "correct hörse"), ("bob", ""), ("", "")]
)
def test_another_user_or_password_is_turned_away(user, password):
    handshake = Handshake(WITH_USERS)
    with pytest.raises(NotAuthorised) as error:
        handshake.check(ping(handshake.helo(), user=user, password=password))
    assert str(error.value) == (
        f"username/password mismatch: 'turbine-7' comes as {user!r}, which is no user in the users' file of this "
        "server, or has another password there"
    )


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\xc1",
        b"\xc0",
        msgpack.packb(["PING"]),
        msgpack.packb(["PONG", "", "", "", "", ""]),
        msgpack.packb(["PING", "host", "salt", "digest", "", None]),
        msgpack.packb(["PING", "host", "salt", "digest", "", ""]) + b"\0",
        msgpack.packb(["PING", "host", "salt", "digest", "", "", ""]),
        msgpack.packb(["PING", "h" * 9000, "salt", "digest", "", ""]),
        msgpack.packb(["tag", 0, {}]),
        b"\x91" * 1030 + b"\xc0",
        b"\x91\x81\x80\x01",
    ],
)
def test_what_is_no_ping_says_how_to_send_one(message):
    with pytest.raises(BadInput) as error:
        Handshake(SETTINGS).check(message)
    assert str(error.value) == (
        "it does not answer HELO with PING: give the agent the shared key (fluentd: a section <security> in its "
        "out_forward; Fluent Bit: shared_key), or choose one that knows the handshake"
    )


def test_what_is_shown_of_settings_has_no_secrets():
    assert not any(secret in repr(WITH_USERS) for secret in ("kéy", "hörse"))


def test_a_refusal_says_why():
    assert msgpack.unpackb(negative_pong("no")) == ["PONG", False, "no", "", ""]
