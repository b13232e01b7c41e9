"""The match on patterns of known state: without noise, with noise, mirrored, streamed, scored, and on bad input."""

import re
from dataclasses import replace

import dask.array as da
import numpy as np
import pytest
import xarray as xr

from figures_pkg.chapters.matching import match_mean
from figures_pkg.cli import main
from figures_pkg.imaging.lattice_search import find_lattice
from figures_pkg.matching import DiscGeometry, average_over_discs, disc_residuals, match, match_scores, prepare
from figures_pkg.matching.matcher import FITTED
from figures_pkg.twin.patterns import Example, example_scan

pytestmark = pytest.mark.physics

CONVERGENCE, NOISE_FREE = 1.27, 1e9


@pytest.fixture(scope="module")
def matcher(matcher_for):
    return replace(matcher_for(CONVERGENCE, 5.3), systematic=0.0)


def test_the_mean_over_a_disc_is_that_of_plane_waves(library):
    averaged = average_over_discs(library, CONVERGENCE)
    rim, turn = CONVERGENCE * np.sqrt((np.arange(20) + 0.5) / 20), 2 * np.pi * np.arange(60) / 60
    b, c = np.outer(rim, np.cos(turn)).ravel(), np.outer(rim, np.sin(turn)).ravel()
    chosen = [np.flatnonzero((library.g_b == gb) & (library.g_c == gc))[0] for gb, gc in averaged.g]
    for place, sign in enumerate((1, -1)):
        waves, mean = library.intensities(sign, np.full(b.shape, 55.0), 1.2 + b, -2.7 + c).mean(axis=0)[chosen], averaged.at(np.array([1.2, -2.7, 55.0]))[place]
        assert np.linalg.norm(mean - waves) < 2e-3 * np.linalg.norm(mean)
    with pytest.raises(ValueError, match="wider tilts"):
        average_over_discs(library, 3.4)


def states(count, seed=0):
    """Polarization, and tilt b, tilt c, thickness inside the library, shape (n,) and (n, 3)."""
    rng = np.random.default_rng(seed)
    return rng.choice([1, -1], count), np.stack([rng.uniform(-2, 2, count), rng.uniform(-3.5, 3.5, count), rng.uniform(52, 60, count)], 1)


def discs(library, polarization, points):
    return np.array([library.at(point)[(1 - sign) // 2] for sign, point in zip(polarization, points)])


def test_patterns_without_noise_return_their_parameters_and_the_opposite_ones_turned_by_half_a_turn(matcher):
    sign, points = states(60)
    sums, variances, g = NOISE_FREE * discs(matcher.library, sign, points), np.full((60, len(matcher.plan)), 1e6), matcher.library.g
    opposite = np.array([np.linalg.norm(g + vector, axis=1).argmin() for vector in g])
    assert np.abs(g + g[opposite]).max() < 1e-9
    for seen, turn in ((sums, 1), (sums[:, opposite], -1)):
        found = matcher.fit(seen, variances)
        np.testing.assert_array_equal(found["polarization"], turn * sign)
        np.testing.assert_array_equal(np.sign(found["log_likelihood_ratio"]), turn * sign)
        for name, values in zip(FITTED, (turn * points[:, 0], turn * points[:, 1], points[:, 2])):
            np.testing.assert_allclose(found[name], values, atol=2e-3)
        np.testing.assert_allclose(found["scale"], NOISE_FREE, rtol=1e-3)
        assert not found["poor_fit"].any()
    assert matcher.fit(NOISE_FREE * discs(matcher.library, sign, points)[:, ::-1] ** 0.5, variances)["poor_fit"].all()  # the library does not hold these


@pytest.mark.parametrize("systematic", [0.0, 0.03])
def test_pulls_are_standard_normal(matcher, systematic):
    sign, points = states(1000, 3)
    counts = np.random.default_rng(5).poisson(np.maximum(5e4 * discs(matcher.library, sign, points), 0) + 400)
    found = replace(matcher, systematic=systematic).fit(counts - 400.0, np.maximum(counts, 1.0))
    assert (found["polarization"] == sign).mean() > 0.999
    for column, name in enumerate(FITTED):
        pull = (found[name] - points[:, column]) / found[f"{name}_error"]
        assert abs(pull.mean()) < 0.12 and 0.9 < pull.std() < 1.1 and 0.64 < (np.abs(pull) < 1).mean() < 0.73
    assert systematic > 0 or abs(found["chi2"].mean() - 1) < 0.03


@pytest.fixture(scope="module")
def scan(library):
    example = Example(positions=(6, 6), thickness_nm=(53, 59), bend_mrad=3.0, convergence_mrad=CONVERGENCE, frame_px=192, pixel_inv_angstrom=0.0115)
    counts, _ = example_scan(library, example)
    return counts, prepare(counts, library)


def test_too_few_counts_and_noise_without_a_net_are_refused(scan, library):
    counts, _ = scan
    rng, geometry = np.random.default_rng(0), DiscGeometry.of(find_lattice(counts.mean(("scan_y", "scan_x")).values, scale_inv_angstrom=0.0115))
    thin, noise = (counts.copy(data=drawn.astype(np.uint16)) for drawn in (rng.binomial(counts.values, 0.01), rng.poisson(5, counts.shape)))
    for scan, place, says in ((thin, geometry, "counts above the background"), (noise, None, "no lattice found|another zone axis")):
        with pytest.raises(ValueError, match=says):
            prepare(scan, library, geometry=place)


def test_neither_blocks_nor_a_cluster_change_the_maps(scan):
    distributed, (counts, matcher) = pytest.importorskip("distributed"), scan
    cut = counts.copy(data=da.from_array(counts.values, chunks=(3, 4, -1, -1)))
    alone = match(cut, matcher, threads=1, progress=False)
    np.testing.assert_allclose(alone.thickness_nm, match(counts, matcher, progress=False).thickness_nm, atol=0.02)
    assert alone.thickness_nm.units == "nm" and alone.polarization.dims == ("scan_y", "scan_x")
    options = {"n_workers": 1, "threads_per_worker": 2, "processes": False, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster):
        xr.testing.assert_identical(match(cut, matcher, progress=False), alone)


def test_a_mean_pattern_known_to_a_share_returns_its_state(matcher, library):
    sign, points = states(3, 9)
    hkl = {(g_b, g_c): (int(k), int(l)) for (_, k, l), g_b, g_c in zip(library.hkl, library.g_b, library.g_c)}
    for state, point, values in zip(sign, points, discs(matcher.library, sign, points)):
        sums = {hkl[tuple(g)]: 1e4 * value for g, value in zip(matcher.library.g, values)}
        found = match_mean(sums, library, CONVERGENCE).iloc[0]
        assert found.polarization == state and abs(found.thickness_nm - point[2]) < 0.01
        assert abs(found.tilt_c_mrad - point[1]) < 0.01 < found.tilt_c_mrad_error


@pytest.mark.parametrize("words, message", [
    (["maps.csv"], "ends in .nc"), (["maps.nc", "--structure", "x.cif"], "go together"), (["maps.nc", "--thickness-nm", "90", "30"], "larger largest"),
    (["maps.nc"], "not exist|[nN]o such")])
def test_the_command_says_what_is_wrong(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["match", "missing.hspy", "--out", *words]) == 1
    assert re.search(message, capsys.readouterr().err)


def test_scores_count_only_what_lies_inside():
    truth = {"domain": np.array([1, 1, -1, -1]), "thickness_nm": np.full(4, 60.0), "tilt_b_mrad": np.zeros(4), "tilt_c_mrad": np.zeros(4)}
    found = truth | {"polarization": np.array([1, -1, -1, 1]), "chi2": np.array([1.0, 1.2, 5.0, 9.0]), "poor_fit": np.array([False, False, True, True]),
                     "log_likelihood_ratio": np.array([40.0, -3.0, -50.0, 1.0]), "thickness_nm": np.array([61.0, 59.0, 63.0, 90.0])}
    scores = match_scores(found | {f"{name}_error": np.full(4, 1.5) for name in FITTED}, truth, np.array([True, True, True, False]))
    expected = {"wrong": 1 / 3, "thickness_nm bias": 1, "thickness_nm rms": np.sqrt(11 / 3), "thickness_nm within": 2 / 3, "chi2": 1.2, "poor": 1 / 3,
                "log_likelihood_ratio": 3}
    assert {name: scores[name] for name in expected} == pytest.approx(expected)


def test_an_error_of_the_model_shows_disc_by_disc(scan):
    counts, matcher = scan
    found = match(counts, matcher, progress=False, discs=True)
    factors = 1 + 0.2 * np.random.default_rng(1).normal(size=len(matcher.plan))
    right, wrong = disc_residuals(found, matcher), disc_residuals(found.assign(discs=found.discs * factors), matcher)
    np.testing.assert_allclose(wrong.share, (1 + right.share) * factors - 1, atol=1e-5)
    assert right.misfit < 0.03 and 0.1 < wrong.misfit < 0.3
