"""Every pattern of a scan matched to a library: polarization, thickness and tilts as maps with errors; and how right a match is."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from figures_pkg.data.axes import SCAN_DIMS, check_scan
from figures_pkg.data.blocks import block_places, finished, read_block
from figures_pkg.diffraction.library import Library
from figures_pkg.imaging.lattice_search import Zone, find_lattice
from figures_pkg.workspace import available_cores

from .disc_library import DiscLibrary, average_over_discs, coarse_starts
from .discs import LARGEST_G, DiscGeometry, DiscPlan, bad_pixels, disc_sums, plan_discs, smooth_background
from .fit import COLUMNS, predict, refine_all

SYSTEMATIC = 0.03  # of a disc: what a library may be wrong by, as a share; see `weights_of`
POOR_CHI2 = 2.0  # chi squared per degree of freedom above which a fit is marked
SAMPLED = 6  # blocks whose mean shows the lattice
PARTS = 32  # into which an array in memory is cut
FITTED = ("tilt_b_mrad", "tilt_c_mrad", "thickness_nm")  # in the order of the fit
LEAST_COUNTS = 10.0  # per disc, on average, above the background

UNITS = {
    "polarization": ("1", "+1 or -1, the likelier of the two"),
    "log_likelihood_ratio": ("1", "of +P over -P; its size is the confidence of the polarization"),
    "thickness_nm": ("nm", "thickness"),
    "tilt_b_mrad": ("mrad", "tilt along b*"),
    "tilt_c_mrad": ("mrad", "tilt along c"),
    "thickness_nm_error": ("nm", "standard deviation from counting"),
    "tilt_b_mrad_error": ("mrad", "standard deviation from counting"),
    "tilt_c_mrad_error": ("mrad", "standard deviation from counting"),
    "chi2": ("1", "chi squared per degree of freedom"),
    "scale": ("counts", "counts of a disc that holds the whole beam"),
    "poor_fit": ("1", "chi squared per degree of freedom above the attribute poor_chi2, or a fit on the edge of the library"),
}
TYPES = {"polarization": np.int8, "poor_fit": bool}  # float32 else
DISCS = {"discs": "counts of each disc above its background", "discs_variance": "variance of these counts"}


@dataclass(frozen=True)
class Matcher:
    """What a pattern is compared with: the discs, the library averaged over them, and its templates for the coarse search."""

    plan: DiscPlan
    library: DiscLibrary
    templates: np.ndarray
    systematic: float = SYSTEMATIC  # share of a disc by which the library may be wrong
    poor_chi2: float = POOR_CHI2  # chi squared per degree of freedom above which a fit is marked

    @classmethod
    def of(cls, library: Library | DiscLibrary, geometry: DiscGeometry, shape: tuple, bad: np.ndarray | None = None,
           energy_kev: float = 200.0, mean: np.ndarray | None = None) -> "Matcher":
        """Prepare a library, as simulated or averaged over discs already, for the discs of a scan, whose radius and energy give the convergence.

        ``bad`` pixels (det_y, det_x) are left out; the ``mean`` pattern tells the shape of the background, which is level by default.
        """
        if isinstance(library, Library):
            library = average_over_discs(library, geometry.convergence_mrad(energy_kev), LARGEST_G)
        background = None if mean is None else smooth_background(mean, geometry, library.g, bad)
        plan = plan_discs(geometry, library.g, shape, bad, background=background)
        chosen = library.only(plan.index)
        return cls(plan, chosen, chosen.at_nodes())

    def fit(self, sums: np.ndarray, variances: np.ndarray) -> dict[str, np.ndarray]:
        """Match disc sums and their variances (p, n), from :func:`figures_pkg.matching.disc_sums`: the variables of ``UNITS``, each (p,)."""
        variances, weights = weights_of(sums, variances, self.systematic)
        starts = coarse_starts(self.templates, sums, weights)
        results = np.empty((len(sums), 2, COLUMNS))
        refine_all(self.library.coefficients, sums, weights, variances, self.plan.correlation, starts, results)
        chi2 = results[:, :, 4]
        better = chi2.argmin(axis=1)
        best, degrees = results[np.arange(len(results)), better], len(self.plan) - 4
        values = self.library.start + self.library.step * best[:, :3]
        reduced = chi2.min(axis=1) / degrees
        errors = self.library.step * np.sqrt(best[:, 6:9] * np.maximum(reduced, 1)[:, None])
        maps = {"polarization": (1 - 2 * better).astype(np.int8), "log_likelihood_ratio": (chi2[:, 1] - chi2[:, 0]) / 2}
        maps |= dict(zip(FITTED, values.T)) | {f"{name}_error": error for name, error in zip(FITTED, errors.T)}
        return maps | {"chi2": reduced, "scale": best[:, 3], "poor_fit": (reduced > self.poor_chi2) | (best[:, 5] > 0)}


def weights_of(sums: np.ndarray, variances: np.ndarray, systematic: float) -> tuple[np.ndarray, np.ndarray]:
    """Variances of counting, kept above one count, and the weights of squares: one over their sum with the square of ``systematic`` times the disc,
    without which a bright disc, which no library predicts to its counting noise, would overrule all others.
    """
    counting = np.maximum(variances, 1.0)
    return counting, 1 / (counting + (systematic * np.maximum(sums, 0)) ** 2)


def prepare(scan: xr.DataArray, library: Library, zone: Zone | None = None, geometry: DiscGeometry | None = None) -> Matcher:
    """Find the lattice in the mean of some patterns of a scan and prepare a library, as simulated, for it.

    ``zone`` is the net to expect, that of ErMnO3 along [100] by default; with ``geometry`` nothing is looked for. No lattice, discs that overlap, and
    fewer than ten counts a disc on average are a ValueError.
    """
    check_scan(scan)
    mean = sampled_mean(scan)
    if geometry is None:
        geometry = DiscGeometry.of(find_lattice(mean, zone, scale_inv_angstrom=abs(float(scan.det_x[1] - scan.det_x[0]))))
    matcher = Matcher.of(library, geometry, scan.shape[2:], bad_pixels(mean), scan.attrs.get("beam_energy_kev", 200.0), mean=mean)
    counts = disc_sums(mean[None], matcher.plan)[0].mean()
    if counts < LEAST_COUNTS:
        raise ValueError(f"a disc holds {counts:.2g} counts above the background on average, {LEAST_COUNTS:g} are needed to match single "
                         "patterns; sum neighbouring positions or use a higher dose")
    return matcher


def sampled_mean(scan: xr.DataArray) -> np.ndarray:
    """Mean pattern of a few blocks spread evenly over the scan, float64 (det_y, det_x)."""
    total, positions = np.zeros(scan.shape[2:]), 0
    for patterns in _some_blocks(scan):
        total += patterns.sum(axis=(0, 1), dtype=np.float64)
        positions += patterns.shape[0] * patterns.shape[1]
    return total / positions


def sampled_patterns(scan: xr.DataArray) -> np.ndarray:
    """Patterns spread over a few blocks, 64 at most from one, (p, det_y, det_x)."""
    flat = (patterns.reshape(-1, *patterns.shape[2:]) for patterns in _some_blocks(scan))
    return np.concatenate([block[:: -(-len(block) // 64)] for block in flat])


def _some_blocks(scan: xr.DataArray):
    """Counts of a few blocks spread evenly over the scan, one after another."""
    places = block_places(scan, 8)
    for index in np.unique(np.linspace(0, len(places) - 1, min(SAMPLED, len(places))).astype(int)):
        yield read_block(scan, places[index])


def match(scan: xr.DataArray, matcher: Matcher, threads: int | None = None, progress: bool = True, discs: bool = False) -> xr.Dataset:
    """Match every pattern of a scan, block by block; the scan is read once and memory holds a few blocks.

    When a ``dask.distributed`` client is active, its workers do the work; else ``threads``, by default all processors of this process.

    The scan (scan_y, scan_x, det_y, det_x) holds counts, in memory or of dask. ``discs`` keeps also ``discs`` and ``discs_variance`` on
    (scan_y, scan_x, disc), for walls and residuals.

    Returns
    -------
    xarray.Dataset
        On (scan_y, scan_x), the variables of `UNITS` with their units. **Sign:** polarization +1 is +P where the lattice's 002 points along +c; a
        lattice turned by half a turn exchanges the two.
    """
    maps = {name: np.empty(scan.shape[:2], TYPES.get(name, np.float32)) for name in UNITS}
    maps |= {name: np.empty((*scan.shape[:2], len(matcher.plan)), np.float32) for name in DISCS if discs}
    places = block_places(scan, PARTS)
    for place, found in finished(_match_block, places, (scan, matcher, discs), threads or available_cores(), "matching" if progress else None):
        for name, values in found.items():
            maps[name][place] = values
    variables = {name: (SCAN_DIMS, maps[name], {"units": units, "long_name": meaning}) for name, (units, meaning) in UNITS.items()}
    coordinates = {dim: scan.coords[dim].variable for dim in SCAN_DIMS if dim in scan.coords}
    if discs:
        variables |= {name: ((*SCAN_DIMS, "disc"), maps[name], {"units": "counts", "long_name": meaning}) for name, meaning in DISCS.items()}
        coordinates |= {name: ("disc", column, {"units": "1/Å"}) for name, column in zip(("g_b", "g_c"), matcher.library.g.T)}
    attributes = {"source": str(scan.attrs.get("source", "")), "title": str(scan.attrs.get("title", "")), "discs": len(matcher.plan),
                  "systematic": matcher.systematic, "poor_chi2": matcher.poor_chi2}
    return xr.Dataset(variables, coordinates, attributes)


def _match_block(place, scan, matcher, discs):
    """Maps of one block, shape (ny, nx) each."""
    patterns = read_block(scan, place, scheduler="synchronous")
    sums, variances = disc_sums(patterns.reshape(-1, *patterns.shape[2:]), matcher.plan)
    found = matcher.fit(sums, variances) | (dict(zip(DISCS, (sums, variances))) if discs else {})
    return {name: values.astype(TYPES.get(name, np.float32)).reshape(*patterns.shape[:2], *values.shape[1:]) for name, values in found.items()}


def predicted_discs(maps: xr.Dataset, matcher: Matcher) -> np.ndarray:
    """Counts of the discs as the fits predict them, float32, shape (positions, n)."""
    library = matcher.library
    points = np.stack([maps[name].values.ravel() for name in FITTED], axis=1)
    places = np.clip((points - library.start) / library.step, 0, library.nodes - 1.0)
    out, one = np.empty((len(points), len(library.g)), np.float32), np.empty((4, len(library.g)), np.float32)
    for row, place, sign in zip(out, places, maps.polarization.values.ravel()):
        predict(library.coefficients[0 if sign > 0 else 1], place, one)
        row[:] = one[0]
    return out * maps.scale.values.reshape(-1, 1)


def disc_residuals(maps: xr.Dataset, matcher: Matcher, where: np.ndarray | None = None) -> xr.Dataset:
    """How far each disc lies off its prediction on average, and how much of that no counting noise explains.

    χ² compares single patterns with their noise, which hides a small error of the model. Averaged over the positions of a scan the noise falls and
    the error stays, as long as the specimen does not change so much that it averages out too. What the fit can bend into another thickness or tilt
    does not show here either.

    ``maps`` come from :func:`match` with ``discs=True`` and this ``matcher``; ``where`` is boolean (scan_y, scan_x): the positions that count, all by
    default; walls should be left out.

    Returns, on (disc,), ``share``, observed less predicted counts over the predicted ones, with ``share_error`` from counting. Attribute ``misfit`` is
    their root mean square, weighted by the square of the counts, noise taken off: what ``systematic`` should be for this scan.
    """
    chosen = np.ones(maps.chi2.shape, bool) if where is None else where
    discs = maps.sizes["disc"]
    seen, noise = (maps[name].values.reshape(-1, discs)[chosen.ravel()].astype(float).sum(axis=0) for name in ("discs", "discs_variance"))
    expected = predicted_discs(maps, matcher)[chosen.ravel()].astype(float).sum(axis=0)
    off = seen - expected
    misfit = np.sqrt(max(np.sum(off**2 - noise), 0) / np.sum(expected**2))
    shares = {"share": ("disc", off / np.maximum(expected, 1)), "share_error": ("disc", np.sqrt(noise) / np.maximum(expected, 1))}
    return xr.Dataset(shares, {name: maps[name] for name in ("g_b", "g_c")}, {"misfit": float(misfit)})


def match_scores(found: Mapping, truth: Mapping, inside: np.ndarray) -> dict[str, float]:
    """How right a match is where the truth is known.

    ``found`` are maps of :func:`match` or what :meth:`Matcher.fit` returns, ``truth`` holds ``domain`` (+1 or -1) and the fitted quantities in arrays
    of the same shape, and ``inside`` is boolean: the positions that count, far from walls; at least one.

    Returns ``wrong`` (share with the wrong polarization), for each quantity its bias, root mean square error and the share ``within`` one standard
    deviation (0.68 if errors are right), the median of ``chi2``, the share ``poor``, and the least absolute ``log_likelihood_ratio``.
    """
    if not inside.any():
        raise ValueError("no position lies inside; choose a mask that holds at least one")

    def _inside(values, name):
        return np.asarray(values[name], float)[inside]

    scores = {"wrong": float(np.mean(_inside(found, "polarization") != _inside(truth, "domain")))}
    for name in FITTED:
        off = _inside(found, name) - _inside(truth, name)
        within = np.abs(off) < _inside(found, f"{name}_error")
        scores |= {f"{name} bias": float(off.mean()), f"{name} rms": float(np.sqrt((off**2).mean())), f"{name} within": float(within.mean())}
    scores |= {"chi2": float(np.median(_inside(found, "chi2"))), "poor": float(_inside(found, "poor_fit").mean())}
    return scores | {"log_likelihood_ratio": float(np.abs(_inside(found, "log_likelihood_ratio")).min())}
