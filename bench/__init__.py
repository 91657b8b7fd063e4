"""Benchmarks: each figure beside a peer or a physical limit of the same run, never in a timed test."""
