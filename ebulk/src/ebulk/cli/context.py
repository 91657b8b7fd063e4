"""What the arguments of a command come to: the folder, the lake, and who asks it."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ebulk.cli.output import Output
from ebulk.errors import EbulkError, UsageError
from ebulk.local.credentials import Credentials as Store
from ebulk.local.folder import Folder
from ebulk.remote.credentials import Basic, Credentials
from ebulk.user import User

if TYPE_CHECKING:
    from ebulk.remote.lake import Lake


NETWORK = ("limit_rate", "compress", "retry_max_time", "stall_timeout")
"""Options that the lake is given by the same name; where they are not given, its defaults hold."""


class Context:
    """What the arguments and the environment of a command come to."""

    def __init__(self, arguments: argparse.Namespace, environment: Mapping[str, str], output: Output) -> None:
        self.arguments = arguments
        self.environment = environment
        self.output = output
        self._user = User(environment)

    @property
    def working_folder(self) -> Path:
        """Where the command is run."""
        return self._user.working_folder

    @property
    def store(self) -> Store:
        """The user's logins."""
        return self._user.store

    def folder(self, name: str | None) -> Folder:
        """The data set folder of this name, or the one around the working directory."""
        return self._user.folder(Path(name) if name else None)

    def url(self, folder: Folder | None = None) -> str:
        """The lake: of the option, the folder, the environment, the last login. UsageError where none names one."""
        return self._user.url(getattr(self.arguments, "url", None), folder)

    def known_url(self) -> str | None:
        """The same, or None: for `init`, which needs no lake."""
        with suppress(UsageError):
            return self.url()
        return None

    def lake(self, url: str, notify: Callable[[str], None] | None = None) -> Lake:
        """The lake at `url`, asked as the user that options, environment or login name; anonymously if none does."""
        user = getattr(self.arguments, "user", None)
        credentials = Basic(user, self._password(user)) if user else self._user.credentials(url)
        return self.make_lake(url, credentials, notify)

    def make_lake(self, url: str, credentials: Credentials | None, notify: Callable[[str], None] | None = None) -> Lake:
        """The lake at `url`, asked with these credentials; `notify` is told of retries, and else the user."""
        given = {name: value for name in NETWORK if (value := getattr(self.arguments, name, None)) is not None}
        return self._user.lake(url, credentials, notify or self.output.note, **given)

    def user_and_password(self) -> tuple[str, str]:
        """Who logs in: of the options, or asked for on the terminal."""
        user = self.arguments.user or self._ask("User: ", input)
        return user, self._password(user)

    def _password(self, user: str) -> str:
        name = self.arguments.password_file
        if not name:
            return self._ask(f"Password of {user}: ", getpass.getpass)
        try:
            lines = Path(name).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = (error.strerror or str(error)).lower() if isinstance(error, OSError) else "it is not text in UTF-8"
            raise EbulkError(
                f"The password file {name} cannot be read: {reason}.", "Its first line is to be the password."
            ) from error
        if not lines or not lines[0]:
            raise EbulkError(f"The password file {name} is empty.", "Its first line is the password.")
        return lines[0]

    def _ask(self, prompt: str, read: Callable[[str], str]) -> str:
        if not sys.stdin.isatty():
            raise UsageError(
                "There is no terminal to ask for user and password on.", "Give them by --user and --password-file."
            )
        try:
            return read(prompt)
        except EOFError:
            raise KeyboardInterrupt from None
