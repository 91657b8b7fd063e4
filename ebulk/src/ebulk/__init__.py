"""Push and pull data sets of hundreds of gigabytes over slow and unreliable networks, as easy as git."""

__version__ = "0.1.0"
