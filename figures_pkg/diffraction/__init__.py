"""Diffraction by a crystal: potentials, the multislice, the library of intensities over thickness and tilt, discs and phonons."""

from .discs import average_over_cone, disc_means
from .library import Library, LibrarySettings, build_library, load_or_build
from .multislice import Stack, crystal_stack, damp_beams, propagate

__all__ = ["Library", "LibrarySettings", "Stack", "average_over_cone", "build_library", "crystal_stack", "damp_beams", "disc_means", "load_or_build",
           "propagate"]
