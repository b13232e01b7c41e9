"""The experiment drawn to its numbers: beam, lamella with two domains, scan raster, and the pattern on the detector."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon

from .experiment import GROUND, Experiment, disc_colours, disc_rim, place_of, reflections_on_detector
from .style import MINUS_P, PLUS_P, WALL

BEAM = "#2e9e4f"  # green as in the paper's Fig. 1b
SOURCE_HEIGHT, SPECIMEN_HEIGHT = 8.6, 5.6  # units of the page; the detector lies at 0
DETECTOR_WIDTH, FIELD_WIDTH, LAMELLA_WIDTH, LAMELLA_THICKNESS = 5.2, 2.9, 5.2, 0.22
RIGHT_OF_DEPTH, UP_OF_DEPTH = -0.35, 0.45  # how a step away from the viewer is drawn


def angle_exaggeration(experiment: Experiment) -> float:
    """
    How many times larger than in the microscope every angle is drawn.

    One factor holds for the cone of the beam, the spread of the pattern and the discs: it follows from the drawn width of
    the detector and its drawn distance, against the true angle that the detector spans.
    """
    true = experiment.mrad_per_px * 1e-3 * experiment.frame_px[1]
    return DETECTOR_WIDTH / SPECIMEN_HEIGHT / true


def draw_experiment(ax: Axes, experiment: Experiment, every: int = 16, shown_orders: int = 2) -> dict:
    """
    Draw the experiment in oblique view, from the source at the top to the detector at the bottom.

    Parameters
    ----------
    ax
        Where to draw; its limits and aspect are set.
    experiment
        The numbers; nothing on the page is placed by hand that they decide.
    every
        One in how many scan positions is drawn along each direction.
    shown_orders
        Diffracted beams are drawn to the reflections 00l up to this order of 002, and to 0k0 up to 3 times it.

    Returns
    -------
    dict
        ``"discs"`` and ``"domains"`` (PolyCollections), ``"detector"`` and ``"beam"`` (Polygons), ``"wall"`` and
        ``"raster"`` (lines).
    """
    artists = {"detector": _draw_detector(ax, experiment), "discs": _draw_discs(ax, experiment)}
    _draw_scattered(ax, experiment, shown_orders)
    artists |= _draw_lamella(ax, experiment)
    artists["raster"] = _draw_raster(ax, experiment, every)
    artists["beam"] = _draw_beam(ax, experiment)
    _draw_words(ax, experiment, every)
    ax.set(aspect="equal", xlim=(-4.6, 5.4), ylim=(-1.4, SOURCE_HEIGHT + 0.3))
    ax.set_axis_off()
    return artists


def to_page(right, depth, height) -> np.ndarray:
    """Oblique view: page coordinates (x, y) of points right of, behind and above the point below the beam."""
    right, depth, height = np.broadcast_arrays(*(np.asarray(v, float) for v in (right, depth, height)))
    return np.stack([right + RIGHT_OF_DEPTH * depth, height + UP_OF_DEPTH * depth], axis=-1)


def _detector_page(experiment: Experiment, row, col) -> np.ndarray:
    """Page coordinates of detector pixels; the direct beam falls straight below the probe."""
    unit = DETECTOR_WIDTH / experiment.frame_px[1]
    return to_page((np.asarray(col) - experiment.origin_px[1]) * unit, -(np.asarray(row) - experiment.origin_px[0]) * unit, 0.0)


def _draw_detector(ax: Axes, experiment: Experiment) -> Polygon:
    """The frame of the detector and every 32nd border between pixels."""
    rows, cols = experiment.frame_px
    corners = _detector_page(experiment, np.array([0, 0, rows, rows]) - 0.5, np.array([0, cols, cols, 0]) - 0.5)
    frame = ax.add_patch(Polygon(corners, facecolor=GROUND, edgecolor="black", lw=1, zorder=0))
    for row in range(32, rows, 32):
        ax.plot(*_detector_page(experiment, [row - 0.5] * 2, [-0.5, cols - 0.5]).T, color="#3c4352", lw=0.5, zorder=0.5)
    for col in range(32, cols, 32):
        ax.plot(*_detector_page(experiment, [-0.5, rows - 0.5], [col - 0.5] * 2).T, color="#3c4352", lw=0.5, zorder=0.5)
    return frame


def _draw_discs(ax: Axes, experiment: Experiment) -> PolyCollection:
    """All discs at their true places and size; the direct beam white, 00l yellow, the others grey."""
    indices, places = reflections_on_detector(experiment)
    row, col = np.moveaxis(places[:, None] + disc_rim(experiment), -1, 0)
    return ax.add_collection(PolyCollection(_detector_page(experiment, row, col), facecolors=disc_colours(indices), lw=0, zorder=1))


def _draw_scattered(ax: Axes, experiment: Experiment, orders: int) -> None:
    """Cones from the probe to the discs of some low reflections."""
    rim = disc_rim(experiment)
    probe = to_page(0.0, 0.0, SPECIMEN_HEIGHT - LAMELLA_THICKNESS)
    for k, l in [(0, 2 * n) for n in range(-orders, orders + 1)] + [(-3, 0), (3, 0)]:
        page = _detector_page(experiment, *(place_of(experiment, k, l) + rim).T)
        along = page.mean(axis=0) - probe
        across = (page - probe) @ (-along[1], along[0])
        cone = [probe, page[across.argmin()], page[across.argmax()]]
        ax.add_patch(Polygon(cone, facecolor=BEAM, alpha=0.75 if k == l == 0 else 0.4, lw=0, zorder=2))


def _draw_lamella(ax: Axes, experiment: Experiment) -> dict:
    """The plate: two domains on its upper face, its front and right sides, the wall, and the arrows of P along c."""
    half, top, bottom = LAMELLA_WIDTH / 2, SPECIMEN_HEIGHT, SPECIMEN_HEIGHT - LAMELLA_THICKNESS
    lean = np.tan(np.deg2rad(experiment.wall_lean_deg)) * half
    far, near = to_page(lean, half, top), to_page(-lean, -half, top)
    left = [to_page(-half, -half, top), near, far, to_page(-half, half, top)]
    right = [near, to_page(half, -half, top), to_page(half, half, top), far]
    sides = [
        [to_page(-half, -half, top), near, to_page(-lean, -half, bottom), to_page(-half, -half, bottom)],
        [near, to_page(half, -half, top), to_page(half, -half, bottom), to_page(-lean, -half, bottom)],
        [to_page(half, -half, top), to_page(half, half, top), to_page(half, half, bottom), to_page(half, -half, bottom)],
    ]
    faces = {"facecolors": ["#eab4b6", "#b3c9e3"], "edgecolors": "0.25", "lw": 0.8, "alpha": 0.95, "zorder": 3}
    domains = ax.add_collection(PolyCollection([left, right], **faces))
    ax.add_collection(PolyCollection(sides, facecolors=["#c98083", "#7f9fc6", "#6f8fb6"], edgecolors="0.25", lw=0.8, zorder=3))
    seam = np.array([far, near, to_page(-lean, -half, bottom)])
    wall = ax.plot(*seam.T, color=WALL, ls="--", lw=1.6, zorder=3.5)[0]
    _draw_polarization(ax, experiment)
    return {"domains": domains, "wall": wall}


def _draw_polarization(ax: Axes, experiment: Experiment) -> None:
    """Arrows of ±P in the plane of the plate, parallel to c on the detector; on the plate's free margin."""
    row, col = np.array(experiment.g002_px) / np.hypot(*experiment.g002_px)
    shape = {"arrowstyle": "-|>,head_width=0.3,head_length=0.5", "lw": 2.6, "shrinkA": 0, "shrinkB": 0}
    for sign, colour, name, right in ((1, PLUS_P, "+P", -2.0), (-1, MINUS_P, "−P", 2.05)):
        ends = [to_page(right + s * 0.55 * sign * col, -s * 0.55 * sign * row, SPECIMEN_HEIGHT) for s in (-1, 1)]
        ax.annotate("", ends[1], ends[0], arrowprops={"color": colour} | shape, zorder=4)
        ax.annotate(name, ends[0], (0, -3 * sign), textcoords="offset points", color=colour, weight="bold", zorder=4,
                    ha="center", va="top" if sign > 0 else "bottom")  # fmt: skip


def _draw_raster(ax: Axes, experiment: Experiment, every: int) -> Line2D:
    """The scanned field with one in ``every`` positions as dots; rows are scanned from left to right."""
    half = FIELD_WIDTH / 2
    corners = to_page([-half, half, half, -half], [half, half, -half, -half], SPECIMEN_HEIGHT)
    ax.add_patch(Polygon(corners, facecolor="none", edgecolor="0.15", lw=0.9, zorder=4))
    grid = [(np.arange(0, n, every) + every / 2) / n - 0.5 for n in experiment.scan_shape]
    y, x = np.meshgrid(*grid, indexing="ij")
    places = to_page(x.ravel() * FIELD_WIDTH, -y.ravel() * FIELD_WIDTH, SPECIMEN_HEIGHT)
    return ax.plot(*places.T, ".", color="0.15", ms=1.6, zorder=4)[0]


def _draw_beam(ax: Axes, experiment: Experiment) -> Polygon:
    """The converging beam above the plate, its semi-angle enlarged like all others, and the lens it comes from."""
    length = SOURCE_HEIGHT - SPECIMEN_HEIGHT
    radius = 1e-3 * experiment.convergence_mrad * angle_exaggeration(experiment) * length
    cone = [(0, SPECIMEN_HEIGHT), (-radius, SOURCE_HEIGHT), (radius, SOURCE_HEIGHT)]
    beam = ax.add_patch(Polygon(cone, facecolor=BEAM, alpha=0.85, lw=0, zorder=5))
    ax.plot((-0.75, -radius), (SOURCE_HEIGHT,) * 2, color="0.2", lw=4, solid_capstyle="butt", zorder=5)
    ax.plot((radius, 0.75), (SOURCE_HEIGHT,) * 2, color="0.2", lw=4, solid_capstyle="butt", zorder=5)
    return beam


def _draw_words(ax: Axes, experiment: Experiment, every: int) -> None:
    """Names of the parts with their numbers, and the camera length as a dimension line."""
    field = experiment.step_nm * np.array(experiment.scan_shape)
    rows, cols = experiment.scan_shape
    words = {
        (1.0, SOURCE_HEIGHT): f"source, {experiment.beam_energy_kev:g} kV",
        (0.4, SOURCE_HEIGHT - 1.1): f"convergent beam,\nsemi-angle {experiment.convergence_mrad:.2f} mrad",
        (2.6, SPECIMEN_HEIGHT + 0.75): f"lamella and scan\n{cols} × {rows} positions,\nstep {experiment.step_nm:g} nm, field {field[1]:.0f} nm\n"
        f"(1 in {every} drawn each way)",
        (2.3, 1.35): f"detector\n{experiment.frame_px[1]} × {experiment.frame_px[0]} pixels\nof {experiment.mrad_per_px:.3f} mrad",
    }
    for (x, y), text in words.items():
        ax.text(x, y, text, fontsize=9, va="center", ha="left", linespacing=1.35)
    x = -DETECTOR_WIDTH / 2 - 1.5
    ax.annotate("", (x, 0), (x, SPECIMEN_HEIGHT), arrowprops={"arrowstyle": "<->", "color": "0.3", "lw": 0.9, "shrinkA": 0, "shrinkB": 0})
    length = f"camera length {experiment.camera_length_cm:.2f} cm (nominal {experiment.nominal_length_cm:g} cm)"
    ax.text(x - 0.12, SPECIMEN_HEIGHT / 2, length, rotation=90, fontsize=9, ha="right", va="center")
