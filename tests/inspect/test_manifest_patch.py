"""What a file decides becomes a change of the manifest that applies, loads, and leaves everything else alone."""

import subprocess

import pytest

from figures_pkg.data import load_manifest
from figures_pkg.inspect import Decision
from figures_pkg.inspect.findings import decided_fact, manifest_patch
from figures_pkg.record.manifest import REPOSITORY_MANIFEST, Fact

PICTURED, STATED = Fact([124.0, 128.6], "picture", "38 spots"), Fact([124.0, 128.6], "paper", "Methods")
CALIBRATION = Fact(0.0096, "calibration", "a table", (Fact(0.0097, "calibration", "an older table"), Fact(0.0095, "picture", "a picture")))
UPSIDE_DOWN = Decision("axes", "orientation", "camera", "upside down", ("lab",))


def patched(folder, decisions, id="ds1", without="no such line"):
    """The manifest, less the lines that begin so, after the patch, and the patch."""
    path = folder / "data_manifest.yaml"
    lines = REPOSITORY_MANIFEST.read_text(encoding="utf-8").splitlines(True)
    path.write_text("".join(line for line in lines if not line.startswith(without)), encoding="utf-8")
    patch = manifest_patch(path, load_manifest(path)[id], decisions)
    if patch:
        subprocess.run(["git", "apply", "-p1", "-"], input=patch, cwd=folder, text=True, check=True, capture_output=True)
    return load_manifest(path), patch


@pytest.mark.parametrize("old, decision, value, basis, conflicts", [
    (PICTURED, Decision("axes", "origin", [124.2, 128.5], "98 discs", tolerance=0.5), [124.2, 128.5], "file", []),
    (PICTURED, Decision("axes", "origin", [131.0, 128.5], "98 discs", tolerance=0.5), [131.0, 128.5], "file", [[124.0, 128.6]]),
    (STATED, Decision("axes", "origin", [124.2, 128.5], "98 discs", tolerance=0.5), [124.0, 128.6], "paper", []),
    (CALIBRATION, Decision("axes", "scale", 0.0096, "the lattice", (0.0097,), keeps_basis=True), 0.0096, "calibration", [0.0095]),
    (CALIBRATION, Decision("axes", "scale", 0.0095, "the lattice", (0.0096, 0.0097), keeps_basis=True), 0.0095, "picture", []),
], ids=["as good as the picture", "against the picture", "stated and confirmed", "excludes another source", "chooses another source"])  # fmt: skip
def test_a_fact_after_a_decision(old, decision, value, basis, conflicts):
    """What rests on a picture is replaced, and stays as a conflict where it differs; excluded sources go and are named in the new source."""
    new = decided_fact(old, decision)
    assert (new.value, new.basis, [one.value for one in new.conflicts]) == (value, basis, conflicts)
    assert not decision.excludes or new.source.endswith(f"the lattice, against {', '.join(f'{one} (calibration)' for one in decision.excludes)}")


def test_the_patch_applies_and_loads(tmp_path):
    """Flow style, block style and conflicts in either are edited where they stand; the rest of the manifest, another dataset too, is the same."""
    decisions = [UPSIDE_DOWN, Decision("axes", "det_scale_inv_angstrom", 0.009555, "the lattice says \"0.0095\"", (0.0097,), keeps_basis=True),
                 Decision("acquisition", "convergence_mrad", 1.24, "discs of 5.2 px", (9, 1.03), keeps_basis=True),
                 Decision("axes", "g002_row_col_px", [-17.4, -5.9], "a fit")]  # fmt: skip
    new, patch = patched(tmp_path, decisions)
    old = load_manifest(REPOSITORY_MANIFEST)
    axes = new["ds1"].axes
    assert (axes["orientation"].value, axes["orientation"].basis, axes["orientation"].conflicts) == ("camera", "file", ())
    assert [one.value for one in axes["det_scale_inv_angstrom"].conflicts] == [0.00949]
    assert '"0.0095"' in axes["det_scale_inv_angstrom"].source and axes["det_scale_inv_angstrom"].basis == "calibration"
    assert new["ds1"].acquisition["convergence_mrad"].conflicts == ()
    assert axes["scan_step_nm"] == old["ds1"].axes["scan_step_nm"] and new["ds2"] == old["ds2"] and new.figures == old.figures
    assert all(line.startswith(("+", "-", " ", "@")) for line in patch.splitlines())
    other, _ = patched(tmp_path, [UPSIDE_DOWN], id="ds2", without="  file:")  # a manifest that does not know the basis yet
    assert other["ds2"].axes["orientation"].value == "camera" and other["ds1"] == old["ds1"] and "file" in other.bases


@pytest.mark.parametrize("decisions", [[], [Decision("axes", "no_such_fact", 1, "x")], [Decision("container", "shape", [256] * 4, "the array")]])
def test_nothing_new_is_no_patch(tmp_path, decisions):
    """Without decisions, for facts that the manifest does not have, and where the file only confirms what is stated."""
    assert patched(tmp_path, decisions)[1] == ""
