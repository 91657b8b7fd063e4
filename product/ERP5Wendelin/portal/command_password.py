"""Passwords come from a file or a terminal, never from the command line, which every user of a machine can see."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path

from Products.ERP5Wendelin.errors import BadInput


def read_password_file(name: str) -> str:
    """The first line of a file, `-` being standard input."""
    try:
        text = sys.stdin.readline() if name == "-" else Path(name).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"The password file {name} cannot be read: it is not text in UTF-8.") from error
    except OSError as error:
        raise BadInput(f"The password file {name} cannot be read: {(error.strerror or str(error)).lower()}.") from error
    password = text.partition("\n")[0].rstrip("\r")
    if not password:
        raise BadInput(f"{name} holds no password: its first line is empty.")
    return password


def ask_password(user: str) -> str:
    """Ask at the terminal, twice; BadInput where there is none."""
    if not sys.stdin.isatty():
        raise BadInput("No terminal to ask for the password: give --password-file FILE.")
    password = getpass.getpass(f"Password for {user}: ")
    if not password:
        raise BadInput("The password is empty.")
    if getpass.getpass("Again: ") != password:
        raise BadInput("The passwords differ.")
    return password
