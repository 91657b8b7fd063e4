"""Exports: arrays made files that other programs read (`docs/array_files.rst`). One module a format."""
