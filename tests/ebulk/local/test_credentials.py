import json

import pytest

from ebulk.errors import EbulkError
from ebulk.local.credentials import Credentials, Login, system_keyring

ADA = Login("http://lake/erp5", "ada", "id1", "secret")


class Keyring:
    """A keyring that works."""

    def __init__(self):
        self.passwords = {}

    def get_password(self, service, name):
        return self.passwords.get((service, name))

    def set_password(self, service, name, password):
        self.passwords[service, name] = password

    def delete_password(self, service, name):
        del self.passwords[service, name]


class Locked(Keyring):
    """A keyring that does not."""

    def set_password(self, service, name, password):
        raise RuntimeError("The keyring is locked.")


def store_in(home, keyring=None):
    return Credentials(home, lambda: keyring)


def test_a_login_is_remembered_for_the_user_only(tmp_path):
    store_in(tmp_path / "config").store(ADA)
    path = tmp_path / "config" / "credentials.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert store_in(tmp_path / "config").get(ADA.url) == ADA


def test_the_last_login_is_the_default(tmp_path):
    store = store_in(tmp_path)
    assert (store.default_url, store.get(ADA.url), store.logins()) == (None, None, [])
    store.store(ADA)
    store.store(Login("http://other", "bob", "id2", "x"))
    assert store.default_url == "http://other"
    assert store.logins() == [(ADA.url, "ada"), ("http://other", "bob")]


def test_a_login_is_forgotten(tmp_path):
    store = store_in(tmp_path)
    store.store(Login("http://other", "bob", "id2", "x"))
    store.store(ADA)
    store.remove(ADA.url)
    store.remove("http://never")
    assert store.get(ADA.url) is None
    assert store.default_url == "http://other"
    assert "secret" not in store.path.read_text()


def test_the_token_is_in_the_keyring_where_there_is_one(tmp_path):
    keyring = Keyring()
    store = store_in(tmp_path, keyring)
    store.store(ADA)
    assert "secret" not in store.path.read_text()
    assert store.get(ADA.url) == ADA
    assert store_in(tmp_path).get(ADA.url) is None
    store.remove(ADA.url)
    assert keyring.passwords == {}


def test_the_file_does_where_the_keyring_is_locked(tmp_path):
    store = store_in(tmp_path, Locked())
    store.store(ADA)
    assert store_in(tmp_path).get(ADA.url) == ADA


def test_a_damaged_file_is_reported(tmp_path):
    (tmp_path / "credentials.json").write_text("{")
    with pytest.raises(EbulkError) as caught:
        store_in(tmp_path).get(ADA.url)
    assert str(caught.value) == f"{tmp_path}/credentials.json is damaged."
    assert caught.value.hint == "Remove it, then log in again."


def test_a_file_of_another_ebulk_is_reported(tmp_path):
    (tmp_path / "credentials.json").write_text(json.dumps({"format": 2}))
    with pytest.raises(EbulkError) as caught:
        store_in(tmp_path).get(ADA.url)
    assert str(caught.value) == f"{tmp_path}/credentials.json was written by another ebulk."
    assert caught.value.hint == "Update ebulk, or remove it and log in again."


def test_a_broken_keyring_package_counts_as_none(tmp_path, monkeypatch):
    (tmp_path / "keyring.py").write_text("raise RuntimeError('no desktop')")
    monkeypatch.syspath_prepend(tmp_path)
    assert system_keyring() is None
