"""The digital twin: crystal, multislice library, and simulated scans with their truth."""

from figures_pkg.twin.structure.crystal import Crystal, ermno3
from figures_pkg.twin.dataset import library_settings, make_dataset
from figures_pkg.twin.diffraction.library import Library, build_library, load_or_build, minus_p_index
from figures_pkg.twin.diffraction.library_settings import SMALL, LibrarySettings
from figures_pkg.twin.diffraction.multislice import Stack, crystal_stack, damp_beams, propagate
from figures_pkg.twin.presets import Preset, known_presets, load_preset
from figures_pkg.twin.render import Renderer
from figures_pkg.twin.diffraction.spline import evaluate_spline
from figures_pkg.twin.truth import read_truth, simulate_truth, states_of, truth_path

__all__ = [
    "SMALL",
    "Crystal",
    "Library",
    "LibrarySettings",
    "Preset",
    "Renderer",
    "Stack",
    "build_library",
    "crystal_stack",
    "damp_beams",
    "ermno3",
    "evaluate_spline",
    "known_presets",
    "library_settings",
    "load_or_build",
    "load_preset",
    "make_dataset",
    "minus_p_index",
    "propagate",
    "read_truth",
    "simulate_truth",
    "states_of",
    "truth_path",
]
