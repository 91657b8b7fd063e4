"""Who runs this process: what their environment says of lakes, tokens and proxies, and where their logins are kept.

What the command line and the library share. Only this module and `cli` read the environment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ebulk.errors import EbulkError, UsageError
from ebulk.local import folder as folders
from ebulk.local.credentials import Credentials as Store
from ebulk.local.credentials import system_keyring
from ebulk.local.folder import Folder
from ebulk.remote.address import checked_url
from ebulk.remote.credentials import Bearer, Credentials
from ebulk.remote.proxy import proxy_for

if TYPE_CHECKING:
    from ebulk.remote.lake import Lake


class User:
    """The user whose environment this is."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    @property
    def config_folder(self) -> Path:
        """Where the user's logins are."""
        chosen = self._environment.get("EBULK_CONFIG_DIR")
        if chosen:
            return Path(chosen)
        return Path(import_module("platformdirs").user_config_dir("ebulk", appauthor=False))

    @property
    def working_folder(self) -> Path:
        """The working directory of this process."""
        try:
            return Path.cwd()
        except FileNotFoundError as error:
            raise EbulkError(
                "The working directory is not there any more.", "Go to one that is, and try again."
            ) from error

    @property
    def store(self) -> Store:
        """The user's logins."""
        return Store(self.config_folder, system_keyring)

    def folder(self, path: Path | None) -> Folder:
        """The data set folder at `path`, or the one around the working directory."""
        return folders.find_here(self.working_folder) if path is None else folders.load(path)

    def url(self, named: str | None = None, folder: Folder | None = None) -> str:
        """The lake: the one that is named, that of the folder, of the environment, of the last login; or UsageError."""
        url = named or (folder and folder.url) or self._environment.get("EBULK_URL") or self.store.default_url
        if not url:
            raise UsageError("No lake is known.", "Log in to one by `ebulk login URL`, or name it by --url.")
        return checked_url(url)

    def credentials(self, url: str) -> Credentials | None:
        """The token of the environment, or of the login at this lake; None, which is anonymous, where there is none."""
        token = self._environment.get("EBULK_TOKEN")
        if token:
            return Bearer(token)
        login = self.store.get(url)
        return Bearer(login.token) if login else None

    def lake(self, url: str, credentials: Credentials | None, notify: Callable[[str], None], **settings: Any) -> Lake:
        """The lake at `url`, asked with these credentials, by way of the user's proxy; `notify` is told of retries.

        `settings` are those of `ebulk.remote.lake.Lake`.
        """
        module = import_module("ebulk.remote.lake")  # HTTP takes longer to load than `ebulk status` takes to run
        proxy = proxy_for(url, self._environment)
        return cast("Lake", module.Lake(url, credentials, notify=notify, proxy=proxy, **settings))
