"""The Forward server in a thread, and what is asked of the site before it listens."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Sequence

import pytest

from Products.ERP5Wendelin.errors import Conflict, NotFound, WendelinError
from Products.ERP5Wendelin.ingestion.batch import BatchWriter, Sent
from Products.ERP5Wendelin.ingestion.forward.settings import Settings
from Products.ERP5Wendelin.portal.fluentd import FluentdThread, Listening, check_site
from support.forward import Client, Keeper, entries
from support.site import Lake

TIMEOUT = 60


def listening(**settings: object) -> Listening:
    return Listening("127.0.0.1", 0, Settings(**settings))


def address_of(url: str) -> tuple[str, int]:
    host, _, port = url.removeprefix("tcp://").rpartition(":")
    return host.strip("[]"), int(port)


def test_what_is_sent_is_in_the_stream_of_its_tag_once_it_is_acknowledged(lake: Lake) -> None:
    thread = FluentdThread(BatchWriter(lake.db), listening())
    url = thread.start()
    with Client(address_of(url)) as client:
        client.send(["wind", entries(3), {"chunk": "a"}], ["wind", entries(2), {"chunk": "b"}])
        assert client.acknowledged(2) == ["a", "b"]
    assert thread.stop(TIMEOUT)
    with lake.open("ada") as site:
        stream = site.data_ingestion_module.getSink("Data Stream", "wind")
        assert stream.getData() == entries(3) + entries(2)


def test_the_address_is_a_url_also_in_ipv6() -> None:
    thread = FluentdThread(Keeper(), Listening("::1", 0, Settings()))
    try:
        url = thread.start()
    except Conflict as error:
        pytest.skip(f"no IPv6 here: {error}")
    assert url.startswith("tcp://[::1]:")
    Client(address_of(url)).__exit__()
    assert thread.stop(TIMEOUT)


def test_a_port_in_use_is_an_error_and_leaves_no_thread() -> None:
    first = FluentdThread(Keeper(), listening())
    host, port = address_of(first.start())
    before = threading.active_count()
    with pytest.raises(Conflict) as caught:
        FluentdThread(Keeper(), Listening(host, port, Settings())).start()
    assert str(caught.value) == (
        f"Cannot listen on {host}:{port} (TCP, and UDP for heartbeats): Address already in use. "
        "Stop what uses it, or choose another."
    )
    assert threading.active_count() == before
    assert first.stop(TIMEOUT)


def test_a_stop_waits_for_the_storage_only_for_so_long(caplog: pytest.LogCaptureFixture) -> None:
    begun, done = threading.Event(), threading.Event()

    class SlowWriter(Keeper):
        def write(self, sent: Sequence[Sent], batch: bytes | None = None) -> list[WendelinError | None]:
            begun.set()
            assert done.wait(TIMEOUT)
            return super().write(sent, batch)

    thread = FluentdThread(SlowWriter(), listening())
    with Client(address_of(thread.start())) as client:
        client.send(["tag", entries(1), {"chunk": "a"}])
        assert begun.wait(TIMEOUT)
        assert not thread.stop(0.1)
        assert caplog.messages == ["what agents sent could not be committed in 0.1 seconds: they have to send it again"]
        done.set()
        assert thread.stop(TIMEOUT)
        assert client.acknowledged(1) == ["a"]


def test_a_policy_that_is_not_there_is_refused_with_those_that_are(lake: Lake) -> None:
    with pytest.raises(NotFound) as caught:
        check_site(lake.db, Settings(policy="nope"))
    assert str(caught.value) == (
        "There is no Ingestion Policy 'nope'. There are: default, default_ebulk, wendelin_embulk."
    )


@pytest.mark.parametrize(
    "settings",
    [Settings(user="bob"), Settings(shared_key="key", users={"ada": "x", "bob": "y"})],
    ids=["user", "users"],
)
def test_a_user_who_is_not_there_is_refused_with_how_to_add_them(settings: Settings, lake: Lake) -> None:
    with pytest.raises(NotFound) as caught:
        check_site(lake.db, settings)
    assert str(caught.value) == (
        "There is no user 'bob' in the lake, with whose rights data is to come in. "
        "Add one with: wendelin user add DIR bob --role contributor"
    )


def test_a_user_who_may_not_send_is_named_in_the_log(lake: Lake, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    check_site(lake.db, Settings(shared_key="key", users={"ada": "x", "dan": "y", "boss": "z"}))
    assert caplog.messages == ["what dan sends will be refused: it takes the role of contributor"]


def test_a_process_whose_thread_is_stuck_can_end() -> None:
    script = """
import subprocess
import sys
import threading
from Products.ERP5Wendelin.portal.fluentd import end_at_once
threading.Thread(target=threading.Event().wait).start()
end_at_once()
"""
    assert subprocess.run([sys.executable, "-c", script], timeout=TIMEOUT, check=False).returncode == 1
