"""Domains between walls, the phase around a core, the bound charge of a wall, and how the beam sees an inclined one."""

import dataclasses

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from figures_pkg.chapters.the_twin import Landau, relax, windings
from figures_pkg.twin.domains import FWHM_PER_SIGMA, TracedWalls, domain_maps, polar_axis, polarization_weight, projected_width_nm, wall_type
from figures_pkg.twin.presets import Texture, load_preset
from figures_pkg.twin.truth import simulate_truth

pytestmark = pytest.mark.physics

FIELD_NM = (100.0, 100.0)
CORE = np.array((0.334, 0.452)) * 128  # of DS2, in positions


@pytest.fixture(scope="module")
def ds2():
    """Truth of the twin of DS2 on 128 x 128 positions, without drift."""
    preset = load_preset("ds2")
    scan = dataclasses.replace(preset.scan, drift_nm_yx=(0.0, 0.0))
    return simulate_truth(dataclasses.replace(preset, scan=scan, sizes={"test": (128, 128)}), "test", 0)


def with_texture(course, *, core=None, steps=(1,), first=0, inclination=0.0, rotation=0.0):
    """DS1 with smooth walls through the given places, on a field of 100 nm, +c upward on the detector."""
    preset = load_preset("ds1")
    return dataclasses.replace(
        preset,
        wall=None,
        texture=Texture(core, course, first, steps, (inclination,) * len(course), 0.0, 30.0),
        specimen=dataclasses.replace(preset.specimen, field_nm=FIELD_NM),
        pattern=dataclasses.replace(preset.pattern, g002_row_col=(-18.4, 0.0)),
        scan=dataclasses.replace(preset.scan, scan_rotation_deg=rotation),
    )


def maps_of(preset, n=100):
    """Maps on a grid of n x n places in the middle of as many squares; the foil is 60 nm thick."""
    y, x = np.meshgrid(*[(np.arange(n) + 0.5) / n * length for length in FIELD_NM], indexing="ij")
    return domain_maps(preset, 0, y, x, np.full(y.shape, 60.0))


def horizontal_wall(upper_state, **options):
    """A core in the middle of the field with two walls, to the left and to the right: together a horizontal line."""
    course = (((0.5, 0.6), (0.5, 1.0)), ((0.5, 0.4), (0.5, 0.0)))
    lower, step = (1, -1) if upper_state == 0 else (0, 1)  # the domain after the first wall, clockwise from the right, is the lower one
    return with_texture(course, core=(0.5, 0.5), steps=(-step, step), first=lower, **options)


@pytest.mark.parametrize("upper, charge", [(1, 1.0), (0, -1.0)])
def test_head_to_head_is_where_polarizations_meet(upper, charge):
    """With c upward and +P below a horizontal wall, P points at the wall from both sides: charge +1; above it, -1."""
    maps = maps_of(horizontal_wall(upper))
    p_up = maps["domain"]  # +P is along c, which points up
    assert (p_up[:50] == (1 if upper == 0 else -1)).all() and (p_up[50:] == -p_up[0, 0]).all()
    assert (p_up[60, 50] > 0 > p_up[40, 50]) == (charge > 0)  # below the wall upward, above it downward
    np.testing.assert_allclose(maps["wall_charge"], charge, atol=1e-6)
    assert (maps["wall_type"] == np.sign(charge)).all()


@pytest.mark.parametrize("rotation, charge", [(60.0, 0.5), (90.0, 0.0), (180.0, -1.0)])
def test_charge_turns_with_the_scan(rotation, charge):
    """A rotation between scan and pattern turns c on the scan, clockwise in the picture, and the charge follows its cosine."""
    preset = horizontal_wall(1, rotation=rotation)
    np.testing.assert_allclose(maps_of(preset, 20)["wall_charge"], charge, atol=1e-6)
    np.testing.assert_allclose(polar_axis(preset), (-np.cos(np.radians(rotation)), np.sin(np.radians(rotation))), atol=1e-12)
    np.testing.assert_allclose(polar_axis(load_preset("ds2")), np.array([-16.83, -8.02]) / 18.643, atol=1e-3)


@pytest.mark.parametrize("lean", [0, 20, 70])
def test_charge_is_the_cosine_between_normal_and_c(lean):
    """A straight wall that leans to the right, +P to its left, has a normal out of +P that points right and down, against c."""
    shift = 0.5 * np.tan(np.radians(lean))
    maps = maps_of(with_texture((((0.0, 0.5 + shift), (1.0, 0.5 - shift)),)), 40)
    np.testing.assert_allclose(maps["wall_charge"], -np.sin(np.radians(lean)), atol=1e-6)


def test_ds1_has_one_wall_of_fixed_charge(preset):
    """Its wall leans 20 degrees right and c 19 degrees left: tail-to-tail with the sine of 39 degrees. It crosses 0.69 of the width at the top and
    0.33 at the bottom, +P to its left, and the distance from it has a gradient of length one."""
    truth = simulate_truth(preset, "laptop", 0)
    np.testing.assert_allclose(truth.wall_charge, -np.sin(np.radians(20 + 18.69)), atol=1e-3)
    assert (truth.wall_type == -1).all() and set(np.unique(truth.domain_state)) == {0, 1}
    assert (truth.domain[:, 0] == 1).all() and (truth.domain[:, -1] == -1).all()
    share = (truth.domain == 1).mean("scan_x").values
    assert share[0] == pytest.approx(0.69, abs=0.03) and share[-1] == pytest.approx(0.33, abs=0.03)
    slope = np.hypot(*np.gradient(truth.wall_distance_nm.values, 358.4 / len(share)))
    np.testing.assert_allclose(slope, 1, atol=0.05)


def test_wall_types_have_thresholds():
    """Within 15 degrees of the direction of c a wall is neutral; beyond, its sign decides."""
    np.testing.assert_array_equal(wall_type([-1, -0.3, -0.25, 0, 0.25, 0.3, 1]), [-1, -1, 0, 0, 0, 1, 1])


def test_neighbours_differ_by_one_step(ds2):
    """Where the domain changes from one position to the next, but for the core, it changes by one, and P turns over."""
    state = ds2.domain_state.values.astype(float)
    np.testing.assert_array_equal(ds2.domain, np.where(state % 2 == 0, 1, -1))
    state[np.hypot(*(np.indices(state.shape) - CORE[:, None, None])) < 3] = np.nan
    for change in (np.diff(state, axis=0), np.diff(state, axis=1)):
        assert set(np.unique(change[np.isfinite(change)] % 6)) == {0, 1, 5}


def test_vortex_of_ds2_winds_once_around_its_core(ds2):
    """Around the core all six domains follow one another clockwise, and the phase turns by +360 degrees; `hard` winds the other way."""
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


def test_texture_of_ds2_holds_together(ds2):
    """Relaxed with walls widened to the scan's step, the texture keeps its core, its winding and nine tenths of its domains."""
    landau, step_angstrom = Landau(), 28.0
    start = landau.uniform()[0] * np.exp(1j * np.radians(ds2.phase_deg.values))
    order = relax(start, [step_angstrom] * 2, [landau.stiffness_ab * 10**2] * 2, boundary="mirror", steps=200)
    turns = windings(np.angle(order), periodic=False)
    assert np.abs(turns).sum() == turns.sum() == 1
    assert np.linalg.norm(np.argwhere(turns)[0] - CORE) < 6
    assert (np.rint(np.angle(order) / (np.pi / 3)) % 6 == ds2.domain_state.values).mean() > 0.9


def test_distance_is_the_shortest_way_to_a_wall(ds2):
    """Its gradient has length one away from ridges, it vanishes where the domain changes, and its sign is that of P. The weight is that of the
    domain away from walls, zero at the core, and never takes the other sign."""
    distance, step, weight = ds2.wall_distance_nm.values, 2.8, ds2.polarization.values
    slope = np.hypot(*np.gradient(np.abs(distance), step))
    assert np.median(np.abs(slope[np.abs(distance) > 2 * step] - 1)) < 0.02
    assert np.abs(distance[:, 1:][np.diff(ds2.domain_state.values, axis=1) != 0]).max() < step
    assert (np.sign(distance) == ds2.domain).all()
    far = np.abs(distance) > 8
    np.testing.assert_allclose(weight[far], ds2.domain.values[far], atol=1e-4)
    assert np.abs(weight[43, 58]) < 0.2 and (weight * ds2.domain.values >= -1e-6).all()


def test_straight_course_equals_the_straight_wall():
    """A texture of one straight line has the weights, distances and widths of the wall of a preset without bow."""
    ds1 = load_preset("ds1")
    wall = dataclasses.replace(ds1.wall, lean_deg=0.0, sag_nm=0.0, roughness_nm=0.0, centre_fraction_yx=(0.5, 0.5))
    traced = with_texture((((0.0, 0.5), (1.0, 0.5)),), inclination=wall.inclination_deg)
    one, other = maps_of(traced), maps_of(dataclasses.replace(traced, texture=None, wall=wall))
    for name in one:
        np.testing.assert_allclose(one[name], other[name], atol=2e-3, err_msg=name)


@pytest.mark.parametrize("steps, states", [((1, 1), (0, 1, 2)), ((1, -1), (0, 1, 0)), ((-1, -1), (0, 5, 4))])
def test_rows_of_walls_count_domains_from_left_to_right(steps, states):
    course = (((0.0, 0.3), (1.0, 0.3)), ((0.0, 0.7), (1.0, 0.7)))
    np.testing.assert_array_equal(maps_of(with_texture(course, steps=steps), 20)["domain_state"][10, [2, 10, 18]], states)


@pytest.mark.parametrize("name, least, most", [("null", 0, 1.5), ("null-step", 4.5, 5.5)])
def test_null_presets_have_no_wall(name, least, most):
    """+P everywhere, infinitely far from any wall; the step of null-step is 5 nm high."""
    truth = simulate_truth(load_preset(name), "smoke", 0)
    assert (truth.polarization == 1).all() and np.isinf(truth.wall_distance_nm).all() and (truth.wall_type == 0).all()
    jump = np.abs(np.diff(truth.thickness_nm.values, axis=1)).max(axis=1)
    assert (jump >= least).all() and (jump <= most).all()


def test_course_must_lead_away_from_the_core():
    preset = with_texture((((0.5, 0.8), (0.5, 0.6)), ((0.5, 0.4), (0.5, 0.0))), core=(0.5, 0.5), steps=(1, -1))
    with pytest.raises(ValueError, match="farther from the core"):
        TracedWalls.draw(preset.texture, FIELD_NM, 0)


@pytest.mark.parametrize("width", [0.0, 0.5, 3.0, 12.0])
def test_polarization_weight_is_the_probe_folded_with_the_ramp(width):
    """The closed form equals the integral of a Gaussian probe over the linear ramp of an inclined wall."""
    sigma = 2.0 / FWHM_PER_SIGMA

    def integrand(s, distance):
        return (np.clip(2 * s / width, -1, 1) if width else np.sign(s)) * norm.pdf(s, distance, sigma)

    for distance in (-9.0, -1.3, 0.0, 0.4, 7.0):
        breaks = sorted({-width / 2, 0.0, width / 2})
        folded, _ = quad(integrand, distance - 10, distance + 10, args=(distance,), points=breaks, limit=200)
        assert float(polarization_weight(distance, width, 2.0)) == pytest.approx(folded, abs=2e-6)


def test_inclined_wall_is_as_wide_as_its_projection():
    """At 11 degrees a foil of 63 nm shows the wall over 12.2 nm; the weight leaves +-1 only there."""
    width = float(projected_width_nm(63.0, 11.0))
    assert width == pytest.approx(12.25, abs=0.01)
    distance = np.linspace(-20, 20, 4001)
    weight = polarization_weight(distance, width, 2.0)
    assert np.ptp(distance[np.abs(weight) < 0.999]) == pytest.approx(width + 2.0, abs=1.5)
    assert (np.diff(weight) > -1e-12).all()
