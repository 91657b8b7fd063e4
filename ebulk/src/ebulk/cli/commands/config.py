"""`ebulk config`."""

from __future__ import annotations

import argparse

from ebulk.cli.context import Context
from ebulk.local import folder as folders


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Show what is configured."""
    store = context.store
    folder = folders.find(context.working_folder)
    logins = store.logins()
    context.output.document(
        {
            "config": str(store.path),
            "default": store.default_url,
            "logins": [{"url": url, "user": user} for url, user in logins],
            "data_set": folder and {"folder": str(folder.root), "reference": folder.reference, "url": folder.url},
        }
    )
    context.output.line(f"logins        {store.path}")
    for url, user in logins:
        context.output.line(f"lake          {url} as {user}{' (default)' if url == store.default_url else ''}")
    if folder:
        context.output.line(f"data set      {folder.reference} in {folder.root}")
        context.output.line(f"its lake      {folder.url or 'that of the first push or pull'}")
    return 0
