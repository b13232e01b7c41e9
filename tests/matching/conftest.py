"""One small library for all tests of the matching."""

import pytest

from figures_pkg.diffraction import LibrarySettings, build_library


@pytest.fixture(scope="session")
def library():
    settings = LibrarySettings.covering([50, 62], 3.8, 5.3, slices=2, period_step=4, gpts=(64, 72), g_max_inv_angstrom=1.0)
    return build_library(settings, progress=False)
