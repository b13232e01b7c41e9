"""Pictures come out of a notebook by their checksum."""

import base64
import hashlib
import json

import pytest
import yaml

from figures_pkg.record import pictures
from figures_pkg.record.zenodo import RemoteError


def test_pictures_are_fetched_and_found_by_their_checksum(tmp_path, monkeypatch):
    """Whatever the cell and whether lines are split; one that was changed on the disk, or that no cell holds, is not taken."""
    images = {"a": b"first picture", "b": b"second picture"}
    data = [{"image/png": base64.b64encode(images["a"]).decode()}, {"image/png": [base64.b64encode(images["b"]).decode()]}, {"text/plain": "3"}]
    notebook = {"cells": [{"outputs": [{"data": each}]} for each in data] + [{"cell_type": "markdown"}, {"outputs": [{"text": "log"}]}]}
    monkeypatch.setattr(pictures, "read_address", lambda address: json.dumps(notebook).encode())
    monkeypatch.setenv("FIGURES_PKG_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("FIGURES_PKG_REALDATA", str(tmp_path / "nowhere"))
    entries = {name: {"notebook": "https://example.org/n.ipynb", "file": f"{name}.png", "checksum": f"sha256:{hashlib.sha256(image).hexdigest()}", "shows": "x"}
               for name, image in images.items()}  # fmt: skip
    manifest = tmp_path / "manifest.yaml"
    manifest.write_text(yaml.safe_dump({"pictures": entries}))
    listed = pictures.load_pictures(manifest)
    assert [each.find() for each in listed.values()] == [None, None]
    assert [path.read_bytes() for path in pictures.fetch_pictures(manifest)] == [*images.values()]
    found = listed["a"].find()
    found.write_bytes(b"another")
    assert listed["a"].find() is None and listed["b"].find()
    entries["b"]["checksum"] = "sha256:" + 64 * "0"
    manifest.write_text(yaml.safe_dump({"pictures": entries}))
    with pytest.raises(RemoteError, match="holds 2 pictures, but none with the checksum of b"):
        pictures.fetch_pictures(manifest)


def test_the_manifest_lists_the_pictures_and_their_sources():
    listed = pictures.load_pictures()
    assert {"ds1-channels", "ds2-channels", "ds2-walls-channels", "ds2-vae-channels", "ds1-boxes", "ds2-boxes"} <= set(listed)
    assert all("/c4d6cec0b24b13baf0f35ab40afec545aab41f73/" in each.notebook and each.checksum.startswith("sha256:") for each in listed.values())
