"""The geometry of an experiment, and its detector face-on with every reflection at its true place."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

LABELLED = {"000": (0, 0), "002": (0, 2), "004": (0, 4), "010": (1, 0), "030": (3, 0)}  # k and l
GROUND = "#20242c"


@dataclass(frozen=True)
class Experiment:
    """
    The numbers that the drawing needs.

    Detector places are (row, column) in pixels, rows downward as in the published pictures; on the page, row 0 of scan and
    detector is the far side, so both are seen from above, the side of the source.
    """

    frame_px: tuple[int, int]  # detector pixels along rows and columns
    origin_px: tuple[float, float]  # direct beam
    g002_px: tuple[float, float]  # from the direct beam to 002, along +c
    g010_px: tuple[float, float]  # to 010, along b*
    scan_shape: tuple[int, int]  # positions along y and x
    step_nm: float
    convergence_mrad: float  # semi-angle
    mrad_per_px: float
    wall_lean_deg: float  # of the wall to the right of the scan's y axis, upward in the picture; +P lies left of it
    beam_energy_kev: float
    camera_length_cm: float  # calibrated
    nominal_length_cm: float  # what the microscope shows


def reflections_on_detector(experiment: Experiment, orders: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """
    Where the reflections 0kl with even l fall on the detector.

    Returns
    -------
    indices : numpy.ndarray
        Shape ``(n, 2)``: k and l.
    places : numpy.ndarray
        Shape ``(n, 2)``: (row, column) in pixels; only whole discs inside the frame.
    """
    k, half_l = np.meshgrid(np.arange(-orders, orders + 1), np.arange(-orders, orders + 1), indexing="ij")
    indices = np.stack([k.ravel(), 2 * half_l.ravel()], axis=1)
    places = place_of(experiment, *indices.T)
    margin = disc_radius(experiment)
    inside = ((places > margin) & (places < np.array(experiment.frame_px) - 1 - margin)).all(axis=1)
    return indices[inside], places[inside]


def place_of(experiment: Experiment, k, l) -> np.ndarray:
    """Pixel (row, column) of reflections 0kl, shape of ``k`` and then 2."""
    k, l = np.asarray(k)[..., None], np.asarray(l)[..., None]
    return np.array(experiment.origin_px) + k * np.array(experiment.g010_px) + l / 2 * np.array(experiment.g002_px)


def disc_radius(experiment: Experiment) -> float:
    """Radius of a diffraction disc in pixels."""
    return experiment.convergence_mrad / experiment.mrad_per_px


def disc_rim(experiment: Experiment) -> np.ndarray:
    """Points around a disc, (row, column) from its centre, shape (60, 2)."""
    phi = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    return disc_radius(experiment) * np.stack([np.sin(phi), np.cos(phi)], axis=-1)


def disc_colours(indices: np.ndarray) -> list[str]:
    """White for the direct beam, yellow for 00l, grey for the others."""
    return ["#ffffff" if k == l == 0 else "#ffd166" if k == 0 else "#9aa3b2" for k, l in indices]


def draw_detector_face(ax: Axes, experiment: Experiment, bar_mrad: float = 10.0) -> PolyCollection:
    """
    Draw the detector face-on, as published pictures show it: row 0 at the top, discs at their true places and size.

    Parameters
    ----------
    ax
        Where to draw; its limits, in pixels, and aspect are set.
    experiment
        The numbers.
    bar_mrad
        Length of the scale bar in mrad.
    """
    indices, places = reflections_on_detector(experiment)
    rims = (places[:, None] + disc_rim(experiment))[..., ::-1]
    discs = ax.add_collection(PolyCollection(rims, facecolors=disc_colours(indices), lw=0))
    rim = [withStroke(linewidth=2, foreground=GROUND)]
    for name, (k, l) in LABELLED.items():
        offset, side = ((6, 2), "left") if l else ((0, -15), "center") if k else ((-7, -7), "right")
        place = place_of(experiment, k, l)[::-1]
        ax.annotate(name, place, offset, textcoords="offset points", color="white", fontsize=8, ha=side, path_effects=rim)
    _draw_crystal_axes(ax, experiment)
    rows, cols = experiment.frame_px
    length = bar_mrad / experiment.mrad_per_px
    ax.add_patch(Rectangle((4, rows - 32), length + 16, 28, facecolor=GROUND, lw=0))
    ax.plot((12, 12 + length), (rows - 10,) * 2, color="white", lw=3, solid_capstyle="butt")
    ax.text(12 + length / 2, rows - 14, f"{bar_mrad:g} mrad", color="white", ha="center", va="bottom", fontsize=9)
    ax.set(aspect="equal", xlim=(-0.5, cols - 0.5), ylim=(rows - 0.5, -0.5), facecolor=GROUND, xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return discs


def _draw_crystal_axes(ax: Axes, experiment: Experiment) -> None:
    """Arrows along c and b* from the direct beam, on the face of the detector."""
    origin = np.array(experiment.origin_px)[::-1]
    for vector, name in ((experiment.g002_px, "c"), (experiment.g010_px, "b*")):
        reach = 5.45 * np.array(vector)[::-1]
        ax.annotate("", origin + reach, origin, arrowprops={"arrowstyle": "->", "color": "white", "lw": 1.1, "shrinkA": 6})
        box = {"facecolor": GROUND, "edgecolor": "none", "pad": 4}
        ax.text(*(origin + 1.09 * reach), name, color="white", ha="center", va="center", style="italic", fontsize=11, bbox=box)
