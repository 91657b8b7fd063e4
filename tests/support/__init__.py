"""Conformance suites, servers and faults that the tests share."""
