"""Who asks: passwords, tokens, nobody."""

from __future__ import annotations

import pytest
import transaction

from support.http_server import basic
from support.scripts import add_script

CHALLENGE = 'Basic realm="Wendelin", charset="UTF-8"'
WRONG = "The user name and password, or the token, are wrong. Check them and try again."


@pytest.mark.parametrize(
    "credentials",
    [
        basic("ada", "wrong"),
        basic("nobody", "correct horse"),
        basic("nobody", ""),
        "Bearer wendelin_wrong",
        "Bearer ",
        "Basic !",
        "Basic",
        "Digest username=ada",
        "\xff",
    ],
)
@pytest.mark.parametrize("path", ["/", "/user", "/data-sets", "/nothing"])
def test_wrong_credentials_are_401_everywhere(server, credentials, path):
    answer = server.request("GET", path, headers={"Authorization": credentials}, user=None)
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == CHALLENGE
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.data["detail"] == WRONG


@pytest.mark.parametrize(("method", "path"), [("GET", "/user"), ("GET", "/tokens"), ("PUT", "/data-sets/brain")])
def test_anonymous_is_asked_to_log_in_where_a_right_is_missing(server, method, path):
    answer = server.request(method, path, user=None)
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, CHALLENGE)
    assert answer.data["detail"] == "Log in first: this takes a right that you do not have without an account."


def test_browser_is_not_sent_to_a_login_page(server):
    answer = server.request("GET", "/user", headers={"Accept": "text/html"}, user=None)
    assert (answer.status, answer.headers["Location"]) == (401, None)


@pytest.mark.parametrize(("user", "role"), [("ada", "Contributor"), ("dan", "Downloader"), ("boss", "Manager")])
def test_user_has_name_and_roles(server, user, role):
    assert server.request("GET", "/user", user=user).data == {"name": user, "roles": [role]}


def test_token_acts_as_who_made_it_until_it_is_removed(server):
    made = server.request("POST", "/tokens", {"title": "laptop"})
    assert made.status == 201
    token = made.data
    assert sorted(token) == ["created", "id", "title", "token"]
    assert server.request("GET", "/user", token=token["token"]).data["name"] == "ada"
    assert server.request("DELETE", made.headers["Location"], token=token["token"]).status == 204
    assert server.request("GET", "/user", token=token["token"]).status == 401


def test_tokens_are_listed_without_the_secret(server):
    made = server.request("POST", "/tokens", {"title": "laptop"}).data
    listed = server.request("GET", "/tokens").data
    assert listed == {
        "items": [{"id": made["id"], "title": "laptop", "created": made["created"], "used": None}],
        "next": None,
    }
    server.request("GET", "/", token=made["token"])
    (used,) = server.request("GET", "/tokens").data["items"]
    assert used["used"] == made["created"][:10]


def test_tokens_come_in_pages(server):
    for title in "abc":
        server.request("POST", "/tokens", {"title": title})
    first = server.request("GET", "/tokens?limit=2").data
    second = server.request("GET", f"/tokens?limit=2&cursor={first['next']}").data
    assert sorted(token["title"] for token in first["items"] + second["items"]) == ["a", "b", "c"]
    assert second["next"] is None


def test_token_of_another_user_is_404(server):
    made = server.request("POST", "/tokens", {"title": "laptop"})
    answer = server.request("DELETE", made.headers["Location"], user="eve")
    assert (answer.status, answer.data["detail"]) == (404, f"You have no token '{made.data['id']}'.")
    assert server.request("GET", "/tokens", user="eve").data["items"] == []


def test_token_without_a_title_is_400(server):
    answer = server.request("POST", "/tokens", {})
    assert answer.status == 400
    assert answer.data["detail"] == "A token needs a title, of at most 200 characters, that says what it is for."


def test_cookies_are_not_credentials(server):
    answer = server.request("GET", "/user", headers={"Cookie": "__ac=YWRhOmNvcnJlY3QgaG9yc2U="}, user=None)
    assert answer.status == 401


def test_script_does_not_see_the_password_of_who_calls_it(server):
    with server.lake.open("boss") as site:
        body = "request = context.REQUEST\nreturn '%s %s %s' % (request['wendelin.target'], request, request.environ)"
        add_script(site, "ERP5Site_getIngestionConstantsJson", body)
        transaction.commit()
    shown = server.request("GET", f"{server.portal}/ERP5Site_getIngestionConstantsJson").body
    assert b"has_credentials=True" in shown
    assert basic("ada", "correct horse").encode().removeprefix(b"Basic ") not in shown
