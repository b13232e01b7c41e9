"""Presets and renderers that the tests of the twin share."""

import pytest

from figures_pkg.twin.render import Renderer


@pytest.fixture(scope="session")
def renderer(preset, rocking_library) -> Renderer:
    """DS1 on the analytic library."""
    return Renderer(preset, rocking_library)
