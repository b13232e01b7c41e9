"""Noise-free patterns of a perfect crystal on the detector of a preset."""

from dataclasses import replace

import numpy as np
import xarray as xr

from figures_pkg.data.axes import DETECTOR_DIMS
from figures_pkg.diffraction.discs import warn_of_overlap
from figures_pkg.diffraction.library import Library
from figures_pkg.twin.presets import Preset
from figures_pkg.twin.render import Renderer


def disc_pattern(library: Library, preset: Preset, polarization: float, thickness_nm: float, tilt_mrad=(0.0, 0.0)) -> xr.DataArray:
    """
    The convergent-beam pattern of one state: discs without background, blur, noise and dead pixels.

    Parameters
    ----------
    library
        Must hold the thickness, and the tilts with the radius of a disc added.
    preset
        Gives lattice on the detector, scale and convergence; its specimen and detector do not matter.
    polarization
        +1, -1, or the weight of +P less that of -P.
    thickness_nm, tilt_mrad
        State of the specimen; tilts along b* and c (sign as in :mod:`figures_pkg.diffraction.multislice`).

    Returns
    -------
    xarray.DataArray
        Fraction of the incident beam per pixel, dimensions ``(det_y, det_x)`` in 1/Å, zero at the direct beam, rows
        growing downward as in the preset. Where discs overlap their intensities are added.

    Warns
    -----
    UserWarning
        When the discs overlap, with the angle from which they do.
    """
    values = disc_patterns(library, preset, [[polarization, thickness_nm, *tilt_mrad]])[0]
    axes = {}
    for dim, length, origin in zip(DETECTOR_DIMS, values.shape, preset.pattern.origin_row_col, strict=True):
        axes[dim] = (dim, (np.arange(length) - origin) * preset.pattern.scale_inv_angstrom, {"units": "1/angstrom"})
    return xr.DataArray(values, axes, DETECTOR_DIMS, "intensity", {"source": "twin", "units": "1 / pixel"})


def disc_patterns(library: Library, preset: Preset, states) -> np.ndarray:
    """
    Patterns of many states as plain arrays; see :func:`disc_pattern`.

    Parameters
    ----------
    library, preset
        As in :func:`disc_pattern`.
    states
        Rows of polarization, thickness (nm), tilt along b* and tilt along c (mrad), shape (n, 4).

    Returns
    -------
    array, shape (n, det_y, det_x)
        Fractions of the incident beam per pixel, float32.
    """
    states = np.asarray(states, float)
    warn_of_overlap(library, preset.beam.convergence_mrad)
    first = {"thickness_nm": states[0, 1], "tilt_b_mrad": states[0, 2], "tilt_c_mrad": states[0, 3]}
    detector = replace(preset.detector, psf_sigma_px=0.0, dead_pixels=(), bragg_share=1.0)
    plain = replace(preset, specimen=replace(preset.specimen, **first), detector=detector)
    renderer = Renderer(plain, library)
    padded = np.concatenate([states, np.zeros((len(states), 2))], axis=1)
    return renderer.expected(padded) / np.float32(renderer.optics.bragg_counts)
