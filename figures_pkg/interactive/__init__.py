"""Pieces of a page that can be operated without a kernel: explorer, sliders, blink and the view of the crystal."""

from .blink import Picture, blink
from .explorer import explorer, write_page
from .frames import Axis, Bar, Panel, frame_slider, signed_frames
from .viewer import crystal_viewer

__all__ = ["Axis", "Bar", "Panel", "Picture", "blink", "crystal_viewer", "explorer", "frame_slider", "signed_frames", "write_page"]
