"""References of the original ebulk, and the paths in a data set that they stand for.

A request names what it brings by a *reference*, `supplier/data_set/name/extension/eof/size/hash`; what is stored is
known by its *ingestion reference*, `data_set/name/extension`. A name may have slashes itself. The file's path is
`name.extension`, or `name` where the extension is `none`::

    acme/brain_mri/scans/1/nii/001//     the first piece of scans/1.nii
    brain_mri/scans/1/nii                its ingestion reference

Several references may stand for one path: `a.tar/gz` and `a/tar.gz`.
"""

from __future__ import annotations

from typing import NamedTuple

from Products.ERP5Wendelin.content.path import check_path, check_reference
from Products.ERP5Wendelin.errors import BadInput

SEPARATOR = "/"
LENGTH = 7
"""The fewest parts of a reference."""

WHOLE = "END"
FIRST = "001"
LAST = "EOF"
NO_EXTENSION = "none"
INVALID = ("&", ";", "#", "%", '"', "+")

CONSTANTS = {
    "reference_separator": SEPARATOR,
    "reference_length": LENGTH,
    "single_end_suffix": WHOLE,
    "split_first_suffix": FIRST,
    "split_end_suffix": LAST,
    "none_extension": NO_EXTENSION,
    "invalid_suffix": "_invalid",
    "invalid_chars": list(INVALID),
    "complex_files_extensions": ["fif", "nii", ".nii/gz"],
}
"""What the client asks for by ERP5Site_getIngestionConstantsJson."""

NUMBER_LENGTH = 6
"""Digits of a piece's number: a million pieces of 50 MB are 50 TB."""

SIZE_LENGTH = 18

SHAPE = "supplier/data_set/name/extension/eof/size/hash"


class IngestionReference(NamedTuple):
    """A reference in its parts, as they were sent."""

    supplier: str
    data_set: str
    name: str
    extension: str
    eof: str
    size: str
    hash: str

    @property
    def path(self) -> str:
        """Where the file is in its data set."""
        return path_of(self.name, self.extension)

    @property
    def ingestion_reference(self) -> str:
        """`data_set/name/extension`."""
        return SEPARATOR.join((self.data_set, self.name, self.extension))

    @property
    def is_whole(self) -> bool:
        """Whether the file is sent in one request."""
        return self.eof in ("", WHOLE)

    @property
    def is_last(self) -> bool:
        """Whether it is the last piece."""
        return self.eof == LAST

    @property
    def number(self) -> int:
        """The number of a piece that is not the last, from 1."""
        return int(self.eof)

    @property
    def full_size(self) -> int | None:
        """What the client says that the file has, in bytes; None: nothing."""
        return int(self.size) if self.size else None


def parse(text: str) -> IngestionReference:
    """The parts of a reference. BadInput says what is wrong with it: its form, a character, the path."""
    _refuse_invalid(text)
    parts = text.split(SEPARATOR)
    if len(parts) < LENGTH:
        raise BadInput(
            f"The reference {text!r} has {len(parts)} parts, and must have at least {LENGTH}: {SHAPE}.", reference=text
        )
    reference = IngestionReference(parts[0], parts[1], SEPARATOR.join(parts[2:-4]), *parts[-4:])
    check_reference(reference.data_set)
    check_path(reference.path)
    if not (reference.is_whole or reference.is_last or _is_number(reference.eof)):
        raise BadInput(
            f"The reference {text!r} has {reference.eof!r} where a whole file has nothing or {WHOLE}, and a piece its "
            f"number, from {FIRST}, or {LAST}.",
            reference=text,
        )
    if reference.size and not _is_digits(reference.size, SIZE_LENGTH):
        raise BadInput(
            f"The reference {text!r} has the size {reference.size!r}: it must be a number of bytes or empty.",
            reference=text,
        )
    return reference


def parse_ingestion_reference(text: str) -> tuple[str, str]:
    """Data set and path of `data_set/name/extension`. BadInput when it is not of this form."""
    data_set, _, rest = text.partition(SEPARATOR)
    name, separator, extension = rest.rpartition(SEPARATOR)
    if not separator:
        raise BadInput(f"The reference {text!r} must be of the form data_set/name/extension.", reference=text)
    return check_reference(data_set), check_path(path_of(name, extension))


def check_new_reference(text: str) -> tuple[str, str]:
    """Data set and path of an ingestion reference that is to be given to a file. BadInput: it can't be sent either."""
    _refuse_invalid(text)
    return parse_ingestion_reference(text)


def path_of(name: str, extension: str) -> str:
    """The path of a file."""
    return name if extension == NO_EXTENSION else f"{name}.{extension}"


def reference_of(data_set: str, path: str) -> str:
    """The ingestion reference of a path: its extension is what follows the last point of its last segment.

    It stands for the same path again, whatever the path is.
    """
    folder, separator, segment = path.rpartition("/")
    name, _, extension = segment.rpartition(".")
    if not name or not extension or extension == NO_EXTENSION:
        return SEPARATOR.join((data_set, path, NO_EXTENSION))
    return SEPARATOR.join((data_set, f"{folder}{separator}{name}", extension))


def _refuse_invalid(text: str) -> None:
    found = [character for character in INVALID if character in text]
    if found:
        raise BadInput(
            f"The reference {text!r} has the character {found[0]!r}. Forbidden in references are {' '.join(INVALID)}.",
            reference=text,
        )


def _is_number(text: str) -> bool:
    return _is_digits(text, NUMBER_LENGTH) and int(text) > 0


def _is_digits(text: str, length: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= length
