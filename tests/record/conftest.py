"""A world to fetch in: an imitation of Zenodo, a manifest of its files, and an empty data folder."""

from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from fake_zenodo import ODD, SCAN, FakeZenodo

from figures_pkg.record import zenodo
from figures_pkg.record.fetch import FOLDER_VARIABLE
from figures_pkg.record.manifest import MANIFEST_VARIABLE

RECORD = {"doi": "10.5281/zenodo.1234567", "record": "1234567", "licence": "BSD-2-Clause", "title": "scans"}


class World:
    def __init__(self, server, folder):
        self.server, self.data = server, folder / "data"
        self.manifest_path = folder / "repository" / "data_manifest.yaml"
        self.path, self.content = self.data / "scan" / "scan.bin", server.files[SCAN]
        self.manifest_path.parent.mkdir()
        self.write_manifest()

    def write_manifest(self, **changes):
        """Keyword arguments change the scan's entry."""
        entries = [
            {"id": id, "role": "measured", "record": "sed", "remote": remote, "local": f"{id}/{id}.bin", "pin": "resolve", "used_by": ["fig1d"],
             "expected_bytes": {"value": [len(self.server.files[remote]) // 2, 2 * len(self.server.files[remote])], "basis": "paper", "source": "log"},
             "substitute": id}
            for id, remote in {"scan": SCAN, **ODD}.items()
        ]  # fmt: skip
        entries[0].update(changes)
        content = {"schema": 1, "bases": {"paper": "a paper"}, "figures": {"fig1d": {"shows": "VDF"}}, "records": {"sed": RECORD}, "datasets": entries}
        self.manifest_path.write_text(yaml.safe_dump(content))


@pytest.fixture
def slept(monkeypatch):
    """Nobody waits: the pauses are gathered instead; three attempts, and five seconds of silence at most."""
    pauses = []
    monkeypatch.setattr(zenodo, "time", SimpleNamespace(sleep=pauses.append))
    monkeypatch.setattr(zenodo, "TRIES", 3)
    monkeypatch.setattr(zenodo, "SILENCE_S", 5.0)
    return pauses


@pytest.fixture
def world(tmp_path, monkeypatch, slept):
    """A fresh world; the environment points to it."""
    rng = np.random.default_rng(7)
    files = {SCAN: rng.bytes(3 * (1 << 20) + 12345)} | {name: rng.bytes(1000 + n) for n, name in enumerate(ODD.values())}
    with FakeZenodo(files) as server:
        monkeypatch.setenv(zenodo.API_VARIABLE, server.api)
        monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "data"))
        made = World(server, tmp_path)
        monkeypatch.setenv(MANIFEST_VARIABLE, str(made.manifest_path))
        yield made
