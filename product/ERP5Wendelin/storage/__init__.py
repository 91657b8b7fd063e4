"""Bytes and arrays in ZODB: what the layers above store content in, and how they open the database."""

import warnings

# wendelin.core 0.13 declares its namespace by pkg_resources, which warns whoever runs a command.
warnings.filterwarnings("ignore", message="pkg_resources is deprecated", category=UserWarning)
