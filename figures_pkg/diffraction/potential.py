"""Projected potentials and thermally averaged transmission functions, exact in Fourier space.

Scattering factors come from abTEM, which is imported only where a potential is made: its import takes seconds. Atoms are placed
by exact Fourier phases; placing them by bilinear weights on the grid, as is common, blurs the potential by an amount that
depends on the position inside a pixel.

Thermal average. With independent vibrations the coherent wave sees the mean transmission <exp(i sigma V)>, a product over
atoms of exp(i sigma v_a) smeared by that atom's Gaussian. Its modulus is below one: what is missing went into thermal
diffuse scattering. A Debye-Waller factor on the potential alone would keep that intensity in the Bragg beams.
"""

from functools import cache, lru_cache

import numpy as np
import scipy.fft

from figures_pkg.data.units import interaction_constant

FINE_INV_ANGSTROM = 60.0  # of one atom at rest: the cusp of exp(i sigma v_a) converges slowly (30 leaves 3e-3 at 100 nm)


@cache
def _lobato_parameters(symbol):
    from abtem.core.constants import kappa
    from abtem.parametrizations import LobatoParametrization

    heights, widths = np.array(LobatoParametrization().parameters[symbol])
    return heights / kappa, widths


def scattering_factor(symbol, k2, table="lobato"):
    """Fourier transform of one atom's potential, in V angstrom^3, at squared frequencies `k2` in 1/angstrom^2.

    Tables: "lobato", Lobato and Van Dyck, Acta Cryst. A70, 636 (2014), eq. 16, times h^2 / (2 pi m e); or "kirkland", Kirkland,
    Advanced Computing in Electron Microscopy, for comparison.
    """
    if table == "kirkland":
        from abtem.parametrizations import KirklandParametrization

        return np.asarray(KirklandParametrization().projected_scattering_factor(symbol)(k2))
    if table != "lobato":
        raise ValueError(f"there is no table {table!r} of scattering factors; choose 'lobato' or 'kirkland'")
    terms = zip(*_lobato_parameters(symbol), strict=True)
    return sum(height * (2 + width * k2) / (1 + width * k2) ** 2 for height, width in terms)


def frequencies(gpts, cell_angstrom):
    """Spatial frequencies of a periodic grid, 1/angstrom: two arrays that broadcast to `gpts`."""
    kb, kc = (np.fft.fftfreq(n, length / n) for n, length in zip(gpts, cell_angstrom, strict=True))
    return kb[:, None], kc[None, :]


def largest_circle(gpts, cell_angstrom):
    """Which frequencies of a grid lie inside the largest circle on it, shape `gpts`."""
    kb, kc = frequencies(gpts, cell_angstrom)
    return kb**2 + kc**2 < min(n / length for n, length in zip(gpts, cell_angstrom, strict=True)) ** 2 / 4


def atom_potential(symbol, gpts, cell_angstrom, u_iso=0.0, table="lobato"):
    """Fourier coefficients of one projected atom at the origin, in V angstrom (smeared by `u_iso` if given)."""
    kb, kc = frequencies(gpts, cell_angstrom)
    k2 = kb**2 + kc**2
    return scattering_factor(symbol, k2, table) / np.prod(cell_angstrom) * np.exp(-2 * np.pi**2 * u_iso * k2)


def place(coefficients, positions_angstrom, cell_angstrom):
    """Fourier coefficients of copies of one object at `positions_angstrom`, shape (n, 2), by exact phases."""
    kb, kc = frequencies(coefficients.shape, cell_angstrom)
    b, c = positions_angstrom.T
    phases = np.exp(-2j * np.pi * kb * b).T[:, :, None] * np.exp(-2j * np.pi * kc.T * c).T[:, None, :]
    return coefficients * phases.sum(axis=0)


def projected_potential(columns, gpts):
    """Static projected potential with Debye-Waller factors, without absorption, in V angstrom.

    `columns` are symbols, places (n, 2) in angstrom, u_iso (n,) in squared angstrom and the cell's edges along b* and c.
    """
    symbols, positions, u_iso, cell = columns
    total = np.zeros(gpts, complex)
    for (symbol, u), where in _kinds(symbols, u_iso).items():
        total += place(atom_potential(symbol, gpts, cell, u), positions[where], cell)
    return np.prod(gpts) * np.fft.ifft2(total).real


def log_transmission(columns, gpts, energy_kev, table="lobato"):
    """Logarithm of the thermally averaged transmission <exp(i sigma V)>: real part <= 0 (thermal losses), imaginary part sigma V.

    It is additive over atoms; a slice that holds 1/m of a period has 1/m of it. `columns` are as in `projected_potential`, `gpts` the points of an
    oversampled grid.
    """
    symbols, positions, u_iso, cell = columns
    total = np.zeros(gpts, complex)
    kb, kc = frequencies(gpts, cell)
    for (symbol, u), where in _kinds(symbols, u_iso).items():
        at_rest = _atom_transmission(symbol, tuple(gpts), tuple(cell), energy_kev, table)
        smeared = at_rest * np.exp(-2 * np.pi**2 * float(u) * (kb**2 + kc**2))
        for position in positions[where]:
            total += np.log(1 + np.prod(gpts) * np.fft.ifft2(place(smeared, position[None], cell)))
    return total


def _kinds(symbols, u_iso):
    """Indices of the atoms that share element and displacement."""
    kinds = {}
    for index, kind in enumerate(zip(symbols, u_iso, strict=True)):
        kinds.setdefault(kind, []).append(index)
    return kinds


@lru_cache(maxsize=8)
def _atom_transmission(symbol, gpts, cell, energy_kev, table):
    """Fourier coefficients of exp(i sigma v_a) - 1 for one atom at rest, from a fine grid, cropped to `gpts`."""
    wanted = [max(n, int(np.ceil(2 * FINE_INV_ANGSTROM * length))) for n, length in zip(gpts, cell, strict=True)]
    fine = tuple(map(scipy.fft.next_fast_len, wanted))
    potential = np.prod(fine) * scipy.fft.ifft2(atom_potential(symbol, fine, cell, table=table)).real
    coefficients = scipy.fft.fft2(np.expm1(1j * interaction_constant(energy_kev) * potential)) / np.prod(fine)
    return fourier_crop(coefficients, gpts)


def fourier_crop(coefficients, gpts):
    """Keep the Fourier coefficients of the lowest frequencies, as many as a coarser grid of `gpts` holds."""
    for axis, n in enumerate(gpts):
        index = np.fft.fftfreq(n, 1 / n).astype(int)
        coefficients = np.take(coefficients, index, axis=axis)
    return coefficients
