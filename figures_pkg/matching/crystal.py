"""Any crystal from a CIF, laid out for a beam along any of its directions that has an orthogonal cell across it.

Axes are those of the twin: x along the beam, then b and c across it, right-handed. The first variant, polarization +1, is the
structure of the file; the second, -1, is its inversion partner: the other domain of a polar crystal.
"""

import warnings
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from figures_pkg.twin.structure.crystal import Crystal

from .crystal_cell import bracket, cut_out, orthogonal_edges, read_atoms, symmetry_shift, wrapped


@dataclass(frozen=True)
class ZoneCrystal:
    """
    A crystal in an orthogonal cell along a zone axis.

    Attributes
    ----------
    crystal
        Atoms along the beam, b and c; its origin lies on a mirror across the beam where there is one.
    uvw, b_uvw, c_uvw
        The three edges in the basis of the file, as fractions where its lattice is centred.
    mirrored
        Whether a mirror or glide plane lies across the beam. Then the inversion partner is the structure turned by half a turn
        about the beam, up to a shift, and one library holds both exactly; otherwise the upper Laue zones differ.
    distinct
        Whether the two variants differ along this beam at all.
    name
        Formula and direction.
    """

    crystal: Crystal
    uvw: tuple
    b_uvw: tuple
    c_uvw: tuple
    mirrored: bool
    distinct: bool
    name: str


def zone_crystal(cif: str | Path, uvw: tuple[int, int, int], up: tuple[int, int, int] | None = None) -> ZoneCrystal:
    """
    Read a CIF and lay its crystal out for a beam along [uvw].

    Parameters
    ----------
    cif
        Path of the file: cell, symmetry and sites, all fully occupied, with U_iso or B_iso for each.
    uvw
        Direction of the beam in the basis of the file's cell.
    up
        Direction of c, across the beam; by default the lattice vector nearest to the file's own c axis, of those that give the
        smallest cell.

    Returns
    -------
    ZoneCrystal

    Raises
    ------
    ValueError
        For a file that cannot be used, and a direction without an orthogonal cell of at most 40 Å.

    Warns
    -----
    UserWarning
        When no mirror plane lies across the beam: the upper Laue zones of the second variant are then not exact.
    """
    atoms, u_iso = read_atoms(Path(cif))
    edges = orthogonal_edges(atoms, _direction(uvw, "the beam"), None if up is None else _direction(up, "up"))
    crystal = cut_out(atoms, u_iso, edges, f"{cif}, {bracket(uvw)}")
    shift = symmetry_shift(crystal, (-1, 1, 1))
    if shift is not None:
        crystal = wrapped(replace(crystal, positions_angstrom=crystal.positions_angstrom - [shift[0] / 2, 0, 0]))
    name = f"{atoms.symbols.formula.reduce()[0]:metal} {bracket(uvw)}"
    if shift is None:
        warnings.warn(
            f"{name}: no mirror plane lies across the beam, so the second variant is exact in the zero Laue zone only", stacklevel=2
        )
    directions = [tuple(Fraction(float(x)).limit_denominator(12) for x in edge) for edge in edges]
    return ZoneCrystal(crystal, *directions, shift is not None, symmetry_shift(crystal, (1, -1, -1)) is None, name)


def example_cif(name: str) -> Path:
    """Path of a CIF that comes with the package: PbTiO3 or GaAs; their heads say where the numbers are from."""
    folder = Path(__file__).parent / "crystals"
    known = sorted(path.stem for path in folder.glob("*.cif"))
    if name not in known:
        raise ValueError(f"no example {name!r}; there are {', '.join(known)}, or give the path of a CIF of your own")
    return folder / f"{name}.cif"


def partner(crystal: Crystal) -> Crystal:
    """The crystal inverted through the origin of its cell: the second variant itself, for comparison."""
    return wrapped(replace(crystal, positions_angstrom=-crystal.positions_angstrom))


def _direction(uvw, what):
    """Three whole numbers, not all zero, without common factors."""
    direction = np.asarray(uvw)
    if direction.shape != (3,) or not np.array_equal(direction, np.round(direction)) or not direction.any():
        raise ValueError(f"{what} is {uvw!r}; expected three whole numbers that are not all zero, such as (1, 0, 0)")
    whole = direction.astype(int)
    return whole // np.gcd.reduce(whole)
