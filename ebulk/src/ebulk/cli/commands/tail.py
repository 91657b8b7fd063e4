"""`ebulk tail`."""

from __future__ import annotations

import argparse
import json
import os
import re
import select
import stat
import sys
import threading

from ebulk.cli.context import Context
from ebulk.cli.stream import nanoseconds
from ebulk.protocol import timestamp
from ebulk.remote import documents
from ebulk.remote.failure import StoppedError
from ebulk.remote.session import Session
from ebulk.transfer.stream_records import follow

CONTROLS = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What JSON leaves as it is, and terminals may obey or can't show: control characters, ends of lines, changes of
direction, and bytes that are no UTF-8.
"""


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Print what arrives, until somebody ends it."""
    since = nanoseconds(arguments.since)
    with context.lake(context.url()).session(1) as session:
        _stop_without_reader(session)
        try:
            for line in follow(session, arguments.stream, since, context.output.note):
                if context.output.json:
                    print(line)
                else:
                    context.output.line(_for_people(line))
                sys.stdout.flush()
        except StoppedError:
            raise BrokenPipeError from None
    return 0


def _for_people(line: str) -> str:
    """A record's time, and what was sent as JSON."""
    time, record = documents.record(line)
    text = json.dumps(record, ensure_ascii=False)
    return f"{timestamp(time)} {CONTROLS.sub(_escaped, text)}"


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def _stop_without_reader(session: Session) -> None:
    """Stop the session when nobody reads our output any more: who waits for the next line would not notice."""
    output = sys.stdout.fileno()
    if not stat.S_ISFIFO(os.fstat(output).st_mode):
        return
    gone = select.poll()
    gone.register(output, 0)  # errors are always told

    def wait() -> None:
        gone.poll()
        session.stop()

    threading.Thread(target=wait, name="reader", daemon=True).start()
