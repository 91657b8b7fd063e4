"""Bytes and arrays in ZODB: what the layers above store content in, and how they open the database."""
