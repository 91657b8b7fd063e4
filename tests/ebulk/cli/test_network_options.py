"""What is said of the network on the command line reaches the lake."""

from __future__ import annotations

import pytest

from ebulk.cli.arguments import parse
from ebulk.cli.context import Context
from ebulk.cli.output import Output
from ebulk.errors import UsageError
from ebulk.remote.session import Settings


def settings(*words: str) -> Settings:
    context = Context(parse(words), {}, Output(json=False, quiet=True))
    return context.make_lake("http://lake.example/erp5", None).settings


def test_without_options_the_defaults_hold():
    found = settings("push")
    assert (found.retry_max_time, found.stall_timeout, found.codings.compress) == (600.0, 60.0, "auto")
    assert found.pace.delay(10**9) == 0.0


@pytest.mark.parametrize("command", [["push"], ["pull"], ["clone", "brain"]])
def test_options_reach_the_lake(command):
    options = ["--retry-max-time", "0", "--stall-timeout", "5", "--compress", "never", "--limit-rate", "64K"]
    found = settings(*command, *options)
    assert (found.retry_max_time, found.stall_timeout, found.codings.compress) == (0, 5, "never")
    assert found.pace.piece(10**9) == 8 * 1024


@pytest.mark.parametrize(
    ("text", "rate"), [("500K", 512_000), ("2m", 2_097_152), ("1.5M", 1_572_864), ("1024", 1024), ("1G", 2**30)]
)
def test_rate_is_written_as_for_curl(text, rate):
    assert parse(["push", "--limit-rate", text]).limit_rate == rate


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--limit-rate", "1023", "'1023' is not a rate such as 500K or 1.5M, of at least 1K."),
        ("--limit-rate", "fast", "'fast' is not a rate such as 500K or 1.5M, of at least 1K."),
        ("--retry-max-time", "-1", "'-1' is not a number of seconds."),
        ("--retry-max-time", "1e3", "'1e3' is not a number of seconds."),
        ("--stall-timeout", "0", "'0' is not a number from 1 up."),
    ],
)
def test_what_can_not_be_is_a_usage_error(option, value, message):
    with pytest.raises(UsageError) as raised:
        parse(["push", f"{option}={value}"])
    assert str(raised.value) == f"Argument {option}: {message}"
