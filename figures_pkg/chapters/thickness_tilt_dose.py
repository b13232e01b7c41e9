"""What the chapter on thickness, tilt and dose alone needs: asymmetries and distances of the two domains over states of the crystal."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import minimum_filter
from scipy.optimize import least_squares, minimize

from figures_pkg.crystal.structure import Crystal
from figures_pkg.data.units import disc_radius
from figures_pkg.diffraction.discs import average_over_cone, cone_tilts, disc_means, overlap_mrad, warn_of_overlap
from figures_pkg.diffraction.library import Library, LibrarySettings, library_stack, permutation, reflections, rows_of
from figures_pkg.diffraction.multislice import propagate
from figures_pkg.imaging.detectors import asymmetry
from figures_pkg.twin.patterns import disc_patterns
from figures_pkg.twin.presets import Preset


def pair_index(hkl, order: int) -> list[int]:
    """Rows of 00l and 00-l in a table of reflections, shape (n, 3); ValueError when the table lacks one."""
    rows = rows_of(hkl)
    try:
        return [rows[0, 0, order], rows[0, 0, -order]]
    except KeyError as error:
        raise ValueError(f"reflection {error} is not among the {len(rows)} given; raise g_max_inv_angstrom") from error


def pair_asymmetry(intensities, hkl, order: int) -> np.ndarray:
    """A(00l) = (I(00l) - I(00-l)) / (I(00l) + I(00-l)) of intensities (..., n), shape (...); negative ones, which a spline may leave, count as zero."""
    return asymmetry(*(np.maximum(intensities[..., row], 1e-9) for row in pair_index(hkl, order)))


def difference_shares(library: Library, thickness_nm, tilt_b_mrad, tilt_c_mrad, convergence_mrad: float) -> np.ndarray:
    """
    Share of each disc in one minus the correlation of the patterns of +P and -P, shape (..., n); their sum is 1 - r.

    This is Δ(+P, -P) (:mod:`figures_pkg.imaging.difference`) summed over each disc, for a frame that is empty between the discs and so large that its
    mean can be neglected: sum over the disc of (I₊ / |I₊| - I₋ / |I₋|)² / 2, with |I| the root of the sum of squares over the whole pattern. The
    library of plane waves must reach a disc's radius beyond the tilts, which broadcast with the thickness to (...,).
    """
    plus2, minus2, product = 0.0, 0.0, 0.0
    for b, c in cone_tilts(convergence_mrad):
        plus, minus = (library.intensities(sign, thickness_nm, tilt_b_mrad + b, tilt_c_mrad + c) for sign in (1, -1))
        plus2, minus2, product = plus2 + plus**2, minus2 + minus**2, product + plus * minus
    norms = [values.sum(axis=-1, keepdims=True) for values in (plus2, minus2)]
    return np.maximum(plus2 / norms[0] + minus2 / norms[1] - 2 * product / np.sqrt(norms[0] * norms[1]), 0) / 2


def pair_ratio(shares, hkl) -> np.ndarray:
    """How much more the pair 004, 00-4 contributes than 002, 00-2, shape (...); above 1 it leads."""
    pairs = [np.asarray(shares)[..., pair_index(hkl, order)].sum(axis=-1) for order in (4, 2)]
    return pairs[0] / np.maximum(pairs[1], np.finfo(np.float32).tiny)


def pair_rank(shares, hkl, order: int) -> np.ndarray:
    """Rank among all reflections of the better of 00l and 00-l, shape (...); 1 for the largest share."""
    best = np.asarray(shares)[..., pair_index(hkl, order)].max(axis=-1, keepdims=True)
    return 1 + np.count_nonzero(shares > best, axis=-1)


def crystal_series(crystal: Crystal, settings: LibrarySettings, convergence_mrad: float, across: int = 9):
    """
    Intensities of one crystal over thickness at zero tilt, averaged over a cone with ``across`` plane waves over its diameter.

    Returns hkl (n, 3), thickness in nm (t,) and intensities (t, n) as fractions of the beam. The plane of the beam and c must be a mirror.
    """
    hkl = reflections(crystal, settings.g_max_inv_angstrom)[0]
    tilts = cone_tilts(convergence_mrad, across)
    half = tilts[tilts[:, 0] > -1e-9]  # the mirror plane gives the other half
    weight = np.where(half[:, 0] > 1e-9, 1.0, 0.5)
    periods = settings.periods
    waves = propagate(library_stack(settings, crystal), half, periods.tolist(), hkl[:, 1:] * (2, 1))
    mean = np.tensordot(weight / weight.sum(), waves, axes=1)
    mirrored = mean[:, permutation(hkl, (1, -1, 1))]
    return hkl, periods * crystal.cell_angstrom[0] / 10, (mean + mirrored) / 2


DIFFUSE_WIDTH = 2.5  # 1/angstrom: thermal diffuse scattering falls as exp(-(g / 2.5)²), fitted to frozen phonons at 75 nm
SCAN_STEP_MRAD = 0.1  # of the search for equal asymmetries
STARTS = 100  # of that search, at most
EQUAL = 0.02  # asymmetries this close are called equal: one standard deviation of a pair that holds 2500 electrons


@dataclass(frozen=True)
class State:
    """A state of +P, and how far its pattern is from that of -P without tilt: largest difference of asymmetries, or chi² per electron."""

    thickness_nm: float
    tilt_b_mrad: float
    tilt_c_mrad: float
    residual: float

    @property
    def tilt_mrad(self) -> float:
        """Angle from the zone axis."""
        return float(np.hypot(self.tilt_b_mrad, self.tilt_c_mrad))


def diffuse_density(g_inv_angstrom):
    """Share of the thermal diffuse scattering per squared 1/angstrom at a distance from the direct beam, a Gaussian."""
    return np.exp(-((g_inv_angstrom / DIFFUSE_WIDTH) ** 2)) / (np.pi * DIFFUSE_WIDTH**2)


def chi_squared(library: Library, found, expected, convergence_mrad: float) -> np.ndarray:
    """
    Squared distance (...) of two patterns of whole discs (..., n) in units of the counting noise, per incident electron.

    The sum over discs of (found - expected)² / (expected + background); times N it is that of N electrons. The background below a disc is its share of
    what is missing from the reflections, spread by :func:`diffuse_density`.
    """
    expected = np.maximum(expected, 0).astype(float)
    area = np.pi * disc_radius(convergence_mrad, library.energy_kev) ** 2
    density = diffuse_density(np.hypot(library.g_b, library.g_c))
    missing = np.clip(1 - expected.sum(axis=-1, keepdims=True), 1e-6, 1)
    return ((found - expected) ** 2 / (expected + area * density * missing)).sum(axis=-1)


def electrons_needed(chi2):
    """Electrons in a pattern for which a distance `chi2` per electron amounts to five standard deviations."""
    return 5.0**2 / np.maximum(chi2, 1e-12)


def reversal_along_c(library: Library, thickness_nm: float, order: int) -> float:
    """Smallest tilt along c, in mrad, at which A(00l) of +P has the value that -P has without tilt; not a number if none."""
    part = library.only(pair_index(library.hkl, order))
    edge = part.tilt_c_mrad[-1]
    tilts = np.linspace(-edge, edge, 2 * int(round(edge / SCAN_STEP_MRAD)) + 1)
    values = pair_asymmetry(part.intensities(1, thickness_nm, 0.0, tilts), part.hkl, order)
    away = values + values[len(values) // 2]  # the target is minus the value of +P
    (crossing,) = np.nonzero(away[:-1] * away[1:] <= 0)
    if not crossing.size:
        return float("nan")
    places = tilts[crossing] - away[crossing] * np.diff(tilts)[crossing] / (away[crossing + 1] - away[crossing])
    return float(places[np.abs(places).argmin()])


def equal_asymmetries(library: Library, thickness_nm: float) -> State:
    """
    Smallest tilt at which +P shows the asymmetries of 002 and 004 that -P has without tilt, from a library of whole discs.

    When they differ by more than ``EQUAL`` everywhere, the state that comes closest. Tilts along b* of either sign are equivalent; the positive one is
    given.
    """
    part = library.only(pair_index(library.hkl, 2) + pair_index(library.hkl, 4))

    def _asymmetries(tilt):
        discs = part.intensities(1, thickness_nm, tilt[0], tilt[1])
        return np.stack([pair_asymmetry(discs, part.hkl, order) for order in (2, 4)], axis=-1)

    def _slopes(tilt):
        """Derivatives over a step wide enough for single precision, shape (2, 2)."""
        columns = []
        for axis, step in enumerate(0.01 * np.eye(2)):
            low, high = np.clip([tilt - step, tilt + step], *bounds)
            columns.append((_asymmetries(high) - _asymmetries(low)) / (high - low)[axis])
        return np.stack(columns, axis=-1)

    target = -_asymmetries((0.0, 0.0))
    edges = part.tilt_b_mrad[-1], part.tilt_c_mrad[-1]
    bounds, best = np.array([[0.0, -edges[1]], edges]), None
    for start in _valleys(lambda tilt: np.abs(_asymmetries(tilt) - target).max(axis=-1), edges):
        fit = least_squares(lambda tilt: _asymmetries(tilt) - target, start, _slopes, bounds=bounds)
        state = State(float(thickness_nm), *map(float, fit.x), float(np.abs(fit.fun).max()))
        if state.residual <= EQUAL:
            return state
        best = min(best or state, state, key=lambda one: one.residual)
    return best


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


def closest_state(library: Library, thickness_nm: float, grid, convergence_mrad: float) -> State:
    """
    The state of +P whose whole pattern is closest, by :func:`chi_squared`, to that of -P at one thickness and no tilt, from a library of whole discs.

    The search starts at the best states of a :func:`state_grid` and may leave the thickness.
    """
    states, discs = grid
    expected = library.intensities(-1, thickness_nm, 0.0, 0.0)
    best = chi_squared(library, discs, expected, convergence_mrad).argsort()[:3]
    ranges = states[:, 0], np.array([0.0, library.tilt_b_mrad[-1]]), library.tilt_c_mrad
    how = {"bounds": [(values.min(), values.max()) for values in ranges], "options": {"xatol": 0.01, "fatol": 1e-5}}

    def _distance(state):
        return chi_squared(library, library.intensities(1, *state), expected, convergence_mrad)

    fits = [minimize(_distance, states[start], method="Nelder-Mead", **how) for start in best]
    fit = min(fits, key=lambda one: one.fun)
    return State(*map(float, fit.x), float(fit.fun))


@dataclass(frozen=True)
class Frames:
    """
    Pictures of +P, one for each state, c up and b* to the right.

    The picture of -P at the opposite tilts is the same one turned by 180 degrees, I(-P; G; tilt) = I(+P; -G; -tilt), since the direct beam lies in the
    middle of the frame.
    """

    shares: np.ndarray  # (n, h, w), of the beam
    background: np.ndarray  # their diffuse part
    discs: np.ndarray  # (n, m), intensities of whole discs
    scale_inv_angstrom: float

    def window(self, g_inv_angstrom, radius_inv_angstrom: float) -> tuple[float, float, float]:
        """(row, col, radius) in px of a round window at a place (g_b, g_c)."""
        middle = (np.array(self.shares.shape[1:]) - 1) / 2
        row, col = middle + np.array([-g_inv_angstrom[1], g_inv_angstrom[0]]) / self.scale_inv_angstrom
        return float(row), float(col), radius_inv_angstrom / self.scale_inv_angstrom

    def counts_in(self, window) -> tuple[np.ndarray, np.ndarray]:
        """Shares of the beam in a window and, of these, the diffuse ones, both (n,)."""
        row, col = np.indices(self.shares.shape[1:])
        inside = np.hypot(row - window[0], col - window[1]) <= window[2]
        return self.shares[:, inside].sum(axis=1), self.background[:, inside].sum(axis=1)


def upright(preset: Preset, library: Library, shape, scale_inv_angstrom: float) -> Preset:
    """The preset with a frame of `shape` px around the direct beam, c upward, b* to the right, without distortion."""
    lengths = [float(np.min(g[g > 1e-6])) for g in (library.g_c, library.g_b)]  # of 002 and 010
    origin = tuple((length - 1) / 2 for length in shape)
    vectors = {"g002_row_col": (-lengths[0] / scale_inv_angstrom, 0.0), "g010_row_col": (0.0, lengths[1] / scale_inv_angstrom)}
    pattern = replace(preset.pattern, shape=tuple(shape), origin_row_col=origin, scale_inv_angstrom=scale_inv_angstrom, **vectors)
    return replace(preset, pattern=pattern)


def state_frames(library: Library, preset: Preset, states, shape=(84, 64), scale_inv_angstrom: float = 0.0145) -> Frames:
    """
    Small upright pictures of +P for states (n, 3) of thickness (nm) and tilts along b* and c (mrad): discs on a diffuse background.

    The library of plane waves must reach a disc's radius beyond the tilts. What is missing from the reflections is the background.
    """
    states = np.atleast_2d(np.asarray(states, float))
    small = upright(preset, library, shape, scale_inv_angstrom)
    sharp = disc_patterns(library, small, np.concatenate([np.ones((len(states), 1)), states], axis=1))
    discs = disc_means(library, 1, *states.T, preset.beam.convergence_mrad)
    row, col = (place - middle for place, middle in zip(np.indices(shape), small.pattern.origin_row_col))
    density = diffuse_density(np.hypot(row, col) * scale_inv_angstrom) * scale_inv_angstrom**2
    background = np.clip(1 - discs.sum(axis=1), 0, 1)[:, None, None] * density
    return Frames(sharp + background, background, discs, scale_inv_angstrom)


def counted_asymmetry(library: Library, preset: Preset, thickness_nm, convergence_mrad: float, order: int):
    """
    What a detector counts at 00l and 00-l of +P without tilt, whether discs overlap or not, and how far +P is from -P.

    The windows are as large as a disc, or as one that touches the next. Returns the asymmetry of what is in them, less the diffuse background, (t,), and
    the squared distance of the patterns of +P and -P, pixel by pixel, in units of the noise per electron, (t,).
    """
    scale, wide = 0.0145, replace(preset, beam=replace(preset.beam, convergence_mrad=convergence_mrad))
    states = [[thickness, 0.0, 0.0] for thickness in thickness_nm]
    frames = state_frames(library, wide, states, (120, 100), scale)
    radius, touching = (disc_radius(angle, library.energy_kev) for angle in (convergence_mrad, overlap_mrad(library)))
    reach = min(radius + 0.75 * scale, touching)
    height = order / 2 * np.min(library.g_c[library.g_c > 1e-6])
    windows = [frames.window((0.0, sign * height), reach) for sign in (1, -1)]
    up, down = (total - diffuse for total, diffuse in map(frames.counts_in, windows))
    turned = frames.shares[:, ::-1, ::-1]
    return asymmetry(up, down), ((frames.shares - turned) ** 2 / np.maximum(turned, 1e-12)).sum(axis=(1, 2))


def disc_library(library: Library, convergence_mrad: float) -> Library:
    """
    A library whose intensities are already averaged over the beam's cone, for sweeps over many states.

    It is exact at the nodes of tilt, interpolated between, and covers tilts less the half angle, rounded up to a whole step.
    """
    warn_of_overlap(library, convergence_mrad)
    reach = convergence_mrad / np.array([library.tilt_b_mrad[1] - library.tilt_b_mrad[0], library.tilt_c_mrad[1] - library.tilt_c_mrad[0]])
    coefficients, lost = average_over_cone(library.coefficients, reach)
    grids = {name: getattr(library, name)[n:-n] for name, n in zip(("tilt_b_mrad", "tilt_c_mrad"), lost)}
    mark = f"{library.fingerprint}, discs of {convergence_mrad:g} mrad"
    return replace(library, **grids, coefficients=np.ascontiguousarray(coefficients), fingerprint=mark)
