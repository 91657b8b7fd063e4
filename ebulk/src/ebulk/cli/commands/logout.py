"""`ebulk logout`."""

from __future__ import annotations

import argparse

from ebulk.cli.context import Context
from ebulk.verbs.login import logout


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Forget a token, here and at the lake."""
    url = context.url()
    heard = logout(context.make_lake, context.store, url)
    context.output.document({"url": url, "token_removed": heard})
    context.output.line(f"Logged out of {url}.")
    if not heard:
        context.output.line("  The lake could not be told: its token stays valid until it is removed there.")
    return 0
