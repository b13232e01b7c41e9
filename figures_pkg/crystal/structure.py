"""Crystals in orthogonal cells, and ErMnO3 in either polarization laid out for a beam along [100].

Axes. x runs along the beam, y and z across it: b* and c for ErMnO3. In these axes its hexagonal lattice has the orthogonal cell
(a, sqrt(3) a, c) with 60 atoms; it is centred by (a/2, sqrt(3) a/2, 0), so that the structure projected along the beam repeats
already after b = sqrt(3) a/2 = 5.293 angstrom. That half cell holds 30 columns.

Sign of P. The standard setting of P6_3cm, with Er1 (2a) above Er2 (4b), is down-down-up, which the paper calls -P (its
Fig. 1a). Its inverse is +P. The two are mirror images in the plane across c. Halfway between a structure and its image lies a
structure that is its own image and has no dipole along c; polar displacements count from there.
"""

from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

import numpy as np
import yaml
from scipy import constants

FORMAL_CHARGES = {"Er": 3, "Mn": 3, "O": -2}  # in elementary charges


@dataclass(frozen=True)
class Crystal:
    """Atoms of one orthogonal cell, and how its reflections 0kl are numbered."""

    symbols: tuple
    positions_angstrom: np.ndarray  #: (n, 3) along the beam, b* and c; the origin is that of the standard setting
    u_iso: np.ndarray  #: (n,) mean squared displacement along one direction, squared angstrom
    cell_angstrom: np.ndarray  #: (3,) edges along the beam, b* and c
    index_steps: tuple = (1, 1)  #: in which k and l occur: (1, 2) for ErMnO3, whose glide plane extinguishes odd l
    orders_per_index: tuple = (1, 1)  #: of the cell, that one unit of k and l makes: (2, 1) for ErMnO3, numbered as its hexagonal cell

    @property
    def period_nm(self) -> float:
        """Period along the beam."""
        return self.cell_angstrom[0] / 10


# Twelve operations of P6_3cm (International Tables, no. 185): rotation in the hexagonal basis, and c/2 or not.
SYMMETRY = (
    ([[1, 0], [0, 1]], 0), ([[0, -1], [1, -1]], 0), ([[-1, 1], [-1, 0]], 0),
    ([[-1, 0], [0, -1]], 1), ([[0, 1], [-1, 1]], 1), ([[1, -1], [1, 0]], 1),
    ([[0, -1], [-1, 0]], 1), ([[-1, 1], [0, 1]], 1), ([[1, 0], [1, -1]], 1),
    ([[0, 1], [1, 0]], 0), ([[1, -1], [0, -1]], 0), ([[-1, 0], [-1, 1]], 0),
)  # fmt: skip


@cache
def structure() -> dict:
    """The structure table with its provenance, as read from ``ermno3.yaml``."""
    return yaml.safe_load(files(__package__).joinpath("ermno3.yaml").read_text(encoding="utf-8"))


def sense_of(polarization: int) -> int:
    """Sign that the tabulated coordinates take for a state: 1 for the state of the table, -1 for its inverse."""
    if polarization not in (1, -1):
        raise ValueError(f"polarization is +1 (up-up-down) or -1 (down-down-up), got {polarization!r}")
    return 1 if polarization == structure()["polarization"] else -1


def ermno3(polarization: int = 1) -> Crystal:
    """ErMnO3, +1 (up-up-down) or -1 (the standard setting, down-down-up), for a beam along [100]: 60 atoms in 6.112 x 10.586 x 11.420 angstrom."""
    table, sense, symbols, fractions, u_iso = structure(), sense_of(polarization), [], [], []
    for site in table["sites"]:
        first, (x, y, z) = len(fractions), site["xyz"]
        for image in np.mod([[*(np.array(rotation) @ (x, y)), z + screw / 2] for rotation, screw in SYMMETRY], 1.0):
            if all(np.abs((image - other + 0.5) % 1 - 0.5).max() > 1e-6 for other in fractions[first:]):  # each place once
                symbols.append(site["symbol"])
                fractions.append(image)
                u_iso.append(site["u_iso"])
    return manganite(symbols, sense * np.array(fractions), u_iso, table["a_angstrom"], table["c_angstrom"])


def manganite(symbols, fractions, u_iso, a_angstrom: float, c_angstrom: float) -> Crystal:
    """The atoms of a hexagonal cell, fractions of shape (30, 3), as a `Crystal` of two such cells for a beam along [100]."""
    height = np.sqrt(3) / 2 * a_angstrom
    cell = np.array([a_angstrom, 2 * height, c_angstrom])
    once = fractions @ np.array([[a_angstrom, 0, 0], [-a_angstrom / 2, height, 0], [0, 0, c_angstrom]])
    both = np.concatenate([once, once + [a_angstrom / 2, height, 0]])
    positions = (both + 1e-9) % cell - 1e-9  # rounding errors must not send an atom of the first layer to the last
    return Crystal(tuple(symbols) * 2, positions, np.tile(u_iso, 2), cell, index_steps=(1, 2), orders_per_index=(2, 1))


def mirror_displacements(crystal: Crystal) -> np.ndarray:
    """Places of the atoms counted from the non-polar middle between the crystal, with Mn at height 0, and its mirror image, angstrom, shape (n, 3)."""
    away, _ = ways_from_places(crystal, crystal.positions_angstrom * [1, 1, -1])
    farthest = np.linalg.norm(away, axis=1).max()
    if farthest > 1:
        raise ValueError(f"an atom lies {farthest:.2f} angstrom from its mirror image; put the origin on a Mn layer")
    return away / 2


def ways_from_places(crystal: Crystal, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Way (n, 3) in angstrom to each atom from the nearest of `places` (n, 3), in the order of the crystal's elements, and which one that is."""
    cell, symbols = np.asarray(crystal.cell_angstrom), np.asarray(crystal.symbols)
    away = crystal.positions_angstrom[:, None] - places
    away -= cell * np.round(away / cell)
    distance = np.where(symbols[:, None] == symbols, np.linalg.norm(away, axis=2), np.inf)
    nearest = distance.argmin(axis=1)
    return away[np.arange(len(away)), nearest], nearest


def polar_displacements(crystal: Crystal) -> np.ndarray:
    """Heights of the atoms above the non-polar middle, in angstrom, shape (n,); the last column of `mirror_displacements`."""
    return mirror_displacements(crystal)[:, 2]


def formal_polarization(crystal: Crystal, charges: dict | None = None) -> float:
    """Dipole of formal charges for each volume, in microcoulomb per square centimetre, positive along +c; no Berry phase, so an estimate only.

    The charges, in elementary ones by element and neutral in sum, are by default those of Er3+, Mn3+ and O2-; a layer of Mn lies at height 0.
    """
    charges = FORMAL_CHARGES if charges is None else charges
    charge = np.array([charges[symbol] for symbol in crystal.symbols], float)
    if abs(charge.sum()) > 1e-9:
        raise ValueError(f"the charges add up to {charge.sum():g}, so the dipole would depend on the origin; choose a neutral set")
    dipole = charge @ polar_displacements(crystal) / np.prod(crystal.cell_angstrom)  # e per square angstrom
    return float(dipole * constants.e * 1e20 * 1e6 / 1e4)


def scale_vibrations(crystal: Crystal, factor: float) -> Crystal:
    """The crystal with all mean squared displacements (Debye-Waller factors B = 8 pi² U) multiplied by a factor >= 0."""
    if not factor >= 0:
        raise ValueError(f"the factor of the vibrations is {factor}; expected zero or more")
    return replace(crystal, u_iso=crystal.u_iso * factor)


def scale_displacements(crystal: Crystal, factor: float) -> Crystal:
    """The crystal with its polar distortion multiplied by a factor from -1.2 to 1.2: 1 as it is, 0 non-polar, -1 the other domain.

    Buckling, tilts of the bipyramids and polar shift grow together; every atom moves along the straight line between its
    places in the two domains. Beyond the range atoms come too close for the model to mean anything.
    """
    if not abs(factor) <= 1.2:
        raise ValueError(f"the factor of the displacements is {factor}; expected -1.2 to 1.2")
    return replace(crystal, positions_angstrom=crystal.positions_angstrom + (factor - 1) * mirror_displacements(crystal))
