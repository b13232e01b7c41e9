"""A published figure leaves picture, drawing, numbers and passport, and says where it comes from."""

import json
import os

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

from figures_pkg.provenance.figures import sha256
from figures_pkg.provenance.writer import publish


def test_everything_is_left_beside_each_other(world, scan):
    world.chapter("fig-9", "fig-9a")
    path = world.publish("fig-9a", source=scan, arrays={"maps": {"a": np.eye(3)}, "tilt": 2.0}, recipe="small")
    passport = json.loads(path.read_text(encoding="utf-8"))
    assert sorted(file.name for file in path.parent.iterdir()) == [f"fig-9a.{kind}" for kind in ("json", "npz", "png", "svg")]
    assert passport["files"] == {kind: sha256(path.with_suffix(f".{kind}")) for kind in ("png", "svg", "npz")}
    assert passport["settings"] == {"profile": "smoke", "data": "twin", "recipe": "small"} and passport["origin"] == "twin"
    assert passport["scans"][0]["seed"] == 3 and passport["scans"][0]["sha256"] == sha256(scan.attrs["path"])
    assert passport["machine"]["wall_s"] > 0 and "numpy" in passport["software"]["packages"]
    assert passport["notebook"] == "notebooks/fig-9.md" and passport["panel"] == "Fig. 9"
    with np.load(path.with_suffix(".npz")) as arrays:
        assert np.array_equal(arrays["maps/a"], np.eye(3)) and arrays["tilt"] == 2.0


def test_the_same_figure_gives_the_same_pictures(world, scan):
    """No date and no random name is in PNG or SVG; the variables of a Dataset become arrays of their own. A figure of a scan is stamped, a drawing
    of a model is not. An SVG of a hundred thousand points stays small, the figure itself as it was."""
    world.chapter("fig-9", "fig-9a")
    maps, files = xr.Dataset({"high": ("x", [1, 2]), "low": ("x", [0.5, 1])}), []
    for source, stamped in ((None, False), (None, False), (scan, True)):
        figure, ax = plt.subplots(figsize=(2, 2))
        points = ax.scatter(*np.random.default_rng(0).random((2, 100_000)), s=1)
        publish(figure, "fig-9a", source, "smoke", "twin", maps)
        passport = json.loads((world.artefacts / "smoke/figures/twin/fig-9a.json").read_text())
        files.append((passport["files"]["png"], passport["files"]["svg"]))
        assert ("twin" in figure.get_supxlabel()) is stamped and not points.get_rasterized() and set(passport["arrays"]) == {"high", "low"}
        plt.close(figure)
    assert files[0] == files[1] and (world.artefacts / "smoke/figures/twin/fig-9a.svg").stat().st_size < 300_000


@pytest.mark.parametrize("how, message", [
    ({"name": "fig-8"}, "no notebook announces a figure called 'fig-8'.*fig-9a"),
    ({"arrays": {}}, "fig-9a: no arrays"),
    ({"arrays": {"who": ["text"]}}, "array 'who' has dtype"),
    ({"source": "guess"}, "'guess'"),
])  # fmt: skip
def test_what_cannot_be_published_is_one_clear_error(world, how, message):
    """Nothing is written then."""
    world.chapter("fig-9", "fig-9a")
    with pytest.raises(ValueError, match=message):
        world.publish(**{"name": "fig-9a", **how})
    assert not (world.artefacts / "smoke/figures").exists()


def test_a_large_file_is_read_once(tmp_path):
    """The checksum of a large file is remembered by size and date; an edited file is read again, and so is all after a spoiled memory."""
    path, memory = tmp_path / "scan", tmp_path / "memory.json"
    path.write_bytes(bytes(2**21))
    first, date = sha256(path, memory), path.stat().st_mtime_ns
    path.write_bytes(b"1" + bytes(2**21 - 1))
    os.utime(path, ns=(date, date))
    assert sha256(path, memory) == first
    memory.write_text("spoiled")
    edited = sha256(path, memory)
    assert edited == sha256(path) != first
    path.write_bytes(bytes(2**21 + 1))
    assert sha256(path, memory) == sha256(path) != edited
