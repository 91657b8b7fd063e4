"""What holds for every test."""

import signal

import pytest
from hypothesis import HealthCheck, settings


def pytest_configure() -> None:
    """What is generated may take its time, on any machine."""
    settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("patient")
    _start_programs_as_a_terminal_does()


def _start_programs_as_a_terminal_does() -> None:
    """With no signal ignored, also where the tests run below nohup or in a
    script's background: signals that are ignored are inherited, those that have a handler are not.
    """
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the figures that tests have recorded, by record_property("figure", TEXT), whether they passed or failed."""
    figures = [
        f"{report.nodeid}: {value}"
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call"
        for name, value in report.user_properties
        if name == "figure"
    ]
    if figures:
        terminalreporter.section("figures")
        for line in figures:
            terminalreporter.line(line)
