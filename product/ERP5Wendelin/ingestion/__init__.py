"""Bytes on their way in: pushes (sessions), what they plan, and what they send as bundles and uploads."""
