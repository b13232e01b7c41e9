"""Counts in every disc of a pattern, less a local background, with their variance: one weighted sum over pixels per disc.

The background is measured in a ring around the disc, from which the neighbours are left out, as a plane times the shape that it has
in the mean pattern: a product of two radial curves, one about the direct beam and one about a centre that is fitted, because diffuse
scattering gathers around the zone axis. Where the crystal tilts or thickens the second part moves and spreads; all pixels between the discs
tell by how much, and what it leaves under a disc is taken off. Rings of neighbours share pixels, so their errors are correlated. The direct
beam is left out by default, because it sits on a narrow halo that no ring can measure.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy.ndimage import median_filter
from scipy.optimize import minimize
from scipy.sparse import csr_array
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from figures_pkg.data.units import wavelength_angstrom
from figures_pkg.imaging.lattice_search import FoundLattice

BLUR_PX = 1.0  # a disc is integrated so much beyond its radius, for the blur of the detector and shifts of the pattern
RING_PX = 2.0  # least room for the ring
CLEAR_PX = 3.0  # pixels of the background keep so far from the rims of all discs, whose blur reaches further than it seems
RING_REACH = 0.8  # of the spacing, from the middle of a disc: where its ring ends
LARGEST_G = 1.06  # 1/Å; further out the discs of ErMnO3 are too weak to help
BIN_PX = 3.0  # of the radial curves
ROUNDS = 4  # in which the two curves are fitted in turn while the centre is sought; they take three times as many at last
FEWEST = 500  # pixels between the discs; with fewer the background is taken as level
EVERY = 4  # of the free pixels serves to find the centre
MOVED_PX, SPREAD = 2.0, 0.02  # finite differences of a centre and of a width


@dataclass(frozen=True)
class DiscGeometry:
    """Where the discs lie: the vector (g_b, g_c) in 1/Å falls at ``centre + matrix @ (g_b, g_c)``."""

    centre: np.ndarray  # (row, col) of the direct beam, px, rows downward
    matrix: np.ndarray  # px per 1/Å, shape (2, 2), columns b and c
    radius_px: float  # of the discs

    @classmethod
    def of(cls, found: FoundLattice) -> "DiscGeometry":
        """The geometry that :func:`figures_pkg.imaging.lattice_search.find_lattice` has found."""
        return cls(np.array(found.lattice.centre), np.array(found.matrix), float(found.radius_px))

    def convergence_mrad(self, energy_kev: float) -> float:
        """Half angle of the beam's cone, from the radius of the discs and the mean scale."""
        px_per_inv_angstrom = float(np.sqrt(abs(np.linalg.det(self.matrix))))
        return self.radius_px / px_per_inv_angstrom * wavelength_angstrom(energy_kev) * 1e3

    def changed(self, scale: float = 1.0, rotation_deg: float = 0.0, radius: float = 1.0) -> "DiscGeometry":
        """The same with the camera length, the rotation (anticlockwise on the screen) or the radius changed."""
        cos, sin = np.cos(np.radians(rotation_deg)), np.sin(np.radians(rotation_deg))
        turn = np.array([[cos, -sin], [sin, cos]])  # of (row, col)
        return DiscGeometry(self.centre, scale * turn @ self.matrix, radius * self.radius_px)


@dataclass(frozen=True)
class Background:
    """A background, and how it changes from pattern to pattern to first order."""

    level: np.ndarray  # (det_y, det_x), positive: its mean
    modes: np.ndarray  # (k, det_y, det_x): its change where the wide part moves down or right by a pixel, or widens by one part
    free: np.ndarray  # boolean (det_y, det_x): pixels that no disc reaches; those tell the size of the changes in each pattern

    def mode_rows(self, good: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Flat pixels and weights whose sum is the size of each mode in a pattern, blind to the level; every fifth good free pixel serves."""
        if not len(self.modes):
            return []
        row, col = np.indices(good.shape)
        chosen = self.free & good & ((row + 2 * col) % 5 == 0)
        basis = np.concatenate([self.level[None], self.modes])[:, chosen]
        weights = np.linalg.solve(basis / basis[0] @ basis.T, basis / basis[0])
        return [(np.flatnonzero(chosen), each) for each in weights[1:]]


def smooth_background(mean_pattern: np.ndarray, geometry: DiscGeometry, g: np.ndarray, bad_pixels: np.ndarray | None = None) -> Background:
    """Background everywhere, from the good pixels of a mean pattern that no disc of ``g`` (n, 2) reaches; constant where they are too few to tell."""
    counts, centre = np.asarray(mean_pattern, float), geometry.centre
    pixels = np.moveaxis(np.indices(counts.shape), 0, -1).reshape(-1, 2)
    free = (cKDTree(centre + g @ geometry.matrix.T).query(pixels)[0] > _clear_px(geometry, g)) & (counts.ravel() > 0)
    if bad_pixels is not None:
        free &= ~bad_pixels.ravel()
    if free.sum() < FEWEST:
        return Background(np.ones(counts.shape), np.empty((0, *counts.shape)), free.reshape(counts.shape))
    logarithm, weight = np.log(counts.ravel()[free]), counts.ravel()[free]
    away = _fitted_centre(pixels[free][::EVERY], logarithm[::EVERY], weight[::EVERY], centre)
    curves = _two_curves([np.linalg.norm(pixels[free] - each, axis=1) for each in (away, centre)], logarithm, weight, 3 * ROUNDS)

    def _wide(middle=away, spread=1.0):
        return np.interp(np.linalg.norm(pixels - middle, axis=1) / spread, *curves[0])

    level = np.exp(_wide() + np.interp(np.linalg.norm(pixels - centre, axis=1), *curves[1]))
    moved = [(_wide(away + step) - _wide(away - step)) / (2 * MOVED_PX) for step in MOVED_PX * np.eye(2)]
    modes = level * np.array([*moved, (_wide(spread=1 + SPREAD) - _wide(spread=1 - SPREAD)) / (2 * SPREAD)])
    return Background(level.reshape(counts.shape), modes.reshape(3, *counts.shape), free.reshape(counts.shape))


def _fitted_centre(pixels, logarithm, weight, start):
    """The second centre that leaves least of the background unexplained."""
    near = np.linalg.norm(pixels - start, axis=1)

    def _scatter(centre):
        radii = (np.linalg.norm(pixels - centre, axis=1), near)
        curves = _two_curves(radii, logarithm, weight, ROUNDS)
        return np.sum(weight * (logarithm - sum(np.interp(radius, *curve) for radius, curve in zip(radii, curves))) ** 2)

    corners = start + np.array([[0, 0], [6, 0], [0, 6]])
    return minimize(_scatter, start, method="Nelder-Mead", options={"initial_simplex": corners, "xatol": 0.2, "maxiter": 60}).x


def _two_curves(radii, logarithm, weight, rounds):
    """Two curves (radii, values) whose sum follows the logarithm, each fitted to what the other leaves."""
    curves = [_curve(radii[0], logarithm, weight), (np.zeros(1), np.zeros(1))]
    for _ in range(rounds):
        for one, other in ((1, 0), (0, 1)):
            curves[one] = _curve(radii[one], logarithm - np.interp(radii[other], *curves[other]), weight)
    return curves


def _curve(radius, values, weight):
    """Mean radii of rings, and mean values over them; rings that hold nothing are left out."""
    ring = (radius / BIN_PX).astype(int)
    total = np.bincount(ring, weight)
    held = total > 0
    return tuple(np.bincount(ring, weight * each)[held] / total[held] for each in (radius, values))


@dataclass(frozen=True)
class DiscPlan:
    """The pixels of every disc with their weights, in rows that lie one after another; rows that measure the background's changes follow."""

    index: np.ndarray  # (n,): which reflections of the library these discs are
    starts: np.ndarray  # (n + k + 1,): where the pixels of each row begin
    pixels: np.ndarray  # flat index in the frame
    weights: np.ndarray  # share of the pixel in the disc, negative in the ring; on the background they sum to zero
    shape: tuple  # of the frame
    correlation: np.ndarray  # (n, n): of the noise of the discs, where the background makes it
    modes: np.ndarray  # (n, k): what a change of the background's shape leaves in each disc

    def __len__(self) -> int:
        return len(self.index)


def plan_discs(geometry: DiscGeometry, g: np.ndarray, shape: tuple, bad_pixels: np.ndarray | None = None,
               largest_g: float = LARGEST_G, background: Background | None = None) -> DiscPlan:
    """Choose the discs of reflections ``g`` (m, 2), 1/Å, that lie in the frame (det_y, det_x) with their rings, and the weights of their pixels.

    Those beyond ``largest_g`` and the direct beam are left out; a disc with bad pixels is scaled up. The background is level by default.
    """
    places, length = geometry.centre + g @ geometry.matrix.T, np.hypot(*g.T)
    spacing, radius = _spacing(geometry, g), geometry.radius_px
    gap = spacing - 2 * radius
    if gap <= 0:
        raise ValueError(f"the discs overlap: their radius is {radius:.1f} px and the nearest lie {spacing:.1f} px apart; record with a "
                         "smaller convergence angle, single discs cannot be told apart here")
    if gap < RING_PX:
        raise ValueError(f"the discs leave {gap:.1f} px between them, the background needs {RING_PX:g} px; use a larger camera length")
    reach = radius + min(BLUR_PX, 0.25 * gap)  # radius to which a disc is integrated
    margin = reach + RING_PX
    outer = max(margin, RING_REACH * spacing)  # of its ring
    inside = ((places >= margin) & (places <= np.array(shape) - 1 - margin)).all(axis=1)
    index = np.flatnonzero(inside & (length <= largest_g) & (length > 1e-6))
    if len(index) < 10:
        raise ValueError(f"{len(index)} discs lie in the frame of {shape[0]} x {shape[1]} px, ten are needed; check centre and scale of the lattice")
    good = np.ones(shape, bool) if bad_pixels is None else ~bad_pixels
    background = background or Background(np.ones(shape), np.empty((0, *shape)), good)
    level = background.level
    clear = _clear_px(geometry, g)
    rows = [_disc_row(places[i], np.delete(places, i, axis=0), (reach, clear, outer), good, length[i], level) for i in index]
    discs = _stacked(rows, level.size)
    scaled = discs.multiply(np.sqrt(level.ravel())).tocsr()  # counts of pixels are independent, with variances in proportion to the background
    covariance = (scaled @ scaled.T).toarray()
    deviation = np.sqrt(np.diag(covariance))
    modes = discs @ background.modes.reshape(-1, level.size).T if len(background.modes) else np.empty((len(index), 0))
    every = _stacked(rows + background.mode_rows(good), level.size)
    return DiscPlan(index, every.indptr.astype(int), every.indices.astype(np.int64), every.data, tuple(shape),
                    covariance / np.outer(deviation, deviation), modes)  # fmt: skip


def _stacked(rows, size):
    starts = np.concatenate([[0], np.cumsum([len(pixels) for pixels, _ in rows])])
    pixels, weights = (np.concatenate(column) for column in zip(*rows))
    return csr_array((weights, pixels, starts), shape=(len(rows), size))


def _clear_px(geometry, g):
    """Distance from the middle of a disc beyond which a pixel is background: 3 px beyond the rim, less where discs are close."""
    return geometry.radius_px + min(CLEAR_PX, 0.38 * (_spacing(geometry, g) - 2 * geometry.radius_px))


def _spacing(geometry, g):
    """Least distance of two discs, px."""
    apart = np.linalg.norm((g - g[np.hypot(*g.T).argmin()]) @ geometry.matrix.T, axis=1)
    return apart[apart > 1e-3].min()


def _disc_row(place, others, radii, good, length, level):
    """Flat pixels and weights of one disc; its radii are those of the integration, of clear background and of the ring's end."""
    reach, clear, outer = radii
    low, high = np.maximum(np.floor(place - outer).astype(int), 0), np.minimum(np.ceil(place + outer).astype(int) + 1, good.shape)
    grid = np.stack(np.meshgrid(*(np.arange(*pair) for pair in zip(low, high)), indexing="ij"), axis=-1).reshape(-1, 2)
    distance = np.linalg.norm(grid - place, axis=1)
    share = np.clip(reach + 0.5 - distance, 0, 1)
    near = others[np.linalg.norm(others - place, axis=1) < outer + clear + 2]
    alone = (cdist(grid, near) > clear).all(axis=1) if len(near) else np.ones(len(grid), bool)
    usable = good[tuple(grid.T)]
    ring = (distance > clear) & (distance <= outer) & alone & usable
    inner = (share > 0) & usable
    if ring.sum() < 12 or share[inner].sum() < 0.5 * share.sum():
        raise ValueError(f"a disc at {length:.2f} 1/Å has {ring.sum()} pixels of background and {inner.sum()} of its own left; too many pixels "
                         "are bad, or the lattice is wrong")
    weights = np.where(inner, share * share.sum() / share[inner].sum(), 0)
    plane = np.column_stack([np.ones(len(grid)), grid - place])
    shape = level[tuple(grid.T)][:, None] * plane  # the background: its shape times a plane fitted in the ring
    weights[ring] -= (weights @ shape) @ np.linalg.solve(plane[ring].T @ shape[ring], plane[ring].T)
    used = weights != 0
    return np.ravel_multi_index(tuple(grid[used].T), good.shape).astype(np.int64), weights[used]


@njit(nogil=True, cache=True, fastmath=True)
def _integrate(patterns, starts, pixels, weights, sums, variances):
    for p in range(patterns.shape[0]):
        flat = patterns[p]
        for d in range(starts.size - 1):
            total, spread = 0.0, 0.0
            for k in range(starts[d], starts[d + 1]):
                weighted = weights[k] * flat[pixels[k]]
                total += weighted
                spread += weights[k] * weighted
            sums[p, d] = total
            variances[p, d] = spread


def disc_sums(patterns: np.ndarray, plan: DiscPlan) -> tuple[np.ndarray, np.ndarray]:
    """Of counts (p, det_y, det_x) those of all discs above their background, and their variances for Poisson noise, float64 (p, n) each."""
    patterns = np.ascontiguousarray(patterns).reshape(len(patterns), -1)
    if patterns.shape[1] != plan.shape[0] * plan.shape[1]:
        raise ValueError(f"patterns of {patterns.shape[1]} px, the discs were planned for {plan.shape[0]} x {plan.shape[1]}")
    sums, variances = np.empty((2, len(patterns), len(plan.starts) - 1))
    _integrate(patterns, plan.starts, plan.pixels, plan.weights, sums, variances)
    changes = sums[:, len(plan) :] @ plan.modes.T
    return sums[:, : len(plan)] - changes, np.ascontiguousarray(variances[:, : len(plan)])


def bad_pixels(mean_pattern: np.ndarray) -> np.ndarray:
    """Pixels that count a fifth or less, or five times or more, of the median of their 5 x 5 neighbourhood; boolean (h, w)."""
    middle = median_filter(np.asarray(mean_pattern, float), 5)
    return (mean_pattern <= 0.2 * middle) | (mean_pattern > 5 * middle + 5)
