"""A world to fetch in: an imitation of Zenodo, a manifest of its files, and an empty data folder."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from fake_zenodo import ODD, SCAN, FakeZenodo

from figures_pkg.record import zenodo
from figures_pkg.record.fetch import FOLDER_VARIABLE, ensure, fetch
from figures_pkg.record.manifest import load_manifest


def entry(id, remote, size):
    """The manifest's entry of one file, with a bracket around its size."""
    return {
        "id": id, "role": "measured", "record": "sed", "remote": remote, "local": f"{id}/{id}.bin", "pin": "resolve", "used_by": ["fig1d"],
        "expected_bytes": {"value": [max(size // 2, 1), size * 2], "basis": "paper", "source": "log"},
        "substitute": {"generator": "figures_pkg.twin:make_dataset", "args": {"preset": id}},
    }  # fmt: skip


class World:
    """An imitation, a manifest of its files, and an empty data folder; `slept` gathers the pauses between attempts, in seconds."""

    def __init__(self, server, folder, slept):
        self.server, self.slept = server, slept
        self.data = folder / "data"
        self.manifest_path = folder / "repository" / "data_manifest.yaml"
        self.manifest_path.parent.mkdir()
        self.write_manifest()

    def write_manifest(self, **changes):
        """Write the manifest; keyword arguments change the scan's entry."""
        names = {"scan": SCAN, **ODD}
        entries = [entry(id, remote, len(self.server.files[remote])) for id, remote in names.items()]
        entries[0].update(changes)
        record = {"doi": "10.5281/zenodo.1234567", "record": "1234567", "licence": "BSD-2-Clause", "title": "scans"}
        content = {"schema": 1, "bases": {"paper": "a paper"}, "figures": {"fig1d": {"shows": "VDF", "data": "record"}},
                   "records": {"sed": record}, "datasets": entries}  # fmt: skip
        self.manifest_path.write_text(yaml.safe_dump(content))

    @property
    def content(self):
        """The bytes of the scan on the record."""
        return self.server.files[SCAN]

    @property
    def manifest(self):
        """The manifest as it stands on disk."""
        return load_manifest(self.manifest_path)

    def fetch(self, ids="scan", **options):
        """Fetch with this world's manifest."""
        return fetch(ids, self.manifest, **options)

    def ensure(self, id="scan", **options):
        """Ensure with this world's manifest."""
        return ensure(id, self.manifest, **options)

    def start(self):
        """Start fetching the scan in a process of its own."""
        code = (
            "import sys; from figures_pkg.record.fetch import fetch; from figures_pkg.record.manifest import load_manifest;"
            "sys.stdout.write(str(fetch('scan', load_manifest(sys.argv[1]))[0]))"
        )
        return subprocess.Popen([sys.executable, "-c", code, str(self.manifest_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def part(self):
        """The part of the scan that has arrived, or None."""
        return next(iter((self.data / ".fetch").glob("scan.*.part")), None)


@pytest.fixture
def slept(monkeypatch):
    """Nobody waits: the pauses are gathered instead; three attempts, and five seconds of silence at most."""
    pauses = []
    monkeypatch.setattr(zenodo, "time", SimpleNamespace(sleep=pauses.append))
    monkeypatch.setattr("pooch.core.time", SimpleNamespace(sleep=lambda seconds: None))
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
        yield World(server, tmp_path, slept)
