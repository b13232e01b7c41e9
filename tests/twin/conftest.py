"""Libraries that the tests of the twin share."""

import dataclasses

import numpy as np
import pytest

from figures_pkg.twin.diffraction.library import Library
from figures_pkg.twin.presets import Preset, load_preset
from figures_pkg.twin.render import Renderer
from figures_pkg.twin.diffraction.spline import spline_coefficients

B_STAR, C_STAR = 1 / 5.293, 1 / 11.42  # 1/Angstrom


def analytic_library(intensity, reflections) -> Library:
    """Library sampled from ``intensity(tilt_b, tilt_c, thickness, hkl)``; no simulation."""
    hkl = np.array([(0, k, l) for k, l in reflections])
    tilt, thickness = np.arange(-8.0, 8.01, 0.5), np.arange(40.0, 90.01, 2.0)
    b, c, t, r = np.meshgrid(tilt, tilt, thickness, np.arange(len(hkl)), indexing="ij")
    samples = intensity(b, c, t, hkl[r]).astype(np.float32)
    fields = {
        "hkl": hkl,
        "g_b": hkl[:, 1] * B_STAR,
        "g_c": hkl[:, 2] * C_STAR,
        "thickness_nm": thickness,
        "tilt_b_mrad": tilt,
        "tilt_c_mrad": tilt,
        "coefficients": spline_coefficients(samples),
        "energy_kev": 200.0,
    }
    return Library(**fields)


def rocking(tilt_b, tilt_c, thickness, hkl):
    """Intensities with the gross features of diffraction: rocking curves, and a difference between +l and -l."""
    g_b, g_c = hkl[..., 1] * B_STAR, hkl[..., 2] * C_STAR
    excitation = -(g_b**2 + g_c**2) * 0.0125 - (g_b * tilt_b + g_c * tilt_c) * 1e-3
    polar = 1 + 0.3 * np.sin(thickness / 5 + 9 * g_c)
    return 0.3 * np.exp(-np.hypot(g_b, g_c) / 0.3) * np.sinc(3 * excitation * thickness) ** 2 * polar


@pytest.fixture(scope="session")
def preset() -> Preset:
    """The preset DS1."""
    return load_preset("ds1")


@pytest.fixture(scope="session")
def plain_preset(preset) -> Preset:
    """DS1 without blur, background and dead pixels, every incident electron a count in a disc."""
    detector = dataclasses.replace(preset.detector, psf_sigma_px=0.0, dead_pixels=(), bragg_share=1.0, counts_per_electron=1.0)
    return dataclasses.replace(preset, detector=detector)


@pytest.fixture(scope="session")
def make_library():
    """The function that samples a library from a formula."""
    return analytic_library


@pytest.fixture(scope="session")
def rocking_library() -> Library:
    """Sixty-three reflections with rocking curves."""
    return analytic_library(rocking, [(k, l) for k in range(-4, 5) for l in range(-6, 7, 2)])


@pytest.fixture(scope="session")
def renderer(preset, rocking_library) -> Renderer:
    """DS1 on the analytic library."""
    return Renderer(preset, rocking_library)
