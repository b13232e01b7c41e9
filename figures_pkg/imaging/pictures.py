"""What can be measured alike on a published picture of a mean pattern and on a simulated scan."""

import numpy as np

from figures_pkg.imaging.lattice import Lattice

PICTURE_PX = 115  # the authors' notebooks draw the 256 x 256 pixels of a mean pattern on so many
LABEL = np.s_[10:64, 10:64]  # where the pictures carry their label
RINGS_PX = np.concatenate([[9, 11, 14, 18, 22, 28, 32, 36, 40], np.arange(47, 174, 7)])  # bounds of the rings


def as_drawn(mean_log: np.ndarray) -> np.ndarray:
    """
    What a mean log pattern (det_y, det_x) looks like, in counts, after it was drawn like the published ones and read back.

    Drawing shrank each axis to 115 pixels with a Hann window, and reading it back interpolates linearly, which blurs by about
    two pixels; only pictures that share this blur are comparable. The input is the mean over the scan of ln(1 + counts), so
    ``exp(blurred) - 1`` lies below the mean counts (Jensen's inequality).
    """
    rows, cols = (_redrawing(length) for length in mean_log.shape)
    return np.expm1(rows @ np.asarray(mean_log, float) @ cols.T)


def _redrawing(n: int) -> np.ndarray:
    """Matrix of what drawing did to one axis: a Hann window onto the picture's pixels, then linear interpolation back."""
    step = n / PICTURE_PX
    centres = (np.arange(PICTURE_PX) + 0.5) * step - 0.5
    distance = np.abs(np.arange(n) - centres[:, None]) / step
    shrink = np.where(distance < 1, 0.5 + 0.5 * np.cos(np.pi * distance), 0)
    shrink /= shrink.sum(axis=1, keepdims=True)
    grow = np.stack([np.interp(np.arange(n), centres, hat) for hat in np.eye(PICTURE_PX)], axis=1)
    return grow @ shrink


def between_discs(lattice: Lattice, shape: tuple[int, int], clearance_px: float, dead: tuple = ()) -> np.ndarray:
    """
    Mask of the pixels between the discs, without the label of the published pictures and 6 px around each of the ``dead`` pixels (row, col).

    Pixels nearer to a lattice point than ``clearance_px``, a disc's radius and its blur, belong to its disc.
    """
    pixels = np.indices(shape).transpose(1, 2, 0)
    basis = np.stack([lattice.g002, lattice.g010], axis=1)
    cells = (pixels - lattice.centre) @ np.linalg.inv(basis).T
    mask = np.linalg.norm((cells - np.round(cells)) @ basis.T, axis=-1) >= clearance_px
    mask[LABEL] = False
    for place in dead:
        mask &= np.linalg.norm(pixels - place, axis=-1) > 6
    return mask


def ring_background(picture: np.ndarray, lattice: Lattice, mask: np.ndarray, edges_px=RINGS_PX) -> np.ndarray:
    """
    Mean counts of a picture on the pixels of ``mask`` in rings around the direct beam, shape ``(len(edges_px) - 1,)``; nan below 40 pixels.

    Ring ``i`` holds the pixels with ``edges_px[i] <= radius < edges_px[i + 1]``.
    """
    radius = np.hypot(*(np.indices(picture.shape) - np.reshape(lattice.centre, (2, 1, 1))))
    sums, numbers = (np.histogram(radius[mask], edges_px, weights=w)[0] for w in (picture[mask], None))
    return np.where(numbers >= 40, sums / np.maximum(numbers, 1), np.nan)


def disc_counts(picture: np.ndarray, lattice: Lattice, indices, radius_px: float = 5.0) -> np.ndarray:
    """
    Counts in discs above the background beside them, for pairs (k, l) of reflections 0kl; negative where a disc does not rise above it.

    A pixel belongs to a disc when its centre is nearer than ``radius_px``. The background is the mean 8 to 10 px away, half-way to the next disc.
    """
    rows, cols = np.indices(picture.shape)
    found = []
    for k, l in indices:
        row, col = lattice.position(k, l)
        distance = np.hypot(rows - row, cols - col)
        floor = picture[(distance > 8) & (distance < 10)].mean()
        found.append((picture[distance < radius_px] - floor).sum())
    return np.array(found)
