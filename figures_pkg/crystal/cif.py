"""Reading crystals from CIF files: any ordered crystal, and the hexagonal manganites in either polarization."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .structure import Crystal, manganite

if TYPE_CHECKING:
    import ase

SPACE_GROUP = 185  # P6_3cm
CONTENT = [6, 6, 18]  # atoms per hexagonal cell of RMnO3: R, Mn, O
NEXT_STEP = "give a CIF of a hexagonal manganite in its standard setting, such as the one of the chapter on the structure"


def read_atoms(path: str | Path, needs_displacements: bool = True) -> "tuple[ase.Atoms, np.ndarray]":
    """All atoms of the cell in a CIF (of several blocks the first with a structure), and their mean squared displacements in squared angstrom.

    The atoms carry ``spacegroup_kinds``, the site that each belongs to, and ``info["spacegroup"]``; in hexagonal cells rounded thirds are made
    exact. What is no CIF, has partly occupied sites, or lacks U_iso and B_iso where `needs_displacements` is true, raises a `ValueError`.
    """
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
    return atoms, _displacements(block, path, needs_displacements, sites.max() + 1)[sites]


def _displacements(block, path, needed, sites):
    """U_iso of each site in squared angstrom, from U or B."""
    for name, factor in (("_atom_site_u_iso_or_equiv", 1.0), ("_atom_site_b_iso_or_equiv", 1 / (8 * np.pi**2))):
        values = block.get(name)
        if values is not None and all(isinstance(value, (int, float)) and value > 0 for value in values):
            return np.array(values, float) * factor
    if needed:
        raise ValueError(f"{path} gives no positive U_iso or B_iso for each site; add the column _atom_site_U_iso_or_equiv (0.005 is usual for "
                         "an oxide at room temperature): without vibrations a library is far from any experiment")
    return np.zeros(sites)


def read_crystal(path: str | Path, polarization: int, needs_displacements: bool = True) -> Crystal:
    """ErMnO3 or a relative of it from a CIF, laid out for a beam along [100]; +1 is up-up-down (2a below 4b), -1 its inverse.

    The file, of space group P6_3cm (185) in the standard setting, may hold either domain: the heights of the two sites of the large cation
    (2a and 4b) say which, and the structure is inverted when the other one is asked for. Another group, missing sites and a structure that is
    not polar raise a `ValueError`, as does what `read_atoms` refuses.
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
