"""Our multislice and constants judged by others: published tables, finer runs, and abTEM's solvers, each with its limit."""

import numpy as np
import pytest

from figures_pkg.chapters import trust
from figures_pkg.chapters.trust import allowance_used
from figures_pkg.diffraction import LibrarySettings

pytestmark = pytest.mark.physics


def test_allowance_is_the_larger_of_three_percent_and_the_faint_limit():
    """A strong reflection may be off by 3 %, a weak one by 1.5e-3 of the beam; reflections below that do not count."""
    reference = np.array([0.2, 0.01, 0.001])
    assert allowance_used(reference + [0.006, 0.0, 0.5], reference) == pytest.approx(1)
    assert allowance_used(reference + [0.0, 0.0015, 0.5], reference) == pytest.approx(1)


@pytest.mark.parametrize("name, arguments", [
    ("interaction_constant", {}),  # Kirkland's printed table, 2e-4
    ("scattering_factor_of_silver", {}),  # Doyle and Turner's, 0.02 angstrom
    ("same_slices", {"periods": (16, 66)}),  # our multislice and abTEM's, 1e-4 of the beam at 40 nm
    ("convergent_probe", {"gpts": (48, 54), "slices": 1, "periods": 3}),  # abTEM's probe and our plane waves, 1e-3 of the peak
    ("engine_convergence", {"damped": False}),  # the library's grid and slices, 3 % or 1.5e-3 of the beam to 100 nm
    ("engine_convergence", {"damped": True}),
    ("potential_of_uranium", {"reach_angstrom": 0.2}),  # Kirkland's curve where it can be read to 1 %
    pytest.param("engine_convergence_in_discs", {"periods": (66,), "spacing_mrad": 1.0}, marks=pytest.mark.slow),
    pytest.param("bloch_waves", {"g_max_inv_angstrom": 1.5}, marks=pytest.mark.slow),
    pytest.param("frozen_phonons", {"configurations": 4, "periods": 16}, marks=pytest.mark.slow),
])
def test_checks_hold(name, arguments):
    check = getattr(trust, name)(**arguments)
    assert check.holds, check


@pytest.mark.slow
@pytest.mark.parametrize("places", [1, 2])
def test_discs_that_touch_need_a_blurred_probe(places):
    """At 1.24 mrad a probe in one place interferes with beams of the next Laue zone; half a cell on, the sign turns."""
    assert trust.convergent_probe(gpts=(48, 54), slices=2, periods=8, convergence_mrad=1.24, places=places).holds == (places == 2)


@pytest.mark.slow
def test_library_is_near_a_probe_for_a_thin_crystal(monkeypatch):
    """Drawn by the renderer, the discs of 10 nm are within 1e-3 of the peak of abTEM's probe, pixel by pixel."""
    monkeypatch.setattr(trust, "REPEATS", (6, 5))  # a coarser raster in a third of the time
    (row,) = trust.probe_and_library((128, 128), (16,), LibrarySettings.covering((9.5, 11.0), 1.4, 1.4))
    assert trust.library_checks([row])[0].holds and row["plane waves for a probe"] < 1e-3
