"""One small library and one matcher for all tests of the matching."""

import numpy as np
import pytest

from figures_pkg.diffraction import LibrarySettings, build_library
from figures_pkg.matching import DiscGeometry, Matcher, average_over_discs


@pytest.fixture(scope="session")
def library():
    settings = LibrarySettings.covering([50, 62], 3.8, 5.3, slices=2, period_step=4, gpts=(64, 72), g_max_inv_angstrom=1.0)
    return build_library(settings, progress=False)


@pytest.fixture(scope="session")
def matcher_for(library):
    """The matcher for discs of a half angle in mrad and a radius in px."""
    def _matcher(convergence, radius):
        geometry = DiscGeometry(np.array([124.0, 128.6]), 105.0 * np.array([[0.0, -1.0], [1.0, 0.0]]), radius)
        return Matcher.of(average_over_discs(library, convergence), geometry, (256, 256))
    return _matcher
