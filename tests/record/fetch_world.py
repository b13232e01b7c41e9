"""A world to fetch in: an imitation of Zenodo, a manifest of its files, and an empty data folder."""

import subprocess
import sys

import numpy as np
import pytest
import yaml
from fake_zenodo import FakeZenodo

from figures_pkg.record.download import Patience
from figures_pkg.record.fetch import FOLDER_VARIABLE, ensure, fetch
from figures_pkg.record.manifest import load_manifest
from figures_pkg.record.zenodo import API_VARIABLE

SCAN = "a scan, 100 % real.hspy"
ODD = {
    "colon": "Weight_epoch:0000_l1:0.pkl",
    "hash": "a#b?c&d=e+f%20g.pkl",
    "up": "../../outside.txt",
    "slash": "x/y é.pkl",
}
QUICK = Patience(connect_s=2, silence_s=5, tries=3, pause_s=0.01, longest_pause_s=0.02, longest_retry_after_s=5)
MIB = 1 << 20


def entry(id, remote, size):
    """Return the manifest's entry of one file, with a bracket around its size."""
    bracket = {"value": [max(size // 2, 1), size * 2], "basis": "paper", "source": "log"}
    return {
        "id": id,
        "role": "measured",
        "record": "sed",
        "remote": remote,
        "local": f"{id}/{id}.bin",
        "pin": "resolve",
        "expected_bytes": bracket,
        "used_by": ["fig1d"],
        "substitute": {"generator": "figures_pkg.twin:make_dataset", "args": {"preset": id}},
    }


class World:
    """An imitation, a manifest of its files, and an empty data folder."""

    def __init__(self, server, folder):
        self.server = server
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
        content = {
            "schema": 1,
            "bases": {"paper": "a paper"},
            "figures": {"fig1d": {"shows": "VDF", "data": "record"}},
            "records": {"sed": record},
            "datasets": entries,
        }
        self.manifest_path.write_text(yaml.safe_dump(content))

    @property
    def manifest(self):
        """The manifest as it stands on disk."""
        return load_manifest(self.manifest_path)

    def fetch(self, ids="scan", patience=QUICK, **options):
        """Fetch with little patience."""
        return fetch(ids, self.manifest, patience=patience, **options)

    def ensure(self, id="scan", **options):
        """Ensure with this world's manifest."""
        return ensure(id, self.manifest, **options)

    def start(self, ids="scan"):
        """Start fetching in a process of its own."""
        code = (
            "import sys; from figures_pkg.record.fetch import fetch; from figures_pkg.record.manifest import load_manifest;"
            "sys.stdout.write(str(fetch(sys.argv[2], load_manifest(sys.argv[1]))[0]))"
        )
        command = [sys.executable, "-c", code, str(self.manifest_path), ids]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def part(self):
        """Return the part of the scan that has arrived, or None."""
        return next(iter((self.data / ".fetch").glob("scan.*.part")), None)


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A fresh world; the environment points to it."""
    rng = np.random.default_rng(7)
    files = {SCAN: rng.bytes(3 * MIB + 12345)} | {name: rng.bytes(1000 + n) for n, name in enumerate(ODD.values())}
    with FakeZenodo(files) as server:
        monkeypatch.setenv(API_VARIABLE, server.api)
        monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "data"))
        yield World(server, tmp_path)
