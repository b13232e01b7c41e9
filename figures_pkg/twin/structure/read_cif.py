"""Reading a crystal of space group P6_3cm from a CIF, in either polarization."""

from pathlib import Path

import numpy as np
from ase.io.cif import parse_cif

from figures_pkg.twin.structure.crystal import Crystal, _orbit, _orthogonal, ermno3

SPACE_GROUP = 185  # P6_3cm
CONTENT = [6, 6, 18]  # atoms per hexagonal cell of RMnO3: R, Mn, O
NEXT_STEP = "give a CIF of a hexagonal manganite in its standard setting, such as cif_text() writes, or leave the crystal out"


def read_crystal(path, polarization, needs_displacements=True):
    """ErMnO3 or a relative of it from a CIF, laid out for a beam along [100].

    The file may hold either domain: the heights of the two sites of the large cation (2a and 4b) say which, and the
    structure is inverted when the other one is asked for.

    Parameters
    ----------
    path : str or Path
        CIF with space group P6_3cm (185) in the standard setting, one entry for each site, fully occupied.
    polarization : int
        +1 (up-up-down: 2a below 4b) or -1.
    needs_displacements : bool
        Whether a missing U_iso is an error; otherwise it is read as zero.

    Returns
    -------
    crystal : Crystal

    Raises
    ------
    ValueError
        For a file that is no CIF, another space group, missing sites, partly occupied sites, or missing U_iso.
    """
    block = _block(Path(path))
    if _space_group(block) != SPACE_GROUP:
        raise ValueError(f"{path} has space group {_space_group(block)}, expected P6_3cm (185) in its standard setting; {NEXT_STEP}")
    symbols, orbits = [str(symbol) for symbol in block.get_symbols()], [_orbit(xyz) for xyz in _snapped(block)]
    counts = {name: sum(len(orbit) for symbol, orbit in zip(symbols, orbits) if symbol == name) for name in symbols}
    if sorted(counts.values()) != CONTENT or {2, 4} - {len(orbit) for orbit in orbits}:
        raise ValueError(f"{path} fills a cell with {counts}; a hexagonal manganite needs 6 R (2a, 4b), 6 Mn and 18 O; {NEXT_STEP}")
    if np.any(np.array(block.get("_atom_site_occupancy", [1.0]), float) != 1):
        raise ValueError(f"{path} has partly occupied sites, which the projected columns cannot hold; {NEXT_STEP}")
    u_iso = _displacements(block, path, len(symbols), needs_displacements)
    return _assemble(block, symbols, orbits, u_iso, polarization, _found_polarization(symbols, orbits, counts, path))


def _block(path):
    """The first block of the file that holds a cell."""
    if not path.is_file():
        raise ValueError(f"the crystal {str(path)!r} is not a file; {NEXT_STEP}")
    try:
        blocks = [block for block in parse_cif(str(path)) if block.get("_cell_length_a") and block.get("_atom_site_fract_x")]
    except (AssertionError, IndexError, KeyError, RuntimeError, ValueError) as error:  # whatever ASE stumbles over
        raise ValueError(f"{path} could not be read as a CIF ({error!r}); {NEXT_STEP}") from error
    if not blocks:
        raise ValueError(f"{path} holds no cell with atoms; {NEXT_STEP}")
    return blocks[0]


def _space_group(block):
    """Number of the space group, from its number or its symbol; 0 when the file gives neither."""
    try:
        return block.get_spacegroup("default").no
    except (KeyError, ValueError, RuntimeError):
        return 0


def _snapped(block):
    """Fractional coordinates of the sites; rounded thirds are made exact, so that the site's multiplicity is right."""
    xyz = np.array([block.get(f"_atom_site_fract_{axis}") for axis in "xyz"], float).T
    thirds = np.round(3 * xyz[:, :2]) / 3
    special = np.abs(xyz[:, :2] - thirds).max(axis=1) < 3e-4
    xyz[special, :2] = thirds[special]
    return xyz


def _displacements(block, path, sites, needed):
    """Mean squared displacements of the sites, in squared angstrom."""
    for name, factor in (("_atom_site_u_iso_or_equiv", 1.0), ("_atom_site_b_iso_or_equiv", 1 / (8 * np.pi**2))):
        values = block.get(name)
        if values is not None and all(isinstance(value, (int, float)) and value >= 0 for value in values):
            return np.array(values, float) * factor
    if needed:
        raise ValueError(f"{path} gives no U_iso or B_iso for each site; add the column _atom_site_U_iso_or_equiv, or use thermal='none'")
    return np.zeros(sites)


def _found_polarization(symbols, orbits, counts, path):
    """+1 when the large cation's 2a site lies below its 4b site (up-up-down), -1 when above."""
    heights = {}
    for name in counts:
        sizes = [len(orbit) for symbol, orbit in zip(symbols, orbits) if symbol == name]
        if counts[name] == 6 and sorted(sizes) == [2, 4]:
            heights = {len(orbit): orbit[0, 2] for symbol, orbit in zip(symbols, orbits) if symbol == name}
    if not heights:
        raise ValueError(f"{path} has no cation on 2a and 4b, of which {counts} was read; {NEXT_STEP}")
    buckling = (heights[2] - heights[4] + 0.25) % 0.5 - 0.25
    if abs(buckling) < 1e-4:
        raise ValueError(f"{path} has its cations on 2a and 4b at equal height: it is not polar, so +P and -P mean nothing")
    return -1 if buckling > 0 else 1


def _assemble(block, symbols, orbits, u_iso, polarization, found):
    """The crystal in the orthogonal cell, inverted when the file holds the other domain."""
    fractional = np.concatenate(orbits) * (1 if found == polarization else -1)
    lengths = [len(orbit) for orbit in orbits]
    a, c = float(block.get("_cell_length_a")), float(block.get("_cell_length_c"))
    positions, cell = _orthogonal(fractional, a, c)
    names = [name for name, length in zip(symbols, lengths) for _ in range(length)]
    return Crystal(tuple(names) * 2, positions, np.tile(np.repeat(u_iso, lengths), 2), cell)


def load_crystal(path, polarization, needs_displacements=True):
    """The crystal of a CIF, or the built-in ErMnO3 when `path` is None."""
    return ermno3(polarization) if path is None else read_crystal(path, polarization, needs_displacements)
