"""Measured differences between our multislice, finer runs of itself, and abTEM's solvers, each beside its limit.

Every function returns a `Check`; nothing is asserted here. Intensities are fractions of the incident beam and thicknesses
whole periods of 0.6112 nm. Convergent probes stand in `crosscheck_probe`, published tables in `crosscheck_tables`.
"""

from dataclasses import dataclass, replace

import abtem
import numpy as np
from abtem.bloch import BlochWaves, StructureFactor

from figures_pkg.twin.diffraction import abtem_engine
from figures_pkg.twin.diffraction.library_settings import LibrarySettings, reflections
from figures_pkg.twin.diffraction.multislice import crystal_stack, make_stack, propagate
from figures_pkg.twin.diffraction.potential import electron_constants, frequencies, projected_potential
from figures_pkg.twin.structure.crystal import ermno3

FINE_GPTS, FINE_SLICES = (144, 160), 12  # the converged run: twice the library's slices, beams to 6.8 1/angstrom
TILTS_MRAD = np.array([(0.0, 0.0), (1.0, -3.5), (-2.0, 1.0)])
PERIODS = (16, 33, 49, 66, 82, 98, 123, 147, 164)  # 10 to 100 nm
MAIN_SPOTS = np.array([(0, 0), (0, 2), (0, -2), (0, 4), (0, -4)])
FAINT, RELATIVE = 1.5e-3, 0.03  # allowance: 3 % of a reflection or 1.5e-3 of the beam, whichever is more
SIZES = {  # arguments of the slow checks: what continuous integration and a laptop can afford
    "smoke": {
        "engine_convergence_in_discs": {"periods": (66,), "spacing_mrad": 0.6},
        "bloch_waves": {"g_max_inv_angstrom": 1.5},
        "frozen_phonons": {"configurations": 4, "periods": 16},
    },
    "laptop": {
        "engine_convergence_in_discs": {},
        "bloch_waves": {"g_max_inv_angstrom": 2.0, "slices": (32, 64)},
        "frozen_phonons": {"configurations": 12},
    },
}


@dataclass(frozen=True)
class Check:
    """One row of the table: what was compared with what, the largest difference, and the limit set beforehand.

    Attributes
    ----------
    what, against : str
    measured, limit : float
        In `unit`.
    unit : str
    note : str
        Conditions, or what else was measured.
    """

    what: str
    against: str
    measured: float
    limit: float
    unit: str
    note: str = ""

    @property
    def holds(self):
        """Whether the measured difference is within the limit."""
        return bool(self.measured <= self.limit)


def allowance_used(intensities, reference):
    """
    Largest difference in units of what is allowed, over all reflections that hold more than 1.5e-3 of the beam.

    Parameters
    ----------
    intensities, reference : array, same shape
        Fractions of the incident beam.

    Returns
    -------
    float
        1 where a reflection is off by 3 % of itself or by 1.5e-3 of the beam, whichever is more.
    """
    seen = reference > FAINT
    apart = np.abs(intensities - reference)[seen]
    return float((apart / np.maximum(RELATIVE * reference[seen], FAINT)).max(initial=0.0))


def runs_apart(stack, reference, tilts_mrad=TILTS_MRAD, periods=PERIODS):
    """Allowance used (see `allowance_used`) and largest difference, per plane wave, of one `Stack` from another."""
    orders = _orders()
    ours, finer = (propagate(each, tilts_mrad, list(periods), orders) for each in (stack, reference))
    return allowance_used(ours, finer), float(np.abs(ours - finer).max())


def converged_stack():
    """+P in twelve slices per period on a grid of 144 x 160 points, nothing damped."""
    return crystal_stack(ermno3(+1), FINE_GPTS, FINE_SLICES)


def engine_convergence(settings=LibrarySettings(), periods=PERIODS, damped=True):
    """
    The library's multislice against a converged run of itself, by single plane waves at three tilts.

    Parameters
    ----------
    settings : LibrarySettings
    periods : sequence of int
    damped : bool
        Whether the beams of the first Laue ring are damped, as they are in the library. Damping blurs the ring's lines
        over tilt on purpose, which a plane wave sees and a disc does not.
    """
    from figures_pkg.twin.diffraction.library import library_stack

    crystal = ermno3(+1)
    stack = library_stack(settings, crystal) if damped else crystal_stack(crystal, settings.gpts, settings.slices)
    used, apart = runs_apart(stack, converged_stack(), periods=periods)
    name = f"library's engine, {'ring damped' if damped else 'undamped'}, plane waves"
    return Check(name, "itself, 12 slices, finer grid", used, 1.0, "of the allowance", f"largest difference {apart:.1e} of the beam")


def engine_convergence_in_discs(convergence_mrad=1.24, settings=LibrarySettings(), periods=(66, 123), spacing_mrad=0.4):
    """As `engine_convergence` with damping, for means over discs of a half angle, at each of the three tilts."""
    from figures_pkg.twin.diffraction.library import library_stack

    cone, orders = _cone(convergence_mrad, spacing_mrad), _orders()
    tilts = (TILTS_MRAD[:, None] + cone).reshape(-1, 2)
    stacks = library_stack(settings, ermno3(+1)), crystal_stack(ermno3(+1), FINE_GPTS, 6)
    means = [propagate(s, tilts, list(periods), orders).reshape(3, len(cone), len(periods), -1).mean(axis=1) for s in stacks]
    note = f"largest difference {np.abs(means[0] - means[1]).max():.1e} of the beam; {len(cone)} plane waves per disc"
    name = f"library's engine, discs of {convergence_mrad:g} mrad"
    return Check(name, "itself, 6 slices, finer grid", allowance_used(*means), 1.0, "of the allowance", note)


def same_slices(gpts=(96, 104), periods=(16, 66, 123), tilt_mrad=(1.0, -3.5)):
    """Our multislice against abTEM's through the same thermally averaged slices; limit 1e-4 of the beam."""
    stack, orders = crystal_stack(ermno3(+1), gpts, 6), _orders()
    ours = propagate(stack, [tilt_mrad], list(periods), orders)[0]
    theirs, _ = abtem_engine.through_slices(stack, 200, tilt_mrad, list(periods), orders)
    note = f"to {max(periods) * 0.6112:.0f} nm, tilt ({tilt_mrad[0]:g}, {tilt_mrad[1]:g}) mrad"
    return Check("our multislice", "abTEM's, same slices", np.abs(ours - theirs).max(), 1e-4, "of the beam", note)


def bloch_waves(g_max_inv_angstrom=2.0, periods=16, slices=(16, 32)):
    """
    Our multislice against abTEM's Bloch waves: same projected potential, same beams, atoms smeared, nothing absorbed.

    A Bloch calculation has no slices, so ours is extrapolated to infinitely thin ones, linearly in their thickness.

    Parameters
    ----------
    g_max_inv_angstrom : float
        Beams up to here; the potential couples them up to twice that.
    periods : int
    slices : tuple of int
        Two numbers of slices per period, the second twice the first.
    """
    crystal = ermno3(+1)
    theirs, orders = _by_bloch_waves(crystal, g_max_inv_angstrom, periods)
    coarse, fine = (_by_thin_slices(crystal, g_max_inv_angstrom, periods, count, orders) for count in slices)
    apart = np.abs(2 * fine - coarse - theirs).max()
    note = f"{len(orders)} beams, {periods * 0.6112:.0f} nm; without the extrapolation {np.abs(fine - theirs).max():.1e}"
    return Check("our multislice, thin slices", "abTEM's Bloch waves, same potential", apart, 1e-3, "of the beam", note)


def frozen_phonons(configurations=8, periods=33, gpts=(288, 320), seed=1):
    """
    The thermally averaged transmission against abTEM's frozen phonons, on 000, 002, 00-2, 004, 00-4; limit 10 %.

    abTEM draws every atom of the slab anew and uses its own potential, whose bilinear placing of atoms needs a fine grid.
    """
    found, errors, _ = abtem_engine.frozen_phonons(ermno3(+1), gpts, 6, 200, (0.0, 0.0), [periods], MAIN_SPOTS, configurations, seed)
    average = propagate(crystal_stack(ermno3(+1), FINE_GPTS, 6), [(0, 0)], [periods], MAIN_SPOTS)[0]
    note = f"{configurations} configurations, {periods * 0.6112:.0f} nm; standard error up to {100 * (errors / average).max():.1f} %"
    return Check("averaged transmission, main spots", "abTEM's frozen phonons", np.abs(found / average - 1).max(), 0.10, "relative", note)


def _orders():
    return reflections(ermno3(+1).cell_angstrom, 1.5)[0][:, 1:] * (2, 1)


def _cone(radius_mrad, spacing_mrad):
    """Tilts on a square grid inside a disc, shape (m, 2)."""
    line = np.arange(-np.floor(radius_mrad / spacing_mrad), np.floor(radius_mrad / spacing_mrad) + 1) * spacing_mrad
    grid = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
    return grid[np.hypot(*grid.T) <= radius_mrad]


def _by_bloch_waves(crystal, g_max, periods):
    """Intensities of all beams on the zone axis, and their orders along b* and c."""
    factors = StructureFactor(abtem_engine.beam_along_z(crystal), g_max=2 * g_max, thermal_sigma=np.sqrt(crystal.u_iso), cutoff="hard")
    waves = BlochWaves(factors, 200e3, sg_max=0.11, g_max=g_max)  # the excitation error keeps the Laue rings out
    with abtem.config.set(abtem_engine.QUIET):
        found = waves.calculate_diffraction_patterns([float(periods * crystal.cell_angstrom[0])], lazy=False)
    return found.array[0], found.miller_indices[:, :2]


def _by_thin_slices(crystal, g_max, periods, slices, orders):
    """The same beams from the projected potential in thin slices, beams beyond `g_max` cut after each."""
    cell, depth = tuple(crystal.cell_angstrom[1:]), crystal.cell_angstrom[0]
    gpts = tuple(2 * int(np.ceil(2.2 * g_max * length)) for length in cell)
    g = np.hypot(*frequencies(gpts, cell))
    potential = projected_potential((crystal.symbols, crystal.positions_angstrom[:, 1:], crystal.u_iso, cell), gpts)
    potential = np.fft.ifft2(np.fft.fft2(potential) * (g <= 2 * g_max)).real / slices
    transmission = np.exp(1j * electron_constants(200)[1] * potential)
    stack = make_stack(transmission[None], cell, depth / slices, 200, np.ones(gpts, bool))
    return propagate(replace(stack, attenuation=(g <= g_max).astype(float)), [(0, 0)], [periods * slices], orders)[0, 0]
