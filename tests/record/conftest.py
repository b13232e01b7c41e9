"""The loopback imitation of the record, for every test of the data room."""

from fetch_world import world

__all__ = ["world"]
