"""The resources of the API: one module each, one function for a method.

`../configure.zcml` has their URLs and permissions.
"""
