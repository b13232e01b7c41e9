"""How well one domain, tilted or thinner, imitates the other: in two asymmetries, and in the whole pattern.

Everything is a function of whole discs: libraries are those of `figures_pkg.twin.diffraction.patterns.disc_library`. The
pattern to be imitated is that of -P without tilt; the imitation is +P in another state.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import minimum_filter
from scipy.optimize import least_squares, minimize

from figures_pkg.twin.diffraction.library import Library
from figures_pkg.twin.diffraction.potential import electron_constants
from figures_pkg.twin.diffraction.sweeps import asymmetry, pair_index

DIFFUSE_WIDTH = 2.5  # 1/angstrom: thermal diffuse scattering falls as exp(-(g / 2.5)²), fitted to frozen phonons at 75 nm
SCAN_STEP_MRAD = 0.1  # of the search for equal asymmetries
STARTS = 100  # of that search, at most
EQUAL = 0.02  # asymmetries this close are called equal: one standard deviation of a pair that holds 2500 electrons


@dataclass(frozen=True)
class State:
    """A state of +P, and how far its pattern is from that of -P without tilt.

    Attributes
    ----------
    thickness_nm, tilt_b_mrad, tilt_c_mrad : float
    residual : float
        Largest difference of the asymmetries, or chi² per incident electron, as the function says.
    """

    thickness_nm: float
    tilt_b_mrad: float
    tilt_c_mrad: float
    residual: float

    @property
    def tilt_mrad(self) -> float:
        """Angle from the zone axis."""
        return float(np.hypot(self.tilt_b_mrad, self.tilt_c_mrad))


def only(library: Library, keep) -> Library:
    """The library with the rows `keep` of its reflections, which must hold the opposite of each."""
    parts = {name: getattr(library, name)[keep] for name in ("hkl", "g_b", "g_c")}
    return replace(library, **parts, coefficients=np.ascontiguousarray(library.coefficients[..., keep]))


def diffuse_density(g_inv_angstrom):
    """Share of the thermal diffuse scattering per squared 1/angstrom at a distance from the direct beam, a Gaussian."""
    return np.exp(-((g_inv_angstrom / DIFFUSE_WIDTH) ** 2)) / (np.pi * DIFFUSE_WIDTH**2)


def chi_squared(library: Library, found, expected, convergence_mrad: float) -> np.ndarray:
    """
    Squared distance of two patterns in units of the counting noise, per incident electron.

    The sum over discs of (found - expected)² / (expected + background). With N electrons the distance is the root of N times
    this in standard deviations of the noise.

    Parameters
    ----------
    library
        Gives the reflections and the wavelength.
    found, expected
        Intensities of whole discs as fractions of the beam, shape (..., n).
    convergence_mrad
        Half angle of the discs, for the diffuse background below them.

    Returns
    -------
    array, shape (...)

    Notes
    -----
    The background below a disc is its share of what is missing from the reflections (thermal diffuse scattering), spread by
    :func:`diffuse_density`.
    """
    expected = np.maximum(expected, 0).astype(float)
    area = np.pi * (1e-3 * convergence_mrad / electron_constants(library.energy_kev)[0]) ** 2
    density = diffuse_density(np.hypot(library.g_b, library.g_c))
    missing = np.clip(1 - expected.sum(axis=-1, keepdims=True), 1e-6, 1)
    return ((found - expected) ** 2 / (expected + area * density * missing)).sum(axis=-1)


def electrons_needed(chi2, sigmas: float = 5.0):
    """Electrons in a pattern for which a distance `chi2` per electron amounts to `sigmas` standard deviations."""
    return sigmas**2 / np.maximum(chi2, 1e-12)


def reversal_along_c(library: Library, thickness_nm: float, order: int) -> float:
    """
    Smallest tilt along c, in mrad, at which A(00l) of +P has the value that -P has without tilt; not a number if none.

    Parameters
    ----------
    library
        Of whole discs.
    thickness_nm
        Of both domains.
    order
        The even l.
    """
    part = only(library, pair_index(library.hkl, order))
    edge = part.tilt_c_mrad[-1]
    tilts = np.linspace(-edge, edge, 2 * int(round(edge / SCAN_STEP_MRAD)) + 1)
    values = asymmetry(part.intensities(1, thickness_nm, 0.0, tilts), part.hkl, order)
    away = values + values[len(values) // 2]  # the target is minus the value of +P
    (crossing,) = np.nonzero(away[:-1] * away[1:] <= 0)
    if not crossing.size:
        return float("nan")
    places = tilts[crossing] - away[crossing] * np.diff(tilts)[crossing] / (away[crossing + 1] - away[crossing])
    return float(places[np.abs(places).argmin()])


def equal_asymmetries(library: Library, thickness_nm: float, orders=(2, 4), tolerance: float = EQUAL) -> State:
    """
    Smallest tilt at which +P shows the asymmetries of all `orders` that -P has without tilt.

    Parameters
    ----------
    library
        Of whole discs.
    thickness_nm
        Of both domains.
    orders
        Two even l.
    tolerance
        How close the asymmetries must come.

    Returns
    -------
    State
        Its residual is the largest difference of the asymmetries. When it exceeds the tolerance everywhere in the library, the
        state is the one that comes closest. Tilts along b* of either sign are equivalent; the positive one is given.
    """
    part = only(library, sum((pair_index(library.hkl, order) for order in orders), []))

    def found(tilt):
        discs = part.intensities(1, thickness_nm, tilt[0], tilt[1])
        return np.stack([asymmetry(discs, part.hkl, order) for order in orders], axis=-1)

    target = -found((0.0, 0.0))
    edges = part.tilt_b_mrad[-1], part.tilt_c_mrad[-1]
    bounds = np.array([[0.0, -edges[1]], edges])
    best = None
    for start in _valleys(lambda tilt: np.abs(found(tilt) - target).max(axis=-1), edges):
        fit = least_squares(lambda tilt: found(tilt) - target, start, lambda tilt: _slopes(found, tilt, bounds), bounds=bounds)
        state = State(float(thickness_nm), *map(float, fit.x), float(np.abs(fit.fun).max()))
        if state.residual <= tolerance:
            return state
        best = min(best or state, state, key=lambda one: one.residual)
    return best


def _slopes(function, place, bounds):
    """Derivatives of a function of two tilts, over a step wide enough for single precision, shape (m, 2)."""
    columns = []
    for axis, step in enumerate(0.01 * np.eye(2)):
        low, high = np.clip([place - step, place + step], *bounds)
        columns.append((function(high) - function(low)) / (high - low)[axis])
    return np.stack(columns, axis=-1)


def _valleys(height, edges):
    """Tilts on a grid where a function is not above its neighbours: those nearest to zero, then the lowest, shape (m, 2)."""
    b = np.arange(0, edges[0] + 1e-9, SCAN_STEP_MRAD)
    c = np.linspace(-edges[1], edges[1], 2 * int(round(edges[1] / SCAN_STEP_MRAD)) + 1)
    values = height((b[:, None], c[None]))
    rows, cols = np.nonzero(values <= minimum_filter(values, 3))
    places, lowest = np.stack([b[rows], c[cols]], axis=1), values[rows, cols].argmin()
    nearest = np.hypot(*places.T).argsort()[:STARTS]
    return places[np.append(nearest, lowest)]


def state_grid(library: Library, thickness_nm, step_mrad: float = 0.5):
    """States of +P on a grid, shape (m, 3) of thickness and tilts (tilt along b* not negative), and their discs, shape (m, n)."""
    b = np.arange(0, library.tilt_b_mrad[-1] + 1e-9, step_mrad)
    c = np.arange(library.tilt_c_mrad[0], library.tilt_c_mrad[-1] + 1e-9, step_mrad)
    states = np.stack(np.meshgrid(thickness_nm, b, c, indexing="ij"), axis=-1).reshape(-1, 3)
    return states, library.intensities(1, *states.T)


def closest_state(library: Library, thickness_nm: float, grid, convergence_mrad: float, starts: int = 3) -> State:
    """
    The state of +P whose whole pattern is closest to that of -P at one thickness and no tilt.

    Parameters
    ----------
    library
        Of whole discs.
    thickness_nm
        Of -P.
    grid
        From :func:`state_grid`: where the search starts; it may also leave this thickness.
    convergence_mrad
        Half angle of the discs.
    starts
        From how many of the best states of the grid the search goes on.

    Returns
    -------
    State
        Its residual is chi² per incident electron (:func:`chi_squared`).
    """
    states, discs = grid
    expected = library.intensities(-1, thickness_nm, 0.0, 0.0)
    best = chi_squared(library, discs, expected, convergence_mrad).argsort()[:starts]
    ranges = states[:, 0], np.array([0.0, library.tilt_b_mrad[-1]]), library.tilt_c_mrad
    how = {"bounds": [(values.min(), values.max()) for values in ranges], "options": {"xatol": 0.01, "fatol": 1e-5}}

    def distance(state):
        return chi_squared(library, library.intensities(1, *state), expected, convergence_mrad)

    fits = [minimize(distance, states[start], method="Nelder-Mead", **how) for start in best]
    fit = min(fits, key=lambda one: one.fun)
    return State(*map(float, fit.x), float(fit.fun))
