"""Files with secrets: nobody but their owner may read them.

The rule is that of PostgreSQL for its keys: a file belongs to the user who runs this and is for nobody else (0600), or
it belongs to root and its group may read it as well (0640), as supervisors and container runtimes hand secrets over.
"""

from __future__ import annotations

import os
import stat

from Products.ERP5Wendelin.errors import BadInput


def read_private_file(path: str, what: str) -> str:
    """Text of a file that only its owner may read; `what` it is, for messages. BadInput: it is not so, or no text."""
    try:
        with open(path, encoding="utf-8") as file:
            _check_privacy(os.fstat(file.fileno()), path, what)
            return file.read()
    except UnicodeDecodeError as error:
        raise BadInput(f"The {what} {path} cannot be read: it is not text in UTF-8.") from error
    except OSError as error:
        raise BadInput(f"The {what} {path} cannot be read: {(error.strerror or str(error)).lower()}.") from error


def _check_privacy(status: os.stat_result, path: str, what: str) -> None:
    if status.st_uid not in (os.geteuid(), 0):
        raise BadInput(f"The {what} {path} belongs to another user, who could change it: make it yours, or root's.")
    others = (
        stat.S_IRWXG | stat.S_IRWXO if status.st_uid == os.geteuid() else stat.S_IWGRP | stat.S_IXGRP | stat.S_IRWXO
    )
    if status.st_mode & others:
        raise BadInput(f"The {what} {path} is open to other users: make it private with: chmod 600 {path}")


def read_shared_key(path: str) -> str:
    """The first line of a file, which is the key that agents and server share."""
    key = read_private_file(path, "shared key file").partition("\n")[0].rstrip("\r")
    if not key:
        raise BadInput(f"{path} holds no shared key: its first line is empty.")
    return key


def read_user_passwords(path: str) -> dict[str, str]:
    """Passwords by users' names, from lines NAME:PASSWORD. Blank lines, and those that begin with #, say nothing."""
    passwords: dict[str, str] = {}
    for number, line in enumerate(read_private_file(path, "users file").split("\n"), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, password = line.partition(":")
        if not name or not password:
            raise BadInput(f"{path}, line {number}, is no user and password: write NAME:PASSWORD.")
        if name in passwords:
            raise BadInput(f"{path}, line {number}: the user {name!r} is in the file already.")
        passwords[name] = password
    if not passwords:
        raise BadInput(f"{path} names no user: write a line NAME:PASSWORD for each.")
    return passwords
