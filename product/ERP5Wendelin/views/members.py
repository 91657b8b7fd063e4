"""Members of JSON objects, read by name and type; those that a resource doesn't know are ignored."""

from __future__ import annotations

import re
from typing import Any, Final

from Products.ERP5Wendelin.errors import BadInput, TooLarge

REQUIRED: Final = object()
"""As a default: the member must be there."""

TEXT_LENGTH = 10_000
"""The most characters of a title, description or message."""

CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
"""Control characters (Unicode's category Cc), but for tabulators and line ends."""

TYPE_NAMES = {str: "text", int: "a whole number", list: "a list", dict: "an object"}


class Members:
    """One JSON object. BadInput names a member that is absent or of a wrong type, with its place (`files[3].size`)."""

    def __init__(self, data: Any, place: str = "") -> None:
        self._place = place
        if not isinstance(data, dict):
            raise BadInput(f"{place or 'The body'} must be a JSON object.")
        self._data = data

    def __contains__(self, name: str) -> bool:
        return self._data.get(name) is not None

    def name_of(self, name: str) -> str:
        """A member's name with its place, for messages."""
        return f"{self._place}.{name}" if self._place else name

    def get(self, name: str, kind: type, default: Any = REQUIRED) -> Any:
        """A member of a type; null counts as absent."""
        value = self._data.get(name)
        if value is None:
            if default is REQUIRED:
                raise BadInput(f"{self.name_of(name)} is missing; it must be {TYPE_NAMES[kind]}.")
            return default
        if type(value) is not kind:  # not isinstance: True is an int
            raise BadInput(f"{self.name_of(name)} must be {TYPE_NAMES[kind]}.")
        return value

    def text(self, name: str, default: Any = REQUIRED) -> Any:
        """Text that can be stored and shown: valid Unicode of bounded length, no control characters but white space.

        Others could write over what a terminal shows, in a list of versions for example.
        """
        value = self.get(name, str, default)
        if value is default:
            return value
        if len(value) > TEXT_LENGTH:
            raise TooLarge(f"{self.name_of(name)} may have at most {TEXT_LENGTH} characters.")
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError as error:  # a lone surrogate, such as "\ud800"
                raise BadInput(f"{self.name_of(name)} is not valid Unicode.") from error
        if not value.isprintable() and CONTROL.search(value):
            raise BadInput(f"{self.name_of(name)} has a control character.")
        return value

    def size(self, name: str, default: Any = REQUIRED) -> Any:
        """A count of bytes, or another whole number from 0 that fits 63 bits."""
        value = self.get(name, int, default)
        if value is not default and not 0 <= value < 2**63:
            raise BadInput(f"{self.name_of(name)} must be a whole number from 0.")
        return value

    def objects(self, name: str) -> list[Members]:
        """A list of objects, empty when it is absent."""
        return [Members(item, f"{self.name_of(name)}[{i}]") for i, item in enumerate(self.get(name, list, []))]

    def texts(self, name: str, default: Any = REQUIRED) -> list[str]:
        """A list of texts."""
        values: list[str] = self.get(name, list, default)
        for i, value in enumerate(values):
            if not isinstance(value, str):
                raise BadInput(f"{self.name_of(name)}[{i}] must be text.")
        return values

    def any(self, name: str) -> Any:
        """A member of whatever type, None if it is absent."""
        return self._data.get(name)
