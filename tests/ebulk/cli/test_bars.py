import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from ebulk.cli.bars import BAR_FROM, Bars, shortened
from ebulk.cli.meter import Meter
from support.clock import Clock

MIB = 1 << 20
NAMES = [
    "subject 1/größe/a-scan-with-a-name-that-goes-on-and-on-and-on/t1.nii.gz",
    "データ/脳のスキャン画像その一/非常に長い名前のファイル.nii",
    "a.bin",
]


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def bars(clock):
    return Bars("Sending", Console(file=io.StringIO(), force_terminal=True, width=80), Meter(clock))


@pytest.fixture
def under_way(bars, clock):
    """12 files of 3 GiB, of which three large ones are in flight."""
    with bars:
        bars.expect(12, 3 << 30)
        bars.skip("small", 1000)
        for name in NAMES:
            bars.begin(name, 200 * MIB)
        bars.reuse(NAMES[0], 150 * MIB)
        clock.now = 10
        for name in NAMES:
            bars.advance(name, 20 * MIB)
        yield bars


def test_found_files_are_counted(bars):
    with bars:
        bars.stage("Scanning")
        assert list(bars.lines(80)) == ["Scanning…"]
        bars.found(12_000)
        assert list(bars.lines(80)) == ["Scanning…  12,000 files"]


def test_lines_show_all_and_each_large_file(under_way):
    assert list(under_way.lines(79)) == [
        "Sending 1/12  ━────────────────────  210.0 MiB of 3.0 GiB  6.0 MiB/s  7:57 left",
        "  …e-that-goes-on-and-on-and-on/t1.nii.gz  ━━━━━━━━━━━━━━──   85 % of 200.0 MiB",
        "  …像その一/非常に長い名前のファイル.nii   ━━──────────────   10 % of 200.0 MiB",
        "  a.bin                                    ━━──────────────   10 % of 200.0 MiB",
    ]


@pytest.mark.parametrize("width", [20, 30, 40, 50, 64, 80, 120])
def test_no_line_is_wider_than_the_terminal(under_way, width):
    assert [line for line in under_way.lines(width) if cell_len(line) > width] == []


def test_a_narrow_terminal_shows_a_percentage_instead_of_bar_and_sizes(under_way):
    assert next(iter(under_way.lines(49))) == "Sending 1/12  6 %  6.0 MiB/s  7:57 left"


def test_where_nobody_knows_how_much_there_is_what_came_is_shown(bars, clock):
    with bars:
        bars.expect(1, 0)
        clock.now = 10
        bars.advance("hour.jsonl", 20 * MIB)
        assert list(bars.lines(79)) == ["Sending 0/1  20.0 MiB  2.0 MiB/s"]


def test_small_files_and_those_that_are_done_have_no_bar(under_way):
    under_way.begin("small too", BAR_FROM - 1)
    for name in NAMES:
        under_way.done(name)
    assert [line.split("  ")[0] for line in under_way.lines(80)] == ["Sending 4/12"]


def test_a_terminal_that_knows_only_ascii_is_shown_ascii(under_way):
    console = Console(file=io.TextIOWrapper(io.BytesIO(), encoding="ascii"), force_terminal=True, width=80)
    console.print(under_way)
    console.file.flush()
    lines = console.file.buffer.getvalue().decode("ascii").splitlines()
    assert lines[0] == "Sending 1/12  #------------------  210.0 MiB of 3.0 GiB  6.0 MiB/s  7:57 left"
    assert max(map(len, lines)) <= 80 - len("^C") - 1  # which a terminal shows behind the last line
    assert lines[2].startswith("  ~????/????")


def test_notes_stay_above_the_bars(under_way):
    under_way.note("The connection broke; trying again in 1 s.")
    assert "ebulk: The connection broke; trying again in 1 s.\n" in under_way._console.file.getvalue()


@pytest.mark.parametrize(
    ("name", "width", "text"),
    [("short", 5, "short"), ("longer", 5, "…nger"), ("日本語", 5, "…本語"), ("日本語", 4, "…語"), ("é" * 9, 3, "…éé")],
)
def test_names_are_shortened_to_columns(name, width, text):
    assert shortened(name, width) == text
