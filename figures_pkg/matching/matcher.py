"""Every pattern of a scan matched to a library: polarization, thickness and tilts as maps with errors."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from figures_pkg.data.axes import SCAN_DIMS, check_scan
from figures_pkg.data.blocks import block_places, finished, read_block
from figures_pkg.diffraction.library import Library
from figures_pkg.imaging.lattice_search import Zone, find_lattice
from figures_pkg.workspace import available_cores

from .disc_library import DiscLibrary, average_over_discs, coarse_starts
from .discs import LARGEST_G, DiscGeometry, DiscPlan, bad_pixels, clear_px, disc_sums, plan_discs, smooth_background
from .fit import COLUMNS, refine_all

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
DISCS = {"discs": "counts of each disc above its background", "discs_variance": "variance of these counts"}


@dataclass(frozen=True)
class Matcher:
    """
    What a pattern is compared with: the discs, the library averaged over them, and its templates for the coarse search.

    ``systematic`` is the share of a disc by which the library may be wrong, ``poor_chi2`` the chi squared per degree of freedom above which a fit is
    marked.
    """

    plan: DiscPlan
    library: DiscLibrary
    templates: np.ndarray
    systematic: float = SYSTEMATIC
    poor_chi2: float = POOR_CHI2

    @classmethod
    def of(cls, library: Library | DiscLibrary, geometry: DiscGeometry, shape: tuple, bad: np.ndarray | None = None,
           energy_kev: float = 200.0, systematic: float = SYSTEMATIC, mean: np.ndarray | None = None) -> "Matcher":
        """
        Prepare a library for the discs of a scan.

        Parameters
        ----------
        library
            As simulated, or averaged over discs already.
        geometry
            Where the discs lie; their radius and the energy of the beam give its convergence.
        shape
            (det_y, det_x).
        bad
            Pixels to leave out, boolean (det_y, det_x).
        energy_kev
            Of the beam.
        systematic
            Share of a disc by which the library may be wrong.
        mean
            Mean pattern (det_y, det_x), which tells the shape of the background; level by default.
        """
        if isinstance(library, Library):
            library = average_over_discs(library, geometry.convergence_mrad(energy_kev), LARGEST_G)
        places = geometry.centre + library.g @ geometry.matrix.T
        clear = clear_px(geometry, library.g)
        background = None if mean is None else smooth_background(mean, places, geometry.centre, clear, bad)
        plan = plan_discs(geometry, library.g, shape, bad, background=background)
        chosen = library.only(plan.index)
        return cls(plan, chosen, chosen.at_nodes(), systematic)

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


def weights_of(sums: np.ndarray, variances: np.ndarray, systematic: float = SYSTEMATIC) -> tuple[np.ndarray, np.ndarray]:
    """
    Variances of counting, kept above one count, and the weights of squares in chi squared.

    A weight is one over the variance of counting plus the square of ``systematic`` times the disc. Without the second part a bright disc, which no
    library predicts to its counting noise, would overrule all others.
    """
    counting = np.maximum(variances, 1.0)
    return counting, 1 / (counting + (systematic * np.maximum(sums, 0)) ** 2)


def prepare(scan: xr.DataArray, library: Library, zone: Zone | None = None, geometry: DiscGeometry | None = None) -> Matcher:
    """
    Find the lattice in the mean of some patterns and prepare the library for it.

    Parameters
    ----------
    scan
        From :func:`figures_pkg.data.open_scan`.
    library
        As simulated.
    zone
        The net to expect; that of ErMnO3 along [100] by default.
    geometry
        Where the discs lie, if that is known; otherwise it is found.

    Raises
    ------
    ValueError
        When no lattice is found, the discs overlap, or they hold fewer than ten counts on average.
    """
    check_scan(scan)
    mean = sampled_mean(scan)
    if geometry is None:
        step = abs(float(scan.det_x[1] - scan.det_x[0]))
        geometry = DiscGeometry.of(find_lattice(mean, zone, scale_inv_angstrom=step))
    energy = scan.attrs.get("beam_energy_kev", 200.0)
    matcher = Matcher.of(library, geometry, scan.shape[2:], bad_pixels(mean), energy, mean=mean)
    counts = disc_sums(mean[None], matcher.plan)[0].mean()
    if counts < LEAST_COUNTS:
        raise ValueError(f"a disc holds {counts:.2g} counts above the background on average, {LEAST_COUNTS:g} are needed to match single "
                         "patterns; sum neighbouring positions or use a higher dose")
    return matcher


def sampled_mean(scan: xr.DataArray, most: int = SAMPLED) -> np.ndarray:
    """Mean pattern of a few blocks spread evenly over the scan, float64 (det_y, det_x)."""
    total, positions = np.zeros(scan.shape[2:]), 0
    for patterns in _some_blocks(scan, most):
        total += patterns.sum(axis=(0, 1), dtype=np.float64)
        positions += patterns.shape[0] * patterns.shape[1]
    return total / positions


def sampled_patterns(scan: xr.DataArray, each: int = 64, most: int = SAMPLED) -> np.ndarray:
    """Patterns spread over a few blocks, ``each`` at most from one, (p, det_y, det_x)."""
    flat = (patterns.reshape(-1, *patterns.shape[2:]) for patterns in _some_blocks(scan, most))
    return np.concatenate([block[:: -(-len(block) // each)] for block in flat])


def _some_blocks(scan: xr.DataArray, most: int):
    """Counts of a few blocks spread evenly over the scan, one after another."""
    places = block_places(scan, 8)
    for index in np.unique(np.linspace(0, len(places) - 1, min(most, len(places))).astype(int)):
        yield read_block(scan, places[index])


def match(scan: xr.DataArray, matcher: Matcher, threads: int | None = None, progress: bool = True, discs: bool = False) -> xr.Dataset:
    """
    Match every pattern of a scan, block by block; the scan is read once and memory holds a few blocks.

    When a ``dask.distributed`` client is active, its workers do the work.

    Parameters
    ----------
    scan
        Counts (scan_y, scan_x, det_y, det_x), in memory or of dask.
    matcher
        From :func:`figures_pkg.matching.prepare`.
    threads
        All processors of this process by default.
    progress
        Whether to show a progress bar on stderr.
    discs
        Whether to keep ``discs`` and ``discs_variance`` on (scan_y, scan_x, disc), for :func:`figures_pkg.matching.measure_walls` and
        :func:`figures_pkg.matching.disc_residuals`.

    Returns
    -------
    xarray.Dataset
        On (scan_y, scan_x), the variables of `UNITS` with their units. **Sign:** polarization +1 is +P where the lattice's 002 points along +c; a
        lattice turned by half a turn exchanges the two.
    """
    maps = {name: np.empty(scan.shape[:2], _type(name)) for name in UNITS}
    maps |= {name: np.empty((*scan.shape[:2], len(matcher.plan)), np.float32) for name in DISCS if discs}
    places = block_places(scan, PARTS)
    for place, found in finished(_match_block, places, (scan, matcher, discs), threads or available_cores(), "matching" if progress else None):
        for name, values in found.items():
            maps[name][place] = values
    return _labelled(maps, scan, matcher)


def _match_block(place, scan, matcher, discs):
    """Maps of one block, shape (ny, nx) each."""
    patterns = read_block(scan, place, scheduler="synchronous")
    sums, variances = disc_sums(patterns.reshape(-1, *patterns.shape[2:]), matcher.plan)
    found = matcher.fit(sums, variances) | (dict(zip(DISCS, (sums, variances))) if discs else {})
    return {name: values.astype(_type(name)).reshape(*patterns.shape[:2], *values.shape[1:]) for name, values in found.items()}


def _type(name):
    return {"polarization": np.int8, "poor_fit": bool}.get(name, np.float32)


def _labelled(maps, scan, matcher):
    variables = {name: (SCAN_DIMS, maps[name], {"units": units, "long_name": meaning}) for name, (units, meaning) in UNITS.items()}
    variables |= {name: ((*SCAN_DIMS, "disc"), maps[name], {"units": "counts", "long_name": DISCS[name]}) for name in DISCS if name in maps}
    coordinates = {dim: scan.coords[dim].variable for dim in SCAN_DIMS if dim in scan.coords}
    if "discs" in maps:
        coordinates |= {name: ("disc", column, {"units": "1/Å"}) for name, column in zip(("g_b", "g_c"), matcher.library.g.T)}
    attributes = {"source": str(scan.attrs.get("source", "")), "title": str(scan.attrs.get("title", "")), "discs": len(matcher.plan),
                  "systematic": matcher.systematic, "poor_chi2": matcher.poor_chi2}
    return xr.Dataset(variables, coordinates, attributes)
