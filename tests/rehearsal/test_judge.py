"""What a book finds in a scan without truth, against the truth that the judge knows: a field that the rehearsal does not have, and half a turn."""

import re

import judge
import pytest
import stand_in

from figures_pkg.evaluate.known import known_words, matched_domains, matching_library
from figures_pkg.twin import make_dataset, read_truth
from figures_pkg.workspace import artefacts_folder

pytestmark = pytest.mark.physics

SIDE = 32  # positions along each side of the same field: steps of 11 nm


@pytest.mark.slow
def test_what_is_found_is_what_is_true(repository, tmp_path, monkeypatch):
    """
    Sign, domains, COM step, best detector and the order of 004 and 002 are those of the true domains, which nobody but the judge reads.

    In another field of ds1 than the rehearsal's, its patterns turned by half a turn; the library is the smoke book's, or one made here.
    """
    if not (artefacts_folder("smoke") / "library-matching.npz").is_file():
        monkeypatch.setenv("FIGURES_PKG_ARTEFACTS", str(tmp_path))
    text = (repository / "figures_pkg" / "twin" / "presets" / "ds1.yaml").read_text(encoding="utf-8")
    smaller, changed = re.subn(r"(?m)^(  smoke: \{scan: )\[\d+, \d+\]", rf"\g<1>[{SIDE}, {SIDE}]", text)
    assert changed == 1
    (tmp_path / "ds1.yaml").write_text(smaller, encoding="utf-8")
    source = make_dataset(tmp_path / "ds1.yaml", "smoke", seed=1, out=tmp_path / "ds1.hspy")
    truth = read_truth(source)
    path = stand_in.write_scan(source, tmp_path / "scan.hspy", "turned", stand_in.CHUNKS["ds1"])
    lattice, radius = judge.lattice_for(truth, (256, 256), turned=True)
    scan = judge.opened(path, truth, lattice)
    found = matched_domains(scan, matching_library("smoke"), lattice, progress=False)
    answers = judge.verdicts(found, truth, judge.images_of(scan, lattice, radius), sense=-1)
    assert all(good for _, good in answers.values()), judge.table("ds1", answers)
    assert known_words(found)["plus"] == "+P" and found.attrs["basis"] == "matched"
