"""The query of a URL, read by name and type. Parameters that a resource doesn't know are ignored."""

from __future__ import annotations

from urllib.parse import parse_qsl

from Products.ERP5Wendelin.errors import BadInput

FIELDS_MAX = 100
DIGITS_MAX = 18
"""Of a number: all of them fit 63 bits."""


class Query:
    """The parameters of one request, or the fields of a form."""

    def __init__(self, query_string: str, place: str = "The query of the URL") -> None:
        """BadInput, which names the place, when it is not UTF-8, has a parameter twice, or hundreds of them."""
        try:
            # The gateway hands over bytes as latin-1 characters (PEP 3333).
            text = query_string.encode("latin-1").decode("utf-8")
            pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MAX)
        except ValueError as error:
            limits = f"it must be UTF-8, percent-encoded, at most {FIELDS_MAX} parameters"
            raise BadInput(f"{place} cannot be read: {limits}.") from error
        self._values: dict[str, str] = {}
        for name, value in pairs:
            if name in self._values:
                raise BadInput(f"{place} has {name!r} more than once.")
            self._values[name] = value

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str, default: str = "") -> str:
        """A parameter as it is."""
        return self._values.get(name, default)

    def position(self, name: str) -> int | None:
        """A whole number from 0, None without the parameter."""
        value = self._values.get(name)
        if value is None:
            return None
        if not (value.isascii() and value.isdigit() and len(value) <= DIGITS_MAX):
            raise BadInput(f"{name} must be a whole number from 0.")
        return int(value)

    def integer(self, name: str, default: int | None = None, maximum: int | None = None) -> int | None:
        """A whole number from 1, up to `maximum`; an empty value counts as absent."""
        value = self._values.get(name, "")
        if not value:
            return default
        number = int(value) if value.isascii() and value.isdigit() and len(value) <= DIGITS_MAX else 0
        if number < 1 or (maximum is not None and number > maximum):
            limit = "" if maximum is None else f" to {maximum}"
            raise BadInput(f"{name} must be a whole number from 1{limit}.")
        return number
