"""The page at the address of the site: what it says, to whom, and how it looks where there is little to look at."""

from __future__ import annotations

import http.client
import re
import shutil
import subprocess

import pytest
import transaction

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@pytest.mark.parametrize("user", [None, "ada"])
def test_front_page_says_what_this_is_and_how_to_get_at_it(server, user):
    answer = server.request("GET", server.portal, user=user)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    text = " ".join(re.sub("<[^>]*>", " ", answer.body.decode().partition("<body>")[2]).split())
    assert text == (
        f"This is a data lake. To push and pull data sets: ebulk login {server.portal}"
        f" For programs: {server.portal}/api/v1/"
    )
    assert f'<a href="{server.portal}/api/v1/">' in answer.body.decode()


def test_front_page_has_the_site_s_title(server):
    with server.lake.open("system") as site:
        site.title = "Brains & <more>"
        transaction.commit()
    assert "<title>Brains &amp; &lt;more&gt;</title>" in server.request("GET", server.portal, user=None).body.decode()


def test_page_and_style_run_no_scripts_and_stay_out_of_other_sites_frames(server):
    for path in ("", "/front.css"):
        headers = server.request("GET", server.portal + path, user=None).headers
        assert headers["Content-Security-Policy"] == POLICY
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
    assert "<script" not in server.request("GET", server.portal, user=None).body.decode()


def test_style_is_the_skins_and_an_administrator_can_have_another(server):
    link = re.search('<link rel="stylesheet" href="([^"]*)"', server.request("GET", server.portal).body.decode())
    answer = server.request("GET", link[1], user=None)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/css; charset=utf-8")
    assert b"max-width" in answer.body
    with server.lake.open("system") as site:
        site.portal_skins.custom.manage_addFile("erp5_wendelin_data_lake.css", file=b"h1 { color: red }")
        transaction.commit()
    assert server.request("GET", link[1], user=None).body == b"h1 { color: red }"


def test_address_that_the_page_shows_is_escaped(server):
    connection = http.client.HTTPConnection(server.host, server.port, timeout=60)
    connection.request("GET", "/erp5", headers={"Host": 'a"><b>'})
    body = connection.getresponse().read().decode()
    connection.close()
    assert "<b>" not in body


def test_site_without_the_page_has_nothing_there(server):
    with server.lake.open("system") as site:
        site.portal_skins.manage_delObjects(["erp5_wendelin_data_lake_ui"])
        transaction.commit()
    for path in ("", "/front.css"):
        answer = server.request("GET", server.portal + path, user=None)
        assert answer.status == 404
        assert b"There is nothing at this address." in answer.body


def test_page_can_be_read_in_a_text_browser(server):
    if shutil.which("lynx") is None:
        pytest.skip("lynx is not installed")
    done = subprocess.run(
        ["lynx", "-dump", "-nolist", "-width=100", server.portal],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert [line.strip() for line in done.stdout.splitlines() if line.strip()] == [
        "This is a data lake.",
        "To push and pull data sets:",
        f"ebulk login {server.portal}",
        "For programs:",
        f"{server.portal}/api/v1/",
    ]
