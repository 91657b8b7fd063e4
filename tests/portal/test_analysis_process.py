"""Why a process that runs analyses has ended, as its worker says it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from Products.ERP5Wendelin.portal.analysis_process import AnalysisProcess, Settings
from support.worker import TIMEOUT, end_by_signal, exit_early, take_memory


def reason(target: Callable[..., None]) -> str:
    """Why a process ends that does this."""
    process = AnalysisProcess(Settings("/nowhere", is_guest=False), target)
    try:
        while True:
            assert process.connection.poll(TIMEOUT)
            assert process.receive() is None
    except EOFError:
        return process.reason()
    finally:
        process.process.kill()


def test_one_that_maps_more_than_it_may_says_so_and_ends() -> None:
    text = reason(take_memory)
    assert text.startswith("It took ")
    assert "MiB are allowed: pages that it has changed in mapped arrays stay until a commit." in text
    assert text.endswith("What it did since its last commit is not kept.")


def test_one_that_a_signal_ended_is_told_by_the_signal() -> None:
    assert reason(end_by_signal) == (
        "Its process was ended by SIGSEGV: it touched memory that is not its own, which is a fault of a library, or of "
        "what it was given."
    )


def test_one_that_a_script_ended_is_told_by_its_exit_code() -> None:
    assert reason(exit_early) == "Its process ended with exit code 3: see worker.log."


def test_one_that_has_ended_is_given_nothing() -> None:
    process = AnalysisProcess(Settings("/nowhere", is_guest=False), end_by_signal)
    process.process.join(TIMEOUT)
    process.give("data_analysis_module/1")
    process.end()
    with pytest.raises(EOFError):
        process.receive()
