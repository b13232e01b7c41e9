"""What the chapter on Fig. 4 alone needs: three definitions of the difference of two patterns, and both domains by abTEM.

Discs. While discs lie apart, each point of a disc belongs to a plane wave of its own direction. abTEM carries plane waves on
a square grid of tilts through the thermally averaged slices, and a cubic spline fills the disc between them. Tilts along -b*
follow from the mirror plane that holds the beam and c. Each polarization is simulated; none is inferred from the other.

Between the discs. Frozen phonons (Loane, Xu and Silcox, Acta Cryst. A47, 267 (1991)) in a supercell: the beams that are no
reflections of the crystal hold thermal diffuse scattering alone. It varies little over the cone, so that it is simulated for
the central wave, averaged over the mirror image and over a disc. Atoms move independently, so there are no phonon streaks.
"""

from dataclasses import asdict, dataclass

import numpy as np
from scipy.ndimage import convolve, gaussian_filter, map_coordinates

from figures_pkg.crystal.structure import ermno3, structure
from figures_pkg.data.units import disc_radius
from figures_pkg.diffraction.abtem_engine import displaced_slab, exit_waves, through_slices
from figures_pkg.diffraction.discs import disc_kernel
from figures_pkg.diffraction.library import Library, permutation, reflections, spline_coefficients
from figures_pkg.diffraction.multislice import crystal_stack
from figures_pkg.imaging.difference import comparable, like, pearson_map
from figures_pkg.twin.patterns import disc_pattern
from figures_pkg.workspace import stored_arrays


def difference_maps(a, b, *, sigma_px=4.0):
    """
    Maps of the difference between two patterns of one shape under three definitions: "pearson", "window" and "ratio".

    All are symmetric in the patterns; only "ratio" changes when one is offset. ``sigma_px`` is the width of the window, a disc radius or a little less.
    """
    return {"pearson": pearson_map(a, b), "window": window_map(a, b, sigma_px), "ratio": ratio_map(a, b)}


def window_map(a, b, sigma_px, floor=1e-3):
    """
    One minus the correlation coefficient inside a Gaussian window around each pixel ("D1"), from 0 to 2.

        delta(q) = 1 − (cov_w(a, b) + e²) / sqrt((var_w(a) + e²) (var_w(b) + e²)),   e = floor (patterns in units of their mean),

    with cov_w and var_w formed with the window's weights around q. It sees a change of shape, such as a disc whose filling
    moves from one side to the other, and is blind to a change of the strength of a disc. The small e² takes it to zero where
    neither pattern varies; where noise is larger than e, it is 1, because noise is not correlated.
    """
    first, second = (pattern / pattern.mean() for pattern in comparable(a, b))
    mean_a, mean_b, square_a, square_b, product = (gaussian_filter(each, sigma_px) for each in (first, second, first**2, second**2, first * second))
    spread_a = np.maximum(square_a - mean_a**2, 0) + floor**2
    spread_b = np.maximum(square_b - mean_b**2, 0) + floor**2
    delta = 1 - (product - mean_a * mean_b + floor**2) / np.sqrt(spread_a * spread_b)
    return like(a, np.clip(delta, 0, 2), "1 - windowed r")


def ratio_map(a, b, floor=1e-3):
    """
    Relative difference of the two patterns scaled to one mean ("D2"), from 0 to below 1.

        delta(q) = |a − b| / (a + b + e),   e = floor (patterns in units of their mean).

    A faint reflection that doubles counts as much as a bright one that does; with noise, empty pixels count too, which a
    larger `floor` prevents.
    """
    first, second = (pattern / pattern.mean() for pattern in comparable(a, b))
    return like(a, np.abs(first - second) / (first + second + floor), "|a - b| / (a + b)")


@dataclass(frozen=True)
class AbtemSettings:
    """Settings of :func:`load_or_simulate`."""

    thickness_nm: float
    convergence_mrad: float
    energy_kev: float = 200.0
    tilts_across: int = 7  # plane waves across a disc, an odd number of at least 5
    slices: int = 6  # per period: six are converged, two merge neighbouring layers; frozen phonons take two
    gpts: tuple = (100, 108)  # along b* and c; these reach 4.7 1/Å
    g_max_inv_angstrom: float = 1.5
    supercell: int = 3  # cells along each direction for frozen phonons
    configurations: int = 3  # slabs of displaced atoms, of which the mean is taken
    seed: int = 0
    phonon_gpts: tuple = (100, 108)


@dataclass(frozen=True)
class AbtemState:
    """One polarization as abTEM sees it."""

    discs: Library  # of plane waves over the cone; its slot of +P holds this state, whichever it is
    diffuse: np.ndarray  # (n_b, n_c): mean intensity of the supercell's beams in Fourier order, at reflections that of the neighbours


def load_or_simulate(path, settings):
    """Both domains by abTEM, ``{+1: state, -1: state}``, stored at ``path`` (.npz), computed anew when settings or the code behind them differ."""
    stored = stored_arrays(path, _simulated, [asdict(settings), structure()], lambda: _simulated(settings))
    hkl, periods, tilts = _axes(settings)
    g_b, g_c = reflections(ermno3(+1), settings.g_max_inv_angstrom)[1:]
    axes = (periods * ermno3(+1).cell_angstrom[0] / 10, tilts, tilts)
    waves = {sign: spline_coefficients(stored[f"discs{sign:+d}"]) for sign in (+1, -1)}
    return {sign: AbtemState(Library(hkl, g_b, g_c, *axes, waves[sign], settings.energy_kev), stored[f"diffuse{sign:+d}"]) for sign in waves}


def _simulated(settings):
    return {f"{name}{sign:+d}": simulate(settings, sign) for sign in (+1, -1) for name, simulate in (("discs", simulate_discs), ("diffuse", simulate_diffuse))}


def simulate_discs(settings, polarization):
    """Intensities for plane waves over the square around the cone, shape (tilts, tilts, 4, n); the 4 are thicknesses."""
    crystal = ermno3(polarization)
    stack = crystal_stack(crystal, settings.gpts, settings.slices, settings.energy_kev)
    hkl, periods, tilts = _axes(settings)
    half = np.stack(np.meshgrid(tilts[len(tilts) // 2 :], tilts, indexing="ij"), axis=-1)
    found, _ = through_slices(stack, settings.energy_kev, half.reshape(-1, 2), periods.tolist(), hkl[:, 1:] * (2, 1))
    found = found.reshape(*half.shape[:2], len(periods), len(hkl)).astype(np.float32)
    return np.concatenate([found[:0:-1][..., permutation(hkl, (1, -1, 1))], found])


def simulate_diffuse(settings, polarization):
    """Intensity of the beams between the reflections, shape as in `AbtemState`; draws its own displacements."""
    crystal, n = ermno3(polarization), settings.supercell
    repeats, gpts = (n, n, int(_axes(settings)[1][-2])), tuple(n * points for points in settings.phonon_gpts)
    seeds = np.random.SeedSequence([settings.seed, polarization > 0]).generate_state(settings.configurations)
    slabs = (displaced_slab(crystal, repeats, gpts, 2, int(seed)) for seed in seeds)  # two slices per period
    total = sum(np.abs(exit_waves(slab, settings.energy_kev).reshape(gpts)) ** 2 for slab in slabs) / len(seeds)
    total[::n, ::n] = np.nan
    around = [np.roll(total, shift, axis) for shift in (1, -1) for axis in (0, 1)]
    total[::n, ::n] = np.mean(around, axis=0)[::n, ::n]
    return (total + np.roll(total[::-1], 1, axis=0)) / 2


def abtem_pattern(state, preset, settings):
    """The pattern of one domain on the detector of a preset, discs and diffuse scattering without noise and blur, (det_y, det_x), fractions of the beam."""
    if preset.beam.convergence_mrad != settings.convergence_mrad:
        both = f"{preset.beam.convergence_mrad:g} mrad and the settings {settings.convergence_mrad:g} mrad"
        raise ValueError(f"the preset has a convergence of {both}; take the preset's value for both")
    return disc_pattern(state.discs, preset, +1, settings.thickness_nm) + diffuse_pattern(state.diffuse, preset, settings)


def diffuse_pattern(diffuse, preset, settings):
    """Diffuse scattering per pixel of the detector of a preset, (det_y, det_x), fractions of the beam."""
    p, n = preset.pattern, settings.supercell
    to_pixels = np.array([np.divide(p.g010_row_col, 2 * n), np.divide(p.g002_row_col, 2 * n)]).T  # of one beam
    away = np.indices(p.shape).reshape(2, -1) - np.reshape(p.origin_row_col, (2, 1))
    beams = np.linalg.solve(to_pixels, away) + np.reshape(diffuse.shape, (2, 1)) // 2
    per_pixel = map_coordinates(np.fft.fftshift(diffuse), beams, order=1).reshape(p.shape) / abs(np.linalg.det(to_pixels))
    disc = disc_kernel(disc_radius(settings.convergence_mrad, settings.energy_kev) / p.scale_inv_angstrom)
    return convolve(per_pixel, disc, mode="nearest")


def _axes(settings):
    """Reflections, four thicknesses in periods of which the last but one is the asked one, and tilts of either direction."""
    crystal = ermno3(+1)
    count, last = settings.tilts_across, round(10 * settings.thickness_nm / crystal.cell_angstrom[0])
    if count < 5 or count % 2 == 0 or last < 3:
        raise ValueError(f"{count} tilts and {settings.thickness_nm:g} nm given; expected an odd number of at least 5 tilts and 3 periods, 1.9 nm")
    edge = settings.convergence_mrad
    return reflections(crystal, settings.g_max_inv_angstrom)[0], np.arange(last - 2, last + 2), np.linspace(-edge, edge, count)
