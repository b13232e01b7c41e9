"""The lattice of discs in a mean pattern: as the manifest expects it, refined on the rims of the discs, and the counts in and between them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numba import njit
from scipy.ndimage import gaussian_filter

from figures_pkg.data.axes import pair
from figures_pkg.data.units import disc_radius
from figures_pkg.record.manifest import Dataset

CIRCLE_REACH_PX = 1.25  # how far discs are searched anew with another circle
HUBER_PX = 0.5  # a disc further off than this counts in inverse proportion
PICTURE_PX = 115  # the authors' notebooks draw the 256 x 256 pixels of a mean pattern on so many
LABEL = np.s_[10:64, 10:64]  # where the pictures carry their label
RINGS_PX = np.concatenate([[9, 11, 14, 18, 22, 28, 32, 36, 40], np.arange(47, 174, 7)])  # bounds of the rings


@dataclass(frozen=True)
class Lattice:
    """Where the reflections 0kl lie on the detector, in pixels counted from 0, rows downward.

    ``g002`` is the vector of 002 and ``g010`` that of 010; the crystal's c axis points along ``g002``.
    """

    centre: tuple[float, float]  # (row, col) of the direct beam
    g002: tuple[float, float]  # (row, col)
    g010: tuple[float, float]  # (row, col)
    rms_px: float = float("nan")  # scatter of the discs about the lattice; nan where it was not fitted
    n_discs: int = 0

    def position(self, k: float, l: float) -> np.ndarray:
        """Pixel (row, col) of reflection 0kl."""
        return np.array(self.centre) + k * np.array(self.g010) + l / 2 * np.array(self.g002)

    def scaled(self, binning: float) -> "Lattice":
        """The same lattice on a detector whose pixels are ``binning`` times as large."""
        shift = (binning - 1) / (2 * binning)  # the centre of pixel 0 moves when pixels are joined
        g002, g010 = (np.array(g) / binning for g in (self.g002, self.g010))
        return Lattice(pair(np.array(self.centre) / binning - shift), pair(g002), pair(g010), self.rms_px / binning, self.n_discs)

    def reflections(self, shape: tuple[int, int], margin_px: float, orders: int = 8) -> np.ndarray:
        """Indices (k, l), l even, of the reflections at least ``margin_px`` inside a frame; shape ``(n, 2)``."""
        k, l = np.meshgrid(np.arange(-orders, orders + 1), 2 * np.arange(-orders, orders + 1), indexing="ij")
        indices = np.stack([k.ravel(), l.ravel()], axis=1)
        places = np.array([self.position(*index) for index in indices])
        inside = ((places >= margin_px) & (places <= np.array(shape) - 1 - margin_px)).all(axis=1)
        return indices[inside]


def disc_radius_px(convergence_mrad: float, scan: xr.DataArray) -> float:
    """Radius of the diffraction discs in pixels, from the half angle of the probe and the scan's beam energy and pixel size in 1/Å."""
    step = float(scan.det_x[1] - scan.det_x[0])
    return disc_radius(convergence_mrad, scan.attrs["beam_energy_kev"]) / step


def refine_lattice(pattern: np.ndarray, guess: Lattice, radius_px: float, rounds: int = 3, reach_px: float | None = None, widest_px: float = 1.5) -> Lattice:
    """Fit centre and vectors to the rims of the discs.

    A tilted specimen fills its discs unevenly, often only half, so their centroids lie up to half a radius off. Their rims
    stay in place: around each expected position the circle is found across which the logarithm of the counts falls most.
    Centre and both vectors follow by least squares, in which discs that stray count little (Huber weights).

    The counts of a blurred rim fall steepest outside the disc. A circle that is too small slides towards the centre of the pattern, where the
    background is strong: half a pixel of radius shrinks the lattice by half a per cent. So larger circles are tried too, and the one about which
    the discs scatter least is kept. Fewer than six discs with a rim are a ValueError: the guess, the radius or the zone axis is wrong.

    Parameters
    ----------
    pattern, guess
        Mean pattern in counts, (det_y, det_x), and a lattice right to about half a disc's radius at the outer reflections.
    radius_px, rounds
        Radius of a disc, and how often discs are located anew; the search narrows each time.
    reach_px, widest_px
        How far from its expected place a disc is searched in the first round, by default 0.7 radii; and how much larger than the disc
        circles may be, zero for the radius alone.
    """
    logarithm = gaussian_filter(np.log1p(np.maximum(pattern, 0).astype(float)), 0.7)
    reach = 0.7 * radius_px if reach_px is None else reach_px
    for number in range(rounds):
        guess = _fit(_rims(logarithm, guess, radius_px, reach / 1.6**number), guess, radius_px)
    tried = [guess]
    for more in np.arange(0.25, widest_px + 0.01, 0.25):
        try:
            tried.append(_fit(_rims(logarithm, guess, radius_px + more, CIRCLE_REACH_PX), guess, radius_px + more))
        except ValueError:  # circles as large as the spacing of a narrow net meet the neighbours
            break
    most = max(lattice.n_discs for lattice in tried)
    return min((lattice for lattice in tried if lattice.n_discs >= 0.8 * most), key=lambda lattice: lattice.rms_px)


def _rims(logarithm: np.ndarray, lattice: Lattice, radius: float, reach: float) -> np.ndarray:
    """Rows of (k, l, row, col, fall) for the discs with a rim; fall is the mean drop of ln counts over 2 px across it."""
    indices = lattice.reflections(logarithm.shape, radius + reach + 2)
    expected = np.array([lattice.position(*index) for index in indices]).reshape(-1, 2)
    offsets = np.arange(-reach, reach + 0.1, 0.2)
    shifts = np.stack(np.meshgrid(offsets, offsets, indexing="ij"), axis=-1).reshape(-1, 2)
    centres = expected[:, None] + shifts  # (discs, shifts, 2)
    falls = _ring(logarithm, centres, radius - 1) - _ring(logarithm, centres, radius + 1)
    best = falls.argmax(axis=1)
    places, fall = expected + shifts[best], falls.max(axis=1)
    inside = np.abs(shifts[best]).max(axis=1) < reach - 0.1  # a rim at the border of the search is another disc's
    clear = fall > 5 * 1.4826 * np.median(np.abs(falls - np.median(falls, axis=1, keepdims=True)))
    return np.column_stack([indices, places, fall])[inside & clear]


def _ring(image: np.ndarray, centres: np.ndarray, radius: float) -> np.ndarray:
    """Mean of an image on circles, shape of ``centres`` without its last axis."""
    phi = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    means = np.empty(centres.shape[:-1])
    _circle_means(image, centres.reshape(-1, 2), radius * np.stack([np.sin(phi), np.cos(phi)], axis=1), means.reshape(-1))
    return means


@njit(nogil=True, cache=True)
def _circle_means(image, centres, circle, means):
    """Fill `means` (n,) with those of an image, read linearly between pixels and beyond its rim as on it, at `circle` (m, 2) around `centres` (n, 2)."""
    height, width = image.shape
    for i in range(len(centres)):
        total = 0.0
        for j in range(len(circle)):
            y = min(max(centres[i, 0] + circle[j, 0], 0.0), height - 1.0)
            x = min(max(centres[i, 1] + circle[j, 1], 0.0), width - 1.0)
            row, col = min(int(y), height - 2), min(int(x), width - 2)
            y, x = y - row, x - col
            above = (1 - x) * image[row, col] + x * image[row, col + 1]
            below = (1 - x) * image[row + 1, col] + x * image[row + 1, col + 1]
            total += (1 - y) * above + y * below
        means[i] = total / len(circle)


def _fit(found: np.ndarray, guess: Lattice, radius_px: float) -> Lattice:
    """Centre, g002 and g010 by iterated least squares, in which discs that stray count little."""
    if len(found) < 6:
        raise ValueError(f"only {len(found)} discs have a rim near the expected lattice; six are needed. "
                         f"Check centre, vectors and radius: {guess}, {radius_px} px")
    k, l, row, col, fall = found.T
    columns, places = np.stack([np.ones_like(k), l / 2, k], axis=1), np.stack([row, col], axis=1)
    weight = fall.copy()
    for _ in range(10):
        root = np.sqrt(weight)[:, None]
        solution = np.linalg.lstsq(columns * root, places * root, rcond=None)[0]
        away = np.linalg.norm(places - columns @ solution, axis=1)
        weight = fall * np.minimum(1, HUBER_PX / np.maximum(away, 1e-9))
    centre, g002, g010 = map(pair, solution)
    return Lattice(centre, g002, g010, float(np.sqrt(np.average(away**2, weights=weight))), len(found))


def expected_lattice(entry: Dataset, scan: xr.DataArray) -> tuple[Lattice, float]:
    """Lattice and disc radius in pixels that the manifest's entry of a measured dataset gives for a scan: a guess for :func:`refine_lattice`."""
    names = ("origin_row_col_px", "g002_row_col_px", "g010_row_col_px")
    missing = [name for name in names if name not in entry.axes]
    if missing:
        raise ValueError(f"the manifest's entry {entry.id!r} has no {', '.join(missing)}; choose that of a scan, such as 'ds1'")
    centre, g002, g010 = (pair(entry.axes[name].value) for name in names)
    convergence_mrad: Any = entry.acquisition["convergence_mrad"].value
    return Lattice(centre, g002, g010), disc_radius_px(convergence_mrad, scan)


def as_drawn(mean_log: np.ndarray) -> np.ndarray:
    """What a mean log pattern (det_y, det_x) looks like, in counts, after it was drawn like the published ones and read back.

    Drawing shrank each axis to 115 pixels with a Hann window; reading interpolates linearly. Together they blur by about two pixels. As the input is
    the mean of ln(1 + counts), ``exp(blurred) - 1`` lies below the mean counts (Jensen's inequality).
    """
    axes = []  # matrices of what drawing did to each axis
    for length in mean_log.shape:
        step, pixels = length / PICTURE_PX, np.arange(length)
        centres = (np.arange(PICTURE_PX) + 0.5) * step - 0.5
        distance = np.abs(pixels - centres[:, None]) / step
        shrink = np.where(distance < 1, 0.5 + 0.5 * np.cos(np.pi * distance), 0)
        shrink /= shrink.sum(axis=1, keepdims=True)
        axes.append(np.stack([np.interp(pixels, centres, hat) for hat in np.eye(PICTURE_PX)], axis=1) @ shrink)
    return np.expm1(axes[0] @ np.asarray(mean_log, float) @ axes[1].T)


def between_discs(lattice: Lattice, shape: tuple[int, int], clearance_px: float, dead: tuple = ()) -> np.ndarray:
    """Mask of the pixels further from lattice points than ``clearance_px``, without the published pictures' label and 6 px around ``dead`` pixels."""
    pixels = np.indices(shape).transpose(1, 2, 0)
    basis = np.stack([lattice.g002, lattice.g010], axis=1)
    cells = (pixels - lattice.centre) @ np.linalg.inv(basis).T
    mask = np.linalg.norm((cells - np.round(cells)) @ basis.T, axis=-1) >= clearance_px
    mask[LABEL] = False
    for place in dead:
        mask &= np.linalg.norm(pixels - place, axis=-1) > 6
    return mask


def ring_background(picture: np.ndarray, lattice: Lattice, mask: np.ndarray, edges_px=RINGS_PX) -> np.ndarray:
    """Mean counts of a picture on the pixels of ``mask`` in rings around the direct beam, one less than their bounds; nan below 40 pixels."""
    radius = np.hypot(*(np.indices(picture.shape) - np.reshape(lattice.centre, (2, 1, 1))))
    sums, numbers = (np.histogram(radius[mask], edges_px, weights=w)[0] for w in (picture[mask], None))
    return np.where(numbers >= 40, sums / np.maximum(numbers, 1), np.nan)


def disc_counts(picture: np.ndarray, lattice: Lattice, indices, radius_px: float = 5.0) -> np.ndarray:
    """Counts in discs (pixels nearer than ``radius_px``) above the mean 8 to 10 px away, for pairs (k, l) of reflections 0kl; may be negative."""
    rows, cols = np.indices(picture.shape)
    found = []
    for k, l in indices:
        row, col = lattice.position(k, l)
        distance = np.hypot(rows - row, cols - col)
        floor = picture[(distance > 8) & (distance < 10)].mean()
        found.append((picture[distance < radius_px] - floor).sum())
    return np.array(found)
