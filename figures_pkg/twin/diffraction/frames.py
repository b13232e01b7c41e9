"""Small upright pictures with their diffuse background: over thickness and tilt, and for cones so wide that discs overlap."""

from dataclasses import dataclass, replace

import numpy as np

from figures_pkg.twin.diffraction.library import Library
from figures_pkg.twin.diffraction.imitation import diffuse_density
from figures_pkg.twin.diffraction.patterns import disc_means, disc_patterns, overlap_mrad
from figures_pkg.twin.diffraction.potential import electron_constants
from figures_pkg.twin.presets import Preset


@dataclass(frozen=True)
class Frames:
    """Pictures of +P, one for each state.

    The picture of -P at the opposite tilts is the same one turned by 180 degrees, I(-P; G; tilt) = I(+P; -G; -tilt), since the
    direct beam lies in the middle of the frame.

    Attributes
    ----------
    shares : array, shape (n, h, w)
        Share of the incident beam in each pixel; c points up, b* to the right.
    background : array, shape (n, h, w)
        The part of it that is diffuse.
    discs : array, shape (n, m)
        Intensities of whole discs, in the order of the library's reflections.
    scale_inv_angstrom : float
        Size of a pixel.
    """

    shares: np.ndarray
    background: np.ndarray
    discs: np.ndarray
    scale_inv_angstrom: float

    def window(self, g_inv_angstrom, radius_inv_angstrom: float) -> tuple[float, float, float]:
        """(row, col, radius) in px of a round window at a place (g_b, g_c)."""
        middle = (np.array(self.shares.shape[1:]) - 1) / 2
        row, col = middle + np.array([-g_inv_angstrom[1], g_inv_angstrom[0]]) / self.scale_inv_angstrom
        return float(row), float(col), radius_inv_angstrom / self.scale_inv_angstrom

    def total_in(self, window) -> np.ndarray:
        """Share of the beam in a window, shape (n,)."""
        return self.shares[:, self._inside(window)].sum(axis=1)

    def background_in(self, window) -> np.ndarray:
        """Diffuse share of the beam in a window, shape (n,)."""
        return self.background[:, self._inside(window)].sum(axis=1)

    def _inside(self, window):
        row, col = np.indices(self.shares.shape[1:])
        return np.hypot(row - window[0], col - window[1]) <= window[2]


def upright(preset: Preset, library: Library, shape, scale_inv_angstrom: float) -> Preset:
    """The preset with a frame of `shape` px around the direct beam, c upward, b* to the right, without distortion."""
    lengths = [float(np.min(g[g > 1e-6])) for g in (library.g_c, library.g_b)]  # of 002 and 010
    origin = tuple((length - 1) / 2 for length in shape)
    vectors = {"g002_row_col": (-lengths[0] / scale_inv_angstrom, 0.0), "g010_row_col": (0.0, lengths[1] / scale_inv_angstrom)}
    pattern = replace(preset.pattern, shape=tuple(shape), origin_row_col=origin, scale_inv_angstrom=scale_inv_angstrom, **vectors)
    return replace(preset, pattern=pattern)


def state_frames(library: Library, preset: Preset, states, shape=(84, 64), scale_inv_angstrom: float = 0.0145) -> Frames:
    """
    Small upright pictures of +P, discs on a diffuse background.

    Parameters
    ----------
    library
        Of plane waves; must reach a disc's radius beyond the tilts.
    preset
        Gives convergence and energy.
    states
        Rows of thickness (nm), tilt along b* and tilt along c (mrad), shape (n, 3).
    shape
        Rows and columns.
    scale_inv_angstrom
        Size of a pixel.

    Returns
    -------
    Frames
        The background is what is missing from the reflections, spread as in
        :func:`figures_pkg.twin.diffraction.imitation.diffuse_density`, about the direct beam.
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

    The windows are as large as a disc, but not larger than discs that touch, and count everything that falls into them. The
    diffuse background is taken off, as it would be from the gaps between discs.

    Parameters
    ----------
    library, preset
        As in :func:`state_frames`; the preset's convergence is replaced.
    thickness_nm
        Shape (t,).
    convergence_mrad
        Half angle.
    order
        The even l.

    Returns
    -------
    asymmetry : array, shape (t,)
    chi2 : array, shape (t,)
        Squared distance of the patterns of +P and -P in units of the noise, per incident electron, pixel by pixel.
    """
    scale, wide = 0.0145, replace(preset, beam=replace(preset.beam, convergence_mrad=convergence_mrad))
    states = [[thickness, 0.0, 0.0] for thickness in thickness_nm]
    frames = state_frames(library, wide, states, (120, 100), scale)
    per_mrad = 1e-3 / electron_constants(library.energy_kev)[0]
    reach = min(convergence_mrad * per_mrad + 0.75 * scale, overlap_mrad(library) * per_mrad)
    height = order / 2 * np.min(library.g_c[library.g_c > 1e-6])
    windows = [frames.window((0.0, sign * height), reach) for sign in (1, -1)]
    up, down = (frames.total_in(window) - frames.background_in(window) for window in windows)
    turned = frames.shares[:, ::-1, ::-1]
    return (up - down) / (up + down), ((frames.shares - turned) ** 2 / np.maximum(turned, 1e-12)).sum(axis=(1, 2))
