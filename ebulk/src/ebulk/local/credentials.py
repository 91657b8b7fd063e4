"""Which lakes the user logged in to, and the token for each: never a password.

`credentials.json` in the user's configuration folder (`~/.config/ebulk` on Linux), which nobody else can read:
`{"format": 1, "default": URL, "lakes": {URL: {"user", "id", "token"}}}`. Where a keyring is installed and works (`pip
install ebulk[keyring]`), the token is in it, and `token` here is null.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from ebulk.errors import EbulkError
from ebulk.local.atomic import write_atomically

FORMAT = 1
SERVICE = "ebulk"


@dataclass(frozen=True, slots=True)
class Login:
    """A user's token at one lake."""

    url: str
    user: str
    id: str
    """The token's id at the lake, to remove it by."""
    token: str


class Keyring(Protocol):
    """What we use of the package `keyring`."""

    def get_password(self, service: str, name: str) -> str | None: ...
    def set_password(self, service: str, name: str, password: str) -> None: ...
    def delete_password(self, service: str, name: str) -> None: ...


class Credentials:
    """The logins in the folder `home`, which is made when the first is stored; `keyring` is asked for when needed."""

    def __init__(self, home: Path, keyring: Callable[[], Keyring | None]) -> None:
        self.path = home / "credentials.json"
        self._keyring = keyring

    @property
    def default_url(self) -> str | None:
        """The lake that the user logged in to last."""
        return cast("str | None", self._read()["default"])

    def logins(self) -> list[tuple[str, str]]:
        """(url, user) of each lake."""
        return [(url, login["user"]) for url, login in self._read()["lakes"].items()]

    def get(self, url: str) -> Login | None:
        """The login at a lake, or None."""
        stored = self._read()["lakes"].get(url)
        if stored is None:
            return None
        login = Login(url, stored["user"], stored["id"], stored["token"] or "")
        if login.token:
            return login
        keyring = self._keyring()
        token = keyring.get_password(SERVICE, url) if keyring else None
        return replace(login, token=token) if token else None

    def store(self, login: Login) -> None:
        """Remember a login, and take its lake for the default from now on."""
        everything = self._read()
        fields = asdict(login)
        url = fields.pop("url")
        if _stored(self._keyring(), url, login.token):
            fields["token"] = None
        everything["lakes"][url] = fields
        everything["default"] = url
        self._write(everything)

    def remove(self, url: str) -> None:
        """Forget the login at a lake."""
        everything = self._read()
        login = everything["lakes"].pop(url, None)
        if login is None:
            return
        if everything["default"] == url:
            everything["default"] = next(iter(everything["lakes"]), None)
        self._write(everything)
        keyring = None if login["token"] else self._keyring()
        if keyring:
            keyring.delete_password(SERVICE, url)

    def _read(self) -> dict[str, Any]:
        try:
            everything = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            return {"format": FORMAT, "default": None, "lakes": {}}
        except ValueError as error:
            raise EbulkError(f"{self.path} is damaged.", "Remove it, then log in again.") from error
        if not isinstance(everything, dict) or everything.get("format") != FORMAT:
            raise EbulkError(
                f"{self.path} was written by another ebulk.", "Update ebulk, or remove it and log in again."
            )
        return everything

    def _write(self, everything: dict[str, Any]) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(self.path, json.dumps(everything, indent=1).encode(), 0o600)


def system_keyring() -> Keyring | None:
    """The keyring of this machine, or None where none is installed or none works."""
    try:
        keyring = import_module("keyring")
        backend = keyring.get_keyring()
    except Exception:  # whatever a broken desktop raises: the file does as well
        return None
    return cast("Keyring", backend) if getattr(backend, "priority", 0) > 0 else None


def _stored(keyring: Keyring | None, url: str, token: str) -> bool:
    if keyring is None:
        return False
    try:
        keyring.set_password(SERVICE, url, token)
        return keyring.get_password(SERVICE, url) == token
    except Exception:  # a locked or broken keyring: the file does as well
        return False
