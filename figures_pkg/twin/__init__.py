"""The digital twin: simulated scans with their truth."""

from figures_pkg.twin.dataset import library_settings, make_dataset, read_truth, simulate_truth, states_of, truth_path
from figures_pkg.twin.presets import Preset, known_presets, load_preset
from figures_pkg.twin.render import Renderer

__all__ = ["Preset", "Renderer", "known_presets", "library_settings", "load_preset", "make_dataset", "read_truth", "simulate_truth", "states_of",
           "truth_path"]
