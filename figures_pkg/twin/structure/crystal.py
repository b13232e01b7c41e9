"""The crystal: ErMnO3 in either polarization, laid out for a beam along [100].

Axes. x runs along the beam (direct axis a), y along b* and z along c. In these axes the hexagonal lattice has the
orthogonal cell (a, sqrt(3) a, c) with 60 atoms; it is centred by (a/2, sqrt(3) a/2, 0), so that the structure projected
along the beam repeats already after b = sqrt(3) a/2 = 5.293 angstrom. That half cell holds 30 columns.

Sign of P. The standard setting of P6_3cm, with Er1 (2a) above Er2 (4b), is down-down-up, which the paper calls -P (its
Fig. 1a). Its inverse is +P.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
import yaml


@dataclass(frozen=True)
class Crystal:
    """Atoms of one orthogonal cell.

    Attributes
    ----------
    symbols : tuple of str, length n
    positions_angstrom : array, shape (n, 3)
        Along the beam, b* and c; the origin is that of the standard setting.
    u_iso : array, shape (n,)
        Mean squared displacement along one direction, in squared angstrom.
    cell_angstrom : array, shape (3,)
        Edges along the beam, b* and c.
    """

    symbols: tuple
    positions_angstrom: np.ndarray
    u_iso: np.ndarray
    cell_angstrom: np.ndarray


# Twelve operations of P6_3cm (International Tables, no. 185): rotation in the hexagonal basis, and c/2 or not.
_SYMMETRY = (
    ([[1, 0], [0, 1]], 0), ([[0, -1], [1, -1]], 0), ([[-1, 1], [-1, 0]], 0),
    ([[-1, 0], [0, -1]], 1), ([[0, 1], [-1, 1]], 1), ([[1, -1], [1, 0]], 1),
    ([[0, -1], [-1, 0]], 1), ([[-1, 1], [0, 1]], 1), ([[1, 0], [1, -1]], 1),
    ([[0, 1], [1, 0]], 0), ([[1, -1], [0, -1]], 0), ([[-1, 0], [-1, 1]], 0),
)  # fmt: skip


@cache
def structure():
    """The structure table with its provenance, as read from ``ermno3.yaml``."""
    return yaml.safe_load(files(__package__).joinpath("ermno3.yaml").read_text(encoding="utf-8"))


def sense_of(polarization):
    """Sign that the tabulated coordinates take for a state: 1 for the state of the table, -1 for its inverse."""
    if polarization not in (1, -1):
        raise ValueError(f"polarization is +1 (up-up-down) or -1 (down-down-up), got {polarization!r}")
    return 1 if polarization == structure()["polarization"] else -1


def ermno3(polarization=1):
    """ErMnO3 in the orthogonal cell for a beam along [100].

    Parameters
    ----------
    polarization : int
        +1 (up-up-down) or -1 (the standard setting, down-down-up).

    Returns
    -------
    crystal : Crystal
        60 atoms in a cell of 6.112 x 10.586 x 11.420 angstrom.

    Raises
    ------
    ValueError
        If `polarization` is neither +1 nor -1.
    """
    table, sense = structure(), sense_of(polarization)
    symbols, fractional, u_iso = [], [], []
    for site in table["sites"]:
        orbit = _orbit(site["xyz"])
        symbols += [site["symbol"]] * len(orbit)
        u_iso += [site["u_iso"]] * len(orbit)
        fractional.append(orbit)
    fractional = sense * np.concatenate(fractional)
    positions, cell = _orthogonal(fractional, table["a_angstrom"], table["c_angstrom"])
    return Crystal(tuple(symbols) * 2, positions, np.tile(u_iso, 2), cell)


def _orbit(xyz):
    """All positions equivalent to `xyz` in one hexagonal cell, shape (multiplicity, 3), each once."""
    images = [[*(np.array(rotation) @ xyz[:2]), xyz[2] + screw / 2] for rotation, screw in _SYMMETRY]
    unique = []
    for image in np.mod(images, 1.0):
        distance = [np.abs((image - other + 0.5) % 1 - 0.5).max() for other in unique]
        if not distance or min(distance) > 1e-6:
            unique.append(image)
    return np.array(unique)


def _orthogonal(fractional, a, c):
    """Hexagonal fractions to two copies in the orthogonal cell, in angstrom along (a, b*, c)."""
    height = np.sqrt(3) / 2 * a
    cell = np.array([a, 2 * height, c])
    once = fractional @ np.array([[a, 0, 0], [-a / 2, height, 0], [0, 0, c]])
    both = np.concatenate([once, once + [a / 2, height, 0]])
    return (both + 1e-9) % cell - 1e-9, cell  # rounding errors must not send an atom of the first layer to the last


def projected_columns(crystal):
    """Atoms of the half cell that the projection along the beam repeats.

    Returns
    -------
    symbols : tuple of str, length n/2
    positions_angstrom : array, shape (n/2, 2)
        Along b* and c.
    u_iso : array, shape (n/2,)
    cell_angstrom : array, shape (2,)
        5.293 x 11.420 for ErMnO3.
    """
    half = len(crystal.symbols) // 2
    cell = crystal.cell_angstrom[1:] / (2, 1)
    return crystal.symbols[:half], crystal.positions_angstrom[:half, 1:] % cell, crystal.u_iso[:half], cell
