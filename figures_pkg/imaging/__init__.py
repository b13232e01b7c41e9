"""From a scan to images: virtual detectors, centre of mass and mean patterns in one pass over the data."""

from .com import CenterOfMass
from .descan import descan_planes
from .detectors import Annulus, Box, Disc
from .expected import expected_lattice
from .lattice import Lattice, disc_radius_px, refine_lattice
from .one_pass import summarise
from .rings import ring_means
from .vectors import along_and_across, com_noise, fit_descan, remove_descan, scatter, to_mrad
from figures_pkg.data.units import wavelength_angstrom

__all__ = [
    "Annulus",
    "Box",
    "CenterOfMass",
    "Disc",
    "Lattice",
    "along_and_across",
    "com_noise",
    "descan_planes",
    "disc_radius_px",
    "expected_lattice",
    "fit_descan",
    "refine_lattice",
    "remove_descan",
    "ring_means",
    "scatter",
    "summarise",
    "to_mrad",
    "wavelength_angstrom",
]
