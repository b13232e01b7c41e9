"""How far the polar structure lies from its non-polar middle, and the dipole of formal charges that follows.

The two polarizations are mirror images in the plane across c. Halfway between a structure and its image lies a structure
that is its own image and has no dipole along c; displacements count from there. With the coordinates' origin on a layer of
Mn, as in the standard setting, the mirror z -> -z meets every atom close to an atom of the same element.
"""

import numpy as np
from scipy import constants

FORMAL_CHARGES = {"Er": 3, "Mn": 3, "O": -2}  # in elementary charges


def mirror_displacements(crystal):
    """Places of the atoms counted from the non-polar middle between the crystal and its mirror image.

    Parameters
    ----------
    crystal : Crystal
        Orthogonal cell with a layer of Mn at height 0.

    Returns
    -------
    displacements : array, shape (n, 3)
        In angstrom along the beam, b* and c.

    Raises
    ------
    ValueError
        If the mirror image of an atom meets no atom of its element within 1 angstrom.
    """
    positions, cell = crystal.positions_angstrom, np.asarray(crystal.cell_angstrom)
    symbols = np.asarray(crystal.symbols)
    away = positions[:, None] - positions * [1, 1, -1]
    away -= cell * np.round(away / cell)
    distance = np.linalg.norm(away, axis=2)
    distance[symbols[:, None] != symbols] = np.inf
    partner = distance.argmin(axis=1)
    atoms = np.arange(len(positions))
    if distance[atoms, partner].max() > 1:
        raise ValueError(f"an atom lies {distance[atoms, partner].max():.2f} angstrom from its mirror image; put the origin on a Mn layer")
    return away[atoms, partner] / 2


def polar_displacements(crystal):
    """Heights of the atoms above the non-polar middle, in angstrom, shape (n,); the last column of `mirror_displacements`."""
    return mirror_displacements(crystal)[:, 2]


def formal_polarization(crystal, charges=None):
    """Dipole of formal charges for each volume, along c.

    An estimate of sign and size, not a Berry phase: in a crystal the charges are shared and flow as the bonds bend.

    Parameters
    ----------
    crystal : Crystal
        Orthogonal cell with a layer of Mn at height 0.
    charges : dict, optional
        Elementary charges by element; Er3+, Mn3+ and O2- by default. They must add up to zero.

    Returns
    -------
    polarization : float
        In microcoulomb per square centimetre, positive along +c.
    """
    charges = FORMAL_CHARGES if charges is None else charges
    charge = np.array([charges[symbol] for symbol in crystal.symbols], float)
    if abs(charge.sum()) > 1e-9:
        raise ValueError(f"the charges add up to {charge.sum():g}, so the dipole would depend on the origin; choose a neutral set")
    dipole = charge @ polar_displacements(crystal) / np.prod(crystal.cell_angstrom)  # e per square angstrom
    return float(dipole * constants.e * 1e20 * 1e6 / 1e4)
