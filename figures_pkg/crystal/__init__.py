"""Crystals: atoms in orthogonal cells along a zone axis, from a CIF or built in."""

from .structure import Crystal, ermno3, formal_polarization, scale_displacements, scale_vibrations
from .zone import ZoneCrystal, example_cif, read_crystal, zone_crystal

__all__ = ["Crystal", "ZoneCrystal", "ermno3", "example_cif", "formal_polarization", "read_crystal", "scale_displacements", "scale_vibrations",
           "zone_crystal"]
