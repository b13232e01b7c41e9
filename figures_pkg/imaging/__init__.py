"""From a scan to images: virtual detectors, centre of mass and mean patterns in one pass over the data, and the lattice of its discs."""

from figures_pkg.data.units import to_mrad, wavelength_angstrom

from .centre_of_mass import along_and_across, com_noise, descan_planes, fit_descan, remove_descan, scatter
from .detectors import Annulus, Box, CenterOfMass, Disc, asymmetry
from .lattice import Lattice, disc_radius_px, expected_lattice, refine_lattice
from .one_pass import summarise

__all__ = ["Annulus", "Box", "CenterOfMass", "Disc", "Lattice", "along_and_across", "asymmetry", "com_noise", "descan_planes", "disc_radius_px",
           "expected_lattice", "fit_descan", "refine_lattice", "remove_descan", "scatter", "summarise", "to_mrad", "wavelength_angstrom"]  # fmt: skip
