"""What the chapter on trust alone needs."""

from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

import abtem
import numpy as np
from abtem.bloch import BlochWaves, StructureFactor
from scipy.constants import e, h, m_e
from scipy.interpolate import CubicSpline

from figures_pkg.crystal.structure import ermno3
from figures_pkg.data import units
from figures_pkg.diffraction import abtem_engine
from figures_pkg.diffraction.library import LibrarySettings, build_library, library_stack, reflections, rows_of
from figures_pkg.diffraction.multislice import atom_potential, crystal_stack, frequencies, make_stack, projected_potential, propagate, scattering_factor
from figures_pkg.twin.patterns import disc_patterns
from figures_pkg.twin.presets import load_preset

FINE_GPTS, FINE_SLICES = (144, 160), 12  # the converged run: twice the library's slices, beams to 6.8 1/angstrom
TILTS_MRAD = np.array([(0.0, 0.0), (1.0, -3.5), (-2.0, 1.0)])
PERIODS = (16, 33, 49, 66, 82, 98, 123, 147, 164)  # 10 to 100 nm
MAIN_SPOTS = np.array([(0, 0), (0, 2), (0, -2), (0, 4), (0, -4)])
FAINT, RELATIVE = 1.5e-3, 0.03  # allowance: 3 % of a reflection or 1.5e-3 of the beam, whichever is more
SIZES = {  # arguments of the slow checks: what continuous integration and a laptop can afford
    "smoke": {"engine_convergence_in_discs": {"periods": (66,), "spacing_mrad": 0.6}, "bloch_waves": {"g_max_inv_angstrom": 1.5},
              "frozen_phonons": {"configurations": 4, "periods": 16}},
    "laptop": {"engine_convergence_in_discs": {}, "bloch_waves": {"slices": (32, 64)}, "frozen_phonons": {"configurations": 12}},
}


@dataclass(frozen=True)
class Check:
    """One row of the table: what was compared with what, the largest difference, and the limit set beforehand, both in `unit`."""

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
    """Largest difference in units of what is allowed (3 % of a reflection or 1.5e-3 of the beam), over reflections above 1.5e-3 of the beam."""
    seen = reference > FAINT
    apart = np.abs(intensities - reference)[seen]
    return float((apart / np.maximum(RELATIVE * reference[seen], FAINT)).max(initial=0.0))


@cache
def _converged_run():
    """Intensities of +P (tilt, period, order) in twelve slices per period on a grid of 144 x 160 points, nothing damped."""
    return propagate(crystal_stack(ermno3(+1), FINE_GPTS, FINE_SLICES), TILTS_MRAD, list(PERIODS), _orders())


def runs_apart(stack, periods=PERIODS):
    """Allowance used (see `allowance_used`) and largest difference, per plane wave, of a `Stack` from the converged run at some of its `PERIODS`."""
    ours, finer = propagate(stack, TILTS_MRAD, list(periods), _orders()), _converged_run()[:, [PERIODS.index(period) for period in periods]]
    return allowance_used(ours, finer), float(np.abs(ours - finer).max())


def largest_error(gpts=FINE_GPTS, slices=6, periods=(16, 66, 123)):
    """Largest difference of any reflection from the converged run, on a grid and in slices of choice."""
    return runs_apart(crystal_stack(ermno3(+1), gpts, slices), periods)[1]


def engine_convergence(damped=True):
    """
    The library's multislice against a converged run of itself, by single plane waves at three tilts.

    In the library the beams of the first Laue ring are ``damped``, which blurs the ring's lines over tilt: a plane wave sees it and a disc does not.
    """
    settings, crystal = LibrarySettings(), ermno3(+1)
    stack = library_stack(settings, crystal) if damped else crystal_stack(crystal, settings.gpts, settings.slices)
    used, apart = runs_apart(stack)
    name = f"library's engine, {'ring damped' if damped else 'undamped'}, plane waves"
    return Check(name, "itself, 12 slices, finer grid", used, 1.0, "of the allowance", f"largest difference {apart:.1e} of the beam")


def engine_convergence_in_discs(convergence_mrad=1.24, periods=(66, 123), spacing_mrad=0.4):
    """As `engine_convergence` with damping, for means over discs of a half angle, at each of the three tilts."""
    steps = np.floor(convergence_mrad / spacing_mrad)
    line = np.arange(-steps, steps + 1) * spacing_mrad
    grid = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
    cone, orders = grid[np.hypot(*grid.T) <= convergence_mrad], _orders()
    tilts = (TILTS_MRAD[:, None] + cone).reshape(-1, 2)
    stacks = library_stack(LibrarySettings(), ermno3(+1)), crystal_stack(ermno3(+1), FINE_GPTS, 6)
    means = [propagate(s, tilts, list(periods), orders).reshape(3, len(cone), len(periods), -1).mean(axis=1) for s in stacks]
    note = f"largest difference {np.abs(means[0] - means[1]).max():.1e} of the beam; {len(cone)} plane waves per disc"
    name = f"library's engine, discs of {convergence_mrad:g} mrad"
    return Check(name, "itself, 6 slices, finer grid", allowance_used(*means), 1.0, "of the allowance", note)


def same_slices(gpts=(96, 104), periods=(16, 66, 123), tilt_mrad=(1.0, -3.5)):
    """Our multislice against abTEM's through the same thermally averaged slices; limit 1e-4 of the beam."""
    stack, orders = crystal_stack(ermno3(+1), gpts, 6), _orders()
    ours = propagate(stack, [tilt_mrad], list(periods), orders)[0]
    theirs = abtem_engine.through_slices(stack, 200, [tilt_mrad], list(periods), orders)[0][0]
    note = f"to {max(periods) * 0.6112:.0f} nm, tilt ({tilt_mrad[0]:g}, {tilt_mrad[1]:g}) mrad"
    return Check("our multislice", "abTEM's, same slices", np.abs(ours - theirs).max(), 1e-4, "of the beam", note)


def bloch_waves(g_max_inv_angstrom=2.0, periods=16, slices=(16, 32)):
    """
    Our multislice against abTEM's Bloch waves: same projected potential, same beams, atoms smeared, nothing absorbed.

    A Bloch calculation has no slices, so ours is extrapolated to infinitely thin ones from two numbers of slices per period, the second twice the
    first. The potential couples beams up to twice ``g_max_inv_angstrom``.
    """
    crystal = ermno3(+1)
    factors = StructureFactor(abtem_engine.beam_along_z(crystal), g_max=2 * g_max_inv_angstrom, thermal_sigma=np.sqrt(crystal.u_iso), cutoff="hard")
    waves = BlochWaves(factors, 200e3, sg_max=0.11, g_max=g_max_inv_angstrom)  # the excitation error keeps the Laue rings out
    with abtem.config.set(abtem_engine.QUIET):
        found = waves.calculate_diffraction_patterns([float(periods * crystal.cell_angstrom[0])], lazy=False)
    theirs, orders = found.array[0], found.miller_indices[:, :2]  # all beams on the zone axis, along b* and c
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
    return reflections(ermno3(+1), 1.5)[0][:, 1:] * (2, 1)


def _by_thin_slices(crystal, g_max, periods, slices, orders):
    """The same beams from the projected potential in thin slices, beams beyond `g_max` cut after each."""
    cell, depth = tuple(crystal.cell_angstrom[1:]), crystal.cell_angstrom[0]
    gpts = tuple(2 * int(np.ceil(2.2 * g_max * length)) for length in cell)
    g = np.hypot(*frequencies(gpts, cell))
    potential = projected_potential((crystal.symbols, crystal.positions_angstrom[:, 1:], crystal.u_iso, cell), gpts)
    potential = np.fft.ifft2(np.fft.fft2(potential) * (g <= 2 * g_max)).real / slices
    transmission = np.exp(1j * units.interaction_constant(200) * potential)
    stack = make_stack(transmission[None], cell, depth / slices, 200, np.ones(gpts, bool))
    return propagate(replace(stack, attenuation=(g <= g_max).astype(float)), [(0, 0)], [periods * slices], orders)[0, 0]


REPEATS = (10, 9)  # cells along b* and c: 10.6 x 10.3 nm, 0.24 mrad from pixel to pixel
ORDERS = np.array([(2 * k, l) for k in range(-3, 4) for l in range(-6, 7, 2)])
CAUSES = ("drawing", "splines", "damping of the ring", "slices and band limit", "plane waves for a probe", "all together")
MEANS = "all together, means of discs"
PROBE_SIZES = {  # of `probe_and_library`: what continuous integration and a laptop can afford; the first has the library's grid
    "smoke": {"gpts": (128, 128), "periods": (16, 65)},
    "laptop": {"gpts": (144, 160), "periods": (16, 65, 115)},
}
SETTINGS = LibrarySettings.covering((9.5, 71.0), 2.0, 2.0)  # grids and steps are the twin's


def convergent_probe(gpts=(88, 96), slices=2, periods=16, convergence_mrad=1.0, places=1):
    """
    Discs as incoherent sums of plane waves against abTEM's probe in a supercell of some cells along b* and c; limit 1e-3 of the brightest pixel.

    From 1.185 mrad on the discs touch those of the next Laue zone's faint beams, halfway between along b*, and interfere with them at the rims. The sign
    turns when the probe moves by half the cell along b*, 0.53 nm; a probe of 2 nm shows the mean, which two ``places`` give.
    """
    stack = crystal_stack(ermno3(+1), gpts, slices)
    steps, tilts = _supercell_tilts(stack, convergence_mrad)
    discs = [_through_supercell(stack, (periods,), convergence_mrad, steps, place / places)[0] for place in range(places)]
    ours = propagate(stack, tilts, [periods], ORDERS)[:, 0]
    apart = [float(np.abs(found * len(tilts) - ours).max() / ours.max()) for found in (np.mean(discs, axis=0), *discs)]
    note = f"{convergence_mrad:g} mrad, {periods * 0.6112:.0f} nm, {REPEATS[0]} × {REPEATS[1]} cells, {len(tilts)} pixels per disc"
    note += f"; mean of {places} places along b*, one alone {max(apart[1:]):.1e}" if places > 1 else ""
    return Check("discs from plane waves", "abTEM's convergent probe", apart[0], 1e-3, "of the peak", note)


def probe_and_library(gpts, periods, settings=SETTINGS, convergence_mrad=1.0):
    """
    The library, drawn by the twin's renderer, against one of abTEM's probes through six slices on a grid of choice, a row for each thickness.

    The discs are followed from the probe to the picture, one change at a time: plane waves through the same six slices for each period; the slices
    and the grid of the library; its damping; its splines; the drawing. Each of `CAUSES` is the largest difference in a pixel as a fraction of the
    brightest one, `MEANS` that between means of discs. Only pixels wholly inside a disc are compared, as the rim is sharp in one and shared out in
    the other.
    """
    crystal = ermno3(+1)
    fine = crystal_stack(crystal, gpts, 6)
    steps, tilts = _supercell_tilts(fine, convergence_mrad)
    probe = _through_supercell(fine, periods, convergence_mrad, steps) * len(tilts)
    stacks, grid = {"fine": fine, "damped": library_stack(settings, crystal)}, (settings.gpts, settings.slices)
    if grid != (gpts, 6):
        stacks["library's"] = crystal_stack(crystal, *grid)
    waves = {name: np.swapaxes(propagate(stack, tilts, list(periods), ORDERS), 0, 1) for name, stack in stacks.items()}
    library = build_library(settings, progress=False)
    rows, nm = rows_of(library.hkl), 0.1 * crystal.cell_angstrom[0] * np.asarray(periods)
    splines = library.intensities(1, nm[:, None], tilts[:, 0], tilts[:, 1])[..., [rows[0, b // 2, l] for b, l in ORDERS.tolist()]]
    stages = [_drawn(library, nm, steps, convergence_mrad), splines, waves["damped"], waves.get("library's", waves["fine"]), waves["fine"], probe]
    spacing_mrad = np.ptp(tilts, axis=0) / np.ptp(steps, axis=0)
    inside = np.hypot(*((np.abs(steps) + 0.5) * spacing_mrad).T) <= convergence_mrad  # pixels with all four corners in a disc
    found = []
    for row, thickness in enumerate(nm):
        parts = [stage[row][inside] for stage in stages]
        peak = parts[-1].max()
        apart = [float(np.abs(a - b).max() / peak) for a, b in [*zip(parts, parts[1:]), (parts[0], parts[-1])]]
        means = float(np.abs(parts[0].mean(axis=0) - parts[-1].mean(axis=0)).max() / peak)
        found.append({"thickness (nm)": float(thickness)} | dict(zip(CAUSES, apart, strict=True)) | {MEANS: means})
    return found


def library_checks(rows):
    """One `Check` for each row of `probe_and_library`: the library as drawn against the probe, limit 1e-3 of the peak."""
    checks = []
    for row in rows:
        note = f"{row['thickness (nm)']:.0f} nm; " + ", ".join(f"{cause} {row[cause]:.1g}" for cause in CAUSES[:-1])
        measured = row[CAUSES[-1]]
        checks.append(Check("library, as the twin draws it", "abTEM's convergent probe", measured, 1e-3, "of the peak", note))
    return checks


def _drawn(library, thickness_nm, steps, convergence_mrad):
    """Pixels of the renderer as intensities of plane waves, shape (t, m, n), on a detector whose raster is the supercell's."""
    middle, base = 160, load_preset("ds1")
    frame = {"shape": (2 * middle + 1,) * 2, "origin_row_col": (middle, middle)}
    frame |= {"g002_row_col": (2.0 * REPEATS[1], 0.0), "g010_row_col": (0.0, 2.0 * REPEATS[0])}
    beam = replace(base.beam, convergence_mrad=convergence_mrad)
    preset = replace(base, pattern=replace(base.pattern, **frame), beam=beam, walls="mixture")
    patterns = disc_patterns(library, preset, [[1.0, thickness, 0.0, 0.0] for thickness in thickness_nm])
    places = middle + ORDERS[None] * REPEATS + steps[:, None]  # columns along b*, rows along c
    pixel_mrad = 1e3 * units.wavelength_angstrom(200) / np.multiply(ermno3(+1).cell_angstrom[1:], REPEATS)
    pixels_per_disc = np.pi * convergence_mrad**2 / np.prod(pixel_mrad)
    return patterns[:, places[..., 1], places[..., 0]] * pixels_per_disc


def _supercell_tilts(stack, convergence_mrad):
    """Pixels of a disc as steps of the supercell's reciprocal lattice, shape (m, 2), and as tilts in mrad."""
    extent = np.multiply(stack.cell_angstrom, REPEATS)
    line = [np.arange(-n, n + 1) for n in REPEATS]
    steps = np.stack(np.meshgrid(*line, indexing="ij"), axis=-1).reshape(-1, 2)
    tilts = 1e3 * stack.wavelength_angstrom * steps / extent
    inside = np.hypot(*tilts.T) <= convergence_mrad
    return steps[inside], tilts[inside]


def _through_supercell(stack, periods, convergence_mrad, steps, along_b=0.0):
    """Pixels (t, m, n) of the discs `ORDERS` of abTEM's probe, `along_b` of a cell from the middle of a supercell, as fractions of the beam."""
    potential = np.tile(abtem_engine.complex_potential(stack, 200), (1, *REPEATS))
    extent, gpts = tuple(np.multiply(stack.cell_angstrom, REPEATS)), potential.shape[1:]
    sampling = tuple(length / n for length, n in zip(extent, gpts, strict=True))
    unit = abtem.PotentialArray(potential, slice_thickness=stack.slice_angstrom, sampling=sampling)
    with abtem.config.set(abtem_engine.SHARP | abtem_engine.QUIET):
        probe = abtem.Probe(energy=200e3, semiangle_cutoff=convergence_mrad, extent=extent, gpts=gpts, soft=False)
        place = np.divide(extent, 2) + (along_b * stack.cell_angstrom[0], 0)
        waves = abtem_engine.crystal_waves(probe.build(scan=abtem.CustomScan([place]), lazy=False), unit, periods)
    places = (ORDERS[None] * REPEATS + steps[:, None]) % gpts
    return np.abs(waves.reshape(-1, *gpts)[:, places[..., 0], places[..., 1]]) ** 2


def published_table(name):
    """Two columns of a published table: "sigma" (keV, 1e-3 rad / (V Å)), "silver" (s in 1/Å, factor in Å) or "uranium" (Å, V Å)."""
    lines = (files(__package__) / "published" / f"{name}.csv").read_text(encoding="utf-8").splitlines()[2:]
    return np.loadtxt(lines, delimiter=",", unpack=True)


def interaction_constant():
    """Relative difference of sigma from Kirkland's table, 10 to 800 keV; limit 2e-4."""
    energies, printed = published_table("sigma")
    ours = np.array([1e3 * units.interaction_constant(energy) for energy in energies])
    return Check("interaction constant, 10 to 800 keV", "Kirkland, printed table", np.abs(ours / printed - 1).max(), 2e-4, "relative")


def scattering_factor_of_silver():
    """Difference of the electron scattering factor of Ag from Doyle and Turner (1968); limit 0.02 angstrom."""
    s, printed = published_table("silver")
    per_angstrom = h**2 / (2 * np.pi * m_e * e) * 1e20  # V angstrom^2, from factor to potential
    ours = scattering_factor("Ag", (2 * s) ** 2) / per_angstrom
    note = f"{s.min():g} ≤ s ≤ {s.max():g} 1/Å"
    return Check("scattering factor of Ag", "Doyle and Turner 1968, printed table", np.abs(ours - printed).max(), 0.02, "Å", note)


def potential_of_uranium(reach_angstrom=np.inf):
    """
    Difference of the projected potential of U from Kirkland's printed curve, from 0.1 Å to a reach; limit 1 %.

    The figure's axis ends near 5000 V Å; 1 % of the curve's far end is 2 V Å, 4e-4 of that axis, which is finer than a figure can be read.
    """
    distance, printed = published_table("uranium")
    chosen = (distance > 0.1) & (distance <= reach_angstrom)
    box, points = 16.0, 1536  # Å around one atom, resolving 0.01 Å, by the code that fills the slices
    along = np.fft.ifft(atom_potential("U", (points, points), (box, box)).sum(axis=0)).real * points
    ours = CubicSpline(np.arange(1, 100) * box / points, np.log(along[1:100]))
    apart = np.exp(ours(distance[chosen])) - printed[chosen]
    ends = f"{distance[chosen].min():.2f} to {distance[chosen].max():.2f} Å"
    note = f"mean difference {apart.mean():.1f} V Å, which is {100 * abs(apart.mean()) / printed.max():.2f} % of the curve's top"
    worst = np.abs(apart / printed[chosen]).max()
    return Check(f"projected potential of U, {ends}", "Kirkland, printed curve", worst, 0.01, "relative", note)
