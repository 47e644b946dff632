"""Errors of the shipped code: plain ValueErrors, since a model runs where the rest of the project is not."""

from __future__ import annotations


class ClusteringError(ValueError):
    """The rows cannot be clustered as asked."""


class TooFewRowsError(ClusteringError):
    """There are fewer usable rows than the parameters need."""
