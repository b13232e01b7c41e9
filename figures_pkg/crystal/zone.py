"""Crystals from CIF files: any along a zone axis that has an orthogonal cell across it, and hexagonal manganites in either polarization.

Axes are x along the beam, then b and c across it, right-handed. The first variant, polarization +1, is the structure of the
file; the second, -1, is its inversion partner: the other domain of a polar crystal.
"""

import warnings
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .structure import Crystal, manganite

if TYPE_CHECKING:
    import ase

SPACE_GROUP = 185  # P6_3cm
CONTENT = [6, 6, 18]  # atoms per hexagonal cell of RMnO3: R, Mn, O
NEXT_STEP = "give a CIF of a hexagonal manganite in its standard setting, such as the one of the chapter on the structure"
LONGEST_EDGE_ANGSTROM = 40.0
SEARCHED = 7  # lattice vectors across the beam are sought among all whole multiples up to this one
SAME_PLACE_ANGSTROM = 0.01


def read_atoms(path: str | Path, needs_displacements: bool = True) -> "tuple[ase.Atoms, np.ndarray]":
    """All atoms of a CIF's cell, with ``spacegroup_kinds`` and ``info["spacegroup"]``, and their mean squared displacements in squared angstrom."""
    from ase.io.cif import parse_cif  # takes half a second, which no other crystal has to wait for

    path = Path(path)
    if not path.is_file():
        raise ValueError(f"the crystal {str(path)!r} is not a file; give the path of a CIF")
    try:
        block = next(block for block in parse_cif(str(path)) if block.has_structure())
        atoms = block.get_atoms()
        sites = atoms.arrays["spacegroup_kinds"]
    except Exception as error:  # whatever ASE stumbles over
        raise ValueError(f"{path} could not be read as a CIF with a cell, its symmetry and sites ({error!r}); repair the file") from error
    if np.any(np.array(block.get("_atom_site_occupancy", [1.0]), float) != 1):
        raise ValueError(f"{path} has partly occupied sites; give an ordered structure, every site with occupancy 1")
    if np.abs(atoms.cell.cellpar()[3:] - (90, 90, 120)).max() < 0.01:
        fractions = atoms.get_scaled_positions()
        thirds = np.round(3 * fractions[:, :2]) / 3
        rounded = np.abs(fractions[:, :2] - thirds).max(axis=1) < 3e-4
        fractions[rounded, :2] = thirds[rounded]
        atoms.set_scaled_positions(fractions)
    for name, factor in (("_atom_site_u_iso_or_equiv", 1.0), ("_atom_site_b_iso_or_equiv", 1 / (8 * np.pi**2))):
        values = block.get(name)
        if values is not None and all(isinstance(value, (int, float)) and value > 0 for value in values):
            return atoms, (np.array(values, float) * factor)[sites]
    if needs_displacements:
        raise ValueError(f"{path} gives no positive U_iso or B_iso for each site; add the column _atom_site_U_iso_or_equiv (0.005 is usual for "
                         "an oxide at room temperature): without vibrations a library is far from any experiment")
    return atoms, np.zeros(len(atoms))


def read_crystal(path: str | Path, polarization: int, needs_displacements: bool = True) -> Crystal:
    """ErMnO3 or a relative of it from a CIF, laid out for a beam along [100]; +1 is up-up-down (2a below 4b), -1 its inverse.

    The file, of space group P6_3cm (185) in the standard setting, may hold either domain and is inverted when the other one is asked for. What is
    no such CIF, has partly occupied sites, or no U_iso and B_iso where `needs_displacements` is true, raises a `ValueError`.
    """
    atoms, u_iso = read_atoms(path, needs_displacements)
    group = atoms.info["spacegroup"].no
    if group != SPACE_GROUP:
        raise ValueError(f"{path} has space group {group}, expected P6_3cm (185) in its standard setting; {NEXT_STEP}")
    symbols, sites = np.array(atoms.get_chemical_symbols()), atoms.arrays["spacegroup_kinds"]
    counts = {str(name): int((symbols == name).sum()) for name in np.unique(symbols)}
    if sorted(counts.values()) != CONTENT or {2, 4} - set(np.bincount(sites).tolist()):
        raise ValueError(f"{path} fills a cell with {counts}; a hexagonal manganite needs 6 R (2a, 4b), 6 Mn and 18 O; {NEXT_STEP}")
    stored, fractions = _stored_polarization(atoms, symbols, sites, path), atoms.get_scaled_positions()
    a, _, c = atoms.cell.lengths()
    return manganite(symbols.tolist(), fractions if stored == polarization else -fractions, u_iso, a, c)


def _stored_polarization(atoms, symbols, sites, path):
    """+1 when the large cation's 2a site lies below its 4b site (up-up-down), -1 when above."""
    for name in np.unique(symbols):
        own, first, sizes = np.unique(sites[symbols == name], return_index=True, return_counts=True)
        if sorted(sizes) == [2, 4]:
            heights = dict(zip(sizes.tolist(), atoms.get_scaled_positions()[symbols == name][first, 2]))
            buckling = (heights[2] - heights[4] + 0.25) % 0.5 - 0.25
            if abs(buckling) < 1e-4:
                raise ValueError(f"{path} has its cations on 2a and 4b at equal height: it is not polar, so +P and -P mean nothing")
            return -1 if buckling > 0 else 1
    raise ValueError(f"{path} has no cation on 2a and 4b; {NEXT_STEP}")


@dataclass(frozen=True)
class ZoneCrystal:
    """A crystal in an orthogonal cell along a zone axis."""

    crystal: Crystal  #: atoms along the beam, b and c; its origin lies on a mirror across the beam where there is one
    uvw: tuple  #: the three edges in the basis of the file, as fractions where its lattice is centred
    b_uvw: tuple
    c_uvw: tuple
    #: Whether a mirror or glide plane lies across the beam. Then the inversion partner is the structure turned by half a turn
    #: about the beam, up to a shift, and one library holds both exactly; otherwise the upper Laue zones differ.
    mirrored: bool
    distinct: bool  #: whether the two variants differ along this beam at all
    name: str  #: formula and direction

    def miller_indices(self, hkl: np.ndarray) -> np.ndarray:
        """Reflections 0 k l of the orthogonal cell, (n, 3), in the indices of the file's own cell; zero where its centring forbids them."""
        own = np.asarray(hkl) @ np.linalg.inv(np.array([self.uvw, self.b_uvw, self.c_uvw], float)).T
        whole = np.abs(own - np.round(own)).max(axis=1) < 1e-6
        return np.where(whole[:, None], np.round(own), 0).astype(int)


def zone_crystal(cif: str | Path, uvw: tuple[int, int, int], up: tuple[int, int, int] | None = None) -> ZoneCrystal:
    """Read a CIF and lay its crystal out for a beam along [uvw].

    A file that cannot be used and a direction without an orthogonal cell of at most 40 Å raise a `ValueError`. A warning says when no mirror
    plane lies across the beam: the upper Laue zones of the second variant are then not exact.

    Parameters
    ----------
    cif
        Cell, symmetry and sites, all fully occupied, with U_iso or B_iso for each.
    uvw
        Direction of the beam in the basis of the file's cell.
    up
        Direction of c across the beam; by default the lattice vector nearest to the file's c, of those that give the smallest cell.
    """
    atoms, u_iso = read_atoms(cif)
    edges = _orthogonal_edges(atoms, _direction(uvw, "the beam"), None if up is None else _direction(up, "up"))
    crystal = _cut_out(atoms, u_iso, edges, f"{cif}, {_bracket(uvw)}")
    shift = next(symmetry_shifts(crystal, (-1, 1, 1)), None)
    if shift is not None:
        crystal = _wrapped(replace(crystal, positions_angstrom=crystal.positions_angstrom - [shift[0] / 2, 0, 0]))
    name = f"{atoms.symbols.formula.reduce()[0]:metal} {_bracket(uvw)}"
    if shift is None:
        warnings.warn(f"{name}: no mirror plane lies across the beam, so the second variant is exact in the zero Laue zone only", stacklevel=2)
    along, b, c = (tuple(Fraction(float(x)).limit_denominator(12) for x in edge) for edge in edges)
    return ZoneCrystal(crystal, along, b, c, shift is not None, not list(symmetry_shifts(crystal, (1, -1, -1))), name)


def example_cif(name: str) -> Path:
    """Path of a CIF that comes with the package: PbTiO3 or GaAs; their heads say where the numbers are from."""
    folder = Path(__file__).parent / "crystals"
    known = sorted(path.stem for path in folder.glob("*.cif"))
    if name not in known:
        raise ValueError(f"no example {name!r}; there are {', '.join(known)}, or give the path of a CIF of your own")
    return folder / f"{name}.cif"


def _direction(uvw, what):
    """Three whole numbers, not all zero, without common factors."""
    direction = np.asarray(uvw)
    if direction.shape != (3,) or not np.array_equal(direction, np.round(direction)) or not direction.any():
        raise ValueError(f"{what} is {uvw!r}; expected three whole numbers that are not all zero, such as (1, 0, 0)")
    whole = direction.astype(int)
    return whole // np.gcd.reduce(whole)


def _bracket(uvw):
    """As directions are written, [110] or [1 -1 0]."""
    return f"[{('' if all(0 <= index <= 9 for index in uvw) else ' ').join(map(str, uvw))}]"


def _translations(atoms):
    """Pure translations of the structure as fractions of the cell, shape (n, 3); the zero one first."""
    fractions, kinds = atoms.get_scaled_positions(), atoms.arrays["spacegroup_kinds"]
    rarest = _rarest(kinds)
    shifts = (fractions[rarest] - fractions[rarest[0]]) % 1
    found = [shift for shift in shifts if _maps(fractions + shift, fractions, kinds, np.array(atoms.cell))]
    return np.array(sorted(found, key=lambda shift: np.abs(shift).sum()))


def _rarest(kinds):
    """Indices of the atoms of the kind of which there are fewest."""
    names, counts = np.unique(kinds, return_counts=True)
    return np.flatnonzero(kinds == names[counts.argmin()])


def _maps(images, fractions, kinds, cell):
    """Whether images (fractions of the cell) meet atoms of their kind within 0.01 Å."""
    away = images[:, None] - fractions
    away -= np.round(away)
    distance = np.linalg.norm(away @ cell, axis=2)
    distance[kinds[:, None] != kinds] = np.inf
    return bool(distance.min(axis=1).max() < SAME_PLACE_ANGSTROM)


def _orthogonal_edges(atoms, beam, up):
    """Shortest period along the beam and two lattice vectors across it and each other, as fractions of the cell, shape (3, 3)."""
    cell, shifts = np.array(atoms.cell), _translations(atoms)
    vectors = (_triples(-SEARCHED, SEARCHED)[:, None] + shifts).reshape(-1, 3)
    size = np.linalg.norm(vectors @ cell, axis=1)
    inside = (size > 0.1) & (size < LONGEST_EDGE_ANGSTROM)
    vectors, size = vectors[inside], size[inside]
    along = vectors @ cell @ (beam @ cell) / np.linalg.norm(beam @ cell) / size  # cosine with the beam
    parallel, across = vectors[along > 1 - 1e-9], vectors[np.abs(along) < 2e-4]
    pair = _pair(across, cell, up)
    if not len(parallel) or pair is None:
        told = f"{_bracket(beam)}{'' if up is None else ' and c along ' + _bracket(up)} of the cell {np.round(atoms.cell.cellpar(), 3).tolist()}"
        raise ValueError(f"no orthogonal cell with edges up to {LONGEST_EDGE_ANGSTROM:g} Å has the beam along {told}; choose a zone axis of "
                         "higher symmetry, a direction across it, or leave `up` out")
    period, (b, c) = parallel[np.linalg.norm(parallel @ cell, axis=1).argmin()], pair
    return np.array([period, b if np.linalg.det(np.array([period, b, c]) @ cell) > 0 else -b, c])


def _triples(first, last):
    """All triples of whole numbers between two, both included, shape (n, 3)."""
    return np.stack(np.meshgrid(*[np.arange(first, last + 1)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)


def _pair(across, cell, up):
    """Two vectors across the beam and each other that span the smallest area, c the one nearer to the file's; or None."""
    real = across @ cell
    size = np.linalg.norm(real, axis=1)
    order = np.argsort(size)[:200]
    across, real, size = across[order], real[order], size[order]
    towards = (np.array([0, 0, 1]) if up is None else up) @ cell
    near = real @ towards / np.linalg.norm(towards) / size  # cosine with where c should point
    area = size[:, None] * size
    area[np.abs(real @ real.T) > 2e-4 * area] = np.inf
    if up is not None:
        area[:, near < 1 - 1e-6] = np.inf
    if not len(across) or not np.isfinite(area.min()):
        return None
    rank = np.where(area < area.min() * (1 + 1e-6), near[None, :], -np.inf)
    b, c = np.unravel_index(rank.argmax(), rank.shape)
    return across[b], across[c]


def _cut_out(atoms, u_iso, edges, where):
    """The atoms of the orthogonal cell with these edges, each once."""
    lengths, kinds = np.linalg.norm(edges @ np.array(atoms.cell), axis=1), atoms.arrays["spacegroup_kinds"]
    origins = _triples(0, int(np.ceil(np.abs(edges).sum(axis=0).max()))) @ np.linalg.inv(edges)  # of the file's cells
    keys = np.round((origins + 3e-8) % 1, 6) % 1  # the small offset keeps equal fractions from being rounded apart
    origins = origins[np.unique(keys, axis=0, return_index=True)[1]]  # that differ by more than the edges
    places = (origins[:, None] + atoms.get_scaled_positions() @ np.linalg.inv(edges)).reshape(-1, 3) % 1
    atom = np.tile(np.arange(len(atoms)), len(origins))
    away = places[:, None] - places
    distance = np.linalg.norm((away - np.round(away)) * lengths, axis=2)
    same = (distance < SAME_PLACE_ANGSTROM) & (kinds[atom][:, None] == kinds[atom])
    kept = np.flatnonzero(same.argmax(axis=1) == np.arange(len(atom)))
    expected = len(atoms) * abs(np.linalg.det(edges))
    if abs(len(kept) - expected) > 1e-6:
        raise ValueError(f"{where}: {len(kept)} atoms were cut out where {expected:.2f} belong; give the coordinates of the CIF with more digits")
    symbols = np.array(atoms.get_chemical_symbols())[atom[kept]]
    return _wrapped(Crystal(tuple(symbols.tolist()), places[kept] * lengths, np.asarray(u_iso, float)[atom[kept]], lengths))


def _wrapped(crystal):
    """The crystal with all atoms inside its cell; rounding errors must not send one of the first layer to the last."""
    positions = (crystal.positions_angstrom + 1e-6) % crystal.cell_angstrom - 1e-6
    return replace(crystal, positions_angstrom=positions)


def symmetry_shifts(crystal, signs):
    """Yield the shifts (3,) in Å after which the crystal with its axes turned by `signs` meets itself."""
    kinds = np.unique([f"{symbol} {u:.5f}" for symbol, u in zip(crystal.symbols, crystal.u_iso)], return_inverse=True)[1]
    fractions = crystal.positions_angstrom / crystal.cell_angstrom
    turned, rarest = fractions * signs, _rarest(kinds)
    for shift in fractions[rarest] - turned[rarest[0]]:
        if _maps(turned + shift, fractions, kinds, np.diag(crystal.cell_angstrom)):
            yield (shift % 1) * crystal.cell_angstrom


def has_mirror_along_beam(crystal: Crystal) -> bool:
    """Whether a mirror or glide plane holds the beam and c; intensities at -k and -tilt_b are then those at k and tilt_b."""
    away = [shift[0] / crystal.cell_angstrom[0] for shift in symmetry_shifts(crystal, (1, -1, 1))]
    return any(abs(part - round(part)) < 1e-4 for part in away)
