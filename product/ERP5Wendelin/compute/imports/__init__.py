"""Imports: files of data sets made arrays (`docs/array_files.rst`). One module a format, and `perform` does it."""
