"""Finds what a command works on: the folder, the lake, the user. Only this module reads the environment."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import platformdirs

from ebulk.cli.output import Output
from ebulk.errors import EbulkError, UsageError
from ebulk.local import folder as folders
from ebulk.local.credentials import Credentials, system_keyring
from ebulk.local.folder import Folder
from ebulk.remote.address import checked_url
from ebulk.remote.credentials import Basic, Bearer
from ebulk.remote.lake import Lake
from ebulk.remote.proxy import proxy_for


class Context:
    """What the arguments and the environment of a command come to."""

    def __init__(self, arguments: argparse.Namespace, environment: Mapping[str, str], output: Output) -> None:
        self.arguments = arguments
        self.output = output
        self._environment = environment

    @property
    def config_folder(self) -> Path:
        """Where the user's logins are."""
        chosen = self._environment.get("EBULK_CONFIG_DIR")
        if chosen:
            return Path(chosen)
        return Path(platformdirs.user_config_dir("ebulk", appauthor=False))

    @property
    def working_folder(self) -> Path:
        """Where the command is run."""
        try:
            return Path.cwd()
        except FileNotFoundError as error:
            raise EbulkError(
                "The working directory is not there any more.", "Go to one that is, and try again."
            ) from error

    @property
    def store(self) -> Credentials:
        """The user's logins."""
        return Credentials(self.config_folder, system_keyring)

    def folder(self, name: str | None) -> Folder:
        """The data set folder of this name, or the one around the working directory."""
        return folders.load(Path(name)) if name else folders.find_here(self.working_folder)

    def url(self, folder: Folder | None = None) -> str:
        """The lake: of the option, the folder, the environment, the last login. UsageError where none names one."""
        url = (
            getattr(self.arguments, "url", None)
            or (folder and folder.url)
            or self._environment.get("EBULK_URL")
            or self.store.default_url
        )
        if not url:
            raise UsageError("No lake is known.", "Log in to one by `ebulk login URL`, or name it by --url.")
        return checked_url(url)

    def known_url(self) -> str | None:
        """The same, or None: for `init`, which needs no lake."""
        with suppress(UsageError):
            return self.url()
        return None

    def lake(self, url: str, notify: Callable[[str], None] | None = None) -> Lake:
        """The lake at `url`, asked as the user that options, environment or login name; anonymously if none does."""
        return self.make_lake(url, self._credentials(url), notify)

    def make_lake(
        self, url: str, credentials: Basic | Bearer | None, notify: Callable[[str], None] | None = None
    ) -> Lake:
        """The lake at `url`, asked with these credentials; `notify` is told of retries, and else the user."""
        proxy = proxy_for(url, self._environment)
        return Lake(url, credentials, notify=notify or self.output.note, proxy=proxy)

    def user_and_password(self) -> tuple[str, str]:
        """Who logs in: of the options, or asked for on the terminal."""
        user = self.arguments.user or self._ask("User: ", input)
        return user, self._password(user)

    def _credentials(self, url: str) -> Basic | Bearer | None:
        user = getattr(self.arguments, "user", None)
        if user:
            return Basic(user, self._password(user))
        if self._environment.get("EBULK_TOKEN"):
            return Bearer(self._environment["EBULK_TOKEN"])
        login = self.store.get(url)
        return Bearer(login.token) if login else None

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
