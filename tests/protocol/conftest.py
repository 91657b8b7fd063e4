"""The recorded protocol is played against a real server of a fresh site."""

from support.http_server import server  # noqa: F401
from support.site import data_fs, lake, site  # noqa: F401
