"""Pieces of a page that can be operated without a kernel: explorer, sliders, and two pictures that blink."""

from .explorer_page import explorer, write_page
from .frames import Axis, Bar, Panel, frame_slider
from .page import Picture, blink

__all__ = ["Axis", "Bar", "Panel", "Picture", "blink", "explorer", "frame_slider", "write_page"]
