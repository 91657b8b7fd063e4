"""NumPy, which is not needed for anything but arrays."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ebulk.errors import EbulkError


def numpy_for(purpose: str) -> Any:
    """The module. EbulkError, which names what it is for, where it is not installed."""
    try:
        return import_module("numpy")
    except ImportError as error:
        raise EbulkError(f"{purpose} needs NumPy, which is not installed.", "`pip install numpy` gets it.") from error
