"""`ebulk login`."""

from __future__ import annotations

import argparse
import socket

from ebulk.cli.context import Context
from ebulk.verbs.login import login


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Exchange a password for a token, and remember it."""
    url = context.url()
    user, password = context.user_and_password()
    made = login(context.make_lake, context.store, url, user, password, f"ebulk on {socket.gethostname()}")
    context.output.document({"url": made.url, "user": made.user})
    context.output.line(f"Logged in to {made.url} as {made.user}.")
    return 0
