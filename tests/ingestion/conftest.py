"""A fresh site for each test."""

from support.site import data_fs, lake, site  # noqa: F401
