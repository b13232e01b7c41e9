"""The specimen: domains between walls, the bound charge of a wall, smooth fields, drift and shifts, and what lies beside the crystal."""

import dataclasses

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from figures_pkg.chapters.the_twin import windings
from figures_pkg.twin.dataset import simulate_truth, states_of
from figures_pkg.twin.domains import FWHM_PER_SIGMA, domain_maps, polar_axis, polarization_weight, projected_width_nm, wall_type
from figures_pkg.twin.presets import Texture, load_preset
from figures_pkg.twin.render import Renderer
from figures_pkg.twin.specimen import coating_maps, drifted_positions, pattern_shifts, specimen_fields

pytestmark = pytest.mark.physics

FIELD_NM = (100.0, 100.0)
CORE = np.array((0.334, 0.452)) * 128  # of DS2, in positions


def with_texture(course, *, core=None, steps=(1,), first=0, rotation=0.0):
    """DS1 with smooth walls through the given places, on a field of 100 nm, +c upward on the detector."""
    preset, texture = load_preset("ds1"), Texture(core, course, first, steps, (0.0,) * len(course), 0.0, 30.0)
    parts = {"specimen": {"field_nm": FIELD_NM}, "pattern": {"g002_row_col": (-18.4, 0.0)}, "scan": {"scan_rotation_deg": rotation}}
    changed = {name: dataclasses.replace(getattr(preset, name), **values) for name, values in parts.items()}
    return dataclasses.replace(preset, wall=None, texture=texture, **changed)


def maps_of(preset, n=20):
    """Maps on a grid of n x n places in the middle of as many squares; the foil is 60 nm thick."""
    y, x = np.meshgrid(*[(np.arange(n) + 0.5) / n * length for length in FIELD_NM], indexing="ij")
    return domain_maps(preset, 0, y, x, np.full(y.shape, 60.0))


@pytest.mark.parametrize("upper, rotation, charge", [(1, 0.0, 1.0), (0, 0.0, -1.0), (1, 60.0, 0.5), (1, 90.0, 0.0), (1, 180.0, -1.0)])
def test_head_to_head_is_where_polarizations_meet(upper, rotation, charge):
    """With c upward and +P below a horizontal wall the charge is +1, above it -1; a rotation turns c clockwise, and the charge follows its cosine."""
    course = (((0.5, 0.6), (0.5, 1.0)), ((0.5, 0.4), (0.5, 0.0)))  # to the right and to the left of a core in the middle of the field
    lower, step = (1, -1) if upper == 0 else (0, 1)  # the domain after the first wall, clockwise from the right, is the lower one
    preset = with_texture(course, core=(0.5, 0.5), steps=(-step, step), first=lower, rotation=rotation)
    maps = maps_of(preset)
    assert (maps["domain"][:10] == (1 if upper == 0 else -1)).all() and (maps["domain"][10:] == -maps["domain"][0, 0]).all()
    np.testing.assert_allclose(maps["wall_charge"], charge, atol=1e-6)
    assert (maps["wall_type"] == np.sign(round(charge, 3))).all()
    np.testing.assert_allclose(polar_axis(preset), (-np.cos(np.radians(rotation)), np.sin(np.radians(rotation))), atol=1e-12)


def test_ds1_has_one_wall_of_fixed_charge_and_null_presets_have_none(preset):
    """Its wall leans 20 degrees right and c 19 degrees left: tail-to-tail with the sine of 39 degrees, +P to its left. The step of null-step is 5 nm."""
    truth = simulate_truth(preset, "laptop", 0)
    np.testing.assert_allclose(truth.wall_charge, -np.sin(np.radians(20 + 18.69)), atol=1e-3)
    assert (truth.wall_type == -1).all() and set(np.unique(truth.domain_state)) == {0, 1}
    assert (truth.domain[:, 0] == 1).all() and (truth.domain[:, -1] == -1).all()
    share = (truth.domain == 1).mean("scan_x").values
    assert share[0] == pytest.approx(0.69, abs=0.03) and share[-1] == pytest.approx(0.33, abs=0.03)
    slope = np.hypot(*np.gradient(truth.wall_distance_nm.values, 358.4 / len(share)))
    np.testing.assert_allclose(slope, 1, atol=0.05)
    for name, least, most in (("null", 0, 1.5), ("null-step", 4.5, 5.5)):
        truth = simulate_truth(load_preset(name), "smoke", 0)
        assert (truth.polarization == 1).all() and np.isinf(truth.wall_distance_nm).all() and (truth.wall_type == 0).all()
        jump = np.abs(np.diff(truth.thickness_nm.values, axis=1)).max(axis=1)
        assert (jump >= least).all() and (jump <= most).all()
    np.testing.assert_array_equal(wall_type([-1, -0.3, -0.25, 0, 0.25, 0.3, 1]), [-1, -1, 0, 0, 0, 1, 1])  # neutral within 15 degrees of c


def test_vortex_of_ds2_winds_once_around_its_core():
    """All six domains follow one another clockwise, and P turns over each time; `hard` winds the other way. The weight vanishes at the core."""
    preset = load_preset("ds2")
    scan = dataclasses.replace(preset.scan, drift_nm_yx=(0.0, 0.0))
    ds2 = simulate_truth(dataclasses.replace(preset, scan=scan, sizes={"test": (128, 128)}), "test", 0)
    distance, weight, domain = ds2.wall_distance_nm.values, ds2.polarization.values, ds2.domain.values
    assert np.abs(distance[:, 1:][np.diff(ds2.domain_state.values, axis=1) != 0]).max() < 2.8 and (np.sign(distance) == domain).all()
    np.testing.assert_allclose(weight[np.abs(distance) > 8], domain[np.abs(distance) > 8], atol=1e-4)
    assert np.abs(weight[43, 58]) < 0.2 and (weight * domain >= -1e-6).all()
    state = ds2.domain_state.values.astype(float)
    np.testing.assert_array_equal(ds2.domain, np.where(state % 2 == 0, 1, -1))
    state[np.hypot(*(np.indices(state.shape) - CORE[:, None, None])) < 3] = np.nan
    for change in (np.diff(state, axis=0), np.diff(state, axis=1)):
        assert set(np.unique(change[np.isfinite(change)] % 6)) == {0, 1, 5}
    angle = np.linspace(0, 2 * np.pi, 720, endpoint=False)
    rows, cols = (np.rint(at + 25 * f(angle)).astype(int) for at, f in zip(CORE, (np.sin, np.cos)))
    ring = ds2.domain_state.values[rows, cols]
    met = ring[ring != np.roll(ring, 1)]
    np.testing.assert_array_equal((np.roll(met, -1) - met) % 6, np.ones(6))
    turns = windings(np.radians(ds2.phase_deg.values), periodic=False)
    assert np.abs(turns).sum() == turns.sum() == 1
    np.testing.assert_allclose(np.argwhere(turns)[0], CORE, atol=2)
    hard = simulate_truth(load_preset("hard"), "smoke", 0)
    assert windings(np.radians(hard.phase_deg.values), periodic=False).sum() == -1


def test_rows_of_walls_count_domains_from_left_to_right():
    course = (((0.0, 0.3), (1.0, 0.3)), ((0.0, 0.7), (1.0, 0.7)))
    for steps, states in (((1, 1), (0, 1, 2)), ((1, -1), (0, 1, 0)), ((-1, -1), (0, 5, 4))):
        np.testing.assert_array_equal(maps_of(with_texture(course, steps=steps))["domain_state"][10, [2, 10, 18]], states)
    back = with_texture((((0.5, 0.8), (0.5, 0.6)), ((0.5, 0.4), (0.5, 0.0))), core=(0.5, 0.5), steps=(1, -1))
    with pytest.raises(ValueError, match="farther from the core"):
        maps_of(back)


@pytest.mark.parametrize("width", [0.0, 3.0])
def test_polarization_weight_is_the_probe_folded_with_the_ramp(width):
    """The closed form equals the integral of a Gaussian probe over the linear ramp of an inclined wall, which 63 nm show over 12.25 nm at 11 degrees."""
    sigma = 2.0 / FWHM_PER_SIGMA

    def integrand(s, distance):
        return (np.clip(2 * s / width, -1, 1) if width else np.sign(s)) * norm.pdf(s, distance, sigma)

    for distance in (-9.0, 0.0, 0.4):
        breaks = sorted({-width / 2, 0.0, width / 2})
        folded, _ = quad(integrand, distance - 10, distance + 10, args=(distance,), points=breaks, limit=200)
        assert float(polarization_weight(distance, width, 2.0)) == pytest.approx(folded, abs=2e-6)
    assert float(projected_width_nm(63.0, 11.0)) == pytest.approx(12.25, abs=0.01)


def test_fields_have_mean_and_range_of_the_preset_in_any_size(preset):
    """A place has the same ones whatever the number of positions, but for the drift, which comes a little earlier in a longer scan."""
    nodes = np.meshgrid(*[np.linspace(0, length, 129) for length in preset.specimen.field_nm], indexing="ij")
    coarse, fine = (simulate_truth(preset, size, 5) for size in ("smoke", "laptop"))
    for name, (mean, extent) in {"thickness_nm": (63.0, 5.0), "tilt_b_mrad": (1.0, 1.0), "tilt_c_mrad": (-4.0, 1.0)}.items():
        values = specimen_fields(preset.specimen, seed=5)[name](*nodes)
        assert values.mean() == pytest.approx(mean, abs=0.02 * extent) and np.ptp(values) == pytest.approx(extent, rel=0.01), name
        shared = fine[name].isel(scan_y=slice(0, None, 2), scan_x=slice(0, None, 2))
        np.testing.assert_allclose(shared, coarse[name], atol=0.02 * np.ptp(coarse[name].values))


def test_drift_and_shifts(preset):
    """The specimen drifts from nothing to its total, more in the first half. Patterns shift by less than half a pixel, the jitter with the seed."""
    y, x = drifted_positions(preset, (64, 64))
    drift = y - np.arange(64)[:, None] * preset.specimen.field_nm[0] / 64
    assert y[0, 0] == x[0, 0] == 0 and drift[32, 0] > 0.5 * preset.scan.drift_nm_yx[0]
    assert drift[-1, -1] == pytest.approx(preset.scan.drift_nm_yx[0], rel=0.01)
    one, two = (np.stack(pattern_shifts(preset.scan, (48, 48), seed)) for seed in (1, 2))
    assert np.abs(one).max() < 0.5 and (one - two).std() == pytest.approx(np.sqrt(2) * preset.scan.jitter_px, rel=0.1)


def test_coating_mixes_carbon_and_foil(rocking_library):
    """In carbon the direct disc holds half of the beam and no reflection rises above the background; a marker multiplies."""
    preset, state = load_preset("overview"), [1.0, 63.0, 1.0, -4.0, 0.0, 0.0]
    preset = dataclasses.replace(preset, detector=dataclasses.replace(preset.detector, dead_pixels=()))
    stopped = dataclasses.replace(preset, coating=dataclasses.replace(preset.coating, carbon_direct_beam=0.0))
    renderer = Renderer(preset, rocking_library)
    foil, carbon, half, marked = renderer.expected([[*state, 1, 1], [*state, 0, 1], [*state, 0.5, 1], [*state, 0, 0.25]])
    np.testing.assert_array_equal(foil, renderer.expected(state)[0])
    np.testing.assert_allclose(half, (foil + carbon) / 2, rtol=1e-5)
    np.testing.assert_allclose(marked, carbon / 4, rtol=1e-5)
    direct = carbon - Renderer(stopped, rocking_library).expected([*state, 0.0, 1.0])[0]
    assert direct.sum(dtype=float) == pytest.approx(0.5 * renderer.optics.bragg_counts, rel=1e-3)
    centre = renderer.optics.centres[rocking_library.hkl.tolist().index([0, 0, 2])]
    distance = np.hypot(*(np.indices(foil.shape) - centre[:, None, None]))
    bright, dark = (each[distance < 4].mean() - each[(distance > 8) & (distance < 9)].mean() for each in (foil, carbon))
    assert abs(dark) < 0.03 * bright


def test_overview_has_three_domains_and_a_coating_at_its_bottom():
    """-P, +P and -P from left to right. The share of crystal falls from one to zero across the edge; markers, in nm, lie in the carbon."""
    truth, coating = simulate_truth(load_preset("overview"), "smoke", 0), load_preset("overview").coating
    np.testing.assert_array_equal(truth.domain_state[20, [2, 24, 45]], (5, 0, 1))
    assert states_of(truth).shape == (48, 48, 13) and states_of(simulate_truth(load_preset("ds2"), "smoke", 0)).shape == (48, 48, 11)
    maps = coating_maps(coating, (1000.0, 1000.0), *np.meshgrid(np.arange(1000) + 0.5, np.arange(1000) + 0.5, indexing="ij"))
    share, marked = maps["crystal_share"], maps["transmission"] < 1
    assert (share[:815] == 1).all() and (share[845:] == 0).all() and share[829:831].mean() == pytest.approx(0.5, abs=0.01)
    assert marked.sum() == len(coating.marker_fraction_yx) * np.prod(coating.marker_nm_yx) and (share[marked] == 0).all()
