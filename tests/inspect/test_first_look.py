"""The first look at files: good, flipped, at another camera length, of another shape, damaged; and the loop back into the manifest."""

import hashlib
import json
import subprocess

import h5py
import numpy as np
import pytest
from drawn_scans import SHAPE, counts, manifest_for, mean_pattern, published_lattice, write

from figures_pkg.cli import main
from figures_pkg.data import load_manifest
from figures_pkg.data.published import box_image_numbers
from figures_pkg.inspect import inspect_dataset, inspect_scan
from figures_pkg.inspect.first_look import PARTS, scan_axes_finding
from figures_pkg.inspect.frame import reoriented

pytestmark = pytest.mark.process

REMOTE = load_manifest()["ds1"].remote  # a file of this name is held against the manifest's entry


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A file that holds what the manifest expects, under the record's name."""
    return write(tmp_path_factory.mktemp("scans") / REMOTE, counts())


@pytest.fixture
def expecting(monkeypatch, tmp_path):
    """Makes the manifest expect the shape and size of a file, and gives back its path."""
    return lambda path, shape=SHAPE: monkeypatch.setenv("FIGURES_PKG_MANIFEST", str(manifest_for(tmp_path, path, shape))) or path


def test_a_good_file_contradicts_nothing(good, expecting, capsys, tmp_path):
    """All that the published numbers went into agrees, conflicts that the file decides are decided; the command prints the table and ends well."""
    assert main(["inspect", str(expecting(good)), "--json", str(tmp_path / "look.json")]) == 0
    assert "rows and columns" in capsys.readouterr().out
    look = json.loads((tmp_path / "look.json").read_text())
    assert look["dataset"] == "ds1" and look["contradictions"] == []
    findings = {finding["check"]: finding for finding in look["findings"]}
    agree = ("file", "shape", "type", "wrap-around", "saturation", "dead pixels", "hot pixels", "rows and columns", "half a turn", "direct beam")
    decided = ("convergence", "scan step")
    assert {check: findings[check]["verdict"] for check in agree + decided} == dict.fromkeys(agree, "agrees") | dict.fromkeys(decided, "decided")
    assert "9 mrad (paper)" in findings["convergence"]["evidence"]
    assert "-        conflicts: [{value: 0.977" in look["patch"] and "0.977 (notebook)" in look["patch"]


def test_a_flipped_file_is_named_and_its_patch_mends_it(expecting, tmp_path):
    path = expecting(write(tmp_path / REMOTE, counts()[:, :, ::-1]))
    look = inspect_scan(path)
    assert look.contradictions[0] == "the rows are upside down with respect to the published picture: stored_orientation is camera"
    assert look["dead pixels"].wrong
    subprocess.run(["git", "apply", "-p1", "-"], input=look.patch, cwd=tmp_path, text=True, check=True)
    again = inspect_scan(path)
    assert again.contradictions == [] and again["rows and columns"].verdict == again["direct beam"].verdict == "agrees"


def test_a_pattern_of_another_camera_length_makes_results_wrong(expecting, tmp_path):
    """A lattice that is smaller than expected contradicts the manifest's scale, and the patch holds the right one."""
    look = inspect_scan(expecting(write(tmp_path / REMOTE, counts(mean_pattern(published_lattice(0.85), 4.5)))))
    assert look["detector scale"].wrong and "another camera length" in look["detector scale"].says
    value = next(decision.value for decision in look["detector scale"].decisions)
    assert value == pytest.approx(0.00949 / 0.85, rel=0.01) and f"+        value: {value}" in look.patch


def test_another_shape_is_said_in_one_sentence_and_the_rest_is_checked(expecting, tmp_path):
    """No patch is offered, and the frame is checked all the same. Axes of a wrong camera length are noticed, but the book does not use them."""
    look = inspect_scan(expecting(write(tmp_path / REMOTE, counts(), scale=0.0038), (8, 6, 256, 256)))
    (says,) = look.contradictions
    assert says.startswith("the file holds 6 × 2 × 256 × 256 numbers, the manifest expects 8 × 6 × 256 × 256 of ds1")
    assert look["rows and columns"].verdict == "agrees" and look.patch == ""
    assert "another camera length" in look["detector scale"].evidence and not look["detector scale"].wrong
    half = inspect_scan(write(tmp_path / "half.hspy", counts()[..., :128]), "ds1")  # neither boxes nor dead pixels nor pictures belong to it
    assert half["shape"].wrong and "box1" not in [finding.check for finding in half.findings] and half["rows and columns"].verdict == "cannot be told"


def test_the_source_of_a_fetched_file_comes_from_its_pin(good, monkeypatch, tmp_path):
    """One that another manifest vouches for is a rehearsal."""
    path = tmp_path / "data" / "ds1" / "ds1.hspy"
    path.parent.mkdir(parents=True)
    path.write_bytes(good.read_bytes())
    manifest = manifest_for(tmp_path, path)
    pin = f"pin: given\n    size: {path.stat().st_size}\n    checksum: sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    manifest.write_text(manifest.read_text(encoding="utf-8").replace("    pin: resolve", f"    {pin}", 1), encoding="utf-8")
    monkeypatch.setenv("FIGURES_PKG_MANIFEST", str(manifest))
    monkeypatch.setenv("FIGURES_PKG_DATA", str(tmp_path / "data"))
    look = inspect_dataset("ds1", "zenodo")
    assert (look.source, look.dataset, look.contradictions) == ("rehearsal", "ds1", []) and look.patch
    assert look.histogram.sum() == np.prod(SHAPE) and len(look.strengths) >= 4


def test_an_unknown_file_is_only_looked_at_by_itself(tmp_path, capsys):
    """Without an entry of the manifest nothing can contradict it; a file that is missing is no finding but an error."""
    look = inspect_scan(write(tmp_path / "mine.hspy", counts()))
    assert look.dataset == "" and look.contradictions == [] and look.patch == ""
    assert look["shape"].verdict == "cannot be told" and look["detector scale"].verdict == "agrees"
    assert main(["inspect", "nowhere.hspy"]) == 1 and "no such scan" in capsys.readouterr().err


def test_a_damaged_file_is_a_finding(good, tmp_path):
    whole = good.read_bytes()
    with h5py.File(good) as file:
        start = next(iter(file["Experiments"].values()))["data"].id.get_chunk_info(0).byte_offset + 64
    for damaged in (whole[:start] + bytes(64) + whole[start + 64:], whole[:len(whole) // 2]):
        (tmp_path / "damaged.hspy").write_bytes(damaged)
        look = inspect_scan(tmp_path / "damaged.hspy", "ds1")
        assert look["file"].wrong and look.contradictions[0].startswith("the file cannot be read: ")


def test_the_command_ends_with_the_finding(capsys, tmp_path):
    path = write(tmp_path / "mine.hspy", (counts(4 * mean_pattern()) % 256).astype(np.uint8))
    assert main(["inspect", str(path), "--json", str(tmp_path / "look.json")]) == 1
    output = capsys.readouterr()
    assert "CONFLICT" in output.out and "wrapped modulo 256" in output.err.splitlines()[-1]
    assert json.loads((tmp_path / "look.json").read_text())["contradictions"][0].startswith("the counts are wrapped")


@pytest.mark.parametrize("orientation", ["as published", "turned by half a turn", "rows and columns exchanged"])
def test_the_scans_rows_and_columns_are_told_from_the_box_images(orientation):
    """Images that repeat the published ones are recognised in each orientation of the scan; without contrast, and in few positions, none is."""
    images, noise = box_image_numbers("ds1"), np.random.default_rng(0)
    for shape in ((48, 48), (PARTS - 1, 48)):
        assert scan_axes_finding({name: noise.normal(1e4, 100, shape) for name in ("box1", "box2")}, images).verdict == "cannot be told"
    maps = {name: np.kron(reoriented(images[name]["blocks"], orientation), np.ones((3, 3))) for name in ("box1", "box2")}
    finding = scan_axes_finding({name: 250 * image + noise.normal(0, 50, image.shape) for name, image in maps.items()}, images)
    assert finding.found == orientation and finding.wrong == (orientation != "as published")
