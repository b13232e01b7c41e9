"""Data, simulation and plotting code shared by the chapters of the companion book."""

__version__ = "0.1.0"
