import pytest

from ebulk.errors import EbulkError, NetworkError, NotAuthorisedError
from ebulk.local.credentials import Credentials
from ebulk.remote.credentials import Basic, Bearer
from ebulk.remote.lake import Lake
from ebulk.verbs.login import login, logout
from support.lake import PASSWORD


def make_lake(url, credentials):
    return Lake(url, credentials, retry_max_time=0)


@pytest.fixture
def store(tmp_path):
    return Credentials(tmp_path / "config", lambda: None)


def titles(url):
    lake = Lake(url, Basic("bob", PASSWORD))
    return [token["title"] for token in lake._get("/tokens")["items"]]


def test_a_password_is_exchanged_for_a_token(served, store):
    made = login(make_lake, store, served.url + "/", "bob", PASSWORD, "laptop")
    assert (made.url, made.user) == (served.url, "bob")
    assert store.get(served.url) == made
    assert PASSWORD not in store.path.read_text()
    assert make_lake(served.url, Bearer(made.token)).user().name == "bob"


def test_a_wrong_password_stores_nothing(served, store):
    with pytest.raises(NotAuthorisedError):
        login(make_lake, store, served.url, "bob", "wrong", "laptop")
    assert not store.path.exists()


def test_a_second_login_replaces_the_token(served, store):
    first = login(make_lake, store, served.url, "bob", PASSWORD, "replaced")
    second = login(make_lake, store, served.url, "bob", PASSWORD, "replacing")
    assert store.get(served.url) == second
    with pytest.raises(NotAuthorisedError):
        make_lake(served.url, Bearer(first.token)).user()


def test_logging_out_makes_the_token_invalid(served, store):
    made = login(make_lake, store, served.url, "bob", PASSWORD, "to be removed")
    assert "to be removed" in titles(served.url)
    assert logout(make_lake, store, served.url)
    assert store.get(served.url) is None
    assert "to be removed" not in titles(served.url)
    with pytest.raises(NotAuthorisedError):
        make_lake(served.url, Bearer(made.token)).user()


def test_logging_out_of_a_lake_that_is_gone_forgets_the_token(served, store):
    login(make_lake, store, served.url, "bob", PASSWORD, "laptop")

    def unreachable(url, credentials):
        return Lake("http://127.0.0.1:9/erp5", credentials, retry_max_time=0)

    assert not logout(unreachable, store, served.url)
    assert store.get(served.url) is None


def test_logging_out_without_a_login_is_an_error(store):
    with pytest.raises(EbulkError) as caught:
        logout(make_lake, store, "http://never")
    assert str(caught.value) == "You are not logged in to http://never."
    assert caught.value.hint == "`ebulk config` lists the lakes that you are logged in to."


def test_a_lake_that_is_not_there_is_a_network_error(store):
    with pytest.raises(NetworkError):
        login(make_lake, store, "http://127.0.0.1:9/erp5", "bob", PASSWORD, "laptop")
    assert not store.path.exists()
