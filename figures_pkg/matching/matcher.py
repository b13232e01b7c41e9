"""What a pattern is compared with, and the match of disc sums: polarization, thickness and tilts with errors."""

import hashlib
from dataclasses import dataclass

import numpy as np
import xarray as xr

from figures_pkg.data.axes import check_scan
from figures_pkg.imaging import wavelength_angstrom
from figures_pkg.twin.diffraction.library import Library

from .averaged import DiscLibrary, average_over_discs
from .background import smooth_background
from .sampled import sampled_mean
from .discs import LARGEST_G, DiscGeometry, DiscPlan, bad_pixels, clear_px, disc_sums, plan_discs
from .fit import COLUMNS, refine_all
from .lattice_search import find_lattice
from .lattice_search_zone import Zone
from .search import CoarseGrid

SYSTEMATIC = 0.03  # of a disc: what a library may be wrong by, as a share; see `weights_of`
POOR_CHI2 = 2.0  # chi squared per degree of freedom above which a fit is marked
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


@dataclass(frozen=True)
class Matcher:
    """
    What a pattern is compared with: the discs, the library averaged over them, and the grid of the coarse search.

    ``systematic`` is the share of a disc by which the library may be wrong, ``poor_chi2`` the chi squared per degree of freedom above
    which a fit is marked.
    """

    plan: DiscPlan
    library: DiscLibrary
    grid: CoarseGrid
    systematic: float = SYSTEMATIC
    starts: int = 2
    poor_chi2: float = POOR_CHI2

    @classmethod
    def of(cls, library: Library | DiscLibrary, geometry: DiscGeometry, shape: tuple, bad: np.ndarray | None = None,
           energy_kev: float = 200.0, largest_g: float = LARGEST_G, systematic: float = SYSTEMATIC,
           mean: np.ndarray | None = None) -> "Matcher":
        """
        Prepare a library for the discs of a scan.

        Parameters
        ----------
        library
            As simulated, or averaged over discs already.
        geometry
            Where the discs lie.
        shape
            (det_y, det_x).
        bad
            Pixels to leave out, boolean (det_y, det_x).
        energy_kev
            Of the beam; turns the radius of the discs into the convergence.
        largest_g
            Reflections up to here, 1/Å.
        systematic
            Share of a disc by which the library may be wrong.
        mean
            Mean pattern (det_y, det_x), which tells the shape of the background; level by default.
        """
        if isinstance(library, Library):
            convergence = geometry.radius_px / geometry.px_per_inv_angstrom * wavelength_angstrom(energy_kev) * 1e3
            library = average_over_discs(library, convergence, largest_g)
        places = geometry.centre + library.g @ geometry.matrix.T
        clear = clear_px(geometry, library.g)
        background = None if mean is None else smooth_background(mean, places, geometry.centre, clear, bad)
        plan = plan_discs(geometry, library.g, shape, bad, largest_g, background=background)
        chosen = library.only(plan.index)
        return cls(plan, chosen, CoarseGrid.of(chosen), systematic)

    def fit(self, sums: np.ndarray, variances: np.ndarray) -> dict[str, np.ndarray]:
        """
        Match disc sums.

        Parameters
        ----------
        sums, variances
            From :func:`figures_pkg.matching.discs.disc_sums`, shape (p, n).

        Returns
        -------
        dict
            The variables of `UNITS`, each of shape (p,).
        """
        variances, weights = weights_of(sums, variances, self.systematic)
        starts = self.grid.starts(sums, weights, self.starts)
        results = np.empty((len(sums), 2, COLUMNS))
        refine_all(self.library.coefficients, sums, weights, variances, self.plan.correlation, starts, results)
        return self._named(results)

    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that change with whatever changes a result."""
        digest = hashlib.sha256(f"{self.systematic} {self.starts} {self.library.start} {self.library.step}".encode())
        for array in (self.library.coefficients, self.plan.pixels, self.plan.weights):
            digest.update(np.ascontiguousarray(array))
        return digest.hexdigest()[:16]

    def _named(self, results):
        """Results of the compiled fit, (p, 2, 12), as maps with units."""
        chi2 = results[:, :, 4]
        better = chi2.argmin(axis=1)
        best, degrees = results[np.arange(len(results)), better], len(self.plan) - 4
        values = self.library.start + self.library.step * best[:, :3]
        reduced = chi2.min(axis=1) / degrees
        errors = self.library.step * np.sqrt(best[:, 6:9] * np.maximum(reduced, 1)[:, None])
        names = ("tilt_b_mrad", "tilt_c_mrad", "thickness_nm")
        maps = {"polarization": (1 - 2 * better).astype(np.int8), "log_likelihood_ratio": (chi2[:, 1] - chi2[:, 0]) / 2}
        maps |= dict(zip(names, values.T)) | {f"{name}_error": error for name, error in zip(names, errors.T)}
        return maps | {"chi2": reduced, "scale": best[:, 3], "poor_fit": (reduced > self.poor_chi2) | (best[:, 5] > 0)}


def weights_of(sums: np.ndarray, variances: np.ndarray, systematic: float = SYSTEMATIC) -> tuple[np.ndarray, np.ndarray]:
    """
    Variances of counting, kept above one count, and the weights of squares in chi squared.

    A weight is one over the variance of counting plus the square of `systematic` times the disc. Without the second part a bright
    disc, which no library predicts to its counting noise, would overrule all others.
    """
    counting = np.maximum(variances, 1.0)
    return counting, 1 / (counting + (systematic * np.maximum(sums, 0)) ** 2)


def prepare(scan: xr.DataArray, library: Library, zone: Zone | None = None, geometry: DiscGeometry | None = None, **options) -> Matcher:
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
    **options
        Of :meth:`Matcher.of`.

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
    matcher = Matcher.of(library, geometry, scan.shape[2:], bad_pixels(mean), energy, mean=mean, **options)
    counts = disc_sums(mean[None], matcher.plan)[0].mean()
    if counts < LEAST_COUNTS:
        raise ValueError(f"a disc holds {counts:.2g} counts above the background on average, {LEAST_COUNTS:g} are needed to match single "
                         "patterns; sum neighbouring positions or use a higher dose")
    return matcher
