"""What holds for every test."""

import signal


def pytest_configure() -> None:
    """Start programs as a terminal does, with no signal ignored, also where the tests run below nohup or in a
    script's background: signals that are ignored are inherited, those that have a handler are not.
    """
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
