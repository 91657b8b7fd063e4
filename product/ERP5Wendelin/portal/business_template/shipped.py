"""Finding templates: those that come with the lake, by their names, and any other by the path of its folder."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import Products.ERP5Wendelin
from Products.ERP5Wendelin.errors import NotFound
from Products.ERP5Wendelin.portal.business_template.reader import read
from Products.ERP5Wendelin.portal.business_template.template import Template

SHIPPED = Path(Products.ERP5Wendelin.__file__).parent / "bt5"

DEFAULT_TEMPLATES = (
    "erp5_wendelin",
    "erp5_wendelin_data_lake_ingestion",
    "erp5_wendelin_data_lake_ingestion_default_security_model",
    "erp5_wendelin_data_lake_ui",
)
"""What `wendelin init` makes a site of."""


def shipped_names() -> list[str]:
    """The names of the templates that come with the lake."""
    return sorted(path.parent.parent.name for path in SHIPPED.glob("*/bt/title"))


@functools.cache
def shipped(name: str) -> Template:
    """A template that comes with the lake, read once a process. NotFound: there is none of this name."""
    if name not in shipped_names():
        raise NotFound(
            f"No business template {name!r} comes with the lake. There are: {', '.join(shipped_names())}."
            f" Any other is named by the path of its folder, as in ./{name}"
        )
    return read(SHIPPED / name)


def load(name: str) -> Template:
    """A template by its name, or by the path of its folder, which has a slash. NotFound: there is none."""
    if os.sep not in name:
        return shipped(name)
    if not Path(name).is_dir():
        raise NotFound(f"There is no folder {name}.")
    if not (Path(name) / "bt").is_dir():
        raise NotFound(f"{name} is not the folder of a business template: it has no folder bt.")
    return read(Path(name).resolve())
