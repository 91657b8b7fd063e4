from __future__ import annotations

import hashlib
from datetime import date, datetime, timedelta, timezone

import pytest
import transaction
from Products.PluggableAuthService.interfaces.plugins import IAuthenticationPlugin, IExtractionPlugin
from zope.interface.verify import verifyObject

from Products.ERP5Wendelin.errors import BadInput, NotFound
from Products.ERP5Wendelin.interfaces import IAccessTokens


@pytest.fixture
def tokens(site):
    return site.acl_users.access_tokens


def credentials(site, header):
    site.REQUEST._auth = header
    return site.acl_users.access_tokens.extractCredentials(site.REQUEST)


def authenticate(site, secret):
    return site.acl_users.access_tokens.authenticateCredentials(credentials(site, f"Bearer {secret}"))


def test_access_tokens_provide_their_interfaces(tokens):
    for interface in (IAccessTokens, IExtractionPlugin, IAuthenticationPlugin):
        assert verifyObject(interface, tokens)


def test_token_acts_as_the_user_who_made_it(site, tokens):
    id, secret = tokens.newToken("ada", "laptop")
    assert secret.startswith("wendelin_")
    assert authenticate(site, secret) == ("ada", "ada")
    assert [(token["id"], token["title"]) for token in tokens.listTokens("ada")] == [(id, "laptop")]
    assert tokens.listTokens("dan") == []


def test_secret_is_kept_by_its_digest_only(lake, tmp_path):
    with lake.open() as site:
        _, secret = site.acl_users.access_tokens.newToken("ada", "laptop")
        transaction.commit()
    stored = (tmp_path / "Data.fs").read_bytes()
    assert hashlib.sha256(secret.encode()).digest() in stored
    assert secret.encode() not in stored


def test_unknown_or_cut_token_is_refused(site, tokens):
    _, secret = tokens.newToken("ada", "laptop")
    for wrong in ("wendelin_" + "x" * 43, secret[:-1], secret.upper(), "\ud800"):
        assert authenticate(site, wrong) is None


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic YWRhOng=", "wendelin_x"])
def test_other_header_holds_no_token(site, header):
    assert credentials(site, header) == {}


def test_scheme_has_no_case(site):
    assert credentials(site, "bearer  x ") == {"bearer_token": "x"}


def test_removed_token_is_refused(site, tokens):
    id, secret = tokens.newToken("ada", "laptop")
    tokens.removeToken("ada", id)
    assert authenticate(site, secret) is None
    assert tokens.listTokens("ada") == []


def test_nobody_removes_the_token_of_another(site, tokens):
    id, secret = tokens.newToken("ada", "laptop")
    with pytest.raises(NotFound, match=rf"^You have no token '{id}'\.$"):
        tokens.removeToken("dan", id)
    assert authenticate(site, secret)


@pytest.mark.parametrize("title", ["", "  ", "x" * 201, None, 7])
def test_token_without_a_good_title_is_refused(tokens, title):
    with pytest.raises(
        BadInput, match=r"^A token needs a title, of at most 200 characters, that says what it is for\.$"
    ):
        tokens.newToken("ada", title)


def test_last_use_is_written_once_a_day(lake):
    with lake.open() as site:
        _, secret = site.acl_users.access_tokens.newToken("ada", "laptop")
        assert site.acl_users.access_tokens.listTokens("ada")[0]["used"] is None
        transaction.commit()
        authenticate(site, secret)
        [token] = site._p_jar._registered_objects
        assert token.used == datetime.now(timezone.utc).date()
        transaction.commit()
        authenticate(site, secret)
        assert not site._p_jar._registered_objects


def test_two_requests_that_use_a_token_first_do_not_conflict(lake):
    with lake.open() as site:
        site.acl_users.access_tokens.newToken("ada", "laptop")
        transaction.commit()
    managers = [transaction.TransactionManager() for _ in range(2)]
    connections = [lake.db.open(manager) for manager in managers]
    today = datetime.now(timezone.utc).date()
    for connection, day in zip(connections, (today, today - timedelta(days=1)), strict=True):
        [token] = connection.root()["Application"].erp5.acl_users.access_tokens._tokens.values()
        token.used = day
    for manager in managers:
        manager.commit()
    for connection in connections:
        connection.sync()
        [token] = connection.root()["Application"].erp5.acl_users.access_tokens._tokens.values()
        assert token.used == today
        assert isinstance(token.used, date)
        connection.close()
