"""Every measure of a claim on an input whose answer is known."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.special import erf

from figures_pkg.claims import load_claims, measures
from figures_pkg.claims.artefacts import Artefacts, Unavailable
from figures_pkg.claims.run import evaluate_claim
from figures_pkg.crystal import ermno3
from figures_pkg.crystal.structure import formal_polarization
from figures_pkg.diffraction import Library
from figures_pkg.diffraction.library import spline_coefficients
from figures_pkg.evaluate.known import write_domains
from figures_pkg.evaluate.walls import TooCoarse, edge_width_nm, sign_changes, step_sign_share
from figures_pkg.imaging import Disc, Lattice, summarise
from figures_pkg.twin import load_preset
from figures_pkg.workspace import artefact_path

pytestmark = pytest.mark.physics

N, SIDE, STEP = 30, 65, 4.0
LATTICE, RADIUS = Lattice((32.0, 32.0), (-12.0, 0.0), (0.0, 12.0 * measures.cell_ratio())), 3.0
WIDTH = 3 * measures.edge_of_probe_nm(load_preset("ds1").beam.probe_fwhm_nm)  # of the wall, 10 to 90 %
SIDES = [(k, l) for k in (-1, 1) for l in (-2, 0, 2)]  # discs that say nothing of the domains, for the fit of the lattice
CHANGE = {2: 0.3, 4: 0.1}  # 002 changes by 30 % between the domains, 004 by 10 %


def scan_array(values, **coords):
    axis = np.arange(N) * STEP
    return xr.DataArray(values, dims=("scan_y", "scan_x"), coords={"scan_y": axis, "scan_x": axis} | coords)


def truth_of_a_leaning_wall():
    """+P right of a wall that leans by a fifth of a right angle, so that all distances from it occur; tilt along c grows downward."""
    y, x = np.indices((N, N)) * STEP
    angle = np.radians(18)
    distance = (x - x.mean()) * np.cos(angle) + (y - y.mean()) * np.sin(angle)
    share = erf(distance / (np.sqrt(2) * WIDTH / 2.5631))
    maps = {"polarization": share, "domain": np.sign(distance), "wall_distance_nm": distance, "wall_width_nm": 0 * x + 6.0,
            "tilt_b_mrad": np.cos(x / 40), "tilt_c_mrad": y / 60, "thickness_nm": 60 + np.sin(y / 25), "wall_type": 0 * x,
            "crystal_share": 0 * x + 1, "transmission": 0 * x + 1}  # fmt: skip
    return xr.Dataset({name: scan_array(values) for name, values in maps.items()})


def patterns_of(truth):
    """Discs on 00l whose brightness follows the polarization, and six that do not, on an even ground."""
    rows, cols = np.indices((SIDE, SIDE))
    scan = np.full((N, N, SIDE, SIDE), 2.0)
    for order, size in ((0, 60.0), (2, 100.0), (4, 40.0)):
        for sign in (1, -1) if order else (1,):
            row, col = LATTICE.position(0, sign * order)
            disc = (np.hypot(rows - row, cols - col) <= RADIUS) * size
            scan += disc * (1 + sign * CHANGE.get(order, 0) * truth.polarization.values[..., None, None])
    for index in SIDES:
        row, col = LATTICE.position(*index)
        scan += (np.hypot(rows - row, cols - col) <= RADIUS) * 40.0
    step = 0.0146
    axes = {"scan_y": truth.scan_y, "scan_x": truth.scan_x, "det_y": (np.arange(SIDE) - 32) * step, "det_x": (np.arange(SIDE) - 32) * step}
    attrs = {"beam_energy_kev": 200.0, "source": "twin"}
    return xr.DataArray(scan, axes, ("scan_y", "scan_x", "det_y", "det_x"), attrs=attrs)


@pytest.fixture(scope="module")
def artefacts():
    """What a profile has made, without files: one scan with a leaning wall."""
    world, truth = Artefacts("smoke"), truth_of_a_leaning_wall()
    scan = patterns_of(truth)
    world.scan, world.truth, world.lattice = lambda name: scan, lambda name: truth, lambda name: (LATTICE, RADIUS)
    world.known = world.truth
    world.domains = lambda name: np.where(np.abs(truth.wall_distance_nm.values) > 20, truth.domain.values, 0).astype(int)
    pair = np.stack([truth.polarization.values + 0.3 * truth.tilt_c_mrad.values, truth.tilt_c_mrad.values])
    maps = xr.DataArray(pair, {"channel": [0, 1], "scan_y": truth.scan_y, "scan_x": truth.scan_x}, ("channel", "scan_y", "scan_x"))
    world.embedding = lambda name, recipe=None, seed=0: maps
    return world


@pytest.fixture(scope="module")
def discs(artefacts):
    """Counts under the discs 00l, and the centre of mass."""
    return summarise(artefacts.scan("ds1"), mean=False, detectors={f"00{l}": Disc(tuple(LATTICE.position(0, l)), RADIUS) for l in (2, -2, 4, -4)})


def test_the_lattice_of_the_cell_fits_and_another_does_not():
    """A spacing that is 5 % too long is 5 % off."""
    for factor, misfit in ((1.0, 0.0), (1.05, 5.0), (0.95, 5.0)):
        fit = Lattice((0, 0), (3.0, 4.0), (0.0, 5 * measures.cell_ratio() * factor)), 3.0
        assert measures.lattice_misfit_percent(SimpleNamespace(lattice=lambda name, fit=fit: fit), "ds1") == pytest.approx(misfit)
    assert measures.cell_ratio() == pytest.approx(11.42 / 2 / (6.112 * np.sqrt(3) / 2))


def test_the_cone_follows_from_the_published_radius(monkeypatch):
    """Ten pixels of 0.009555 1/Å at 200 kV are 2.396 mrad."""
    monkeypatch.setattr(measures, "mean_pattern_numbers", lambda name: {"half_maximum_radius_px": 10.0})
    scale = measures.load_manifest()["ds1"].axes["det_scale_inv_angstrom"].value
    assert measures.published_half_angle_mrad(None, "ds1") == pytest.approx(10 * scale * 25.079, rel=1e-4)


def test_the_overview_steps_everywhere_or_by_chance(artefacts):
    """A ring that holds more counts in +P steps the same way all along; noise does not."""
    truth = artefacts.truth("ds1")
    brighter = artefacts.scan("ds1") * (1 + 0.1 * truth.polarization)
    other = SimpleNamespace(scan=lambda name: brighter, truth=artefacts.truth, lattice=artefacts.lattice)
    assert measures.overview_steps(other, "ds1", reach_nm=20.0) == 1.0
    assert step_sign_share(np.random.default_rng(0).normal(size=(N, N)), truth, 20.0) < 0.85
    with pytest.raises(ValueError, match="smaller reach"):
        step_sign_share(truth.polarization.values, truth, 500.0)


def test_the_domains_are_split_by_what_the_discs_say(artefacts, discs):
    """Without noise and bend, without error; the step of the centre of mass is twice Σ |change| · counts · g over all counts."""
    world = SimpleNamespace(images=lambda name: discs, lattice=artefacts.lattice, domains=artefacts.domains, known=artefacts.truth, data="twin")
    assert measures.vdf_separation(world, "ds1") == 1.0
    area = np.sum(np.hypot(*(np.indices((9, 9)) - 4)) <= RADIUS)
    total = float(artefacts.scan("ds1")[0, 0].sum())
    step = 2 * area * (2 * 100 * 0.3 * 12 + 2 * 40 * 0.1 * 24) * 0.0146 / total
    assert measures.com_step_at_equal(world, "ds1") == pytest.approx(1e3 * step, rel=1e-3)
    assert measures.com_auc(world, "ds1") == 1.0 and measures.com_elongation(world, "ds1") > 1e3
    assert measures.com_step_sigma(world, "ds1") > 3


def test_the_pair_that_changes_more_leads(artefacts):
    """Shares in 1 − r go with the square of the changed counts: (40 · 0.1)² over (100 · 0.3)²."""
    ratio = measures.measured_004_over_002(artefacts, "ds1")
    assert ratio == pytest.approx((40 * 0.1) ** 2 / (100 * 0.3) ** 2, rel=0.05)
    assert measures.measured_002_over_004(artefacts, "ds1") == pytest.approx(1 / ratio)


def test_the_width_of_a_wall_is_that_it_was_made_with(artefacts, discs):
    """Three times the edge of the probe; on a coarse upright wall it is not told."""
    world = SimpleNamespace(images=lambda name: discs, domains=artefacts.domains, known=artefacts.truth)
    assert measures.wall_width_over_probe(world, "ds1") == pytest.approx(3, rel=0.02)
    with pytest.raises(TooCoarse, match="4.0 nm apart; 2 nm"):
        edge_width_nm(np.ones((5, 5)), np.tile((np.arange(5) - 2.0) * 4, (5, 1)), 2.0)


@pytest.mark.parametrize("domains", [2, 6])
def test_signs_change_as_often_as_there_are_walls(domains):
    """On a circle around a core of two or six domains, with noise."""
    y, x = np.indices((60, 60)) - 30.0
    image = np.sign(np.sin(domains / 2 * np.arctan2(y, x) + 0.3)) + 0.3 * np.random.default_rng(0).normal(size=y.shape)
    assert sign_changes(image, (30, 30), 15) == domains


TABLE = pd.DataFrame([
    {"scan": "ds1", "field_seed": 0, "method": method, "method_seed": seed, "picked_by": "rule", "domain_auc": auc, "leak_bend": 0.1,
     "leak_thickness": 0.02 * seed, "charge_probe": np.nan, "charge_placebo": np.nan}
    for method, values in {"CA": (0.9, 0.8), "β-VAE": (0.7,)}.items() for seed, auc in enumerate(values)
] + [
    {"scan": scan, "field_seed": 0, "method": "CA", "method_seed": 0, "picked_by": "truth", "charge_probe": probe, "charge_placebo": placebo}
    for scan, probe, placebo in (("ds2", 0.95, 0.8), ("control", 0.99, 0.6), ("control-plain", 0.93, 0.6))
])  # fmt: skip


def test_scores_come_from_the_table():
    """
    Over all seeds; gains only where both methods have the seed; what is not scored is not tested.

    A probe has to beat 0.9, the placebo lines, and in control the walls without a structure, each with its margin.
    """
    world = SimpleNamespace(scores=TABLE, data="twin")
    assert measures.score(world, "ds1", "CA", "domain_auc") == [0.9, 0.8]
    assert measures.gain(world, "ds1", "CA", "β-VAE", "domain_auc") == pytest.approx([0.2])
    assert measures.leaks(world, "ds1", "CA") == pytest.approx([10, 10])
    for call in (lambda: measures.score(world, "hard", "CA", "domain_auc"), lambda: measures.gain(world, "ds1", "CA", "PCA", "domain_auc")):
        with pytest.raises(Unavailable, match="in this profile"):
            call()
    assert measures.probe_margin(world, "ds2", "CA") == pytest.approx([0.95 - 0.9])
    assert measures.probe_margin(world, "control", "CA") == pytest.approx([0.99 - 0.98])
    with pytest.raises(Unavailable):
        measures.probe_margin(world, "ds1", "CA")


def test_channels_of_one_kind_of_wall_are_found():
    """+P between a tail-to-tail wall left and a head-to-head one right: two channels that show one each tell them, noise alone does not."""
    n = 48
    x = np.indices((n, n))[1] * 2.0
    left, right = x - 31.0, 65.0 - x
    head = np.abs(right) < np.abs(left)
    distance = np.where(head, right, left)
    names = {"polarization": np.clip(distance, -1, 1), "domain": np.sign(distance), "wall_distance_nm": distance,
             "wall_width_nm": 0 * x, "wall_type": np.where(head, 1, -1), "wall_charge": np.where(head, 1.0, -1.0)}
    axis = np.arange(n) * 2.0
    truth = xr.Dataset({name: (("scan_y", "scan_x"), values) for name, values in names.items()}, {"scan_y": axis, "scan_x": axis})
    near, noise = np.abs(distance) < 2, 0.05 * np.random.default_rng(0).normal(size=(3, n, n))
    maps = noise + np.stack([near & head, near & ~head, 0 * x])
    maps = xr.DataArray(maps, {"channel": [0, 1, 2], "scan_y": axis, "scan_x": axis}, ("channel", "scan_y", "scan_x"))
    world = SimpleNamespace(known=lambda name: truth, embedding=lambda name, recipe: maps)
    assert measures.charge_pair(world, "ds2", "small-walls") > 0.99
    assert measures.best_wall_channel(world, "ds2") > 0.7
    world.embedding = lambda *_: maps[2:].copy(data=np.random.default_rng(1).normal(size=(1, n, n)))
    assert measures.charge_pair(world, "ds2", "x") < 0.7


def test_ends_of_the_domain_channel_and_a_decoder_that_draws_them_agree_with_the_domains(artefacts, monkeypatch):
    """Where the channel is right, both differences are the same pattern; a decoder's change with the channel is that of the patterns, or its opposite."""
    assert measures.quantile_agreement(artefacts, "ds1") > 0.999
    change = measures.domain_difference(artefacts.scan("ds1"), artefacts.truth("ds1")).values

    def swept(sign):
        bands = np.stack([0 * change, sign * change])
        dims = ("band", "det_y", "det_x")
        return xr.Dataset({"alone": (dims, bands), "measured": (dims, np.abs(sign) * np.stack([0 * change, change]))})

    world = SimpleNamespace(scan=artefacts.scan, known=artefacts.truth, embedding=artefacts.embedding, network=lambda name, recipe: None)
    for sign in (1.0, -1.0):
        monkeypatch.setattr(measures, "sweep_patterns", lambda *args, sign=sign: swept(sign))
        assert measures.drawn_agreement(world, "ds1", "alone") == pytest.approx(sign)


def test_six_domains_of_an_embedding_alternate():
    """The rotated channel of a vortex in the middle of its field changes its sign six times on the way round."""
    n = 48
    core = np.array(load_preset("ds2").texture.core_fraction_yx) * n
    y, x = np.indices((n, n)) - core[:, None, None]
    vortex = np.sign(np.sin(3 * np.arctan2(y, x) + 0.5))
    axis = np.arange(n) * 7.5
    fields = np.stack([vortex + 0.02 * y, 0.02 * x, 0.1 * np.random.default_rng(0).normal(size=(n, n))])
    maps = xr.DataArray(fields, {"channel": range(3), "scan_y": axis, "scan_x": axis}, ("channel", "scan_y", "scan_x"))
    truth = xr.Dataset({"domain": (("scan_y", "scan_x"), vortex)}, {"scan_y": axis, "scan_x": axis})
    world = SimpleNamespace(known=lambda name: truth, embedding=lambda name, recipe: maps)
    assert measures.alternations(world, "ds2") == 6


def test_zeros_are_counted():
    """Half of one embedding is zero and none of another."""
    sparse = xr.DataArray(np.kron(np.eye(2), np.ones((1, 8)))[:, None], dims=("channel", "scan_y", "scan_x"))
    dense = sparse + np.random.default_rng(0).normal(1, 0.1, sparse.shape)
    world = SimpleNamespace(embedding=lambda name, recipe: dense if recipe == "beta-vae" else sparse)
    assert measures.zeros_beyond(world, "ds2", None, "beta-vae") == 50.0


def test_the_network_has_its_parameters_and_two_up_is_plus():
    """The opposite state has the opposite polarization."""
    assert measures.parameter_count(None) == 4_700_770 and measures.up_up_down(None) > 0
    assert measures.up_up_down(None) == pytest.approx(-formal_polarization(ermno3(-1)))


@pytest.fixture(scope="module")
def calculated():
    """A library whose intensities depend on nothing but the reflection and, for 004, on the thickness."""
    hkl = np.array([(0, k, l) for k in range(-6, 7) for l in range(-8, 9, 2)])
    tilt, thickness = np.arange(-10.0, 10.01, 1.0), np.arange(5.0, 110.01, 5.0)
    strength = np.exp(-np.hypot(hkl[:, 1] / 3, hkl[:, 2] / 3)) * (1 + 0.3 * np.sign(hkl[:, 2]) * (np.abs(hkl[:, 2]) == 2))
    samples = np.broadcast_to(strength, (tilt.size, tilt.size, thickness.size, len(hkl))).copy()
    growing = (thickness / 100)[:, None] * 0.3 * np.sign(hkl[:, 2]) * (np.abs(hkl[:, 2]) == 4) * strength
    coefficients = spline_coefficients((samples + growing).astype(np.float32))
    grids = {"thickness_nm": thickness, "tilt_b_mrad": tilt, "tilt_c_mrad": tilt}
    library = Library(hkl, hkl[:, 1] / 5.293, hkl[:, 2] / 11.42, **grids, coefficients=coefficients, energy_kev=200.0)
    return SimpleNamespace(library=library)


def test_simulated_asymmetry_and_order_follow_the_library(calculated):
    """004 is asymmetric by 0.3 · t / 100 nm; its pair changes less than that of 002 at all thicknesses."""
    assert measures.simulated_asymmetry(calculated, 4, 50) == pytest.approx(15, rel=1e-3)
    assert measures.simulated_asymmetry(calculated, 2, "fitted", "fitted") == pytest.approx(30, rel=1e-3)
    assert measures.share_of_thicknesses(calculated) == 0.0
    ratio = measures.simulated_004_over_002(calculated, 100)
    assert ratio == pytest.approx(np.exp(-4 / 3), rel=0.05)  # squares of 0.3 · strength, e^(−4/3) to e^(−2/3)


def test_a_picture_like_the_simulation_is_one_times_it(calculated, monkeypatch):
    """Strengths that are all doubled have the same shares; half of two in place of a quarter is 1.5 and 2 times off."""
    place = {(k, l): i for i, (_, k, l) in enumerate(calculated.library.hkl.tolist())}
    means = sum(measures.disc_means(calculated.library, sign, 75.0, 0.0, 0.0, 1.27) for sign in (1, -1))
    sums = {(0, 0): 9e9} | {kl: 2 * means[place[kl]] for kl in ((0, 2), (0, -2), (0, 4), (2, 0), (-2, 0))}
    monkeypatch.setattr(measures, "mean_pattern_numbers", lambda name: {"disc_sums": sums})
    assert measures.picture_factor(calculated) == pytest.approx(1, rel=1e-3)
    assert measures.typical_factor([1, 1], [3, 1]) == pytest.approx(1.75)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_scan_that_is_the_simulation_agrees_with_it(calculated, monkeypatch, sign):
    table = measures.simulated_delta(calculated, 75)
    monkeypatch.setattr(measures, "measured_delta", lambda artefacts, dataset: table.assign(share=sign * table.share))
    assert measures.delta_correlation(calculated, "ds1") == pytest.approx(sign)


def matched_wall(truth, sign_known=1, basis="matched", wrong=0.05):
    """What matching leaves of the leaning wall: whole positions, holes on the wall and here and there, and neighbours taken for the other side."""
    holes = np.random.default_rng(3).random((N, N)) < wrong
    near = np.abs(truth.wall_distance_nm.values) < STEP
    domain = np.where(holes | near, 0, truth.domain.values).astype(np.int8)
    maps = {"domain": domain, "wall_distance_nm": np.round(truth.wall_distance_nm.values / STEP) * STEP + STEP / 2,
            "thickness_nm": truth.thickness_nm.values, "tilt_b_mrad": truth.tilt_b_mrad.values, "tilt_c_mrad": truth.tilt_c_mrad.values}
    attrs = {"basis": basis, "sign_known": sign_known, "sign": "", "agreement": 1.0}
    return xr.Dataset({name: scan_array(values) for name, values in maps.items()}, attrs=attrs)


@pytest.fixture
def measured(artefacts, discs, tmp_path, monkeypatch):
    """A stand-in for the record on disk: the scan of the leaning wall without truth, its matched domains, and embeddings of networks."""
    monkeypatch.setenv("FIGURES_PKG_ARTEFACTS", str(tmp_path))
    scan, truth = artefacts.scan("ds1").assign_attrs(source="rehearsal"), artefacts.truth("ds1")

    def _scan(name):
        if name not in ("ds1", "ds2"):
            raise Unavailable(f"the scan `{name}` is simulated and on no record")
        return scan

    def _make(networks=("ds1-published", "ds2-published", "ds2-published-vae", "ds2-published-walls"), every=1, **changes):
        shutil.rmtree(tmp_path / "smoke", ignore_errors=True)
        for name in ("ds1", "ds2") if changes.pop("domains", True) else ():
            path = artefact_path(f"domains/{name}.nc", "zenodo", "smoke")
            path.parent.mkdir(parents=True, exist_ok=True)
            write_domains(matched_wall(truth, **changes), path, overwrite=True)
        for name in networks:
            path = artefact_path(f"models/{name}.nc", "zenodo", "smoke")
            path.parent.mkdir(parents=True, exist_ok=True)
            maps = artefacts.embedding("ds1") * (0.2 if name.endswith("vae") else 1.0)
            maps.isel(scan_y=slice(None, None, every), scan_x=slice(None, None, every)).to_netcdf(path)
        world = Artefacts("smoke", "zenodo")
        world.scan, world.lattice = _scan, lambda name: (LATTICE, RADIUS)
        world.images = lambda name: discs
        return world

    return _make


def test_what_domains_suffice_for_is_measured_without_a_truth(measured, artefacts):
    """Against the matched domains, holes and all, numbers are those against the true ones."""
    world = measured()
    twin = SimpleNamespace(images=world.images, data="twin", **{name: getattr(artefacts, name) for name in ("lattice", "domains", "known", "scan")})
    assert world.source == "rehearsal" and world.known("ds1").attrs["basis"] == "matched"
    domain, true = world.domains("ds1"), artefacts.domains("ds1")
    assert 0.02 < np.mean((domain == 0) & (true != 0)) < 0.15 and np.array_equal(domain[domain != 0], artefacts.truth("ds1").domain.values[domain != 0])
    assert measures.vdf_separation(world, "ds1") == measures.com_auc(world, "ds1") == 1.0
    assert measures.com_step_at_equal(world, "ds1") == pytest.approx(measures.com_step_at_equal(twin, "ds1"), rel=0.02)
    assert measures.com_step_sigma(world, "ds1") > 3
    assert measures.measured_004_over_002(world, "ds1") == pytest.approx(measures.measured_004_over_002(twin, "ds1"), rel=0.05)
    with pytest.raises(TooCoarse, match="4.0 nm apart; 2 nm"):  # matched walls run along whole positions
        measures.wall_width_over_probe(world, "ds1")
    assert str(artefact_path("domains/ds1.nc", "zenodo", "smoke")) in world.read


def test_the_authors_networks_are_scored_against_matched_domains(measured):
    """At a grid of positions; scores that take a truth, a control or another scan are not made up."""
    world = measured(every=2)
    assert measures.score(world, "ds1", "CA", "domain_auc", "truth")[0] > 0.99
    assert measures.score(world, "ds1", "CA, rotated", "domain_auc")[0] > 0.99
    assert measures.gain(world, "ds2", "CA", "β-VAE", "domain_auc", "truth") == pytest.approx([0], abs=1e-6)
    assert measures.quantile_agreement(world, "ds1", "published") > 0.9
    assert 0 <= measures.leaks(world, "ds1", "CA", "truth")[0] < 50
    for call, reason in (
        (lambda: measures.gain(world, "ds1", "CA", "untrained", "domain_auc"), "untrained is scored on simulated scans only"),
        (lambda: measures.score(world, "hard", "CA", "domain_auc"), "`hard` is simulated and on no record"),
        (lambda: measures.score(world, "ds2", "CA", "vortex_accuracy", "truth"), "which of six states a domain has is known of simulated scans only"),
        (lambda: measures.probe_margin(world, "ds2", "CA"), "only simulated scans have"),
        (lambda: measures.leaks(measured(basis="steps"), "ds1", "CA", "truth"), "ds1 do not fit the library, so its bend and thickness"),
        (lambda: measures.best_wall_channel(measured(networks=()), "ds1", "published"), "authors' network ca-ds1 was not applied to ds1"),
        (lambda: measures.score(measured(networks=["ds2-published"]), "ds1", "CA", "domain_auc"), "authors' network ca-ds1 was not applied to ds1"),
    ):
        with pytest.raises(Unavailable, match=reason):
            call()


def test_a_grid_too_coarse_for_walls_says_so(measured):
    """Every position, 4 nm apart, shows the wall; every third does not."""
    assert measures.best_wall_channel(measured(), "ds1", "published") > 0.5
    with pytest.raises(TooCoarse, match="12 nm apart; 10 nm are needed"):
        measures.best_wall_channel(measured(every=3), "ds1", "published")
    with pytest.raises(Unavailable, match="too far apart"):
        measures.gain(measured(every=3), "ds2", "CA", "β-VAE", "wall_auc", "truth")


@pytest.mark.parametrize("changes, reason", [
    ({"sign_known": 0}, "which of the two domains of ds1 is \\+P is not known"),
    ({"basis": "steps", "sign_known": 0}, "do not fit the library"),
    ({"domains": False}, "domains of the scan `ds1` were not looked for"),
])  # fmt: skip
def test_the_direction_of_the_shift_needs_a_sign(measured, changes, reason):
    """Without one, or without matched states, the claim is not tested; the others are, as long as there are domains."""
    world = measured(**changes)
    with pytest.raises(Unavailable, match=reason):
        measures.com_step_at_equal(world, "ds1")
    if "domains" not in changes:
        assert measures.com_auc(world, "ds1") == 1.0


def test_one_domain_is_nothing_to_compare(measured):
    """Not an error: the claims that compare two domains are not tested."""
    world = measured()
    alone = world.known("ds1").assign(domain=world.known("ds1").domain * 0 + 1)
    world.known = lambda name: alone
    with pytest.raises(Unavailable, match="only one domain was found in the scan `ds1`"):
        measures.com_auc(world, "ds1")


def test_every_claim_has_words_and_numbers_on_measured_scans(measured, monkeypatch):
    """All claims evaluated: none fails, no value and no word is nan or speaks of a truth, and all but a third of those on scans are measured."""
    world = measured()
    world.library, rows = None, []
    for claim in load_claims():
        if claim.data in ("twin", "record") and claim.measure and not claim.measure.endswith("delta_correlation"):
            rows.append(evaluate_claim(claim, world))
    for row in rows:
        words = str([row["words"], *(case["reason"] for case in row["cases"])]).lower()
        assert row["verdict"] != "not tested" or row["words"], row["id"]
        assert not {"nan", "true", "truth"} & set(words.replace(",", " ").replace("'", " ").split()), row["id"]
    assert sum(row["verdict"] != "not tested" for row in rows) >= 2 / 3 * len(rows), [row["id"] for row in rows if row["verdict"] == "not tested"]


def test_every_measure_of_the_claims_is_tested_here():
    """Its name occurs in this file."""
    text = Path(__file__).read_text(encoding="utf-8")
    names = {claim.measure.rpartition(".")[2] for claim in load_claims() if claim.measure}
    assert not [name for name in names if f".{name}(" not in text]
