"""Measures of claims on scans and their patterns: the lattice, virtual dark fields, centres of mass, and differences of domains."""

from __future__ import annotations

import numpy as np
import xarray as xr

from figures_pkg.data.published import mean_pattern_numbers
from figures_pkg.record.manifest import load_manifest
from figures_pkg.imaging import Annulus, along_and_across, summarise, to_mrad
from figures_pkg.imaging.delta import pearson_map
from figures_pkg.twin import load_preset
from figures_pkg.crystal.structure import structure

from .made import Made, NotMade
from figures_pkg.evaluate.decompose import domain_split, effect_at_equal
from figures_pkg.evaluate.delta_pairs import aligned_means, pair_ratio, reflection_table
from figures_pkg.evaluate.edges import edge_width_nm, step_sign_share
from figures_pkg.evaluate.scores import area_under_curve
from figures_pkg.evaluate.truth_scores import folded


def lattice_misfit_percent(made: Made, dataset: str) -> float:
    """How far the ratio of the spacings of 010 and 002 in the mean pattern is from that of the cell along [100], in %."""
    lattice, _ = made.lattice(dataset)
    return 100 * abs(spacing_ratio(lattice.g010, lattice.g002) / cell_ratio() - 1)


def spacing_ratio(g010, g002) -> float:
    """
    Length of 010 over that of 002.

    Examples
    --------
    >>> spacing_ratio((0, 3), (4, 3))
    0.6
    """
    return float(np.hypot(*g010) / np.hypot(*g002))


def cell_ratio() -> float:
    """g(010) / g(002) of the structure model, (2 / (√3 a)) / (2 / c) = c / (√3 a); 1.868 would be seen along ⟨210⟩ instead."""
    cell = structure()
    return float(cell["c_angstrom"] / np.sqrt(3) / cell["a_angstrom"])


def published_half_angle_mrad(made: Made, dataset: str) -> float:
    """Half angle of the beam's cone from the radius of the direct beam in the published picture, its blur included: an upper bound."""
    entry = load_manifest()[dataset]
    radius = mean_pattern_numbers(dataset)["half_maximum_radius_px"]
    return float(to_mrad(radius * entry.axes["det_scale_inv_angstrom"].value, entry.acquisition["beam_energy_kev"].value))


def vdf_separation(made: Made, dataset: str) -> float:
    """AUC of +P against −P of the best of the discs 002, 00-2, 004 and 00-4; half is chance."""
    images, domain = made.images(dataset), made.domains(dataset)
    return max(folded(area_under_curve(images[f"00{l}"].values, domain > 0, domain < 0)) for l in (2, -2, 4, -4))


def overview_steps(made: Made, dataset: str = "overview", reach_nm: float = 60.0) -> float:
    """Share of the places along the walls at which the ring image steps the same way from one side to the other."""
    scan, truth, (lattice, radius) = made.scan(dataset), made.truth(dataset), made.lattice(dataset)
    ring = Annulus(lattice.centre, 1.5 * radius, 3.5 * np.hypot(*lattice.g002))
    image = summarise(scan, detectors={"ring": ring}, com=False, mean=False).ring
    inside = ((truth.crystal_share > 0.99) & (truth.transmission == 1)).values
    return step_sign_share(image.values, truth, reach_nm, inside)


def com_elongation(made: Made, dataset: str) -> float:
    """Spread of the centre of mass along c over that across it, standard deviations, descan removed."""
    along, across = _com(made, dataset)
    return float(along.std() / across.std())


def com_step_sigma(made: Made, dataset: str) -> float:
    """Step of the centre of mass along c between the domains, on a smooth background of bend, in standard errors."""
    along, _ = _com(made, dataset)
    block = max(2, round(60 / abs(float(along.scan_x[1] - along.scan_x[0]))))
    split = domain_split(along.values, made.domains(dataset), order=4, block=block)
    return abs(split.step) / split.error


def com_step_at_equal(made: Made, dataset: str) -> float:
    """
    Centre of mass along +c of +P less that of −P where tilt and thickness are equal, in 10⁻³ 1/Å.

    On a measured scan tilt, thickness and domains are the matched ones, and positions within 20 nm of the walls are left out.
    """
    known, (along, _) = made.known(dataset), _com(made, dataset)
    others = [known[name].values for name in ("tilt_b_mrad", "tilt_c_mrad", "thickness_nm")]
    if made.data == "twin":
        return 1e3 * effect_at_equal(along.values, known.polarization.values / 2, others)
    if known.attrs["basis"] != "matched":
        raise NotMade(f"the patterns of {dataset} do not fit the library, so their tilt and thickness are not known")
    if not known.attrs["sign_known"]:
        raise NotMade(f"which of the two domains of {dataset} is +P is not known")
    domain = made.domains(dataset)
    inside = domain != 0
    return 1e3 * effect_at_equal(along.values[inside], domain[inside] / 2, [other[inside].astype(float) for other in others])


def com_auc(made: Made, dataset: str) -> float:
    """AUC of +P against −P of the centre of mass along c, position by position."""
    along, domain = _com(made, dataset)[0].values, made.domains(dataset)
    return folded(area_under_curve(along, domain > 0, domain < 0))


def _com(made: Made, dataset: str) -> tuple[xr.DataArray, xr.DataArray]:
    """Centre of mass along c and across it."""
    return along_and_across(made.images(dataset), made.lattice(dataset)[0].g002)


def measured_delta(made: Made, dataset: str):
    """Reflections of a scan ranked by the share in 1 − r between the mean patterns of its domains."""
    domain, (lattice, radius) = made.domains(dataset), made.lattice(dataset)
    patterns, lattices = aligned_means(made.scan(dataset), {"+P": domain > 0, "-P": domain < 0}, lattice, radius)
    return reflection_table(pearson_map(patterns["+P"], patterns["-P"]), lattices["+P"], radius)


def measured_004_over_002(made: Made, dataset: str) -> float:
    """How much more of the difference between the domains lies in the pair 004 than in the pair 002, as a ratio."""
    return pair_ratio(measured_delta(made, dataset))


def measured_002_over_004(made: Made, dataset: str) -> float:
    """The inverse of :func:`measured_004_over_002`."""
    return 1 / measured_004_over_002(made, dataset)


def wall_width_over_probe(made: Made, dataset: str) -> float:
    """
    Width of a wall in an image of the domains, 10 to 90 %, over that of a step seen by the probe alone.

    The image is the combination of the four discs 00l that fits the domains best, so that no method stands between.
    """
    images, domain, known = made.images(dataset), made.domains(dataset), made.known(dataset)
    discs = np.stack([images[f"00{l}"].values for l in (2, -2, 4, -4)], axis=-1)
    columns = np.concatenate([discs, np.ones((*domain.shape, 1))], axis=-1)
    used = domain != 0
    image = columns @ np.linalg.lstsq(columns[used], domain[used].astype(float), rcond=None)[0]
    probe_nm = load_preset(dataset.partition("-field")[0]).beam.probe_fwhm_nm
    return edge_width_nm(image, known.wall_distance_nm.values, probe_nm) / edge_of_probe_nm(probe_nm)


def edge_of_probe_nm(fwhm_nm: float) -> float:
    """10 to 90 % width of a perfect edge under a Gaussian probe: 1.088 times its full width at half maximum."""
    return 2.5631 / 2.3548 * fwhm_nm
