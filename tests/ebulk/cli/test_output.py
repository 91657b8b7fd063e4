import pytest

from ebulk.cli import progress
from ebulk.cli.output import Output, count_text, duration_text, size_text
from ebulk.errors import ConflictError, NetworkError


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (1023, "1023 bytes"),
        (1024, "1.0 KiB"),
        (5 << 30, "5.0 GiB"),
        (1 << 70, "1048576.0 PiB"),
    ],
)
def test_sizes_are_read_by_people(size, text):
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (59.9, "59.9 s"), (185, "3 min 5 s"), (7620, "2 h 7 min")]
)
def test_durations_are_read_by_people(seconds, text):
    assert duration_text(seconds) == text


def test_counts_have_their_noun():
    assert [count_text(count) for count in (0, 1, 2000)] == ["0 files", "1 file", "2,000 files"]


def test_an_error_is_a_line_and_a_hint_on_stderr(capsys):
    Output(json=False, quiet=True).error(NetworkError("The lake is gone.", "Run it again."))
    assert capsys.readouterr() == ("", "ebulk: The lake is gone.\n       Run it again.\n")


def test_an_error_is_a_document_for_programs(capsys):
    Output(json=True, quiet=False).error(ConflictError("Both changed.", "", ("é",)))
    assert capsys.readouterr().out == '{"error": "Both changed.", "hint": "", "exit_code": 5, "paths": ["é"]}\n'


def test_without_a_terminal_a_line_is_printed_now_and_then(capsys, monkeypatch):
    monkeypatch.setattr(progress, "LINES_EVERY", 0)
    with progress.make_display(Output(json=False, quiet=False), "Sending") as display:
        display.stage("Scanning")
        display.expect(3, 3072)
        display.skip("a", 1024)
        display.begin("b", 1024)
        display.advance("b", 512)
        display.done("b")
        display.note("The connection broke.")
    assert capsys.readouterr() == ("", "Sending: 1 of 3 files, 1.5 KiB of 3.0 KiB\nebulk: The connection broke.\n")


def test_a_line_names_only_what_came_where_nobody_knows_how_much_there_is(capsys, monkeypatch):
    monkeypatch.setattr(progress, "LINES_EVERY", 0)
    with progress.make_display(Output(json=False, quiet=False), "Receiving") as display:
        display.expect(1, 0)
        display.advance("hour.jsonl", 512)
    assert capsys.readouterr() == ("", "Receiving: 0 of 1 file, 512 bytes\n")


@pytest.mark.parametrize("output", [Output(json=True, quiet=False), Output(json=False, quiet=True)])
def test_programs_and_the_quiet_are_shown_no_progress(output, capsys):
    with progress.make_display(output, "Sending") as display:
        display.expect(1, 1)
        display.advance("a", 1)
        display.note("The connection broke.")
    assert capsys.readouterr() == ("", "")


def test_a_terminal_is_shown_how_many_files_were_found_so_far(capsys, monkeypatch):
    monkeypatch.setattr(progress, "COUNTED_EVERY", 0)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with progress.make_counter(Output(json=False, quiet=False)) as display:
        display.stage("Scanning")
        display.found(1000)
        display.found(2000)
    assert capsys.readouterr().err == "\r\x1b[KScanning:  1,000 files\r\x1b[KScanning:  2,000 files\r\x1b[K"


def test_a_count_that_takes_no_time_is_not_shown(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with progress.make_counter(Output(json=False, quiet=False)) as display:
        display.stage("Scanning")
        display.found(1000)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("json", "quiet", "terminal"), [(True, False, True), (False, True, True), (False, False, False)]
)
def test_programs_and_logs_are_shown_no_count(capsys, monkeypatch, json, quiet, terminal):
    monkeypatch.setattr(progress, "COUNTED_EVERY", 0)
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    with progress.make_counter(Output(json=json, quiet=quiet)) as display:
        display.found(1000)
    assert capsys.readouterr().err == ""
