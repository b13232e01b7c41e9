"""The first look at a scan file: what it says against what the manifest and the published pictures let expect."""

from .findings import Decision, Finding, FirstLook, ScanContradicts
from .first_look import inspect_dataset, inspect_scan

__all__ = ["Decision", "Finding", "FirstLook", "ScanContradicts", "inspect_dataset", "inspect_scan"]
