"""The authors' Zenodo records: what they hold, and how a file gets from there to here."""
