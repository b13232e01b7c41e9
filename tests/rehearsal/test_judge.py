"""What a book finds in a scan without truth, against the truth that the judge knows: fields that the rehearsal does not have, and half a turn."""

import re

import judge
import numpy as np
import pytest
import stand_in
import xarray as xr

from figures_pkg.evaluate.known import known_words, matched_domains, matching_library
from figures_pkg.twin import make_dataset, read_truth
from figures_pkg.workspace import artefacts_folder

pytestmark = pytest.mark.physics

SIDE = 32  # positions along each side of the same field: steps of 11 nm
CASES = {"another field of ds1, turned by half a turn": ("ds1", "turned"), "another field of ds2": ("ds2", "good")}


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """The library of the smoke book, or one in a folder of the test's own."""
    with pytest.MonkeyPatch.context() as patch:
        if not (artefacts_folder("smoke") / "library-matching.npz").is_file():
            patch.setenv("FIGURES_PKG_ARTEFACTS", str(tmp_path_factory.mktemp("artefacts")))
        yield matching_library("smoke")


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_what_is_found_is_what_is_true(repository, library, tmp_path, case):
    """Sign, domains, COM step, best detector and the order of 004 and 002 are those of the true domains, which nobody but the judge reads."""
    preset, variant = CASES[case]
    text = (repository / "figures_pkg" / "twin" / "presets" / f"{preset}.yaml").read_text(encoding="utf-8")
    smaller, changed = re.subn(r"(?m)^(  smoke: \{scan: )\[\d+, \d+\]", rf"\g<1>[{SIDE}, {SIDE}]", text)
    assert changed == 1
    (tmp_path / f"{preset}.yaml").write_text(smaller, encoding="utf-8")
    source = make_dataset(tmp_path / f"{preset}.yaml", "smoke", seed=1, out=tmp_path / f"{preset}.hspy")
    truth, turned = read_truth(source), variant == "turned"
    path = stand_in.write_scan(source, tmp_path / "scan.hspy", variant, stand_in.CHUNKS[preset])
    lattice, radius = judge.lattice_for(truth, (256, 256), turned)
    scan = judge.opened(path, truth, lattice)
    found = matched_domains(scan, library, lattice, progress=False)
    answers = judge.verdicts(found, truth, judge.images_of(scan, lattice, radius), -1 if turned else 1)
    assert all(good for _, good in answers.values()), judge.table(case, answers)
    assert known_words(found)["plus"] == "+P" and found.attrs["basis"] == "matched"


def maps(domain: np.ndarray, distance: np.ndarray) -> xr.Dataset:
    """Domains and distances on a line of positions."""
    dims = ("scan_y", "scan_x")
    return xr.Dataset({"domain": (dims, domain[None]), "wall_distance_nm": (dims, distance[None])})


def test_the_judge_counts_only_clear_positions_and_knows_the_half_turn():
    """Within 20 nm nothing counts; an unknown domain is no right one; a turned scan has the other sign."""
    distance = np.array([-50.0, -30, -10, 10, 30, 50])
    truth = maps(np.sign(distance).astype(int), distance)
    found = truth.assign(domain=truth.domain.copy(data=[[-1, -1, 1, -1, 1, 0]]))
    assert judge.right_share(found, truth) == 0.75
    assert judge.right_share(found, truth, sense=-1) == 0.0
