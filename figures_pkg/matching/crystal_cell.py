"""From the sites of a CIF to the atoms of an orthogonal cell: periods across a beam, cutting out, symmetry of the result."""

from dataclasses import replace

import numpy as np
from ase.io.cif import parse_cif

from figures_pkg.twin.structure.crystal import Crystal

LONGEST_EDGE_ANGSTROM = 40.0
SEARCHED = 7  # lattice vectors across the beam are sought among all whole multiples up to this one
SAME_PLACE_ANGSTROM = 0.01


def bracket(uvw):
    """A direction in the usual way of writing, e.g. [110] or [1 -1 0]."""
    return f"[{('' if all(0 <= index <= 9 for index in uvw) else ' ').join(map(str, uvw))}]"


def read_atoms(path):
    """All atoms of the file's cell, and the mean squared displacement of each in Å²."""
    if not path.is_file():
        raise ValueError(f"the crystal {str(path)!r} is not a file; give the path of a CIF")
    try:
        block = next(block for block in parse_cif(str(path)) if block.has_structure())
        atoms = block.get_atoms()
        kinds = atoms.arrays["spacegroup_kinds"]
    except Exception as error:  # whatever ASE stumbles over
        problem = f"{path} could not be read as a CIF with a cell, its symmetry and sites ({error!r}); repair the file"
        raise ValueError(problem) from error
    if np.any(np.array(block.get("_atom_site_occupancy", [1.0]), float) != 1):
        raise ValueError(f"{path} has partly occupied sites; give an ordered structure, every site with occupancy 1")
    by_site = _displacements(block, path)
    return atoms, by_site[kinds]


def _displacements(block, path):
    """U_iso of each site in Å², from U or B."""
    for name, factor in (("_atom_site_u_iso_or_equiv", 1.0), ("_atom_site_b_iso_or_equiv", 1 / (8 * np.pi**2))):
        values = block.get(name)
        if values is not None and all(isinstance(value, (int, float)) and value > 0 for value in values):
            return np.array(values, float) * factor
    raise ValueError(
        f"{path} gives no positive U_iso or B_iso for each site; add the column _atom_site_U_iso_or_equiv (0.005 is usual for an "
        "oxide at room temperature): without vibrations a library is far from any experiment"
    )


def _translations(atoms):
    """Pure translations of the structure as fractions of the cell, shape (n, 3); the zero one first."""
    fractions, kinds = atoms.get_scaled_positions(), atoms.arrays["spacegroup_kinds"]
    rarest = np.flatnonzero(kinds == _rarest(kinds))
    found = []
    for other in rarest:
        shift = (fractions[other] - fractions[rarest[0]]) % 1
        if _maps(fractions + shift, fractions, kinds, np.array(atoms.cell)):
            found.append(shift)
    return np.array(sorted(found, key=lambda shift: np.abs(shift).sum()))


def _rarest(kinds):
    """The kind of atom of which there are fewest."""
    names, counts = np.unique(kinds, return_counts=True)
    return names[counts.argmin()]


def _maps(images, fractions, kinds, cell):
    """Whether images (fractions of the cell) meet atoms of their kind within 0.01 Å."""
    away = images[:, None] - fractions
    away -= np.round(away)
    distance = np.linalg.norm(away @ cell, axis=2)
    distance[kinds[:, None] != kinds] = np.inf
    return bool(distance.min(axis=1).max() < SAME_PLACE_ANGSTROM)


def orthogonal_edges(atoms, beam, up):
    """Shortest period along the beam and two lattice vectors across it and each other, as fractions of the cell, shape (3, 3)."""
    cell, shifts = np.array(atoms.cell), _translations(atoms)
    steps = np.arange(-SEARCHED, SEARCHED + 1)
    whole = np.stack(np.meshgrid(*[steps] * 3, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    vectors = (whole + shifts).reshape(-1, 3)
    size = np.linalg.norm(vectors @ cell, axis=1)
    inside = (size > 0.1) & (size < LONGEST_EDGE_ANGSTROM)
    vectors, size = vectors[inside], size[inside]
    along = vectors @ cell @ (beam @ cell) / np.linalg.norm(beam @ cell) / size  # cosine with the beam
    parallel, across = vectors[along > 1 - 1e-9], vectors[np.abs(along) < 2e-4]
    pair = _pair(across, cell, up)
    if not len(parallel) or pair is None:
        raise ValueError(
            f"no orthogonal cell with edges up to {LONGEST_EDGE_ANGSTROM:g} Å has the beam along {bracket(beam)}"
            f"{'' if up is None else ' and c along ' + bracket(up)} of the cell "
            f"{np.round(atoms.cell.cellpar(), 3).tolist()}; choose a zone axis of higher symmetry, a direction across it, or leave "
            "`up` out"
        )
    period = parallel[np.linalg.norm(parallel @ cell, axis=1).argmin()]
    b, c = pair
    return np.array([period, b if np.linalg.det(np.array([period, b, c]) @ cell) > 0 else -b, c])


def _pair(across, cell, up):
    """The two vectors across the beam and each other that span the smallest area, c the one nearer to the file's c; or None."""
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


def cut_out(atoms, u_iso, edges, where):
    """The atoms of the orthogonal cell with these edges, each once."""
    lengths, kinds = np.linalg.norm(edges @ np.array(atoms.cell), axis=1), atoms.arrays["spacegroup_kinds"]
    origins = _cells_inside(edges)
    places = (origins[:, None] + atoms.get_scaled_positions() @ np.linalg.inv(edges)).reshape(-1, 3) % 1
    atom = np.tile(np.arange(len(atoms)), len(origins))
    away = places[:, None] - places
    distance = np.linalg.norm((away - np.round(away)) * lengths, axis=2)
    same = (distance < SAME_PLACE_ANGSTROM) & (kinds[atom][:, None] == kinds[atom])
    kept = np.flatnonzero(same.argmax(axis=1) == np.arange(len(atom)))
    expected = len(atoms) * abs(np.linalg.det(edges))
    if abs(len(kept) - expected) > 1e-6:
        raise ValueError(
            f"{where}: {len(kept)} atoms were cut out where {expected:.2f} belong; give the coordinates of the CIF with more digits"
        )
    symbols = np.array(atoms.get_chemical_symbols())[atom[kept]]
    return wrapped(Crystal(tuple(symbols.tolist()), places[kept] * lengths, np.asarray(u_iso, float)[atom[kept]], lengths))


def _cells_inside(edges):
    """Origins of the file's cells, as fractions of the orthogonal cell, that differ by more than its edges, shape (n, 3)."""
    reach = np.arange(int(np.ceil(np.abs(edges).sum(axis=0).max())) + 1)
    whole = np.stack(np.meshgrid(*[reach] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    places = whole @ np.linalg.inv(edges)
    keys = np.round((places + 3e-8) % 1, 6) % 1  # the small offset keeps equal fractions from being rounded apart
    return places[np.unique(keys, axis=0, return_index=True)[1]]


def wrapped(crystal):
    """The crystal with all atoms inside its cell; rounding errors must not send one of the first layer to the last."""
    positions = (crystal.positions_angstrom + 1e-6) % crystal.cell_angstrom - 1e-6
    return replace(crystal, positions_angstrom=positions)


def symmetry_shift(crystal, signs):
    """The shift (3,) in Å after which the crystal with its axes turned by `signs` meets itself; None when there is none."""
    kinds = np.unique([f"{symbol} {u:.5f}" for symbol, u in zip(crystal.symbols, crystal.u_iso)], return_inverse=True)[1]
    fractions = crystal.positions_angstrom / crystal.cell_angstrom
    turned, rarest = fractions * signs, np.flatnonzero(kinds == _rarest(kinds))
    for other in rarest:
        shift = fractions[other] - turned[rarest[0]]
        if _maps(turned + shift, fractions, kinds, np.diag(crystal.cell_angstrom)):
            return (shift % 1) * crystal.cell_angstrom
    return None
