"""What stands in for a truth: the domains that matching finds, their sign, and when it is not known."""

from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from scipy.ndimage import zoom

from figures_pkg.diffraction import LibrarySettings, build_library
from figures_pkg.evaluate import known_domains
from figures_pkg.evaluate.known import known_from, known_maps, known_words, matched_domains, wall_distance_nm, write_domains
from figures_pkg.imaging import Lattice
from figures_pkg.twin.patterns import Example, example_scan

pytestmark = pytest.mark.physics

STEP_NM = 6.0
SHAPE = (20, 24)


def grid(values, **attrs):
    coordinates = {dim: STEP_NM * np.arange(size) for dim, size in zip(("scan_y", "scan_x"), np.shape(values))}
    return xr.DataArray(np.asarray(values), coordinates, ("scan_y", "scan_x"), attrs=attrs)


def halves():
    """+1 left of the middle, −1 right of it."""
    return np.where(np.arange(SHAPE[1]) < SHAPE[1] // 2, 1, -1) * np.ones(SHAPE, int)


def matched(polarization, poor=np.zeros(SHAPE, bool)):
    """Maps as from a match, with one size of the likelihood ratio."""
    maps = {"polarization": polarization, "log_likelihood_ratio": 50.0 * polarization, "poor_fit": poor, "chi2": np.ones(SHAPE)}
    return xr.Dataset({name: grid(values) for name, values in maps.items()}, attrs={"systematic": 0.03, "poor_chi2": 2.0})


def test_poor_fits_belong_to_no_domain_but_leave_no_hole_in_the_wall_distance():
    """A strip of poor fits along the wall, a hole inside a domain, a lone position whose likelihood says the opposite; steps of the other sign are turned."""
    poor, polarization = np.zeros(SHAPE, bool), halves()
    poor[:, 11:13], poor[3:8, 3:8], polarization[15, 4] = True, True, -1
    known = known_from(matched(polarization, poor=poor), grid(-3.0 * halves()))
    assert (known.attrs["basis"], known.attrs["sign_known"], known.attrs["agreement"]) == ("matched", 1, 1.0)
    assert known.steps[0, 0] > 0 and known_words(known)["domains"] == "matched domains"
    poor[15, 4] = True
    assert not known.domain.values[poor].any() and (known.domain.values[~poor] == halves()[~poor]).all()
    assert (np.sign(known.wall_distance_nm.values) == halves()).all()
    clear = ~poor & (np.abs(known.wall_distance_nm.values) > 20)
    np.testing.assert_array_equal(known_domains(known), np.where(clear, halves(), 0))


@pytest.mark.parametrize(("maps", "steps", "described"), [
    (matched(halves()), np.where(np.arange(SHAPE[0])[:, None] < 10, 1.0, -1.0) * np.ones(SHAPE), True),  # the other map is cut across
    (matched(np.where(np.indices(SHAPE).sum(axis=0) % 2, 1, -1)), 1.0 * halves(), True),  # matching tosses a coin
    (matched(halves(), poor=np.ones(SHAPE, bool)), 2.0 * halves(), False),
    (matched(halves()).assign(chi2=grid(np.full(SHAPE, 40.0))), 2.0 * halves(), False)])
def test_maps_that_disagree_or_describe_nothing_leave_the_sign_open(maps, steps, described):
    known = known_from(maps, grid(steps))
    words = known_words(known)
    assert known.attrs["sign_known"] == 0 and "unknown" in words["sign"] and (words["plus"], words["minus"]) == ("domain A", "domain B")
    assert described or known.attrs["basis"] == "steps" and np.unique(known.domain.values * halves()).tolist() in ([1], [-1])


def test_the_wall_lies_halfway_between_positions():
    known = known_from(matched(np.ones(SHAPE, int)), grid(1.0 * halves()))
    assert np.isposinf(known.wall_distance_nm).all() and (known_domains(known) == 1).all() and np.isnan(known.attrs["agreement"])
    flat = wall_distance_nm(halves(), grid(halves()))
    np.testing.assert_allclose(flat[0], STEP_NM * (11.5 - np.arange(SHAPE[1])))
    y, x = np.indices((60, 60)) * STEP_NM
    askew = (0.6 * x + 0.8 * y) - 250.0
    found = wall_distance_nm(np.where(askew > 0, 1, -1), grid(askew))
    inside = np.s_[12:-12, 12:-12]  # the wall beyond the frame is not seen
    assert np.abs(found - askew)[inside].max() < 0.75 * STEP_NM


def test_what_is_written_is_read_and_a_missing_map_names_the_command(tmp_path, monkeypatch):
    monkeypatch.setenv("FIGURES_PKG_ARTEFACTS", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="figures_pkg domains ds1 --source zenodo --profile smoke --out"):
        known_maps(SimpleNamespace(path="ds1.hspy"), "ds1", "zenodo", "smoke")
    known = known_from(matched(halves()), grid(1.0 * halves()))
    write_domains(known, tmp_path / "smoke" / "domains" / "zenodo" / "ds1.nc")
    again = known_maps(SimpleNamespace(path="ds1.hspy"), "ds1", "zenodo", "smoke")
    xr.testing.assert_identical(again, known)


@pytest.fixture(scope="module")
def simulated():
    library = build_library(LibrarySettings.covering([50, 62], 3.8, 5.3, slices=2, period_step=4, gpts=(64, 72), g_max_inv_angstrom=1.0), progress=False)
    return library, *example_scan(library, Example(positions=SHAPE, step_nm=STEP_NM, thickness_nm=(53, 59), bend_mrad=3.0, convergence_mrad=1.27,
                                                   frame_px=192, pixel_inv_angstrom=0.0115))


def lattice(truth, turn=1):
    """What a manifest would say of the pattern; turned by half a turn with −1."""
    return Lattice(truth.attrs["origin_row_col"], *(tuple(turn * np.array(truth.attrs[name])) for name in ("g002_row_col", "g010_row_col")))


@pytest.mark.parametrize(("expected_turn", "sign"), [(-1, 1), (1, -1)])
def test_the_sign_follows_the_direction_of_c_on_the_detector(simulated, expected_turn, sign):
    """A pattern turned by half a turn keeps its sign if the manifest turns with it, and else changes it: +P is P along the stated +c."""
    library, scan, truth = simulated
    known = matched_domains(scan.copy(data=scan.data[:, :, ::-1, ::-1]), library, lattice(truth, expected_turn), progress=False)
    np.testing.assert_array_equal(known.domain, sign * truth.polarization)
    assert known.attrs["sign_known"] == 1 and known.attrs["systematic"] == pytest.approx(0.03)


def test_a_model_that_is_wrong_by_more_claims_less(simulated):
    """Discs that are off by tens of per cent raise what the library may be wrong by, and the map stays right."""
    library, scan, truth = simulated
    gain = 1 + 0.25 * zoom(np.random.default_rng(0).standard_normal((17, 17)), 192 / 17, order=1)
    changed = scan.copy(data=np.random.default_rng(1).poisson(np.clip(gain, 0.3, None) * scan.values).astype(np.uint16))
    known = matched_domains(changed, library, lattice(truth), progress=False)
    assert known.attrs["systematic"] > 0.05 and known.attrs["basis"] == "matched" and known.attrs["sign_known"] == 1
    used = known.domain.values != 0
    assert used.mean() > 0.7 and (known.domain.values == truth.polarization.values)[used].mean() > 0.99
