"""Diffuse scattering between the discs: a measured radial profile that follows the tilt, and a halo of the direct beam.

The profile stands for thermal diffuse and other wide scattering. It gathers around the zone axis more than around the
direct beam, so it moves, in part, when the crystal tilts. The halo stands for small-angle inelastic scattering. Counts
grow and widths spread with thickness. Kikuchi lines and other structure that is not radial are not modelled.
"""

from dataclasses import dataclass, replace

import numpy as np
from numba import njit
from scipy.interpolate import PchipInterpolator

from figures_pkg.twin.instrument.detector import PatternGeometry
from figures_pkg.twin.preset_parts import Background

STEP_PX = 0.25  # of the tabulated profile, which is read linearly


@njit(nogil=True, cache=True, fastmath=True)
def add_radial(pattern, profile, step_px, row, col):
    """Add a radial profile, tabulated every `step_px` from 0, around (row, col); beyond its end the last value stays."""
    last = profile.size - 2
    for i in range(pattern.shape[0]):
        for j in range(pattern.shape[1]):
            u = np.sqrt((i - row) ** 2 + (j - col) ** 2) / step_px
            k = min(int(u), last)
            share = min(np.float32(u - k), np.float32(1.0))
            pattern[i, j] += profile[k] + share * (profile[k + 1] - profile[k])


@njit(nogil=True, cache=True, fastmath=True)
def add_gaussian(pattern, height, sigma_px, row, col):
    """Add a round Gaussian around (row, col)."""
    scale = -0.5 / (sigma_px * sigma_px)
    line = np.exp(scale * (np.arange(pattern.shape[1]) - col) ** 2).astype(np.float32)
    for i in range(pattern.shape[0]):
        level = np.float32(height * np.exp(scale * (i - row) ** 2))
        for j in range(pattern.shape[1]):
            pattern[i, j] += level * line[j]


@dataclass(frozen=True)
class DiffuseModel:
    """Background of a preset, in px and counts.

    Attributes
    ----------
    profile : (m,) float32
        Counts per px around the moving centre every `STEP_PX`, at the reference thickness.
    halo_counts, halo_sigma_px : float
        Height (counts per px) and width of the halo, at the reference thickness.
    follow : (2, 2)
        Turns a tilt (b, c) in mrad into the (row, col) displacement of the profile in px.
    thickness_nm : float
        The reference.
    thickness_exponent, width_exponent : float
        Counts and widths change as this power of the thickness.
    """

    profile: np.ndarray
    halo_counts: float
    halo_sigma_px: float
    follow: np.ndarray
    thickness_nm: float
    thickness_exponent: float
    width_exponent: float

    @classmethod
    def build(cls, background: Background, geometry: PatternGeometry, wavelength_angstrom: float, thickness_nm: float) -> "DiffuseModel":
        """Tabulate the profile of a preset; its heights are relative until `scaled_to`."""
        scale = geometry.px_per_inv_angstrom
        logarithm = PchipInterpolator(background.radius_inv_angstrom, np.log(background.counts))
        radius_px = np.arange(0, 1.5 * np.hypot(*geometry.shape), STEP_PX)
        nodes = np.clip(radius_px / scale, background.radius_inv_angstrom[0], background.radius_inv_angstrom[-1])
        return cls(
            profile=np.exp(logarithm(nodes)).astype(np.float32),
            halo_counts=background.halo_counts,
            halo_sigma_px=background.halo_sigma_inv_angstrom * scale,
            follow=background.follows_tilt * geometry.tilt_displacement(wavelength_angstrom),
            thickness_nm=thickness_nm,
            thickness_exponent=background.thickness_exponent,
            width_exponent=background.width_exponent,
        )

    def add_to(self, pattern: np.ndarray, direct_beam, thickness_nm: float, tilts_mrad) -> None:
        """Add the background of one state to a pattern (h, w) float32; `direct_beam` is (row, col) in px."""
        ratio = thickness_nm / self.thickness_nm
        spread = ratio**self.width_exponent
        density = ratio**self.thickness_exponent / spread**2
        centre = direct_beam + self.follow @ tilts_mrad
        add_radial(pattern, self.profile * np.float32(density), STEP_PX * spread, centre[0], centre[1])
        add_gaussian(pattern, self.halo_counts * density, self.halo_sigma_px * spread, direct_beam[0], direct_beam[1])

    def scaled_to(self, counts: float, shape: tuple[int, int], direct_beam, tilts_mrad) -> "DiffuseModel":
        """The model whose frame holds `counts` in all at the reference thickness and the given tilts."""
        frame = np.zeros(shape, np.float32)
        self.add_to(frame, direct_beam, self.thickness_nm, tilts_mrad)
        factor = counts / frame.sum(dtype=float)
        return replace(self, profile=self.profile * np.float32(factor), halo_counts=self.halo_counts * factor)
