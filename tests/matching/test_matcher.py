"""The match on patterns of known state: without noise, with noise, mirrored, streamed, and on bad input."""

import re
from dataclasses import replace

import dask.array as da
import numpy as np
import pytest
import xarray as xr

from figures_pkg.chapters.matching import match_mean
from figures_pkg.cli import main
from figures_pkg.imaging.lattice_search import find_lattice
from figures_pkg.matching import DiscGeometry, Matcher, average_over_discs, match, prepare
from figures_pkg.matching.fit import predict
from figures_pkg.twin.patterns import Example, example_scan

pytestmark = pytest.mark.physics

CONVERGENCE = 1.27
NOISE_FREE = 1e9


@pytest.fixture(scope="module")
def matcher(library):
    geometry = DiscGeometry(np.array([124.0, 128.6]), 105.0 * np.array([[0.0, -1.0], [1.0, 0.0]]), 5.3)
    return Matcher.of(average_over_discs(library, CONVERGENCE), geometry, (256, 256), systematic=0.0)


def states(count, seed=0):
    """Polarization, and tilt b, tilt c, thickness inside the library, shape (n,) and (n, 3)."""
    rng = np.random.default_rng(seed)
    return rng.choice([1, -1], count), np.stack([rng.uniform(-2, 2, count), rng.uniform(-3.5, 3.5, count), rng.uniform(52, 60, count)], 1)


def discs(matcher, polarization, points):
    """Mean intensities of the discs, shape (n, discs)."""
    library, out = matcher.library, np.empty((4, len(matcher.plan)), np.float32)
    values = []
    for sign, point in zip(polarization, (points - library.start) / library.step):
        predict(library.coefficients[(1 - sign) // 2], point, out)
        values.append(out[0].copy())
    return np.array(values, float)


def test_patterns_without_noise_return_their_parameters(matcher):
    sign, points = states(60)
    found = matcher.fit(NOISE_FREE * discs(matcher, sign, points), np.full((60, len(matcher.plan)), 1e6))
    np.testing.assert_array_equal(found["polarization"], sign)
    for column, name in enumerate(("tilt_b_mrad", "tilt_c_mrad", "thickness_nm")):
        np.testing.assert_allclose(found[name], points[:, column], atol=2e-3)
    np.testing.assert_allclose(found["scale"], NOISE_FREE, rtol=1e-3)
    np.testing.assert_array_equal(np.sign(found["log_likelihood_ratio"]), sign)
    assert not found["poor_fit"].any()
    wrong = NOISE_FREE * discs(matcher, sign, points)[:, ::-1] ** 0.5  # what the library does not hold
    assert matcher.fit(wrong, np.full(wrong.shape, 1e6))["poor_fit"].all()


@pytest.mark.parametrize("systematic", [0.0, 0.03])
def test_pulls_are_standard_normal(matcher, systematic):
    count, rng = 1500, np.random.default_rng(5)
    sign, points = states(count, 3)
    mean, background = 5e4 * discs(matcher, sign, points), 400.0
    sums = rng.poisson(np.maximum(mean, 0) + background) - background
    found = replace(matcher, systematic=systematic).fit(sums, np.maximum(sums + background, 1.0))
    assert (found["polarization"] == sign).mean() > 0.999
    for column, name in enumerate(("tilt_b_mrad", "tilt_c_mrad", "thickness_nm")):
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
        out = np.empty((4, len(averaged.g)), np.float32)
        predict(averaged.coefficients[(1 - sign) // 2], (point - averaged.start) / averaged.step, out)
        assert np.linalg.norm(out[0] - waves[chosen]) < 2e-3 * np.linalg.norm(out[0])
    with pytest.raises(ValueError, match="wider tilts"):
        average_over_discs(library, 3.4)


def test_a_pattern_turned_by_half_a_turn_is_the_other_domain_at_the_opposite_tilts(matcher):
    sign, points = states(40, 2)
    sums = NOISE_FREE * discs(matcher, sign, points)
    g = matcher.library.g
    opposite = np.array([np.linalg.norm(g + vector, axis=1).argmin() for vector in g])
    assert np.abs(g + g[opposite]).max() < 1e-9
    found = matcher.fit(sums[:, opposite], np.full(sums.shape, 1e6))
    np.testing.assert_array_equal(found["polarization"], -sign)
    np.testing.assert_allclose(found["tilt_c_mrad"], -points[:, 1], atol=2e-3)
    np.testing.assert_allclose(found["tilt_b_mrad"], -points[:, 0], atol=2e-3)


@pytest.fixture(scope="module")
def scan(library):
    example = Example(positions=(6, 6), thickness_nm=(53, 59), bend_mrad=3.0, convergence_mrad=CONVERGENCE, frame_px=192, pixel_inv_angstrom=0.0115)
    return example_scan(library, example)


def test_a_scan_is_matched_from_end_to_end_and_blocks_do_not_matter(scan, library):
    counts, truth = scan
    matcher = prepare(counts, library)
    found = match(counts, matcher, progress=False)
    np.testing.assert_array_equal(found.polarization, truth.polarization)
    assert np.sqrt(((found.thickness_nm - truth.thickness_nm) ** 2).mean()) < 0.5
    assert np.sqrt(((found.tilt_c_mrad - truth.tilt_c_mrad) ** 2).mean()) < 0.1
    assert found.thickness_nm.units == "nm" and found.polarization.dims == ("scan_y", "scan_x")
    other = counts.copy(data=da.from_array(counts.values, chunks=(4, 3, -1, -1)))
    again = match(other, matcher, threads=2, progress=False)
    np.testing.assert_allclose(again.thickness_nm, found.thickness_nm, atol=0.02)


def test_a_cluster_gives_the_same_maps(scan, library):
    distributed = pytest.importorskip("distributed")
    counts, _ = scan
    matcher = prepare(counts, library)
    cut = counts.copy(data=da.from_array(counts.values, chunks=(3, 3, -1, -1)))
    alone = match(cut, matcher, threads=1, progress=False)
    options = {"n_workers": 1, "threads_per_worker": 2, "processes": False, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster):
        xr.testing.assert_identical(match(cut, matcher, progress=False), alone)


def test_a_mean_pattern_known_to_a_share_returns_its_state(matcher, library):
    sign, points = states(3, 9)
    hkl = {(g_b, g_c): (int(k), int(l)) for (_, k, l), g_b, g_c in zip(library.hkl, library.g_b, library.g_c)}
    for state, point, values in zip(sign, points, discs(matcher, sign, points)):
        sums = {hkl[tuple(g)]: 1e4 * value for g, value in zip(matcher.library.g, values)}
        found = match_mean(sums, library, CONVERGENCE).isel(start=0)
        assert found.polarization == state
        assert abs(found.thickness_nm - point[2]) < 0.01
        assert abs(found.tilt_c_mrad - point[1]) < 0.01 < found.tilt_c_mrad_error
    with pytest.raises(ValueError, match="eight are needed"):
        match_mean({(0, 2): 5.0, (0, 4): 4.0, (9, 99): 1.0}, library, CONVERGENCE)


def test_too_few_counts_and_noise_without_a_net_are_refused(scan, library):
    (counts, _), rng = scan, np.random.default_rng(0)
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
