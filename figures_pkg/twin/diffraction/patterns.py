"""Noise-free patterns of a perfect crystal from the library, on the detector of a preset: discs and nothing else."""

from dataclasses import replace

import numpy as np
import xarray as xr

from figures_pkg.data.axes import DETECTOR_DIMS
from figures_pkg.twin.diffraction.library import Library
from figures_pkg.twin.presets import Preset
from figures_pkg.twin.render import Renderer

DISC_POINTS = 9  # across a disc, for means over it: 69 points, right to 1e-3 of a reflection at 1.3 mrad


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
        State of the specimen; tilts along b* and c (sign as in :mod:`figures_pkg.twin.diffraction.multislice`).

    Returns
    -------
    xarray.DataArray
        Fraction of the incident beam per pixel, dimensions ``(det_y, det_x)`` in 1/Å, zero at the direct beam, rows
        growing downward as in the preset.
    """
    specimen = replace(preset.specimen, thickness_nm=thickness_nm, tilt_b_mrad=tilt_mrad[0], tilt_c_mrad=tilt_mrad[1])
    detector = replace(preset.detector, psf_sigma_px=0.0, dead_pixels=(), bragg_share=1.0)
    renderer = Renderer(replace(preset, specimen=specimen, detector=detector), library)
    values = renderer.expected([[polarization, thickness_nm, *tilt_mrad, 0.0, 0.0]])[0] / renderer.optics.bragg_counts
    axes = {}
    for dim, length, origin in zip(DETECTOR_DIMS, values.shape, preset.pattern.origin_row_col, strict=True):
        axes[dim] = (dim, (np.arange(length) - origin) * preset.pattern.scale_inv_angstrom, {"units": "1/angstrom"})
    return xr.DataArray(values, axes, DETECTOR_DIMS, "intensity", {"source": "twin", "units": "1 / pixel"})


def disc_means(library: Library, polarization, thickness_nm, tilt_b_mrad, tilt_c_mrad, convergence_mrad: float) -> np.ndarray:
    """
    Intensities of all reflections averaged over the beam's cone, which is what a detector on the whole disc counts.

    Parameters
    ----------
    library
        Must reach a disc's radius beyond the tilts.
    polarization, thickness_nm, tilt_b_mrad, tilt_c_mrad
        Broadcast to a common shape (...,).
    convergence_mrad
        Half angle of the cone.

    Returns
    -------
    array, shape (..., n)
        Fractions of the incident beam, in the order of ``library.hkl``.
    """
    line = np.linspace(-1, 1, 2 * DISC_POINTS + 1)[1::2] * convergence_mrad
    b, c = (grid.ravel() for grid in np.meshgrid(line, line))
    inside = np.hypot(b, c) <= convergence_mrad
    total = 0.0
    for db, dc in zip(b[inside], c[inside]):
        total = total + library.intensities(polarization, thickness_nm, tilt_b_mrad + db, tilt_c_mrad + dc)
    return total / inside.sum()
