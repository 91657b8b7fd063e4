"""`wendelin run`: a script with the site at hand, how it ends, and what is said of it."""

from __future__ import annotations

import io
import re
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
import transaction

from Products.ERP5Wendelin.compute.batch import Batch
from Products.ERP5Wendelin.compute.loop import Status
from Products.ERP5Wendelin.errors import BadInput, Conflict
from Products.ERP5Wendelin.portal import memory_limit
from Products.ERP5Wendelin.portal.command import main, make_parser
from Products.ERP5Wendelin.portal.command_run import ScriptRun, how_to_install
from Products.ERP5Wendelin.portal.memory_limit import Exceeded, limit_memory
from Products.ERP5Wendelin.portal.progress_line import ProgressLine, duration, line_of, quantity
from Products.ERP5Wendelin.portal.session import Session
from Products.ERP5Wendelin.protocol import MIB
from Products.ERP5Wendelin.storage.process import Resident
from support.site import Lake

Run = Callable[..., int]

LOOP = "for block in batch.iterate(portal.data_array_module.readings, rows=100, every=2):\n    "


@pytest.fixture
def site(lake: Lake) -> Iterator[Any]:
    with lake.open("system") as site:
        site.data_array_module.newContent(id="readings", reference="readings").initArray((1000,), "i8")[:] = 1
        transaction.commit()
        yield site


@pytest.fixture
def run(site: Any, tmp_path: Path) -> Run:
    """Runs a script, in this process, and returns its exit code."""

    def run(source: str, *arguments: str, limit: int | None = None, debug: bool = False) -> int:
        script = tmp_path / "script.py"
        script.write_text(source)
        line = ProgressLine(sys.stderr)
        batch = Batch(site, "script.py", observe=line.show)
        try:
            session = Session(site.aq_parent, debug)
            ScriptRun(session, batch, line, limit).run(script.read_bytes(), str(script), list(arguments))
        except SystemExit as end:
            return end.code
        return 0

    return run


def indicator(site: Any) -> Any:
    return site.progress_indicator_module.getProgressIndicator("script.py")


# the command line


@pytest.mark.parametrize(
    ("words", "script"),
    [
        ("DIR mean.py", []),
        ("--name n DIR mean.py a --user b -- c", ["a", "--user", "b", "--", "c"]),
        ("DIR --name n mean.py --name x", ["--name", "x"]),
        ("--from-start --name n --user u --memory-limit 1G DIR mean.py -h", ["-h"]),
    ],
)
def test_options_stand_before_the_script_and_what_follows_it_is_the_scripts(words: str, script: list[str]) -> None:
    arguments = make_parser().parse_args(["run", *words.split()])
    assert (arguments.directory, arguments.script, arguments.arguments) == ("DIR", "mean.py", script)
    assert arguments.name == ("n" if "--name n" in words else None)
    assert arguments.from_start == ("--from-start" in words)


def test_without_a_script_no_arguments_of_one_are_missing(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        make_parser().parse_args(["run", "DIR"])
    assert capsys.readouterr().err.endswith("wendelin run: error: the following arguments are required: SCRIPT\n")


def test_what_is_no_instance_and_no_script_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(tmp_path), "script.py"]) == 1
    assert capsys.readouterr().err == (
        f"wendelin: {tmp_path} is not an instance. Make one with: wendelin init {tmp_path}\n"
    )
    (tmp_path / "script.py").touch()
    assert main(["run", str(tmp_path / "script.py"), str(tmp_path)]) == 1
    assert capsys.readouterr().err == (
        f"wendelin: {tmp_path}/script.py is a file, where the folder of an instance is to be named.\n"
    )
    (tmp_path / "script.py").unlink()
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "zope.conf").touch()
    assert main(["run", str(tmp_path), str(tmp_path / "script.py")]) == 1
    assert capsys.readouterr().err == f"wendelin: {tmp_path}/script.py: No such file or directory\n"
    (tmp_path / "script.py").touch()
    with pytest.raises(SystemExit) as caught:
        main(["run", "--memory-limit", "lots", str(tmp_path), str(tmp_path / "script.py")])
    assert caught.value.code == 2
    assert capsys.readouterr().err.endswith(
        "wendelin run: error: argument --memory-limit: 'lots' is no size, such as 512M or 2GiB\n"
    )


# how scripts are run


def test_a_script_finds_the_site_its_arguments_and_its_folder(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "beside_it.py").write_text("ANSWER = 42\n")
    before = sys.argv, sys.path
    code = run(
        "import sys\nfrom beside_it import ANSWER\n"
        "print(context is portal, app.erp5.getId(), transaction.get().status, __name__, ANSWER)\n"
        "print(sys.argv[0] == __file__, sys.argv[1:], batch.name, batch.resumed, commit.__name__, abort.__name__)\n",
        "--all",
        "x y",
    )
    assert (code, capsys.readouterr()) == (
        0,
        ("True erp5 Active __main__ 42\nTrue ['--all', 'x y'] script.py False commit abort\n", ""),
    )
    assert (sys.argv, sys.path) == before


@pytest.mark.parametrize("end", ["", "exit()", "import sys; sys.exit(0)"])
def test_what_a_script_changes_is_committed_at_its_end(site: Any, run: Run, end: str) -> None:
    assert run(f"portal.data_array_module.readings.setTitle('kept')\n{end}\n") == 0
    transaction.abort()
    assert site.data_array_module.readings.getTitle() == "kept"


def test_one_that_says_by_its_exit_code_that_it_failed_changes_nothing(site: Any, run: Run) -> None:
    assert run(f"{LOOP}pass\nportal.data_array_module.readings.setTitle('lost')\nexit(3)\n") == 3
    assert site.data_array_module.readings.getTitle() == ""
    assert (indicator(site).getProgressState(), indicator(site).getErrorText()) == ("failed", "It ended with 3.")


def test_one_that_fails_changes_nothing_and_is_shown_with_its_own_lines(
    site: Any, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("def f():\n    return {}['x']\nportal.data_array_module.readings.setTitle('lost')\nf()\n") == 1
    assert capsys.readouterr().err == (
        "Traceback (most recent call last):\n"
        f'  File "{tmp_path}/script.py", line 4, in <module>\n    f()\n'
        f"  File \"{tmp_path}/script.py\", line 2, in f\n    return {{}}['x']\n"
        "KeyError: 'x'\n"
        "wendelin: the script has failed.\n"
    )
    assert site.data_array_module.readings.getTitle() == ""
    assert run("import json\n1 / 0", debug=True) == 1
    assert "session.py" in capsys.readouterr().err


def test_one_that_fails_in_a_loop_says_where_and_goes_on_there(
    site: Any, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(f"{LOOP}print(block.start, 1 / (500 - block.start))\n") == 1
    shown = capsys.readouterr()
    message = (
        "the script has failed; its last block was rows 500 to 600 of 1,000 of Data Array 'readings'. "
        "What it did before row 400 is kept: run it again to go on there."
    )
    assert shown.err == (
        "Traceback (most recent call last):\n"
        f'  File "{tmp_path}/script.py", line 2, in <module>\n    print(block.start, 1 / (500 - block.start))\n'
        f"ZeroDivisionError: division by zero\nwendelin: {message}\n"
    )
    found = indicator(site)
    assert found.getProgressState() == "failed"
    assert found.getErrorText().endswith(f"ZeroDivisionError: division by zero\n{message}")
    assert run(f"print(batch.resumed)\n{LOOP}print(block.start)\n") == 0
    assert capsys.readouterr() == (
        "True\n400\n500\n600\n700\n800\n900\n",
        "done: 1,000 rows of Data Array 'readings'\n",
    )


def test_an_error_of_the_batch_is_shown_with_the_lines_of_the_script_alone(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(f"{LOOP}commit()\n") == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["Traceback (most recent call last):", f'  File "{tmp_path}/script.py", line 2, in <module>']
    assert re.fullmatch(r"Products\.ERP5Wendelin\.errors\.Conflict: The script commits in a loop of .*", lines[3])
    assert lines[4].startswith("wendelin: the script has failed; its last block was rows 0 to 100 of 1,000 of ")


def test_what_is_changed_after_the_last_loop_and_meets_another_commit_is_told(
    lake: Lake, site: Any, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(
        f"{LOOP}pass\n"
        "import transaction as t\n"
        "portal.data_array_module.readings.title = 'ours'\n"
        "other = app._p_jar.db().open(t.TransactionManager())\n"
        "other.root()['Application'].erp5.data_array_module.readings.title = 'theirs'\n"
        "other.transaction_manager.commit()\n"
        "other.close()\n"
    )
    assert code == 1
    assert capsys.readouterr().err.endswith(
        "Another process has changed the same as the script did outside of its loops: that is not kept. Run the script "
        "again: loops that have ended are not repeated.\nwendelin: the script has failed.\n"
    )
    assert (site.data_array_module.readings.title, indicator(site).getProgressState()) == ("theirs", "failed")


def test_a_module_that_is_not_installed_is_named_with_its_line_and_how_to_install_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "Products.ERP5Wendelin.portal.command_run.is_there", lambda module: module.split(".")[0] in {"json", "pip"}
    )
    assert run("\nimport no_such_module.part\n") == 1
    assert capsys.readouterr().err.endswith(
        "ModuleNotFoundError: No module named 'no_such_module'\n"
        f"wendelin: no_such_module is not installed, {tmp_path}/script.py imports it in line 2: "
        f"{sys.executable} -m pip install no_such_module installs it.\n"
    )
    (tmp_path / "helper.py").write_text("def f():\n    raise ModuleNotFoundError('no', name='zarr_that_is_gone')\n")
    assert run("import helper\nhelper.f()\n") == 1
    assert f"zarr_that_is_gone is not installed, {tmp_path}/helper.py imports it in line 2: " in capsys.readouterr().err
    assert run("import json.no_such_part\n") == 1  # json is there: nothing to install
    assert capsys.readouterr().err.endswith("wendelin: the script has failed.\n")


def test_a_module_of_an_extra_is_installed_by_that(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("Products.ERP5Wendelin.portal.command_run.is_there", lambda module: False)
    assert run("raise ModuleNotFoundError('no', name='h5py')\n") == 1
    assert f"{sys.executable} -m pip install 'erp5-wendelin[hdf5]' installs it." in capsys.readouterr().err


@pytest.mark.parametrize("has_pip", [True, False])
def test_an_environment_without_pip_gets_it_first(has_pip: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("Products.ERP5Wendelin.portal.command_run.is_there", lambda module: has_pip)
    install = f"{sys.executable} -m pip install polars installs it"
    assert how_to_install("polars") == (install if has_pip else f"{sys.executable} -m ensurepip && {install}")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_one_keeps_whole_slices_and_says_where_it_goes_on(
    site: Any, run: Run, number: int, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(number)
    source = f"import signal\n{LOOP}if block.start == 300: signal.raise_signal({int(number)})\n"
    assert run(source) == code
    message = (
        "interrupted; its last block was rows 300 to 400 of 1,000 of Data Array 'readings'. What it did before row 200 "
        "is kept: run it again to go on there."
    )
    assert capsys.readouterr().err == f"wendelin: {message}\n"
    assert (indicator(site).getProgressState(), indicator(site).getErrorText()) == ("interrupted", message)
    assert signal.getsignal(number) == before


def test_a_commit_is_not_interrupted(site: Any, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(
        "import signal, time\n"
        "def interrupt(*arguments):\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "    print('committing', batch.is_committing)\n"
        f"{LOOP}batch.state['rows'] = block.stop\n"
        "    if block.start == 300: transaction.get().addAfterCommitHook(interrupt)\n"
        "    if block.start == 400: time.sleep(60)\n"
    )
    assert (code, capsys.readouterr().out) == (130, "committing True\n")
    assert Batch(site, "script.py").state == {"rows": 400}


def test_a_page_that_is_being_loaded_is_not_interrupted(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(
        "import signal, time\n"
        "def loadblk():\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "    print('loaded')\n"
        "loadblk()\n"
        "time.sleep(60)\n"
    )
    assert (code, capsys.readouterr()) == (130, ("loaded\n", "wendelin: interrupted.\n"))


# memory


def test_a_limit_that_is_passed_already_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_limit, "resident", lambda: Resident(100 * MIB, 50 * MIB))
    with pytest.raises(BadInput) as caught:
        limit_memory(100 * MIB, print).__enter__()
    assert str(caught.value) == (
        "The program itself takes 150 MiB of memory, more than a limit of 104,857,600 bytes: allow it 256M at least, "
        "and what the script needs."
    )


def test_a_limit_in_which_it_cannot_begin_is_no_error_of_the_script(run: Run, site: Any) -> None:
    with pytest.raises(BadInput, match=r"more than a limit of 512 bytes: allow it 256M at least"):
        run("print('not reached')", limit=512)
    assert indicator(site) is None


def test_a_system_without_such_a_limit_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_limit, "resident", lambda: Resident(0, 0))
    with pytest.raises(Conflict) as caught:
        limit_memory(100 * MIB, print).__enter__()
    assert str(caught.value) == "The memory of a process can be limited on Linux only. Run it without --memory-limit."


def test_an_array_over_the_limit_is_an_error_in_its_line(
    run: Run, site: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    # so large that it does not matter what this process has taken before
    assert run(f"import numpy\n{LOOP}numpy.ones(2**37)\n", limit=2**36) == 1
    shown = capsys.readouterr().err
    assert 'script.py", line 3, in <module>\n    numpy.ones(2**37)\n' in shown
    assert shown.endswith(
        "wendelin: the script needed more memory than --memory-limit allows, 65536 MiB; its last block was rows 0 to "
        "100 of 1,000 of Data Array 'readings'. Nothing of this loop is kept: run it again to begin there.\n"
    )
    assert numpy.ones(1000).all()


def test_what_exceeds_says_how_much_and_what_to_do() -> None:
    assert str(Exceeded(700 * MIB, 512 * MIB)) == (
        "It took 700 MiB of memory, and 512 MiB are allowed: pages that it has changed in mapped arrays stay until a "
        "commit. Commit more often, or write slices with setArrayIndex."
    )


# what is shown


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


STATUS = Status("Data Array 'readings'", "rows", 250, 300, 200, 1000, 50.4)


def test_a_line_says_how_much_is_done_how_fast_and_how_long_it_takes() -> None:
    assert line_of(STATUS) == "25 %  250 of 1,000 rows  50 rows/s  0:00:15 left  Data Array 'readings'"
    assert line_of(STATUS._replace(rate=None)) == "25 %  250 of 1,000 rows  Data Array 'readings'"
    assert line_of(STATUS._replace(start=0, total=0, rate=None)) == "0 of 0 rows  Data Array 'readings'"
    many = Status("Data Stream 'log'", "bytes", 3 * 2**20, 4 * 2**20, 0, 5 * 2**40, 2.0**30)
    assert line_of(many) == "0 %  3.0 MiB of 5.0 TiB  1.0 GiB/s  1:25:20 left  Data Stream 'log'"
    assert (quantity(1023, "bytes"), quantity(2**70, "bytes"), duration(3661)) == (
        "1,023 bytes",
        "1048576.0 PiB",
        "1:01:01",
    )


def test_on_a_terminal_one_line_changes_and_what_is_printed_stands_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    time = [0.0]
    screen = Screen()
    line = ProgressLine(screen, lambda: time[0])
    with line.above(screen, screen):
        line.show(STATUS)
        line.show(STATUS)  # a moment later: not again
        print("half ", end="")
        time[0] += 1
        line.show(STATUS)  # not in the middle of the script's own line
        print("a line")
        line.show(STATUS)
        sys.stderr.writelines(["two\n", "lines\n"])
    line.finish()
    drawn = "\r\x1b[K" + line_of(STATUS)[:29]
    assert screen.getvalue() == (
        f"{drawn}\r\x1b[Khalf a line\n{drawn}\r\x1b[Ktwo\nlines\ndone: 1,000 rows of Data Array 'readings'\n"
    )


def test_elsewhere_a_line_is_written_now_and_then_and_one_at_the_end() -> None:
    time = [0.0]
    stream = io.StringIO()
    line = ProgressLine(stream, lambda: time[0])
    for _ in range(5):
        line.show(STATUS)
        time[0] += 15
    line.finish()
    shown = line_of(STATUS) + "\n"
    assert stream.getvalue() == f"{shown}{shown}done: 1,000 rows of Data Array 'readings'\n"


def test_a_script_without_loops_shows_nothing(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("pass\n") == 0
    assert capsys.readouterr() == ("", "")
