"""What a book finds in a scan without truth, against the truth that the judge knows: two scans, two other fields, and a scan turned by half a turn."""

import re
from pathlib import Path

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
CASES = {
    "ds1": ("ds1", 0, "good"), "ds2": ("ds2", 0, "good"), "another field of ds1": ("ds1", 1, "good"), "another field of ds2": ("ds2", 1, "good"),
    "ds1 turned by half a turn": ("ds1", 0, "turned"), "ds2 turned by half a turn": ("ds2", 0, "turned"),
}  # fmt: skip


@pytest.fixture(scope="module")
def twin(repository, tmp_path_factory):
    """Make a scan of a preset with fewer positions, each once."""
    folder, made = tmp_path_factory.mktemp("twin"), {}

    def _make(preset: str, seed: int) -> Path:
        if (preset, seed) not in made:
            text = (repository / "figures_pkg" / "twin" / "presets" / f"{preset}.yaml").read_text(encoding="utf-8")
            smaller, changed = re.subn(r"(?m)^(  smoke: \{scan: )\[\d+, \d+\]", rf"\g<1>[{SIDE}, {SIDE}]", text)
            assert changed == 1
            own = folder / f"{preset}.yaml"
            own.write_text(smaller, encoding="utf-8")
            made[preset, seed] = make_dataset(own, "smoke", seed, folder / f"{preset}-{seed}.hspy")
        return made[preset, seed]

    return _make


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """The library of the smoke book, or one in a folder of the test's own."""
    with pytest.MonkeyPatch.context() as patch:
        if not (artefacts_folder("smoke") / "library-matching.npz").is_file():
            patch.setenv("FIGURES_PKG_ARTEFACTS", str(tmp_path_factory.mktemp("artefacts")))
        yield matching_library("smoke")


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_what_is_found_is_what_is_true(twin, library, tmp_path, case):
    """Sign, domains, COM step, best detector and the order of 004 and 002 are those of the true domains, which nobody but the judge reads."""
    preset, seed, variant = CASES[case]
    source = twin(preset, seed)
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
