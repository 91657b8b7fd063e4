"""Packages that not everybody needs, loaded where they are used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from Products.ERP5Wendelin.errors import BadInput


def load(module: str, extra: str, what: str) -> Any:
    """A module of an optional package. BadInput says what is handled by it (`what` are), and how to get it."""
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise BadInput(
            f"{what} handled by {package}, which cannot be loaded here: {error}. Install erp5-wendelin[{extra}]."
        ) from error
