from __future__ import annotations

import base64
import re

import pytest
import transaction

from Products.ERP5Wendelin.errors import BadInput, Conflict, NotFound
from Products.ERP5Wendelin.portal import user_manager
from Products.ERP5Wendelin.portal.user_manager import (
    FAILURES_LENGTH,
    WAITING,
    Failures,
    RememberedPasswords,
    hash_password,
)
from Products.ERP5Wendelin.portal.users import add_user, list_users, remove_user
from support.site import PASSWORD, USERS, as_user


def authenticate(site, name, password):
    return site.acl_users.users.authenticateCredentials({"login": name, "password": password})


def validated(site, header):
    """The name of who sends a request with this Authorization header, as PluggableAuthService sees it."""
    request = site.REQUEST
    request._auth = header
    with as_user(site, "nobody"):
        plugins = site.acl_users.plugins
        return [name for _, name in site.acl_users._extractUserIds(request, plugins)]


def basic(name, password):
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def test_added_user_is_listed_with_the_role_and_let_in(site):
    assert add_user(site, "zoé", "downloader", "ein Passwort") == ("zoé", "downloader")
    assert list_users(site) == sorted((*USERS.items(), ("zoé", "downloader")))
    assert authenticate(site, "zoé", "ein Passwort") == ("zoé", "zoé")
    assert site.acl_users.getUserById("zoé").getRoles() == ["Downloader", "Authenticated"]


def test_password_is_kept_as_bcrypt(site):
    stored = site.acl_users.users._user_passwords["ada"]
    assert re.fullmatch(rb"\{BCRYPT\}\$2b\$1[2-9]\$.{53}", stored)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "'' cannot be a user's name: no slashes, control characters, or white space at an end."),
        ("a/b", "'a/b' cannot be a user's name: no slashes, control characters, or white space at an end."),
        (" a", "' a' cannot be a user's name: no slashes, control characters, or white space at an end."),
        ("a:b", "'a:b' cannot be a user's name: HTTP Basic authentication ends the name at a colon."),
        ("x" * 101, "A user's name has at most 100 characters."),
    ],
)
def test_bad_name_is_refused(site, name, problem):
    with pytest.raises(BadInput, match=f"^{re.escape(problem)}$"):
        add_user(site, name, "manager", PASSWORD)


@pytest.mark.parametrize(
    ("password", "problem"),
    [
        ("", "The password is too short: it needs at least 8 characters."),
        ("1234567", "The password is too short: it needs at least 8 characters."),
        ("é" * 37, "The password is too long: at most 72 bytes in UTF-8."),
        ("12345678\n", "The password has a control character, such as a line end."),
    ],
)
def test_bad_password_is_refused(site, password, problem):
    with pytest.raises(BadInput, match=f"^{re.escape(problem)}$"):
        add_user(site, "new", "manager", password)
    assert "new" not in dict(list_users(site))


def test_unknown_role_is_refused_with_the_known_ones(site):
    with pytest.raises(BadInput, match=r"^There is no role 'owner'\. Roles are: contributor, downloader, manager\.$"):
        add_user(site, "new", "owner", PASSWORD)


def test_existing_user_is_a_conflict(site):
    with pytest.raises(Conflict, match=r"^There is a user 'ada' already\. Remove it first, or choose another name\.$"):
        add_user(site, "ada", "manager", PASSWORD)


def test_removed_user_is_let_in_no_more(site):
    _, token = site.acl_users.access_tokens.newToken("ada", "laptop")
    assert authenticate(site, "ada", PASSWORD)
    remove_user(site, "ada")
    assert "ada" not in dict(list_users(site))
    assert authenticate(site, "ada", PASSWORD) is None
    assert validated(site, f"Bearer {token}") == []
    with pytest.raises(NotFound, match=r"^There is no user 'ada'\.$"):
        remove_user(site, "ada")


def test_user_of_the_same_name_does_not_inherit_the_role(site):
    remove_user(site, "boss")
    add_user(site, "boss", "downloader", PASSWORD)
    assert dict(list_users(site))["boss"] == "downloader"


@pytest.mark.parametrize(
    ("name", "password"),
    [("ada", "wrong password"), ("ada", ""), ("nobody", PASSWORD), ("ada", None), (None, PASSWORD)],
)
def test_wrong_credentials_are_refused(site, name, password):
    assert authenticate(site, name, password) is None


def test_basic_authentication_is_understood(site):
    assert validated(site, basic("ada", PASSWORD)) == ["ada"]
    assert validated(site, basic("ada", "wrong password")) == []


def test_unknown_user_is_checked_against_a_hash_too(site, monkeypatch):
    checked = []
    monkeypatch.setattr(user_manager._remembered, "check", lambda stored, password: checked.append(stored))
    authenticate(site, "nobody", PASSWORD)
    authenticate(site, "ada", "wrong password")
    assert [stored[:11] for stored in checked] == [b"{BCRYPT}$2b", b"{BCRYPT}$2b"]
    assert checked[0] != checked[1]


def counting_bcrypt(monkeypatch):
    calls = []
    validate = user_manager.AuthEncoding.pw_validate
    monkeypatch.setattr(user_manager.AuthEncoding, "pw_validate", lambda *args: calls.append(args) or validate(*args))
    return calls


def test_right_password_asks_bcrypt_once_and_a_wrong_one_each_time(monkeypatch):
    calls = counting_bcrypt(monkeypatch)
    remembered, stored = RememberedPasswords(), hash_password(PASSWORD)
    assert [remembered.check(stored, PASSWORD) for _ in range(3)] == [True] * 3
    assert len(calls) == 1
    assert [remembered.check(stored, "wrong password") for _ in range(2)] == [False] * 2
    assert len(calls) == 3


def test_nothing_is_remembered_once_the_stored_hash_changes(monkeypatch):
    remembered = RememberedPasswords()
    assert remembered.check(hash_password(PASSWORD), PASSWORD)
    assert not remembered.check(hash_password("another one"), PASSWORD)


def test_remembered_password_is_forgotten_in_time_and_in_number(monkeypatch):
    calls = counting_bcrypt(monkeypatch)
    stored = hash_password(PASSWORD)
    at_once = RememberedPasswords(seconds=0)
    assert at_once.check(stored, PASSWORD)
    assert at_once.check(stored, PASSWORD)
    assert len(calls) == 2
    one = RememberedPasswords(length=1)
    other = hash_password("another one")
    for check in ((stored, PASSWORD), (other, "another one"), (stored, PASSWORD)):
        assert one.check(*check)
    assert len(calls) == 5


def test_login_through_two_connections_writes_nothing(lake):
    with lake.open("nobody") as site:
        assert validated(site, basic("ada", PASSWORD)) == ["ada"]
        assert not site._p_jar._registered_objects
        transaction.commit()


ADA = ("ada", "192.0.2.1")


def failing(waited, count=5):
    """Failures of ADA, with a clock of its own; `waited` collects the seconds that somebody waits."""
    now = [1000.0]
    failures = Failures(waited.append, lambda: now[0])
    for _ in range(count):
        failures.note(ADA, right=False)
    return failures, now


def test_who_guesses_waits_longer_each_time_and_up_to_two_seconds():
    waited = []
    failures, _ = failing(waited, 0)
    for _ in range(10):
        assert failures.admit(ADA)
        failures.note(ADA, right=False)
    assert waited == [0.25, 0.5, 1.0, 2.0, 2.0]


def test_others_and_other_addresses_do_not_wait():
    failures, _ = failing([])
    assert failures.delay(ADA) == 0.25
    assert failures.delay(("bob", ADA[1])) == failures.delay(("ada", "192.0.2.2")) == 0.0


def test_right_password_and_time_make_good_for_failures():
    failures, now = failing([])
    failures.note(ADA, right=True)
    assert failures.delay(ADA) == 0.0
    failures, now = failing([])
    now[0] += 301
    assert failures.delay(ADA) == 0.0
    failures.note(ADA, right=False)
    assert failures.delay(ADA) == 0.0


def test_only_so_many_wait_and_one_more_is_refused_at_once():
    refused = []

    def wait(delay):
        if len(refused) < WAITING:
            refused.append(failures.admit(ADA))

    failures = Failures(wait, lambda: 1000.0)
    for _ in range(5):
        failures.note(ADA, right=False)
    assert failures.admit(ADA)
    assert refused == [False, True, True, True]


def test_failures_are_forgotten_when_there_are_too_many():
    failures, _ = failing([])
    for number in range(FAILURES_LENGTH):
        failures.note((f"user {number}", ""), right=False)
    assert failures.delay(ADA) == 0.0


def test_password_that_was_right_lately_is_let_in_without_waiting(site, monkeypatch):
    waited = []
    monkeypatch.setattr(user_manager, "_failures", Failures(waited.append))
    assert authenticate(site, "ada", PASSWORD)
    for _ in range(6):
        assert authenticate(site, "ada", "wrong password") is None
    assert waited == [0.25]
    assert authenticate(site, "ada", PASSWORD)
    assert waited == [0.25]
