"""Which ebulk this is. A module of its own, so that all layers can tell it."""

__version__ = "0.1.0"
