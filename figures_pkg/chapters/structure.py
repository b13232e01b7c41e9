"""What the chapter on the structure alone needs.

The crystal as a CIF, for other programs and for readers who want to turn it in their own viewer.
"""

from figures_pkg.crystal.structure import SYMMETRY, sense_of, structure

_HEAD = """\
# {name}, polarization {sign}P ({pattern}); standard setting of P6_3cm is -P.
# Coordinates are NOT a refinement: interpolated 0.36 LuMnO3 + 0.64 YMnO3 by the radii of the rare earths.
# LuMnO3: van Aken, Meetsma, Palstra, Acta Cryst. E57, i101 (2001). YMnO3: relaxation of Gibbs et al., PRB 83, 094111 (2011).
data_{name}_{word}_P
_chemical_name_common '{name}'
_cell_length_a {a}
_cell_length_b {a}
_cell_length_c {c}
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 120
_space_group_name_H-M_alt 'P 63 c m'
_space_group_IT_number {space_group}
loop_
_space_group_symop_operation_xyz
"""
_SITES = """\
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_U_iso_or_equiv
_atom_site_occupancy
"""


def cif_text(polarization=1):
    """ErMnO3 as the text of a CIF with space group, sites and isotropic displacements.

    Parameters
    ----------
    polarization : int
        +1 (up-up-down) or -1 (the standard setting, down-down-up).

    Returns
    -------
    text : str
        The sites are those of :func:`figures_pkg.crystal.ermno3`, for +1 inverted through the origin.
    """
    table, sense = structure(), sense_of(polarization)
    words = {"sign": "+", "word": "plus", "pattern": "up-up-down"} if polarization > 0 else {"sign": "-", "word": "minus", "pattern": "down-down-up"}
    numbers = {"name": table["name"], "a": table["a_angstrom"], "c": table["c_angstrom"], "space_group": table["space_group"]}
    lines = [f"'{_operation(rotation, screw)}'" for rotation, screw in SYMMETRY]
    sites = [_site(site, sense) for site in table["sites"]]
    return _HEAD.format(**words, **numbers) + "\n".join(lines) + "\n" + _SITES + "\n".join(sites) + "\n"


def _operation(rotation, screw):
    """A symmetry operation in words, e.g. ``-y,x-y,z+1/2``."""
    parts = ["".join(f"{'+' if value > 0 else '-'}{name}" for value, name in zip(row, "xy") if value) for row in rotation]
    return ",".join(part.removeprefix("+") for part in parts) + (",z+1/2" if screw else ",z")


def _site(site, sense):
    """One line of the table of sites, fractions between 0 and 1."""
    x, y, z = (sense * value % 1 for value in site["xyz"])
    return f"{site['label']} {site['symbol']} {x:.9f} {y:.9f} {z:.9f} {site['u_iso']} 1"
