"""Figures that carry their papers: one writer saves a figure with the arrays behind it and says how it was made."""

from .writer import publish

__all__ = ["publish"]
