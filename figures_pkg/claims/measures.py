"""Measures of claims on what a profile has made from one source."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
import xarray as xr
from scipy.ndimage import map_coordinates
from scipy.optimize import curve_fit
from scipy.special import erf

from figures_pkg.crystal.structure import ermno3, formal_polarization, structure
from figures_pkg.data.published import channel_map_numbers, mean_pattern_numbers
from figures_pkg.data.units import disc_radius
from figures_pkg.diffraction.discs import disc_means
from figures_pkg.evaluate.channels import (
    agreement,
    at_positions,
    domain_channel,
    domain_difference,
    end_difference,
    pick_channels,
    quantile_patterns,
    sparsity,
    sweep_patterns,
)
from figures_pkg.evaluate.leaderboard import values_of
from figures_pkg.evaluate.reflections import REFLECTIONS, pair_change
from figures_pkg.evaluate.scores import area_under_curve, domain_split, effect_at_equal, folded, step_nm, wall_auc
from figures_pkg.evaluate.walls import CLEAR_AUC, CLEAR_GAIN, COARSEST_NM, vortex_charges, wall_normals
from figures_pkg.imaging import Annulus, Lattice, along_and_across, summarise, to_mrad
from figures_pkg.imaging.difference import pair_ratio, pearson_map, reflection_table
from figures_pkg.model import Autoencoder
from figures_pkg.record.manifest import load_manifest
from figures_pkg.twin import load_preset
from figures_pkg.twin.patterns import disc_patterns

from .artefacts import METHODS, Artefacts, Unavailable

LITTLE_LEAK = 5.0  # %: less of it is no merit of a channel that shows no domains
FITTED = "fitted"  # in place of a thickness or a tilt: what was fitted to the published picture of the first scan
TEN_TO_NINETY = 2.5631  # width from 10 to 90 % of an error function, in standard deviations
EDGE_REACH_NM = 40.0  # positions this far from a wall take part in the fit of its width


# --- scans and their patterns: the lattice, virtual dark fields, centres of mass, differences of domains ---


def lattice_misfit_percent(artefacts: Artefacts, dataset: str) -> float:
    """How far the ratio of the spacings of 010 and 002 in the mean pattern is from that of the cell along [100], in %."""
    lattice, cell = artefacts.lattice(dataset)[0], structure()
    expected = float(cell["c_angstrom"] / np.sqrt(3) / cell["a_angstrom"])  # (2 / (√3 a)) / (2 / c); 1.868 would be seen along ⟨210⟩
    return 100 * abs(float(np.hypot(*lattice.g010) / np.hypot(*lattice.g002)) / expected - 1)


def published_half_angle_mrad(artefacts: Artefacts, dataset: str) -> float:
    """Half angle of the beam's cone from the radius of the direct beam in the published picture, its blur included: an upper bound."""
    entry = load_manifest()[dataset]
    radius = mean_pattern_numbers(dataset)["half_maximum_radius_px"]
    return float(to_mrad(radius * entry.axes["det_scale_inv_angstrom"].value, entry.acquisition["beam_energy_kev"].value))


def published_channel_auc(artefacts: Artefacts, network: str, less: str | None = None) -> float:
    """AUC of the domains in the best single channel of a published sheet, less that of another sheet where one is named."""
    best, other = (max(channel_map_numbers(name)["auc"]) if name else 0.0 for name in (network, less))
    return best - other


def vdf_separation(artefacts: Artefacts, dataset: str) -> float:
    """AUC of +P against −P of the best of the discs 002, 00-2, 004 and 00-4; half is chance."""
    images, domain = artefacts.images(dataset), artefacts.domains(dataset)
    return max(folded(area_under_curve(images[f"00{l}"].values, domain > 0, domain < 0)) for l in REFLECTIONS)


def overview_steps(artefacts: Artefacts, dataset: str = "overview", reach_nm: float = 60.0) -> float:
    """Share of the places along the walls at which the ring image steps the same way, between sides in the crystal; by chance a half."""
    scan, truth, (lattice, radius) = artefacts.scan(dataset), artefacts.truth(dataset), artefacts.lattice(dataset)
    ring = Annulus(lattice.centre, 1.5 * radius, 3.5 * np.hypot(*lattice.g002))
    image = summarise(scan, detectors={"ring": ring}, com=False, mean=False).ring.values.astype(float)
    inside = ((truth.crystal_share > 0.99) & (truth.transmission == 1)).values
    distance, step = truth.wall_distance_nm.values.astype(float), step_nm(truth)
    places = np.stack(np.nonzero(np.abs(distance) <= step / 2))
    normal = wall_normals(distance, step)[:, places[0], places[1]]
    sides = [places + sign * normal * reach_nm / step for sign in (1, -1)]
    limit = np.array(distance.shape)[:, None] - 1
    kept = np.logical_and.reduce([((side >= 0) & (side <= limit)).all(axis=0) & inside[tuple(np.clip(np.rint(side), 0, limit).astype(int))]
                                  for side in sides])
    if not kept.any():
        raise Unavailable(f"no place on a wall has both sides, {reach_nm:g} nm away, in the field")
    ahead, behind = (map_coordinates(image, side[:, kept], order=1) for side in sides)
    share = float(np.mean(ahead > behind))
    return max(share, 1 - share)


def com_elongation(artefacts: Artefacts, dataset: str) -> float:
    """Spread of the centre of mass along c over that across it, standard deviations, descan removed."""
    along, across = _com(artefacts, dataset)
    return float(along.std() / across.std())


def com_step_sigma(artefacts: Artefacts, dataset: str) -> float:
    """Step of the centre of mass along c between the domains, on a smooth background of bend, in standard errors."""
    along, _ = _com(artefacts, dataset)
    block = max(2, round(60 / step_nm(along)))
    split = domain_split(along.values, artefacts.domains(dataset), order=4, block=block)
    return abs(split.step) / split.error


def com_step_at_equal(artefacts: Artefacts, dataset: str) -> float:
    """Centre of mass along +c of +P less that of −P at equal tilt and thickness, in 10⁻³ 1/Å; on a measured scan those matched, off the walls."""
    known, (along, _) = artefacts.known(dataset), _com(artefacts, dataset)
    others = [known[name].values for name in ("tilt_b_mrad", "tilt_c_mrad", "thickness_nm")]
    if artefacts.data == "twin":
        return 1e3 * effect_at_equal(along.values, known.polarization.values / 2, others)
    if known.attrs["basis"] != "matched":
        raise Unavailable(f"the patterns of {dataset} do not fit the library, so their tilt and thickness are not known")
    if not known.attrs["sign_known"]:
        raise Unavailable(f"which of the two domains of {dataset} is +P is not known")
    domain = artefacts.domains(dataset)
    inside = domain != 0
    return 1e3 * effect_at_equal(along.values[inside], domain[inside] / 2, [other[inside].astype(float) for other in others])


def com_auc(artefacts: Artefacts, dataset: str) -> float:
    """AUC of +P against −P of the centre of mass along c, position by position."""
    along, domain = _com(artefacts, dataset)[0].values, artefacts.domains(dataset)
    return folded(area_under_curve(along, domain > 0, domain < 0))


def _com(artefacts: Artefacts, dataset: str) -> tuple[xr.DataArray, xr.DataArray]:
    """Centre of mass along c and across it."""
    return along_and_across(artefacts.images(dataset), artefacts.lattice(dataset)[0].g002)


def measured_004_over_002(artefacts: Artefacts, dataset: str) -> float:
    """How much more of the difference between the domains lies in the pair 004 than in the pair 002, as a ratio."""
    return pair_ratio(artefacts.delta(dataset))


def measured_002_over_004(artefacts: Artefacts, dataset: str) -> float:
    """The inverse of :func:`measured_004_over_002`."""
    return 1 / measured_004_over_002(artefacts, dataset)


def wall_width_over_probe(artefacts: Artefacts, dataset: str) -> float:
    """
    Width of a wall, 10 to 90 %, over that of a step seen by the probe, in the combination of the discs 00l that fits the domains best.

    A wall that runs askew over the grid is met at all distances, so widths below a step can be measured by the fit of an error function.
    """
    images, domain, known = artefacts.images(dataset), artefacts.domains(dataset), artefacts.known(dataset)
    discs = np.stack([images[f"00{l}"].values for l in REFLECTIONS], axis=-1)
    columns = np.concatenate([discs, np.ones((*domain.shape, 1))], axis=-1)
    used = domain != 0
    image = columns @ np.linalg.lstsq(columns[used], domain[used].astype(float), rcond=None)[0]
    probe_nm = load_preset(dataset.partition("-field")[0]).beam.probe_fwhm_nm
    near = np.abs(known.wall_distance_nm.values) <= EDGE_REACH_NM
    x, y = known.wall_distance_nm.values[near].astype(float), image[near].astype(float)
    gap = np.diff(np.sort(x[np.abs(x) <= EDGE_REACH_NM / 4])).max(initial=0.0)
    if not 0 < gap <= probe_nm:
        raise Unavailable(f"distances from the wall lie up to {gap:.1f} nm apart; {probe_nm:g} nm cannot be told")

    def edge(x, low, high, centre, deviation):
        """A smooth step."""
        return low + (high - low) / 2 * (1 + erf((x - centre) / (np.sqrt(2) * deviation)))

    start = (y[x < 0].mean(), y[x > 0].mean(), 0.0, EDGE_REACH_NM / 8)
    _, _, _, deviation = curve_fit(edge, x, y, start)[0]
    edge_of_probe_nm = TEN_TO_NINETY / 2.3548 * probe_nm  # under a Gaussian, 1.088 times its full width at half maximum
    return float(TEN_TO_NINETY * abs(deviation)) / edge_of_probe_nm


# --- what networks find: held against the truth on the twin, against matched domains on measured scans; see `Artefacts.known` ---


def score(artefacts: Artefacts, dataset: str, method: str, column: str, picked_by: str = "rule") -> list[float]:
    """One score of a method on a scan, over all fields and seeds that were scored."""
    return _found(values_of(_scores(artefacts, dataset), column, method, picked_by, [dataset]), artefacts, dataset, column, method)


def gain(artefacts: Artefacts, dataset: str, method: str, over: str, column: str, picked_by: str = "rule") -> list[float]:
    """How much more one method scores than another, on the same field and with the same seed."""
    table = _scores(artefacts, dataset)
    chosen = table[(table.scan == dataset) & (table.picked_by == picked_by) & table.method.isin([method, over])]
    wide = chosen.pivot_table(column, ["field_seed", "method_seed"], "method")
    values = (wide[method] - wide[over]).dropna() if {method, over} <= set(wide.columns) else []
    return _found(values, artefacts, dataset, column, method, over)


def leaks(artefacts: Artefacts, dataset: str, method: str, picked_by: str = "rule") -> list[float]:
    """
    Share of the variance of a domain channel that bend and thickness explain beyond the domains, in %; the larger of the two.

    A small share counts only in a channel that shows the domains with an AUC of 0.9: in one of noise it is no separation.
    """
    columns = ("leak_bend", "leak_thickness", "domain_auc")
    bend, thickness, aucs = (score(artefacts, dataset, method, column, picked_by) for column in columns)
    values = 100 * np.maximum(bend, thickness)
    if not (telling := (np.array(aucs) >= CLEAR_AUC) | (values > LITTLE_LEAK)).any():
        raise Unavailable(f"the channel shows the domains with an AUC of {max(aucs):.2f} only, {CLEAR_AUC:g} are needed: noise holds little of anything")
    return values[telling].tolist()


def probe_margin(artefacts: Artefacts, dataset: str, method: str) -> list[float]:
    """
    By how much a linear probe on all channels tells walls of opposite charge apart better than it has to.

    It has to reach 0.9, and beat each placebo line, and in `control` the same walls without a structure of their own, by 0.05.
    """
    if artefacts.data != "twin":
        raise Unavailable("it needs the same walls without a structure of their own, which only simulated scans have")
    rows = artefacts.scores[(artefacts.scores.scan == dataset) & (artefacts.scores.method == method) & (artefacts.scores.picked_by == "truth")]
    bars = [rows["charge_placebo"].to_numpy(float) + CLEAR_GAIN, np.full(len(rows), CLEAR_AUC)]
    if dataset == "control":
        plain = values_of(artefacts.scores, "charge_probe", method, "truth", ["control-plain"])
        bars.append(np.full(len(rows), np.median(plain) + CLEAR_GAIN if plain.size else np.nan))
    margins = rows["charge_probe"].to_numpy(float) - np.fmax.reduce(bars)
    return _found(margins[np.isfinite(margins)], artefacts, dataset, "charge_probe", method)


def shared_charge(artefacts: Artefacts, dataset: str, walls: list[int]) -> float:
    """Bound charge, in units of 2 P, that all of some drawn walls of a vortex have at least, of one sign, at the best direction of c; 0 if none has it."""
    preset = load_preset(dataset)
    ends = np.multiply([np.subtract(course[-1], preset.texture.core_fraction_yx) for course in preset.texture.course_fraction_yx], preset.specimen.field_nm)
    angle = np.radians(np.arange(0, 360, 0.5))
    charges = vortex_charges(ends, np.stack([np.sin(angle), np.cos(angle)], axis=1))[:, walls]
    return max(0.0, float(charges.min(axis=1).max()))


def best_wall_channel(artefacts: Artefacts, dataset: str, recipe: str | None = None) -> float:
    """AUC of positions on a wall against those far from walls, of the single channel that has most."""
    maps, known = _walls(artefacts, dataset, recipe)
    return max(wall_auc(image, known) for image in maps.values)


def quantile_agreement(artefacts: Artefacts, dataset: str, recipe: str | None = None) -> float:
    """Correlation of the difference between both 5 % ends of the domain channel with that between the domains."""
    maps = artefacts.embedding(dataset, recipe)
    scan, known = (at_positions(whole, maps) for whole in (artefacts.scan(dataset), artefacts.known(dataset)))
    ends = quantile_patterns(scan, domain_channel(maps, known).expand_dims("channel")).isel(channel=0)
    return agreement(ends.difference, domain_difference(scan, known))[0]


def drawn_agreement(artefacts: Artefacts, dataset: str, how: str = "alone", recipe: str | None = None) -> float:
    """Correlation of the change that the decoder draws, from the low to the high end of the domain channel, with the measured one."""
    maps = artefacts.embedding(dataset, recipe)
    scan, known = (at_positions(whole, maps) for whole in (artefacts.scan(dataset), artefacts.known(dataset)))
    (channel,), _ = pick_channels(maps, [known.polarization.values.astype(float)])
    swept = sweep_patterns(artefacts.network(dataset, recipe), scan, maps, maps[int(channel.channel)])
    return agreement(end_difference(swept[how]), end_difference(swept.measured))[0]


def alternations(artefacts: Artefacts, dataset: str, recipe: str | None = None) -> int:
    """How often the rotated domain channel changes its sign on a circle of 70 nm around the vortex core, for more than 15° at a time."""
    texture = load_preset(dataset.partition("-field")[0]).texture
    image = domain_channel(artefacts.embedding(dataset, recipe), artefacts.known(dataset))
    centre = np.array(texture.core_fraction_yx) * image.shape
    angle = np.linspace(0, 2 * np.pi, 360, endpoint=False)
    places = centre[:, None] + 70.0 / step_nm(image) * np.stack([np.sin(angle), np.cos(angle)])
    values = map_coordinates(image.values.astype(float), places, order=1, mode="nearest")
    smooth = np.convolve(np.concatenate([np.sign(values)] * 3), np.ones(15) / 15, mode="same")[360:720]
    sign = np.where(smooth >= 0, 1, -1)
    return int(np.count_nonzero(sign != np.roll(sign, 1)))


def zeros_beyond(artefacts: Artefacts, dataset: str, recipe: str | None, other: str) -> float:
    """Share of activations that are zero in the embedding of one network less that of another, in percentage points."""
    one, another = (100 * sparsity(artefacts.embedding(dataset, each))["zero"] for each in (recipe, other))
    return one - another


def _scores(artefacts: Artefacts, dataset: str) -> pd.DataFrame:
    """The table of scores; a scan that is on no record has none there."""
    if artefacts.data != "twin":
        artefacts.scan(dataset)
    return artefacts.scores


def _found(values, artefacts: Artefacts, dataset: str, column: str, *methods: str) -> list[float]:
    """Values as a list; without any the claim is not tested, for the reason that is raised."""
    if len(values):
        return [float(value) for value in values]
    if artefacts.data == "twin":
        verb = "are not both" if len(methods) > 1 else "is not"
        raise Unavailable(f"{' and '.join(methods)} {verb} scored on {dataset} in this profile")
    for name in (method.removesuffix(", rotated") for method in methods):
        if name not in METHODS:
            raise Unavailable(f"{name} is scored on simulated scans only")
        artefacts.embedding(dataset, METHODS[name])  # or the reason why there is none
    if column == "vortex_accuracy":
        raise Unavailable("which of six states a domain has is known of simulated scans only")
    if column.startswith("leak"):
        raise Unavailable(f"the patterns of {dataset} do not fit the library, so its bend and thickness are not known")
    raise Unavailable(f"the released networks were applied to {dataset} at positions too far apart for walls")


def _walls(artefacts: Artefacts, dataset: str, recipe: str | None) -> tuple[xr.DataArray, xr.Dataset]:
    """An embedding, and what is known at its positions, unless these are too far apart for walls."""
    maps = artefacts.embedding(dataset, recipe)
    if step_nm(maps) > COARSEST_NM:
        raise Unavailable(f"the network was applied at positions {step_nm(maps):.0f} nm apart; {COARSEST_NM:g} nm are needed for walls")
    return maps, at_positions(artefacts.known(dataset), maps)


# --- the simulation of Fig. 4, and the network itself: nothing here reads a truth ---


def parameter_count(artefacts: Artefacts) -> int:
    """Parameters of the network in the paper's configuration, counted on tensors without memory."""
    with torch.device("meta"):
        return sum(values.numel() for values in Autoencoder().parameters())


def up_up_down(artefacts: Artefacts) -> float:
    """Polarization of the up-up-down state from formal charges, in µC/cm²; positive points along +c."""
    return float(formal_polarization(ermno3(+1)))


def simulated_delta(artefacts: Artefacts, thickness_nm=75.0, tilt=(0.0, 0.0)) -> pd.DataFrame:
    """Reflections ranked by the share in 1 − r between the simulated patterns of both domains, on the detector of the first scan."""
    preset, (thickness, *tilts) = load_preset("ds1"), _state(thickness_nm, tilt)
    plus, minus = disc_patterns(artefacts.library, preset, [[sign, thickness, *tilts] for sign in (+1, -1)])
    p = preset.pattern
    lattice = Lattice(tuple(p.origin_row_col), tuple(p.g002_row_col), tuple(p.g010_row_col))
    radius = disc_radius(preset.beam.convergence_mrad, preset.beam.energy_kev) / p.scale_inv_angstrom
    return reflection_table(pearson_map(plus, minus), lattice, radius)


def simulated_004_over_002(artefacts: Artefacts, thickness_nm=75.0, tilt=(0.0, 0.0)) -> float:
    """How much more of the simulated difference between the domains lies in the pair 004 than in the pair 002, as a ratio."""
    return pair_ratio(simulated_delta(artefacts, thickness_nm, tilt))


def delta_correlation(artefacts: Artefacts, dataset: str, thickness_nm=75.0, tilt=(0.0, 0.0)) -> float:
    """Pearson's r, over the reflections, of the simulated and the measured share in 1 − r between the domains."""
    both = pd.concat([simulated_delta(artefacts, thickness_nm, tilt).share, artefacts.delta(dataset).share], axis=1).dropna()
    return float(np.corrcoef(both.values.T)[0, 1])


def simulated_asymmetry(artefacts: Artefacts, order: int = 4, thickness_nm=75.0, tilt=(0.0, 0.0)) -> float:
    """Size of the asymmetry of 00l against 00-l in the simulated pattern of +P, in %."""
    found, _ = pair_change(artefacts.library, order, *_state(thickness_nm, tilt), load_preset("ds1").beam.convergence_mrad)
    return 100 * abs(float(found))


def share_of_thicknesses(artefacts: Artefacts, tilt=(0.0, 0.0)) -> float:
    """Share of the thicknesses from 10 to 100 nm at which the pair 004 changes more between the domains than 002, in %."""
    cone, thickness = load_preset("ds1").beam.convergence_mrad, np.arange(10, 100.1, 0.5)
    _, *tilts = _state(0.0, tilt)
    two, four = (pair_change(artefacts.library, order, thickness, *tilts, cone)[1] for order in (2, 4))
    return 100 * float(np.mean(four > two))


def picture_factor(artefacts: Artefacts, thickness_nm=75.0, tilt=(0.0, 0.0)) -> float:
    """
    By what factor the simulated strengths of 00l and 0k0 are typically off those in the published mean pattern of the first scan.

    Of their shares in the sum without the direct beam, both domains alike; shares below a thousandth are not seen in a picture, and count as that.
    """
    published = {kl: counts for kl, counts in mean_pattern_numbers("ds1")["disc_sums"].items() if kl != (0, 0)}
    state, cone = _state(thickness_nm, tilt), load_preset("ds1").beam.convergence_mrad
    means = sum(disc_means(artefacts.library, sign, *state, cone) for sign in (+1, -1))
    place = {(k, l): index for index, (_, k, l) in enumerate(artefacts.library.hkl.tolist())}
    strengths = list(published.values()), [means[place[kl]] for kl in published]
    shares = [np.maximum(np.asarray(values, float) / np.sum(values), 1e-3) for values in strengths]
    return float(np.median(np.exp(np.abs(np.log(shares[0] / shares[1])))))


def _state(thickness_nm, tilt) -> tuple[float, float, float]:
    """Thickness and both tilts, where "fitted" stands for those of the first scan."""
    specimen = load_preset("ds1").specimen
    thickness = specimen.thickness_nm if thickness_nm == FITTED else float(thickness_nm)
    tilts = (specimen.tilt_b_mrad, specimen.tilt_c_mrad) if tilt == FITTED else map(float, tilt)
    return (thickness, *tilts)
