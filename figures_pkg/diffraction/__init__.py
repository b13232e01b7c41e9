"""Diffraction by a crystal: potentials, the multislice, the library of intensities over thickness and tilt, discs and phonons."""

from figures_pkg.data.units import disc_radius

from .discs import average_over_cone, disc_means
from .library import SMALL, Library, LibrarySettings, build_library, load_or_build, minus_p_index
from .multislice import Stack, crystal_stack, damp_beams, propagate
from .spline import evaluate_spline

__all__ = [
    "SMALL",
    "Library",
    "LibrarySettings",
    "Stack",
    "average_over_cone",
    "build_library",
    "crystal_stack",
    "damp_beams",
    "disc_means",
    "disc_radius",
    "evaluate_spline",
    "load_or_build",
    "minus_p_index",
    "propagate",
]
