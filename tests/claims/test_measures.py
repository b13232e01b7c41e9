"""Every measure of a claim on an input whose answer is known."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from drawn_patterns import scan_of
from scipy.special import erf

from figures_pkg.claims import load_claims, measures
from figures_pkg.claims.artefacts import Artefacts, Unavailable
from figures_pkg.claims.run import evaluate_claim
from figures_pkg.crystal import ermno3
from figures_pkg.crystal.structure import formal_polarization
from figures_pkg.data.axes import DIMS, SCAN_DIMS
from figures_pkg.diffraction import Library
from figures_pkg.diffraction.library import spline_coefficients
from figures_pkg.evaluate.known import write_domains
from figures_pkg.imaging import Disc, Lattice, summarise
from figures_pkg.twin import load_preset
from figures_pkg.workspace import artefact_path

pytestmark = pytest.mark.physics

N, SIDE, STEP = 30, 65, 4.0
AXIS = np.arange(N) * STEP
RATIO = 11.42 / 2 / (6.112 * np.sqrt(3) / 2)  # g(010) / g(002) of the cell
LATTICE, RADIUS = Lattice((32.0, 32.0), (-12.0, 0.0), (0.0, 12.0 * RATIO)), 3.0
WIDTH = 3 * 1.0885 * load_preset("ds1").beam.probe_fwhm_nm  # of the wall, three times the edge of the probe, 10 to 90 %
SIDES = [(k, l) for k in (-1, 1) for l in (-2, 0, 2)]  # discs that say nothing of the domains, for the fit of the lattice
CHANGE = {2: 0.3, 4: 0.1}  # 002 changes by 30 % between the domains, 004 by 10 %


def as_truth(axis=AXIS, **maps):
    return xr.Dataset({name: (SCAN_DIMS, values) for name, values in maps.items()}, {"scan_y": axis, "scan_x": axis})


def as_maps(*images, axis=AXIS):
    return xr.DataArray(np.stack(images), {"channel": range(len(images)), "scan_y": axis, "scan_x": axis}, ("channel", *SCAN_DIMS))


def world(data="twin", **answers):
    """What a profile has made, without files: each method gives one answer."""
    made = Artefacts("smoke", data)
    for name, answer in answers.items():
        setattr(made, name, answer if name in ("scores", "library") else lambda *_, answer=answer: answer)
    return made


@pytest.fixture(scope="module")
def artefacts():
    """+P right of a wall that leans by a fifth of a right angle, so that all distances from it occur; tilt along c grows downward. The brightness of
    discs on 00l follows the polarization, that of six others does not, on an even ground."""
    y, x = np.indices((N, N)) * STEP
    angle = np.radians(18)
    distance = (x - x.mean()) * np.cos(angle) + (y - y.mean()) * np.sin(angle)
    truth = as_truth(polarization=erf(distance / (np.sqrt(2) * WIDTH / 2.5631)), domain=np.sign(distance), wall_distance_nm=distance,
                     wall_width_nm=0 * x + 6.0, tilt_b_mrad=np.cos(x / 40), tilt_c_mrad=y / 60, thickness_nm=60 + np.sin(y / 25),
                     wall_type=0 * x, crystal_share=0 * x + 1, transmission=0 * x + 1)
    rows, cols = np.indices((SIDE, SIDE))
    counts = np.full((N, N, SIDE, SIDE), 2.0)
    for index, size in {(0, 0): 60.0, (0, 2): 100.0, (0, -2): 100.0, (0, 4): 40.0, (0, -4): 40.0, **dict.fromkeys(SIDES, 40.0)}.items():
        row, col = LATTICE.position(*index)
        change = np.sign(index[1]) * CHANGE.get(abs(index[1]), 0) if index[0] == 0 else 0
        counts += (np.hypot(rows - row, cols - col) <= RADIUS) * size * (1 + change * truth.polarization.values[..., None, None])
    scan = scan_of(counts, (32, 32), STEP, 0.0146).assign_attrs(source="twin")
    discs = {f"00{l}": Disc(tuple(LATTICE.position(0, l)), RADIUS) for l in (2, -2, 4, -4)}
    return world(scan=scan, truth=truth, known=truth, lattice=(LATTICE, RADIUS), images=summarise(scan, mean=False, detectors=discs),
                 domains=np.where(np.abs(distance) > 20, truth.domain.values, 0).astype(int), network=None,
                 embedding=as_maps(truth.polarization.values + 0.3 * truth.tilt_c_mrad.values, truth.tilt_c_mrad.values))


def test_the_lattice_of_the_cell_fits_and_the_cone_follows_from_the_published_radius(monkeypatch):
    """A spacing that is 5 % too long or short is 5 % off; ten pixels of 0.009555 1/Å at 200 kV are 2.396 mrad."""
    for factor, misfit in ((1.0, 0.0), (1.05, 5.0), (0.95, 5.0)):
        made = world(lattice=(Lattice((0, 0), (3.0, 4.0), (0.0, 5 * RATIO * factor)), 3.0))
        assert measures.lattice_misfit_percent(made, "ds1") == pytest.approx(misfit)
    monkeypatch.setattr(measures, "mean_pattern_numbers", lambda name: {"half_maximum_radius_px": 10.0})
    scale = measures.load_manifest()["ds1"].axes["det_scale_inv_angstrom"].value
    assert measures.published_half_angle_mrad(None, "ds1") == pytest.approx(10 * scale * 25.079, rel=1e-4)
    monkeypatch.setattr(measures, "channel_map_numbers", {"a": {"auc": [0.5, 0.9]}, "b": {"auc": [0.8, 0.6]}}.__getitem__)
    assert measures.published_channel_auc(None, "a") == 0.9 and measures.published_channel_auc(None, "a", less="b") == pytest.approx(0.1)


def test_the_overview_steps_everywhere_or_by_chance(artefacts):
    """A ring that holds more counts in +P steps the same way all along; one of noise does not."""
    truth, noise = artefacts.truth("ds1"), np.random.default_rng(0).normal(size=(N, N))
    for follows, least, most in ((truth.polarization, 1.0, 1.0), (truth.polarization.copy(data=noise), 0.5, 0.85)):
        brighter = artefacts.scan("ds1").mean(SCAN_DIMS) * (1 + 0.1 * follows)
        found = measures.overview_steps(world(scan=brighter.transpose(*DIMS), truth=truth, lattice=(LATTICE, RADIUS)), "ds1", reach_nm=20.0)
        assert least <= found <= most
    with pytest.raises(Unavailable, match="500 nm away, in the field"):
        measures.overview_steps(artefacts, "ds1", reach_nm=500.0)


def test_discs_tell_domains_and_orders_and_the_width_of_the_wall(artefacts):
    """Without noise and bend, without error; the step of the centre of mass is twice Σ |change| · counts · g over all counts. Shares in 1 − r go
    with the square of the changed counts: (40 · 0.1)² over (100 · 0.3)². The wall is as wide as it was made."""
    assert measures.vdf_separation(artefacts, "ds1") == 1.0
    area = np.sum(np.hypot(*(np.indices((9, 9)) - 4)) <= RADIUS)
    step = 2 * area * (2 * 100 * 0.3 * 12 + 2 * 40 * 0.1 * 24) * 0.0146 / float(artefacts.scan("ds1")[0, 0].sum())
    assert measures.com_step_at_equal(artefacts, "ds1") == pytest.approx(1e3 * step, rel=1e-3)
    assert measures.com_auc(artefacts, "ds1") == 1.0 and measures.com_elongation(artefacts, "ds1") > 1e3
    assert measures.com_step_sigma(artefacts, "ds1") > 3
    ratio = measures.measured_004_over_002(artefacts, "ds1")
    assert ratio == pytest.approx((40 * 0.1) ** 2 / (100 * 0.3) ** 2, rel=0.05)
    assert measures.measured_002_over_004(artefacts, "ds1") == pytest.approx(1 / ratio)
    assert measures.wall_width_over_probe(artefacts, "ds1") == pytest.approx(3, rel=0.02)


LOSSES = ("loss_upside_down", "loss_half_turn", "loss_square_root")
TABLE = pd.DataFrame([
    {"scan": "ds1", "field_seed": 0, "method": method, "method_seed": seed, "picked_by": "rule", "domain_auc": auc, "leak_bend": 0.1,
     "leak_thickness": 0.02 * seed, "charge_probe": np.nan, "charge_placebo": np.nan}
    for method, values in {"CA": (0.9, 0.8), "β-VAE": (0.7,)}.items() for seed, auc in enumerate(values)
] + [
    {"scan": scan, "field_seed": 0, "method": "CA", "method_seed": 0, "picked_by": "truth", "charge_probe": probe, "charge_placebo": placebo}
    for scan, probe, placebo in (("ds2", 0.95, 0.8), ("control", 0.99, 0.6), ("control-plain", 0.93, 0.6))
])  # fmt: skip


def test_scores_come_from_the_table():
    """Over all seeds; gains only where both methods have the seed; a probe beats 0.9, placebo lines, and in control walls without a structure."""
    made = world(scores=TABLE)
    assert measures.score(made, "ds1", "CA", "domain_auc") == [0.9, 0.8]
    assert measures.gain(made, "ds1", "CA", "β-VAE", "domain_auc") == pytest.approx([0.2])
    assert measures.leaks(made, "ds1", "CA") == pytest.approx([10, 10])
    noise = world(scores=TABLE.assign(domain_auc=0.66, leak_bend=0.01, leak_thickness=0.06 * TABLE.method_seed))
    assert measures.leaks(noise, "ds1", "CA") == pytest.approx([6])  # a large one is a finding, a small one of noise is none
    with pytest.raises(Unavailable, match="AUC of 0.66 only, 0.9 are needed"):
        measures.leaks(world(scores=noise.scores.assign(leak_thickness=0.0)), "ds1", "CA")
    assert measures.probe_margin(made, "ds2", "CA") == pytest.approx([0.95 - 0.9])
    assert measures.probe_margin(made, "control", "CA") == pytest.approx([0.99 - 0.98])
    for measure, *arguments in ((measures.score, "hard", "CA", "domain_auc"), (measures.gain, "ds1", "CA", "PCA", "domain_auc"),
                                (measures.probe_margin, "ds1", "CA")):
        with pytest.raises(Unavailable, match="in this profile"):
            measure(made, *arguments)


def test_the_charge_that_walls_share():
    """Opposite walls of the second scan do, and two walls with one between them; three alternating walls do not. Noise shows no wall."""
    assert measures.shared_charge(None, "ds2", [2, 5]) > 0.9 and measures.shared_charge(None, "ds2", [1, 3]) > 0.7
    assert measures.shared_charge(None, "ds2", [0, 2, 4]) < 0.05 and measures.shared_charge(None, "ds2", [1, 3, 5]) == 0
    x = np.indices((48, 48))[1] * 2.0
    truth = as_truth(np.arange(48) * 2.0, polarization=np.clip(x - 31, -1, 1), domain=np.sign(x - 31), wall_distance_nm=x - 31, wall_width_nm=0 * x)
    noise = np.random.default_rng(0).normal(size=(2, 48, 48))
    found = [measures.best_wall_channel(world(known=truth, embedding=as_maps(*maps, axis=np.arange(48) * 2.0)), "ds2")
             for maps in (noise, 0.05 * noise + (np.abs(x - 31) < 2))]
    assert found[0] < 0.7 < 0.99 < found[1]


def test_ends_of_the_domain_channel_and_a_decoder_that_draws_them_agree_with_the_domains(artefacts, monkeypatch):
    """Where the channel is right, both differences are the same pattern; a decoder's change with the channel is that of the patterns, or its opposite."""
    assert measures.quantile_agreement(artefacts, "ds1") > 0.999
    change = artefacts.scan("ds1")[0, -1].values - artefacts.scan("ds1")[0, 0].values
    for sign in (1.0, -1.0):
        drawn = {name: (("band", *DIMS[2:]), np.stack([0 * change, sign * change])) for name, sign in (("alone", sign), ("measured", 1.0))}
        monkeypatch.setattr(measures, "sweep_patterns", lambda *_, drawn=drawn: xr.Dataset(drawn))
        assert measures.drawn_agreement(artefacts, "ds1", "alone") == pytest.approx(sign)


@pytest.mark.parametrize("domains", [2, 6])
def test_the_domains_of_an_embedding_alternate_around_the_core(domains):
    axis, rng = np.arange(48) * 7.5, np.random.default_rng(0)
    y, x = np.indices((48, 48)) - (np.array(load_preset("ds2").texture.core_fraction_yx) * 48)[:, None, None]
    vortex = np.sign(np.sin(domains / 2 * np.arctan2(y, x) + 0.5))
    maps = as_maps(vortex + 0.02 * y + 0.05 * rng.normal(size=(48, 48)), 0.02 * x, 0.1 * rng.normal(size=(48, 48)), axis=axis)
    assert measures.alternations(world(known=as_truth(axis, domain=vortex), embedding=maps), "ds2") == domains


def test_zeros_are_counted():
    sparse = as_maps(*np.kron(np.eye(2), np.ones((4, 2))).reshape(2, 4, 4), axis=AXIS[:4])
    made = world()
    made.embedding = lambda name, recipe: sparse + 1 + np.random.default_rng(0).random(sparse.shape) if recipe == "beta-vae" else sparse
    assert measures.zeros_beyond(made, "ds2", None, "beta-vae") == 50.0


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
    samples = np.broadcast_to(strength, (tilt.size, tilt.size, thickness.size, len(hkl)))
    growing = (thickness / 100)[:, None] * 0.3 * np.sign(hkl[:, 2]) * (np.abs(hkl[:, 2]) == 4) * strength
    grids = {"thickness_nm": thickness, "tilt_b_mrad": tilt, "tilt_c_mrad": tilt}
    coefficients = spline_coefficients((samples + growing).astype(np.float32))
    return world(library=Library(hkl, hkl[:, 1] / 5.293, hkl[:, 2] / 11.42, **grids, coefficients=coefficients, energy_kev=200.0))


def test_simulated_asymmetry_and_order_follow_the_library(calculated):
    """004 is asymmetric by 0.3 · t / 100 nm; its pair changes less than that of 002 at all thicknesses; a scan that is the simulation agrees."""
    assert measures.simulated_asymmetry(calculated, 4, 50) == pytest.approx(15, rel=1e-3)
    assert measures.simulated_asymmetry(calculated, 2, "fitted", "fitted") == pytest.approx(30, rel=1e-3)
    assert measures.share_of_thicknesses(calculated) == 0.0
    ratio = measures.simulated_004_over_002(calculated, 100)
    assert ratio == pytest.approx(np.exp(-4 / 3), rel=0.05)  # squares of 0.3 · strength, e^(−4/3) to e^(−2/3)
    table = measures.simulated_delta(calculated, 75)
    for sign in (1, -1):
        assert measures.delta_correlation(world(library=calculated.library, delta=table.assign(share=sign * table.share)), "ds1") == pytest.approx(sign)


def test_a_picture_like_the_simulation_is_one_times_it(calculated, monkeypatch):
    """Strengths that are all doubled have the same shares; one that is tripled is off by that factor, the others by what it takes from them."""
    place = {(k, l): i for i, (_, k, l) in enumerate(calculated.library.hkl.tolist())}
    means = sum(measures.disc_means(calculated.library, sign, 75.0, 0.0, 0.0, 1.27) for sign in (1, -1))
    sums = {(0, 0): 9e9} | {kl: 2 * means[place[kl]] for kl in ((0, 2), (0, -2), (0, 4), (2, 0), (-2, 0))}
    monkeypatch.setattr(measures, "mean_pattern_numbers", lambda name: {"disc_sums": sums})
    assert measures.picture_factor(calculated) == pytest.approx(1, rel=1e-3)
    whole = sum(sums.values()) - sums[0, 0]
    grown = (whole + 2 * sums[0, 4]) / whole
    sums[0, 4] *= 3
    assert measures.picture_factor(calculated) == pytest.approx(grown, rel=1e-3)


@pytest.fixture
def measured(artefacts, tmp_path, monkeypatch):
    """The record's stand-in on disk: the leaning wall without truth, its matched domains (whole positions, with holes), and embeddings of networks."""
    monkeypatch.setenv("FIGURES_PKG_ARTEFACTS", str(tmp_path))
    scan, truth = artefacts.scan("ds1").assign_attrs(source="rehearsal"), artefacts.truth("ds1")
    holes = (np.random.default_rng(3).random((N, N)) < 0.05) | (np.abs(truth.wall_distance_nm.values) < STEP)
    found = truth[["thickness_nm", "tilt_b_mrad", "tilt_c_mrad"]].assign(
        domain=truth.domain.where(~holes, 0).astype(np.int8), wall_distance_nm=np.round(truth.wall_distance_nm / STEP) * STEP + STEP / 2)

    def _scan(name):
        if name not in ("ds1", "ds2"):
            raise Unavailable(f"the scan `{name}` exists only as a simulation")
        return scan

    def _make(networks=("ds1-published", "ds2-published", "ds2-published-vae", "ds2-published-walls"), every=1, domains=True, **changes):
        shutil.rmtree(tmp_path / "smoke", ignore_errors=True)
        paths = {name: artefact_path(f"{name}.nc", "zenodo", "smoke") for name in ["domains/ds1", "domains/ds2", *(f"models/{each}" for each in networks)]}
        for name, path in paths.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            if name.startswith("models"):
                maps = artefacts.embedding("ds1")[:, ::every, ::every] * (0.2 if name.endswith("vae") else 1.0)
                maps.drop_vars("channel").to_dataset(name="embedding").to_netcdf(path)
            elif domains:
                write_domains(found.assign_attrs({"basis": "matched", "sign_known": 1, "sign": "", "agreement": 1.0} | changes), path)
        made = world("zenodo", lattice=(LATTICE, RADIUS), images=artefacts.images("ds1"))
        made.scan = _scan
        return made

    return _make


def test_what_domains_suffice_for_is_measured_without_a_truth(measured, artefacts):
    """Against the matched domains, holes and all, numbers are those against the true ones."""
    made = measured()
    assert made.source == "rehearsal" and made.known("ds1").attrs["basis"] == "matched"
    domain, true = made.domains("ds1"), artefacts.domains("ds1")
    assert 0.02 < np.mean((domain == 0) & (true != 0)) < 0.15 and np.array_equal(domain[domain != 0], artefacts.truth("ds1").domain.values[domain != 0])
    assert measures.vdf_separation(made, "ds1") == measures.com_auc(made, "ds1") == 1.0 and measures.com_step_sigma(made, "ds1") > 3
    assert measures.com_step_at_equal(made, "ds1") == pytest.approx(measures.com_step_at_equal(artefacts, "ds1"), rel=0.02)
    assert measures.measured_004_over_002(made, "ds1") == pytest.approx(measures.measured_004_over_002(artefacts, "ds1"), rel=0.05)
    with pytest.raises(Unavailable, match="4.0 nm apart; 2 nm"):  # matched walls run along whole positions
        measures.wall_width_over_probe(made, "ds1")
    assert str(artefact_path("domains/ds1.nc", "zenodo", "smoke")) in made.read
    alone = made.known("ds1").assign(domain=made.known("ds1").domain * 0 + 1)
    made = measured()
    made.known = lambda name: alone
    with pytest.raises(Unavailable, match="only one domain was found in the scan `ds1`"):
        measures.com_auc(made, "ds1")


def test_the_released_networks_are_scored_against_matched_domains(measured, artefacts):
    """At a grid of positions; scores that take a truth, a control or another scan are not made up."""
    made = measured(every=2)
    assert measures.score(made, "ds1", "CA", "domain_auc", "truth")[0] > 0.99
    assert measures.score(made, "ds1", "CA, rotated", "domain_auc")[0] > 0.99
    assert measures.gain(made, "ds2", "CA", "β-VAE", "domain_auc", "truth") == pytest.approx([0], abs=1e-6)
    assert measures.quantile_agreement(made, "ds1", "published") > 0.9
    assert 0 <= measures.leaks(made, "ds1", "CA", "truth")[0] < 50
    assert made.warning("ds1", {"recipe": "published"}) == ""  # nothing is known of its reconstruction
    made.embedding = lambda *_: artefacts.embedding("ds1").assign_attrs(dict.fromkeys(LOSSES, 1.0) | {"loss_as_used": 2.0, "loss_error": 0.1})
    warned = [made.warning("ds2", each) for each in ({"method": "CA, rotated"}, {"recipe": None, "other": "published-vae"}, {"method": "PCA"})]
    assert ["reconstruction fails" in each for each in warned] == [True, True, False] and artefacts.warning("ds1", {"recipe": "published"}) == ""
    made = measured(every=2)
    for call, reason in (
        (lambda: measures.gain(made, "ds1", "CA", "untrained", "domain_auc"), "untrained is scored on simulated scans only"),
        (lambda: measures.score(made, "ds2", "CA", "vortex_accuracy", "truth"), "which of six states a domain has is known of simulated scans only"),
        (lambda: measures.probe_margin(made, "ds2", "CA"), "only simulated scans have"),
        (lambda: measures.leaks(measured(basis="steps"), "ds1", "CA", "truth"), "ds1 do not fit the library, so its bend and thickness"),
        (lambda: measures.score(measured(networks=["ds2-published"]), "ds1", "CA", "domain_auc"), "released network ca-ds1 was not applied to ds1"),
        (lambda: measures.best_wall_channel(measured(every=3), "ds1", "published"), "12 nm apart; 10 nm are needed"),
        (lambda: measures.gain(measured(every=3), "ds2", "CA", "β-VAE", "wall_auc", "truth"), "too far apart"),
        (lambda: measures.com_step_at_equal(measured(sign_known=0), "ds1"), r"which of the two domains of ds1 is \+P is not known"),
        (lambda: measures.com_step_at_equal(measured(basis="steps", sign_known=0), "ds1"), "do not fit the library"),
        (lambda: measures.com_step_at_equal(measured(domains=False), "ds1"), "domains of the scan `ds1` were not looked for"),
    ):
        with pytest.raises(Unavailable, match=reason):
            call()
    assert measures.com_auc(measured(basis="steps", sign_known=0), "ds1") == 1.0  # which needs no sign
    assert measures.best_wall_channel(measured(), "ds1", "published") > 0.5  # every position, 4 nm apart, shows the wall


def test_every_claim_has_words_and_numbers_on_measured_scans(measured):
    """All claims evaluated: none fails, no value and no word is nan or speaks of a truth, and all but a third of those on scans are measured."""
    made, rows = measured(), []
    made.library = None
    for claim in load_claims():
        if claim.data in ("twin", "record") and claim.measure and not claim.measure.endswith("delta_correlation"):
            rows.append(evaluate_claim(claim, made))
    for row in rows:
        words = str([row["words"], *(case["reason"] for case in row["cases"])]).lower()
        assert row["verdict"] != "not tested" or row["words"], row["id"]
        assert not {"nan", "true", "truth"} & set(words.replace(",", " ").replace("'", " ").split()), row["id"]
    assert sum(row["verdict"] != "not tested" for row in rows) >= 2 / 3 * len(rows), [row["id"] for row in rows if row["verdict"] == "not tested"]


def test_every_measure_of_the_claims_is_tested_here():
    text = Path(__file__).read_text(encoding="utf-8")
    names = {claim.measure.rpartition(".")[2] for claim in load_claims() if claim.measure}
    assert not [name for name in names if f".{name}(" not in text and f".{name}," not in text]
