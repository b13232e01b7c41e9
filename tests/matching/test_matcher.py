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
from figures_pkg.matching.matcher import FITTED, predicted_discs
from figures_pkg.twin.patterns import Example, example_scan

pytestmark = pytest.mark.physics

CONVERGENCE = 1.27
NOISE_FREE = 1e9


@pytest.fixture(scope="module")
def matcher(matcher_for):
    return replace(matcher_for(CONVERGENCE, 5.3), systematic=0.0)


def states(count, seed=0):
    """Polarization, and tilt b, tilt c, thickness inside the library, shape (n,) and (n, 3)."""
    rng = np.random.default_rng(seed)
    return rng.choice([1, -1], count), np.stack([rng.uniform(-2, 2, count), rng.uniform(-3.5, 3.5, count), rng.uniform(52, 60, count)], 1)


def discs(library, polarization, points):
    """Mean intensities of the discs, shape (n, discs)."""
    return np.array([library.at(point)[(1 - sign) // 2] for sign, point in zip(polarization, points)])


def test_patterns_without_noise_return_their_parameters(matcher):
    sign, points = states(60)
    found = matcher.fit(NOISE_FREE * discs(matcher.library, sign, points), np.full((60, len(matcher.plan)), 1e6))
    np.testing.assert_array_equal(found["polarization"], sign)
    for column, name in enumerate(FITTED):
        np.testing.assert_allclose(found[name], points[:, column], atol=2e-3)
    np.testing.assert_allclose(found["scale"], NOISE_FREE, rtol=1e-3)
    np.testing.assert_array_equal(np.sign(found["log_likelihood_ratio"]), sign)
    assert not found["poor_fit"].any()
    wrong = NOISE_FREE * discs(matcher.library, sign, points)[:, ::-1] ** 0.5  # what the library does not hold
    assert matcher.fit(wrong, np.full(wrong.shape, 1e6))["poor_fit"].all()


@pytest.mark.parametrize("systematic", [0.0, 0.03])
def test_pulls_are_standard_normal(matcher, systematic):
    count, rng = 1500, np.random.default_rng(5)
    sign, points = states(count, 3)
    mean, background = 5e4 * discs(matcher.library, sign, points), 400.0
    sums = rng.poisson(np.maximum(mean, 0) + background) - background
    found = replace(matcher, systematic=systematic).fit(sums, np.maximum(sums + background, 1.0))
    assert (found["polarization"] == sign).mean() > 0.999
    for column, name in enumerate(FITTED):
        pull = (found[name] - points[:, column]) / found[f"{name}_error"]
        assert abs(pull.mean()) < 0.12
        assert 0.9 < pull.std() < 1.1
        assert 0.64 < (np.abs(pull) < 1).mean() < 0.73
    if systematic == 0:
        assert abs(found["chi2"].mean() - 1) < 0.03


def test_the_mean_over_a_disc_is_that_of_plane_waves(library):
    averaged = average_over_discs(library, CONVERGENCE)
    rim, turn = CONVERGENCE * np.sqrt((np.arange(20) + 0.5) / 20), 2 * np.pi * np.arange(60) / 60
    b, c = np.outer(rim, np.cos(turn)).ravel(), np.outer(rim, np.sin(turn)).ravel()
    for sign, point in zip(*states(4, 8)):
        waves = library.intensities(sign, np.full(b.shape, point[2]), point[0] + b, point[1] + c).mean(axis=0)
        chosen = [np.flatnonzero((library.g_b == gb) & (library.g_c == gc))[0] for gb, gc in averaged.g]
        mean = averaged.at(point)[(1 - sign) // 2]
        assert np.linalg.norm(mean - waves[chosen]) < 2e-3 * np.linalg.norm(mean)
    with pytest.raises(ValueError, match="wider tilts"):
        average_over_discs(library, 3.4)


def test_a_pattern_turned_by_half_a_turn_is_the_other_domain_at_the_opposite_tilts(matcher):
    sign, points = states(40, 2)
    sums = NOISE_FREE * discs(matcher.library, sign, points)
    g = matcher.library.g
    opposite = np.array([np.linalg.norm(g + vector, axis=1).argmin() for vector in g])
    assert np.abs(g + g[opposite]).max() < 1e-9
    found = matcher.fit(sums[:, opposite], np.full(sums.shape, 1e6))
    np.testing.assert_array_equal(found["polarization"], -sign)
    np.testing.assert_allclose(found["tilt_c_mrad"], -points[:, 1], atol=2e-3)
    np.testing.assert_allclose(found["tilt_b_mrad"], -points[:, 0], atol=2e-3)


@pytest.fixture(scope="module")
def scan(library):
    """Counts and truth of 6 x 6 positions, and what they are matched with."""
    example = Example(positions=(6, 6), thickness_nm=(53, 59), bend_mrad=3.0, convergence_mrad=CONVERGENCE, frame_px=192, pixel_inv_angstrom=0.0115)
    counts, truth = example_scan(library, example)
    return counts, truth, prepare(counts, library)


def test_a_scan_is_matched_from_end_to_end_and_blocks_do_not_matter(scan):
    counts, truth, matcher = scan
    found = match(counts, matcher, progress=False)
    np.testing.assert_array_equal(found.polarization, truth.polarization)
    assert np.sqrt(((found.thickness_nm - truth.thickness_nm) ** 2).mean()) < 0.5
    assert np.sqrt(((found.tilt_c_mrad - truth.tilt_c_mrad) ** 2).mean()) < 0.1
    assert found.thickness_nm.units == "nm" and found.polarization.dims == ("scan_y", "scan_x")
    other = counts.copy(data=da.from_array(counts.values, chunks=(4, 3, -1, -1)))
    again = match(other, matcher, threads=2, progress=False)
    np.testing.assert_allclose(again.thickness_nm, found.thickness_nm, atol=0.02)


def test_a_cluster_gives_the_same_maps(scan):
    distributed, (counts, _, matcher) = pytest.importorskip("distributed"), scan
    cut = counts.copy(data=da.from_array(counts.values, chunks=(3, 3, -1, -1)))
    alone = match(cut, matcher, threads=1, progress=False)
    options = {"n_workers": 1, "threads_per_worker": 2, "processes": False, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster):
        xr.testing.assert_identical(match(cut, matcher, progress=False), alone)


def test_a_mean_pattern_known_to_a_share_returns_its_state(matcher, library):
    sign, points = states(3, 9)
    hkl = {(g_b, g_c): (int(k), int(l)) for (_, k, l), g_b, g_c in zip(library.hkl, library.g_b, library.g_c)}
    for state, point, values in zip(sign, points, discs(matcher.library, sign, points)):
        sums = {hkl[tuple(g)]: 1e4 * value for g, value in zip(matcher.library.g, values)}
        found = match_mean(sums, library, CONVERGENCE).isel(start=0)
        assert found.polarization == state
        assert abs(found.thickness_nm - point[2]) < 0.01
        assert abs(found.tilt_c_mrad - point[1]) < 0.01 < found.tilt_c_mrad_error
    with pytest.raises(ValueError, match="eight are needed"):
        match_mean({(0, 2): 5.0, (0, 4): 4.0, (9, 99): 1.0}, library, CONVERGENCE)


def test_too_few_counts_and_noise_without_a_net_are_refused(scan, library):
    counts, rng = scan[0], np.random.default_rng(0)
    thin, noise = (counts.copy(data=drawn.astype(np.uint16)) for drawn in (rng.binomial(counts.values, 0.01), rng.poisson(5, counts.shape)))
    geometry = DiscGeometry.of(find_lattice(counts.mean(("scan_y", "scan_x")).values, scale_inv_angstrom=0.0115))
    with pytest.raises(ValueError, match="counts above the background"):
        prepare(thin, library, geometry=geometry)
    with pytest.raises(ValueError, match="no lattice found|another zone axis"):
        prepare(noise, library)


@pytest.mark.parametrize("words, message", [
    (["--out", "maps.csv"], "ends in .nc"),
    (["--out", "maps.nc", "--structure", "x.cif"], "go together"),
    (["--out", "maps.nc", "--thickness-nm", "90", "30"], "larger largest"),
    (["--out", "maps.nc"], "does not exist|no such|not exist|No such"),
])
def test_the_command_says_what_is_wrong(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["match", "missing.hspy", *words]) == 1
    assert re.search(message, capsys.readouterr().err)


TRUTH = {"domain": np.array([1, 1, -1, -1]), "thickness_nm": np.full(4, 60.0), "tilt_b_mrad": np.zeros(4), "tilt_c_mrad": np.zeros(4)}
FOUND = {
    "polarization": np.array([1, -1, -1, 1]), "chi2": np.array([1.0, 1.2, 5.0, 9.0]), "poor_fit": np.array([False, False, True, True]),
    "log_likelihood_ratio": np.array([40.0, -3.0, -50.0, 1.0]), "thickness_nm": np.array([61.0, 59.0, 63.0, 90.0]),
    "tilt_b_mrad": np.zeros(4), "tilt_c_mrad": np.zeros(4), **{f"{name}_error": np.full(4, 1.5) for name in FITTED},
}


def test_scores_count_only_what_lies_inside():
    scores = match_scores(FOUND, TRUTH, np.array([True, True, True, False]))
    expected = {"wrong": 1 / 3, "thickness_nm bias": 1, "thickness_nm rms": np.sqrt(11 / 3), "thickness_nm within": 2 / 3, "chi2": 1.2, "poor": 1 / 3,
                "log_likelihood_ratio": 3}
    assert {name: scores[name] for name in expected} == pytest.approx(expected)


def matched(matcher, factors):
    """Maps of random states, with discs as predicted times a factor for each, and counting noise."""
    rng, shape, dims = np.random.default_rng(0), (12, 12), ("scan_y", "scan_x")
    maps = {"polarization": rng.choice([1, -1], shape), "thickness_nm": rng.uniform(53, 59, shape), "tilt_b_mrad": rng.uniform(-1, 1, shape),
            "tilt_c_mrad": rng.uniform(-2, 2, shape), "scale": np.full(shape, 4e4), "chi2": np.ones(shape)}
    places = {name: ("disc", column) for name, column in zip(("g_b", "g_c"), matcher.library.g.T)}
    found = xr.Dataset({name: (dims, values) for name, values in maps.items()}, places)
    mean = np.clip(predicted_discs(found, matcher) * factors, 0, None)
    seen = {"discs": rng.normal(mean, np.sqrt(mean + 300.0)), "discs_variance": mean + 300.0}
    return found.assign({name: ((*dims, "disc"), values.reshape(*shape, -1)) for name, values in seen.items()})


def test_an_error_of_the_model_shows_disc_by_disc(matcher):
    assert disc_residuals(matched(matcher, np.ones(len(matcher.plan))), matcher).misfit < 0.003
    factors = 1 + 0.05 * np.random.default_rng(1).normal(size=len(matcher.plan))
    found = disc_residuals(matched(matcher, factors), matcher)
    bright = found.share_error < 0.01
    np.testing.assert_allclose(found.share[bright], factors[bright] - 1, atol=0.04)
    assert 0.02 < found.misfit < 0.1
