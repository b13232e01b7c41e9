"""Where the lattice falls on the detector, how the detector blurs it, and which of its pixels are dead."""

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

from figures_pkg.twin.preset_parts import Pattern

INV_ANGSTROM_PER_MRAD = 1e-3  # times 1/wavelength: an angle of 1 mrad is 1e-3 / wavelength in 1/A


@dataclass(frozen=True)
class PatternGeometry:
    """Linear map between reciprocal space and the detector.

    Rows grow downward. The measured vectors of 002 and 010 define the map, so a slight elliptic distortion of the
    projector is kept. A vector g = (g_b, g_c) in 1/Angstrom lies at ``origin + matrix @ g``.
    """

    shape: tuple[int, int]
    origin: np.ndarray  # (2,) px, direct beam
    matrix: np.ndarray  # (2, 2) px per (1/Angstrom): columns are b* and c*

    @classmethod
    def from_pattern(cls, pattern: Pattern, g010_inv_angstrom: float, g002_inv_angstrom: float) -> "PatternGeometry":
        """Combine measured pixel vectors with the lengths of the same vectors in the crystal."""
        columns = [np.array(pattern.g010_row_col) / g010_inv_angstrom, np.array(pattern.g002_row_col) / g002_inv_angstrom]
        return cls(tuple(pattern.shape), np.array(pattern.origin_row_col, float), np.stack(columns, axis=1))

    @property
    def px_per_inv_angstrom(self) -> float:
        """Mean scale: the square root of the area that a unit square of reciprocal space covers on the detector."""
        return math.sqrt(abs(np.linalg.det(self.matrix)))

    def positions(self, g) -> np.ndarray:
        """(row, col) in px of reciprocal vectors `g` (..., 2), components along b* and c* in 1/Angstrom."""
        return self.origin + np.asarray(g) @ self.matrix.T

    def tilt_displacement(self, wavelength_angstrom: float) -> np.ndarray:
        """Matrix that turns a tilt (b, c) in mrad into the (row, col) displacement in px of the zone axis.

        The zone axis moves against the tilt: a tilt of -4 mrad along c excites the +l side, around which the diffuse
        scattering gathers.
        """
        return -self.matrix * INV_ANGSTROM_PER_MRAD / wavelength_angstrom


def psf_taps(sigma_px: float) -> np.ndarray:
    """Taps of a Gaussian point spread along one axis, of odd length and unit sum; a single 1 for ``sigma_px = 0``."""
    if sigma_px == 0:
        return np.ones(1, np.float32)
    reach = math.ceil(4 * sigma_px)
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma_px) ** 2)
    return (taps / taps.sum()).astype(np.float32)


@njit(nogil=True, cache=True, fastmath=True)
def blur(image, taps, out):
    """Convolve a padded image with the same taps along rows and columns.

    Parameters
    ----------
    image : (h + 2p, w + 2p) float32
        Zero-padded by ``p = len(taps) // 2`` on each side.
    taps : (2p + 1,) float32
        Symmetric kernel.
    out : (h, w) float32
        Receives the valid part, whose counts come from the padding too.
    """
    height, width = out.shape
    line = np.empty(width + taps.size - 1, np.float32)
    for row in range(height):
        line[:] = 0
        for k in range(taps.size):
            for col in range(line.size):
                line[col] += taps[k] * image[row + k, col]
        out[row] = 0
        for k in range(taps.size):
            for col in range(width):
                out[row, col] += taps[k] * line[col + k]


def largest_count(counter_bits: int) -> int:
    """Largest number a counter of so many bits holds; files store 16 bits, so at most 16."""
    if not 1 <= counter_bits <= 16:
        raise ValueError(f"counter_bits is {counter_bits}; the file stores unsigned 16-bit counts, choose 1 to 16")
    return 2**counter_bits - 1


def dead_pixel_indices(dead_pixels, shape: tuple[int, int]) -> np.ndarray:
    """(n, 2) int array of dead (row, col) pixels, checked against the frame."""
    dead = np.array(dead_pixels, dtype=np.int64).reshape(-1, 2)
    outside = ((dead < 0) | (dead >= np.array(shape))).any(axis=1)
    if outside.any():
        raise ValueError(f"dead pixels {dead[outside].tolist()} lie outside the {shape[0]} x {shape[1]} frame")
    return dead
