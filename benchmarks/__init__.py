"""Benchmarks of the clustering engine beside what a user would otherwise pick; see ``python -m benchmarks --help``."""
