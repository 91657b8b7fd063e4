"""`python -m bench ingest`: chunks a second that an ingestion policy takes in, one client, each chunk committed.

In the process: through the policy's scripts, beside a bare `appendData` and commit, in turns. Over HTTP: one connection
to a server, one request a chunk. Rates are medians of the rounds.
"""

from __future__ import annotations

import argparse
import http.client
import statistics
import tempfile
import time
from base64 import b64encode
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import transaction

from bench.lake import USER, Lake, lake
from Products.ERP5Wendelin.content.site import SITE, enter_site
from Products.ERP5Wendelin.ingestion.policy import ingest
from Products.ERP5Wendelin.portal.instance import find, perform

SIZES = {"1 KiB": 1 << 10, "1 MiB": 1 << 20}
ROUNDS = 5
TAG = "bench.chunk"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it and print a table."""
    parser = argparse.ArgumentParser(prog="bench ingest", description=__doc__)
    parser.add_argument("--home", type=Path, help="work in this folder (some GiB)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each round")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=options.home, prefix="bench-") as home:
        with lake(Path(home) / "lake") as running:
            over_http = {name: rate_over_http(running, size, options.seconds) for name, size in SIZES.items()}
        instance = find(Path(home) / "lake" / "instance")
        bare, policy = perform(instance, partial(rates_in_process, seconds=options.seconds))
    print(f"{'chunks a second':<20}{'appendData':>12}{'policy':>12}{'ratio':>8}{'HTTP':>12}")
    for name in SIZES:
        ratio = policy[name] / bare[name]
        print(f"{name:<20}{bare[name]:12.0f}{policy[name]:12.0f}{ratio:8.2f}{over_http[name]:12.0f}")
    return 0


def rates_in_process(app: Any, seconds: float) -> tuple[dict[str, float], dict[str, float]]:
    """Chunks a second of each size: appended to the stream, and taken in by the policy."""
    site = enter_site(app, SITE)
    policy = site.portal_ingestion_policies["default"]
    stream = site.portal_catalog.getResultValue(portal_type="Data Stream", reference=TAG)
    bare, through_policy = {}, {}
    for name, size in SIZES.items():
        chunk = bytes(size)
        append, take_in = partial(stream.appendData, chunk), partial(ingest, policy, TAG, chunk)
        rounds = [(rate(append, seconds), rate(take_in, seconds)) for _ in range(ROUNDS)]
        bare[name], through_policy[name] = map(statistics.median, zip(*rounds, strict=True))
    return bare, through_policy


def rate(function: Callable[[], Any], seconds: float) -> float:
    """How often a second it is called and committed."""
    count, begin = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - begin) < seconds:
        function()
        transaction.commit()
        count += 1
    return count / elapsed


def rate_over_http(running: Lake, size: int, seconds: float) -> float:
    """Chunks of a size a second, posted on one connection."""
    url = urlsplit(running.url)
    credentials = b64encode(f"{USER}:{running.password}".encode()).decode()
    path = f"{url.path}/portal_ingestion_policies/default/ingest?reference={TAG}"
    connection = http.client.HTTPConnection(url.netloc)

    def post() -> None:
        headers = {"Authorization": f"Basic {credentials}", "Content-Type": "application/octet-stream"}
        connection.request("POST", path, bytes(size), headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status != http.client.NO_CONTENT:
            raise RuntimeError(f"the lake answered {answer.status} to a chunk")

    post()  # begins the ingestion, and finds the password right once
    rounds = [rate(post, seconds) for _ in range(ROUNDS)]
    connection.close()
    return statistics.median(rounds)
