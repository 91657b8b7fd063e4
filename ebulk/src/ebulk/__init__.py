"""Push and pull data sets of hundreds of gigabytes over slow and unreliable networks, as easy as git."""

from ebulk.version import __version__

__all__ = ["__version__"]
