"""Discs judged by one full convergent probe: abTEM's, in a supercell whose reciprocal lattice is the raster of pixels.

First the principle, that a disc is a set of plane waves that do not meet; then the library as the twin draws it, with the
difference divided among its causes. Both with the probe on the zone axis, where -P is the mirror image of +P.
"""

from dataclasses import replace

import abtem
import numpy as np

from figures_pkg.twin.diffraction import abtem_engine
from figures_pkg.twin.diffraction.crosscheck import Check
from figures_pkg.twin.diffraction.library import build_library, library_stack
from figures_pkg.twin.diffraction.library_settings import LibrarySettings
from figures_pkg.twin.diffraction.multislice import crystal_stack, propagate
from figures_pkg.twin.diffraction.patterns import disc_patterns
from figures_pkg.twin.diffraction.potential import electron_constants
from figures_pkg.twin.presets import load_preset
from figures_pkg.twin.structure.crystal import ermno3

REPEATS = (10, 9)  # cells along b* and c: 10.6 x 10.3 nm, 0.24 mrad from pixel to pixel
ORDERS = np.array([(2 * k, l) for k in range(-3, 4) for l in range(-6, 7, 2)])
CAUSES = ("drawing", "splines", "damping of the ring", "slices and band limit", "plane waves for a probe", "all together")
MEANS = "all together, means of discs"
SIZES = {  # of `probe_and_library`: what continuous integration and a laptop can afford; the first has the library's grid
    "smoke": {"gpts": (128, 128), "periods": (16, 65)},
    "laptop": {"gpts": (144, 160), "periods": (16, 65, 115)},
}
SETTINGS = LibrarySettings.covering((9.5, 71.0), 2.0, 2.0)  # grids and steps are the twin's


def convergent_probe(repeats=REPEATS, gpts=(88, 96), slices=2, periods=16, convergence_mrad=1.0, places=1):
    """
    Discs as incoherent sums of plane waves against abTEM's probe in a supercell; limit 1e-3 of the brightest pixel.

    From 1.185 mrad on the discs touch those of the next Laue zone's beams, which lie halfway between the visible ones along
    b*. These beams hold next to nothing, yet they interfere at the rims with the visible ones, with a sign that turns when the probe moves by half the orthogonal cell along b*, 0.53 nm. A probe that is blurred over
    more than that, as one of 2 nm is, shows the mean, which two places give. Without touching discs one place is as good as any.

    Parameters
    ----------
    repeats : tuple of int
        Cells along b* and c; the disc's pixels lie at multiples of the supercell's reciprocal vectors.
    gpts, slices : tuple of int, int
        Of one cell; both codes use these slices.
    periods : int
    convergence_mrad : float
    places : int
        Of the probe, evenly spread over the orthogonal cell along b*; their mean is compared.
    """
    stack = crystal_stack(ermno3(+1), gpts, slices)
    steps, tilts = _supercell_tilts(stack, repeats, convergence_mrad)
    discs = [
        _through_supercell(stack, repeats, (periods,), convergence_mrad, steps, place / places)[0] for place in range(places)
    ]
    ours = propagate(stack, tilts, [periods], ORDERS)[:, 0]
    apart = [float(np.abs(found * len(tilts) - ours).max() / ours.max()) for found in (np.mean(discs, axis=0), *discs)]
    note = f"{convergence_mrad:g} mrad, {periods * 0.6112:.0f} nm, {repeats[0]} × {repeats[1]} cells, {len(tilts)} pixels per disc"
    note += f"; mean of {places} places along b*, one alone {max(apart[1:]):.1e}" if places > 1 else ""
    return Check("discs from plane waves", "abTEM's convergent probe", apart[0], 1e-3, "of the peak", note)


def probe_and_library(gpts, periods, settings=SETTINGS, convergence_mrad=1.0):
    """
    The library, drawn by the twin's renderer, against one of abTEM's probes through six slices on a grid of choice.

    The discs are followed from the probe to the picture, one change at a time: plane waves through the same six slices for
    each period; the slices and the grid of the library (six as well, so that a grid like its own shows nothing here and a
    finer one its band limit); its damping; its splines; the drawing. Only pixels that lie
    wholly inside a disc are compared, because the rim is sharp in one and shared out in the other.

    Parameters
    ----------
    gpts : tuple of int
        Grid of one cell for the probe.
    periods : sequence of int, shape (t,)
        Thicknesses, best between the nodes of the library.
    settings : LibrarySettings
        Must reach the half angle beyond zero tilt.
    convergence_mrad : float
        Below 1.185, where discs touch those of the next Laue zone (see `convergent_probe`).

    Returns
    -------
    list of dict, one for each thickness
        ``thickness (nm)`` and, for each of `CAUSES`, the largest difference in a pixel as a fraction of the brightest one;
        `MEANS` is the largest difference between means over whole discs, in the same unit.
    """
    crystal = ermno3(+1)
    fine = crystal_stack(crystal, gpts, 6)
    steps, tilts = _supercell_tilts(fine, REPEATS, convergence_mrad)
    probe = _through_supercell(fine, REPEATS, periods, convergence_mrad, steps) * len(tilts)
    stacks = fine, crystal_stack(crystal, settings.gpts, settings.slices), library_stack(settings, crystal)
    waves = [np.swapaxes(propagate(stack, tilts, list(periods), ORDERS), 0, 1) for stack in stacks]
    library = build_library(settings, progress=False)
    drawn = _drawn(library, periods, steps, convergence_mrad)
    stages = [drawn, _interpolated(library, periods, tilts), *waves[::-1], probe]
    inside = _whole_pixels(steps, np.ptp(tilts, axis=0) / np.ptp(steps, axis=0), convergence_mrad)
    return [_parted(period, [stage[row][inside] for stage in stages]) for row, period in enumerate(periods)]


def library_checks(rows):
    """One `Check` for each row of `probe_and_library`: the library as drawn against the probe, limit 1e-3 of the peak."""
    checks = []
    for row in rows:
        note = f"{row['thickness (nm)']:.0f} nm; " + ", ".join(f"{cause} {row[cause]:.1g}" for cause in CAUSES[:-1])
        measured = row[CAUSES[-1]]
        checks.append(Check("library, as the twin draws it", "abTEM's convergent probe", measured, 1e-3, "of the peak", note))
    return checks


def _parted(period, stages):
    """Largest difference from each stage to the next and from the first to the last, in units of the brightest pixel."""
    peak = stages[-1].max()
    pairs = [*zip(stages, stages[1:]), (stages[0], stages[-1])]
    apart = [float(np.abs(a - b).max() / peak) for a, b in pairs]
    means = float(np.abs(stages[0].mean(axis=0) - stages[-1].mean(axis=0)).max() / peak)
    thickness = 0.1 * period * ermno3(+1).cell_angstrom[0]
    return {"thickness (nm)": thickness} | dict(zip(CAUSES, apart, strict=True)) | {MEANS: means}


def _interpolated(library, periods, tilts):
    """The library's splines read at the pixels' tilts, shape (t, m, n)."""
    order = {tuple(row): index for index, row in enumerate(library.hkl.tolist())}
    chosen = [order[0, b // 2, l] for b, l in ORDERS.tolist()]
    nm = 0.1 * ermno3(+1).cell_angstrom[0] * np.asarray(periods)[:, None]
    return library.intensities(1, nm, tilts[:, 0], tilts[:, 1])[..., chosen]


def _drawn(library, periods, steps, convergence_mrad):
    """Pixels of the renderer as intensities of plane waves, shape (t, m, n), on a detector whose raster is the supercell's."""
    middle, base = 160, load_preset("ds1")
    frame = {"shape": (2 * middle + 1,) * 2, "origin_row_col": (middle, middle)}
    frame |= {"g002_row_col": (2.0 * REPEATS[1], 0.0), "g010_row_col": (0.0, 2.0 * REPEATS[0])}
    beam = replace(base.beam, convergence_mrad=convergence_mrad)
    preset = replace(base, pattern=replace(base.pattern, **frame), beam=beam, walls="mixture")
    nm = 0.1 * ermno3(+1).cell_angstrom[0]
    patterns = disc_patterns(library, preset, [[1.0, nm * period, 0.0, 0.0] for period in periods])
    places = middle + ORDERS[None] * REPEATS + steps[:, None]  # columns along b*, rows along c
    pixel_mrad = 1e3 * electron_constants(200)[0] / np.multiply(ermno3(+1).cell_angstrom[1:], REPEATS)
    pixels_per_disc = np.pi * convergence_mrad**2 / np.prod(pixel_mrad)
    return patterns[:, places[..., 1], places[..., 0]] * pixels_per_disc


def _whole_pixels(steps, spacing_mrad, convergence_mrad):
    """Which pixels of a disc lie inside it with all four corners, shape (m,)."""
    return np.hypot(*((np.abs(steps) + 0.5) * spacing_mrad).T) <= convergence_mrad


def _supercell_tilts(stack, repeats, convergence_mrad):
    """Pixels of a disc as steps of the supercell's reciprocal lattice, shape (m, 2), and as tilts in mrad."""
    extent = np.multiply(stack.cell_angstrom, repeats)
    line = [np.arange(-n, n + 1) for n in repeats]
    steps = np.stack(np.meshgrid(*line, indexing="ij"), axis=-1).reshape(-1, 2)
    tilts = 1e3 * stack.wavelength_angstrom * steps / extent
    inside = np.hypot(*tilts.T) <= convergence_mrad
    return steps[inside], tilts[inside]


def _through_supercell(stack, repeats, periods, convergence_mrad, steps, along_b=0.0):
    """Pixels (t, m, n) of the discs `ORDERS` of abTEM's probe behind repeated slices, fractions of the incident beam.

    The probe stands in the middle of the supercell, and `along_b` of a cell further along b*.
    """
    potential = np.tile(abtem_engine.complex_potential(stack, 200), (1, *repeats))
    extent, gpts = tuple(np.multiply(stack.cell_angstrom, repeats)), potential.shape[1:]
    sampling = tuple(length / n for length, n in zip(extent, gpts, strict=True))
    unit = abtem.PotentialArray(potential, slice_thickness=stack.slice_angstrom, sampling=sampling)
    with abtem.config.set(abtem_engine.SHARP | abtem_engine.QUIET):
        probe = abtem.Probe(energy=200e3, semiangle_cutoff=convergence_mrad, extent=extent, gpts=gpts, soft=False)
        slab = abtem_engine.repeated(unit, periods)
        place = np.divide(extent, 2) + (along_b * stack.cell_angstrom[0], 0)
        waves = probe.multislice(slab, scan=abtem.CustomScan([place]), lazy=False).array
    places = (ORDERS[None] * repeats + steps[:, None]) % gpts
    return np.abs(np.fft.fft2(waves.reshape(-1, *gpts))[:, places[..., 0], places[..., 1]]) ** 2
