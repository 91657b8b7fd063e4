"""Workers, servers and processes that are killed while analyses run: what comes out is exact."""

from __future__ import annotations

import json
import signal
import urllib.request
from base64 import b64encode
from pathlib import Path

import pytest

from support.lake import PASSWORD, ServedLake, served_lake
from support.worker import command_of, shell, until, working

NAMES = ("a", "b", "c")
SIZE = 60_000
STEP = 2_000

SUM = f"""\
progress, stream, array = in_stream["Progress Indicator"], in_stream["Data Stream"], out_array["Data Array"]
start, size, half = progress.getIntOffsetIndex(), stream.getSize(), {SIZE // 2}
is_open = context.getPortalObject().data_product_module.counts.getTitle() == "open"
end = min(start + {STEP}, size if is_open else half)
if array.getArray() is None:
    array.initArray((2,), "int64")
sums = array.getArray()
sums[0] = sums[0] + sum(stream.getData()[start:end])
sums[1] = sums[1] + end - start
progress.setIntOffsetIndex(end)
return int(end < size)
"""
"""Adds the bytes of a stream, and counts them, some a call. In the middle it is called again and again until opened."""

PREPARE = """
from support.analyses import ingest, prepare, transform
prepare(portal, {script!r}, "system")
for number, name in enumerate({names!r}):
    ingest(portal, bytes((each * (number + 3)) % 251 for each in range({size})), user="system", reference=name)
transform(portal, "system", progress=True)
"""

OPEN = "portal.data_product_module.counts.setTitle('open'); commit()"

RESULTS = """
import json
found = portal.data_analysis_module.objectValues()
arrays = [line.getAggregateValue(portal_type="Data Array") for each in found for line in each.objectValues()]
print(json.dumps({each.getReference(): each.getArraySlice(0, 2).tolist() for each in arrays if each is not None}))
"""


def content(number: int) -> bytes:
    """What the stream of a name has."""
    return bytes((each * (number + 3)) % 251 for each in range(SIZE))


@pytest.fixture
def lake(tmp_path: Path):
    """A served lake with a planned analysis of each name."""
    with served_lake(tmp_path) as lake:
        shell(lake.directory, PREPARE.format(script=SUM, names=NAMES, size=SIZE))
        yield lake


def analyses(lake: ServedLake) -> list[dict[str, object]]:
    """What the API says of them."""
    request = urllib.request.Request(f"{lake.url}/api/v1/analyses")
    request.add_header("Authorization", f"Basic {b64encode(f'admin:{PASSWORD}'.encode()).decode()}")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["items"]


def are_in_the_middle(lake: ServedLake) -> bool:
    """Whether each was run up to where its script waits."""
    found = analyses(lake)
    return len(found) == len(NAMES) and all(each["progress"]["done"] == SIZE // 2 for each in found)


def test_workers_and_servers_are_killed_and_nothing_is_done_twice_or_left_out(lake: ServedLake) -> None:
    with working(lake.directory, "--jobs", "2") as first, working(lake.directory, "--jobs", "1") as second:
        until(lambda: are_in_the_middle(lake), "half of the analyses")

        # a process that its script ends is replaced, and the analysis run again
        process, said = first.end_a_process(signal.SIGSEGV)
        assert "Its process was ended by SIGSEGV: it touched memory" in said
        until(lambda: process not in first.children() and len(first.children()) == 2, "another process")

        # with a worker its processes end, and what they ran is taken over
        orphans = second.children()
        second.kill()
        until(lambda: not any(map(command_of, orphans)), "the end of the processes")

        # the worker has the file open while nobody serves, and goes on with the server that is started then
        lake.kill()
        shell(lake.directory, OPEN)
        lake.start()
        until(lambda: all(each["progress"]["done"] == SIZE for each in analyses(lake)), "the end of all analyses")
        until(lambda: not any(each["active"] for each in analyses(lake)), "the end of all runs")
        assert {each["state"] for each in analyses(lake)} == {"started"}
        assert [each["failures"] for each in analyses(lake)] == [0, 0, 0]
        expected = {f"Count-out_array-{name}": [sum(content(number)), SIZE] for number, name in enumerate(NAMES)}
        assert json.loads(shell(lake.directory, RESULTS)) == expected

        assert first.stop() == 0
