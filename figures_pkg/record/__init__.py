"""The authors' Zenodo records: what they hold, and how a file gets from there to here."""

from .fetch import MissingDataset, ensure, fetch
from .manifest import load_manifest

__all__ = ["MissingDataset", "ensure", "fetch", "load_manifest"]
