"""
What is known of a specimen at each position: the truth of a simulated scan, or what matching finds in a measured one.

Each pattern of a measured scan is matched to the library of ErMnO3, and the polarization that explains it better is its domain. A second
map, made without any crystal (the first step component), has to show the same regions. Where matching cannot describe the scan, the
second map is all there is, and which of its regions is +P stays open.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import xarray as xr
from scipy.ndimage import distance_transform_edt, gaussian_filter

from figures_pkg.data.axes import SCAN_DIMS
from figures_pkg.diffraction import Library, LibrarySettings, load_or_build
from figures_pkg.imaging import Lattice
from figures_pkg.imaging.lattice_search import find_lattice
from figures_pkg.matching import DiscGeometry, disc_sums, match, prepare
from figures_pkg.matching.matcher import POOR_CHI2, Matcher, sampled_mean, sampled_patterns
from figures_pkg.model.linear import gather_features, step_maps
from figures_pkg.twin import read_truth
from figures_pkg.workspace import artefact_path, artefacts_folder, check_target, replacing

from .scores import otsu_threshold

CLEAR_NM = 20.0  # from the walls: where two maps of the domains are compared
SETTLED_CHI2 = 1.2  # median chi squared per degree of freedom at which the errors count as large enough
LARGEST_SYSTEMATIC = 0.15  # of a disc, by which a library may be wrong; what is left of chi squared then scales the likelihood
WORST_CHI2 = 10.0  # median, after that; a library that fits no better says nothing about the polarization
LEAST_GOOD = 0.5  # share of the positions with a good fit, below which matching does not make the map
LEAST_AGREEMENT = 0.9  # of both maps, and of the votes in each region, for the sign to count as known
SMOOTHING = 1.0  # standard deviation in positions over which neighbours vote for a domain


def known_maps(scan: xr.DataArray, dataset: str, data: str, profile: str) -> xr.Dataset:
    """
    What is known at each position of a scan of the book; ``dataset``, ``data`` and ``profile`` are those that the scan was opened with.

    On the twin the truth, with the attribute ``basis`` = "truth"; on a measured scan what :func:`matched_domains` found. Both have
    ``domain``, ``wall_distance_nm`` and the attribute ``sign_known``. If the domains were not looked for yet, the FileNotFoundError names
    the command.
    """
    if data == "twin":
        return read_truth(scan.path).assign_attrs(basis="truth", sign_known=1)
    path = artefact_path(f"domains/{dataset}.nc", data, profile)
    if not path.is_file():
        raise FileNotFoundError(
            f"no map of the domains at {path}; make it with `figures_pkg domains {dataset} --source {data} --profile {profile} --out {path}`"
        )
    with xr.open_dataset(path, engine="h5netcdf") as known:
        return known.load()


def known_domains(known: xr.Dataset, clear_nm: float = CLEAR_NM) -> np.ndarray:
    """
    Domains of a scan, int (scan_y, scan_x): +1 in +P, -1 in -P, 0 within ``clear_nm`` of a wall and where the domain is not known.

    20 nm are more than any wall of the presets is wide. With an unknown sign of P, +1 is one domain and -1 the other. ``known`` is a truth,
    or from :func:`known_maps`.
    """
    return known.domain.where(abs(known.wall_distance_nm) > clear_nm, 0).values.astype(int)


def known_words(known: xr.Dataset) -> dict[str, str]:
    """How figures call what is known: ``domains``, ``wall``, ``walls``, ``basis``; ``plus`` and ``minus``; ``sign``, a sentence, empty for a truth."""
    basis = {"truth": "true", "matched": "matched", "steps": "step-component"}[known.attrs["basis"]]
    words = {"basis": basis} | {name: f"{basis} {name}" for name in ("domains", "wall", "walls")}
    plus, minus = ("+P", "−P") if known.attrs["sign_known"] else ("domain A", "domain B")
    return words | {"plus": plus, "minus": minus, "sign": known.attrs.get("sign", "")}


def matching_library(profile: str) -> Library:
    """The library that patterns of ErMnO3 are matched to, 45 to 80 nm, made when it is not there; the two slices of "smoke" are off by 1 to 4 %."""
    fine = {"period_step": 4, "g_max_inv_angstrom": 1.1} | ({"slices": 2} if profile == "smoke" else {})
    settings = LibrarySettings.covering([45, 80], 4.0, 8.0, **fine)
    return load_or_build(artefacts_folder(profile) / "library-matching.npz", settings, progress=False)


def matched_domains(scan: xr.DataArray, library: Library, expected: Lattice | None = None, progress: bool = True) -> xr.Dataset:
    """
    The domains of a scan without truth, with their sign and how far both can be trusted.

    Each pattern is matched to the library, whose errors are taken from the scan (:func:`settled`). Neighbours vote with the logarithm of the
    likelihood ratio, and poor fits do not. The 002 of the ``expected`` lattice tells on which side of the detector +c lies; image up by
    default. **The sign of P hangs on it**: half a turn of the pattern exchanges +P and −P.

    Returns
    -------
    xarray.Dataset
        On (scan_y, scan_x): ``domain`` (+1, −1; 0 where the fit is poor), ``wall_distance_nm`` (positive in +P, infinite without
        walls), the maps of :func:`figures_pkg.matching.match`, and ``steps``, the independent map, 0 at its threshold and turned so
        that it agrees. Attributes: ``basis`` "matched" or "steps"; ``sign_known`` 1 or 0 and ``sign``, why; ``agreement`` of both maps
        20 nm and more from the walls (nan without walls); ``vote``, the lesser share of the likelihood in the two regions of the
        independent map that speaks for its domain; ``good_fits``; ``systematic`` and ``poor_chi2`` of the matcher; ``median_chi2``.
    """
    mean = sampled_mean(scan)
    up = expected.g002 if expected is not None else (-1.0, 0.0)
    step = abs(float(scan.det_x[1] - scan.det_x[0]))
    geometry = DiscGeometry.of(find_lattice(mean, scale_inv_angstrom=step, up=up))
    matcher = settled(prepare(scan, library, geometry=geometry), scan)
    maps = match(scan, matcher, progress=progress)
    steps = step_maps(gather_features(scan, progress=progress)).isel(channel=0, drop=True)
    return known_from(maps, steps - otsu_threshold(gaussian_filter(steps.values, SMOOTHING)))


def settled(matcher: Matcher, scan: xr.DataArray) -> Matcher:
    """
    The matcher with errors of its library that some hundred patterns of the scan agree with.

    The share of a disc by which the library may be wrong is raised, at most to 15 %, until the median of chi squared per degree of freedom
    is near 1. What is above 1 then raises the bar for a poor fit by its factor, and :func:`known_from` takes it off the likelihood.
    """
    sums, variances = disc_sums(sampled_patterns(scan), matcher.plan)
    for _ in range(12):
        chi2 = float(np.median(matcher.fit(sums, variances)["chi2"]))
        if chi2 <= SETTLED_CHI2 or matcher.systematic >= LARGEST_SYSTEMATIC:
            break
        matcher = replace(matcher, systematic=min(matcher.systematic * min(np.sqrt(chi2), 1.5), LARGEST_SYSTEMATIC))
    return replace(matcher, poor_chi2=POOR_CHI2 * (chi2 if chi2 > SETTLED_CHI2 else 1.0))


def known_from(maps: xr.Dataset, steps: xr.DataArray) -> xr.Dataset:
    """What :func:`matched_domains` returns, of matched maps and an independent one, (scan_y, scan_x), zero at its threshold, of any sign."""
    excess = maps.attrs["poor_chi2"] / POOR_CHI2
    maps = maps.assign(log_likelihood_ratio=maps.log_likelihood_ratio / excess)
    good, median = ~maps.poor_fit.values, float(np.median(maps.chi2))
    votes = np.where(good, maps.log_likelihood_ratio.values.astype(float), 0.0)
    steps = steps * (np.sign(np.sum(votes * np.sign(steps.values))) or 1.0)
    side = np.where(gaussian_filter(steps.values, SMOOTHING) > 0, 1, -1)
    matched = _majority(votes)
    use_matching = good.mean() >= LEAST_GOOD and median <= WORST_CHI2
    domain = matched if use_matching else side
    distance = wall_distance_nm(domain, maps)
    far = np.abs(distance) > CLEAR_NM
    one = len(np.unique(domain)) == 1
    agreement = float("nan") if one or not far.any() else float((matched == side)[far].mean())
    regions = [(sign, votes[side == sign]) for sign in (1, -1)]
    vote = min(float((sign * inside).clip(min=0).sum() / (np.abs(inside).sum() or np.inf)) for sign, inside in regions)
    sign_known = bool(use_matching and (one or agreement >= LEAST_AGREEMENT and vote >= LEAST_AGREEMENT))
    facts = f"both maps agree at {100 * agreement:.1f} % of the positions, and at least {100 * vote:.1f} % of the likelihood in each region speaks for its sign"
    if not use_matching:
        reason = "The library does not describe the patterns, so the map comes from the step components and its sign is unknown."
    elif one:
        reason = f"Matching finds one domain only, with a good fit at {100 * good.mean():.0f} % of the positions."
    else:
        reason = f"The sign comes from matching: {facts}." if sign_known else f"The sign is unknown: {facts}; {100 * LEAST_AGREEMENT:.0f} % are needed."
    shown = np.where(good & (maps.polarization.values == domain), domain, 0) if use_matching else domain
    known = maps.assign(domain=(SCAN_DIMS, shown.astype(np.int8)), wall_distance_nm=(SCAN_DIMS, distance.astype(np.float32)),
                        steps=(SCAN_DIMS, steps.values.astype(np.float32)))
    known.domain.attrs |= {"units": "1", "long_name": "+1 in +P, -1 in -P, 0 where it is not known"}
    known.wall_distance_nm.attrs |= {"units": "nm", "long_name": "distance from the nearest wall, positive in +P"}
    known.steps.attrs |= {"units": "1", "long_name": "first step component, zero at its threshold"}
    return known.assign_attrs(
        basis="matched" if use_matching else "steps", sign_known=int(sign_known), sign=reason, agreement=agreement, vote=vote,
        good_fits=float(good.mean()), median_chi2=median,
    )  # fmt: skip


def wall_distance_nm(domain: np.ndarray, scan: xr.Dataset | xr.DataArray) -> np.ndarray:
    """Distance of each position from the nearest wall, halfway between neighbours of different sign: positive in the domain +1, infinite without walls."""
    step = [abs(float(scan[dim][1] - scan[dim][0])) for dim in SCAN_DIMS]
    inside = domain > 0
    if inside.all() or not inside.any():
        return np.where(inside, np.inf, -np.inf)
    half = min(step) / 2
    return np.where(inside, distance_transform_edt(inside, step) - half, half - distance_transform_edt(~inside, step))


def write_domains(known: xr.Dataset, path: str | Path, overwrite: bool = False) -> Path:
    """Write what :func:`matched_domains` found as netCDF, under a temporary name first."""
    path = check_target(path, ".nc", overwrite)
    with replacing(path) as temporary:
        known.to_netcdf(temporary, engine="h5netcdf")
    return path


def _majority(votes: np.ndarray) -> np.ndarray:
    """+1 or −1 by the votes of each position and its neighbours; one vote counts no more than ten times the typical one."""
    typical = np.median(np.abs(votes[votes != 0])) if votes.any() else 1.0
    smooth = gaussian_filter(np.clip(votes, -10 * typical, 10 * typical), SMOOTHING)
    reach = SMOOTHING
    while (smooth == 0).any() and reach < max(votes.shape):  # holes of poor fits take the domain around them
        reach *= 2
        smooth = np.where(smooth == 0, gaussian_filter(votes, reach), smooth)
    return np.where(smooth > 0, 1, -1)
