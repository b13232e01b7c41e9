"""Our constants and scattering factors against published tables."""

from importlib.resources import files

import numpy as np
from scipy.constants import e, h, m_e
from scipy.interpolate import CubicSpline

from figures_pkg.twin.diffraction.crosscheck import Check
from figures_pkg.twin.diffraction.potential import atom_potential, electron_constants, scattering_factor

BOX_ANGSTROM, BOX_GPTS = 16.0, 1536  # around one atom: resolves 0.01 angstrom


def published_table(name):
    """
    A published table, two columns.

    Parameters
    ----------
    name : str
        "sigma": beam energy (keV), interaction constant (1e-3 rad / (V angstrom)); "silver": s (1/angstrom), electron
        scattering factor (angstrom); "uranium": distance (angstrom), projected potential (V angstrom).

    Returns
    -------
    x, y : array, shape (n,)
    """
    path = files(__package__) / "published" / f"{name}.csv"
    if not path.is_file():
        raise ValueError(f"there is no published table {name!r}; there are sigma, silver and uranium")
    lines = path.read_text(encoding="utf-8").splitlines()[2:]
    return np.loadtxt(lines, delimiter=",", unpack=True)


def interaction_constant():
    """Relative difference of sigma from Kirkland's table, 10 to 800 keV; limit 2e-4."""
    energies, printed = published_table("sigma")
    ours = np.array([1e3 * electron_constants(energy)[1] for energy in energies])
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
    Difference of the projected potential of U from Kirkland's printed curve, beyond 0.1 angstrom; limit 1 %.

    The curve was read off a figure whose axis ends near 5000 V angstrom; 1 % of its far end is 2 V angstrom, 4e-4 of
    that axis, which is finer than a figure can be read.

    Parameters
    ----------
    reach_angstrom : float
        Points beyond this distance do not take part.
    """
    distance, printed = published_table("uranium")
    chosen = (distance > 0.1) & (distance <= reach_angstrom)
    apart = uranium(distance[chosen]) - printed[chosen]
    ends = f"{distance[chosen].min():.2f} to {distance[chosen].max():.2f} Å"
    note = f"mean difference {apart.mean():.1f} V Å, which is {100 * abs(apart.mean()) / printed.max():.2f} % of the curve's top"
    worst = np.abs(apart / printed[chosen]).max()
    return Check(f"projected potential of U, {ends}", "Kirkland, printed curve", worst, 0.01, "relative", note)


def uranium(distance_angstrom):
    """Projected potential of U at distances from its axis, V angstrom, from the code that fills the slices."""
    gpts = (BOX_GPTS, BOX_GPTS)
    along = np.fft.ifft(atom_potential("U", gpts, (BOX_ANGSTROM, BOX_ANGSTROM)).sum(axis=0)).real * BOX_GPTS
    radii = np.arange(BOX_GPTS // 2) * BOX_ANGSTROM / BOX_GPTS
    return np.exp(CubicSpline(radii[1:100], np.log(along[1:100]))(distance_angstrom))
