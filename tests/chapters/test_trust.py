"""Our multislice and constants judged by others: published tables, finer runs, and abTEM's solvers, each with its limit."""

import numpy as np
import pytest

from figures_pkg.chapters import trust
from figures_pkg.chapters.trust import Check, allowance_used

pytestmark = pytest.mark.physics


def test_allowance_is_the_larger_of_three_percent_and_the_faint_limit():
    """A strong reflection may be off by 3 %, a weak one by 1.5e-3 of the beam; reflections below that do not count."""
    reference = np.array([0.2, 0.01, 0.001])
    assert allowance_used(reference + [0.006, 0.0, 0.5], reference) == pytest.approx(1)
    assert allowance_used(reference + [0.0, 0.0015, 0.5], reference) == pytest.approx(1)


def test_a_check_holds_up_to_its_limit():
    """The limit itself is within the limit, anything above is not."""
    assert Check("a", "b", 1.0, 1.0, "").holds and not Check("a", "b", 1.01, 1.0, "").holds


def test_interaction_constant_is_kirklands():
    """Sigma agrees with the printed table to 2e-4, 10 to 800 keV."""
    assert trust.interaction_constant().holds


def test_scattering_factor_of_silver_is_doyle_and_turners():
    """The electron scattering factor of Ag agrees with the printed table to 0.02 angstrom."""
    assert trust.scattering_factor_of_silver().holds


def test_potential_of_uranium_is_kirklands_where_the_curve_can_be_read():
    """Within 1 % from 0.1 to 0.2 angstrom. Further out 1 % is less than a printed curve yields, and the limit fails:
    the difference stays below 9 V angstrom, 0.2 % of the curve's top, with Kirkland's own parameters as with ours."""
    assert trust.potential_of_uranium(0.2).holds
    distance, printed = trust.published_table("uranium")
    far = distance > 0.2
    assert np.abs(trust.uranium(distance[far]) - printed[far]).max() < 9


def test_unknown_table_is_refused():
    """The error names the tables there are."""
    with pytest.raises(ValueError, match="sigma, silver and uranium"):
        trust.published_table("gold")


def test_same_slices_through_abtem():
    """Our multislice and abTEM's through the same slices differ by less than 1e-4 of the beam at 40 nm."""
    assert trust.same_slices(periods=(16, 66)).holds


def test_undamped_engine_is_converged_for_plane_waves():
    """The library's grid and slices are within 3 % or 1.5e-3 of the beam of twelve slices on a finer grid, to 100 nm."""
    assert trust.engine_convergence(damped=False).holds


def test_a_probe_is_a_set_of_plane_waves():
    """Through the same few slices, abTEM's convergent probe and our plane waves agree to 1e-3 of the peak."""
    assert trust.convergent_probe(gpts=(48, 54), slices=1, periods=3).holds


def test_a_check_of_the_library_takes_the_whole_difference():
    """The parts stand in its note, the whole is measured."""
    row = {"thickness (nm)": 6.1} | dict(zip(trust.CAUSES, np.arange(len(trust.CAUSES)) / 100 + 0.05))
    (check,) = trust.library_checks([row])
    assert check.measured == row[trust.CAUSES[-1]] and check.limit == 1e-3 and "drawing 0.05" in check.note


@pytest.mark.slow
def test_discs_that_touch_need_a_blurred_probe():
    """At 1.24 mrad a probe in one place interferes with beams of the next Laue zone; half a cell on, the sign turns."""
    settings = {"gpts": (48, 54), "slices": 2, "periods": 8, "convergence_mrad": 1.24}
    assert trust.convergent_probe(**settings, places=2).holds
    assert not trust.convergent_probe(**settings).holds


@pytest.mark.slow
def test_library_is_near_a_probe_for_a_thin_crystal():
    """Drawn by the renderer, the discs of 10 nm are within 1e-3 of the peak of abTEM's probe, pixel by pixel."""
    (row,) = trust.probe_and_library((128, 128), (16,))
    assert trust.library_checks([row])[0].holds and row["plane waves for a probe"] < 1e-3


def test_damped_engine_is_converged_for_plane_waves():
    """So it is with the ring damped, as it is in the library."""
    assert trust.engine_convergence(damped=True).holds


@pytest.mark.slow
@pytest.mark.parametrize("name", ["engine_convergence_in_discs", "bloch_waves", "frozen_phonons"])
def test_slow_checks_hold_in_smoke_size(name):
    """Discs of the library, Bloch waves and frozen phonons, in the size that CI can afford."""
    check = getattr(trust, name)(**trust.SIZES["smoke"][name])
    assert check.holds, check
