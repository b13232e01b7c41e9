"""What the chapter on the structure alone needs: the crystal as a drawing and to be turned by hand, its CIF, and the experiment drawn to its numbers."""

from dataclasses import dataclass
from itertools import product

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, FancyArrow, Polygon, Rectangle
from matplotlib.patheffects import withStroke

from figures_pkg.crystal.structure import SYMMETRY, sense_of, structure
from figures_pkg.interactive.page import piece
from figures_pkg.plotting.style import MINUS_P, PLUS_P, WALL

# Colour and drawn radius in Å; red and blue are left to ±P. Radii are chosen to be seen, not ionic radii.
ELEMENTS = {"Er": ("#2a9d6f", 0.52), "Mn": ("#7a4fa3", 0.30), "O": ("#f4f4f4", 0.24)}
FACES = [(apex, *base) for apex in (0, 1) for base in ((2, 3), (3, 4), (4, 2))]  # corners of the six faces
LABELLED = {"000": (0, 0), "002": (0, 2), "004": (0, 4), "010": (1, 0), "030": (3, 0)}  # k and l
GROUND = "#20242c"
BEAM = "#2e9e4f"  # green as in the paper's Fig. 1b
SOURCE_HEIGHT, SPECIMEN_HEIGHT = 8.6, 5.6  # units of the page; the detector lies at 0
DETECTOR_WIDTH, FIELD_WIDTH, LAMELLA_WIDTH, LAMELLA_THICKNESS = 5.2, 2.9, 5.2, 0.22
RIGHT_OF_DEPTH, UP_OF_DEPTH = -0.35, 0.45  # how a step away from the viewer is drawn
LABEL = (
    "Crystal structure that can be turned: layers of green Er between layers of violet Mn, each inside a bipyramid of five O. "
    "Buttons choose +P or -P, enlarge the Er displacements and set the view."
)
STAGE = """<div class="companion-row" data-part="buttons" role="group" aria-label="State and view of the crystal"></div>
<canvas tabindex="0" role="application" aria-label="{label}" aria-describedby="{name}-help"></canvas>
<p aria-live="polite" data-part="status"></p>
<p id="{name}-help">Drag or use the arrow keys to turn; plus and minus, a pinch, or the wheel after a click zoom; Home goes back.</p>"""
WITHOUT = "Turning the crystal needs JavaScript; the figure above shows the same two structures."


@dataclass(frozen=True)
class Scene:
    """What is drawn of a crystal: the atoms of one cell and on its border, and whole bipyramids."""

    index: np.ndarray  # (m,): which atom of the cell each drawn atom repeats
    places: np.ndarray  # (m, 3) in Å
    symbols: np.ndarray  # (m,)
    corners: np.ndarray  # (p, 5, 3) in Å: upper apex, lower apex, and the three of the base


def scene(positions: np.ndarray, symbols, cell) -> Scene:
    """Gather what is drawn of an orthogonal cell (lengths in Å): its atoms, their repeats on its border, and every corner of its bipyramids."""
    positions, symbols = np.asarray(positions, float), np.asarray(symbols)
    index, places = _fill_box(positions, cell)
    centres, corner_index, corners = bipyramids(positions, symbols, cell)
    repeat, moved = _fill_box(positions[centres], cell)
    corners = corners[repeat] + (moved - positions[centres][repeat])[:, None]
    places = np.concatenate([places, corners.reshape(-1, 3)])
    index = np.concatenate([index, corner_index[repeat].ravel()])
    once = np.unique(np.round(places, 4), axis=0, return_index=True)[1]
    return Scene(index[once], places[once], symbols[index[once]], corners)


def project(positions: np.ndarray) -> np.ndarray:
    """Positions (n, 3) along (a, b*, c) as seen along [100]: b* to the right, c up, a towards the viewer; right-handed, so screws stay."""
    return np.asarray(positions, float)[:, [1, 2, 0]]


def layer_displacements(heights: np.ndarray, period: float, gap: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """
    Sort heights (n,) in Å, of one element, into layers that are parted by ``gap`` or more in a stack that repeats after ``period``.

    Returns the mean height of each atom's layer, from 0 to ``period``, and its displacement from it, positive upward, both (n,).
    """
    heights = np.asarray(heights, float) % period
    order = np.argsort(heights)
    gaps = np.diff(heights[order], prepend=heights[order[-1]] - period)
    first = int(np.argmax(gaps))
    if gaps[first] < gap:
        raise ValueError(f"no gap of {gap:g} Å between the heights, the widest is {gaps[first]:.2f} Å: there are no layers")
    order = np.roll(order, -first)
    unwrapped = (heights[order] - heights[order[0]]) % period + heights[order[0]]
    layer = np.cumsum(np.diff(unwrapped, prepend=unwrapped[0]) >= gap)
    mean = np.bincount(layer, unwrapped) / np.bincount(layer)
    means, displacements = np.empty_like(heights), np.empty_like(heights)
    means[order], displacements[order] = mean[layer] % period, unwrapped - mean[layer]
    return means, displacements


def exaggerate(positions: np.ndarray, symbols, cell, factor: float) -> np.ndarray:
    """Move Er along c until its displacements from the layer means are ``factor`` times as large."""
    moved, er = np.array(positions, float), np.asarray(symbols) == "Er"
    moved[er, 2] += (factor - 1) * layer_displacements(moved[er, 2], cell[2])[1]
    return moved


def _fill_box(positions: np.ndarray, cell) -> tuple[np.ndarray, np.ndarray]:
    """Repeat atoms on a face, edge or corner of a cell on the opposite ones: which atom each one repeats, (m,), and its place (m, 3) in Å."""
    shifts = _neighbours(cell)
    places = (np.asarray(positions)[:, None] + shifts).reshape(-1, 3)
    inside = ((places > -0.05) & (places < np.asarray(cell) + 0.05)).all(axis=1)
    return np.repeat(np.arange(len(positions)), len(shifts))[inside], places[inside]


def bipyramids(positions: np.ndarray, symbols, cell):
    """
    Find the trigonal bipyramids of five O within 2.3 Å of each Mn, across the cell's borders too.

    Returns the Mn (n,), the O (n, 5) and where these lie (n, 5, 3) in Å: upper apex, lower apex, and the three of the base.
    """
    symbols, positions = np.asarray(symbols), np.asarray(positions, float)
    index, shifts = np.flatnonzero(symbols == "Mn"), _neighbours(cell)
    pool_index = np.repeat(np.flatnonzero(symbols == "O"), len(shifts))
    pool = (positions[symbols == "O"][:, None] + shifts).reshape(-1, 3)
    chosen = []
    for atom in positions[index]:
        near = np.flatnonzero(np.linalg.norm(pool - atom, axis=1) < 2.3)
        if len(near) != 5:
            raise ValueError(f"Mn at {np.round(atom, 2)} has {len(near)} O within 2.3 Å; a bipyramid has 5")
        chosen.append(near[np.argsort(pool[near, 2])[[4, 0, 1, 2, 3]]])
    chosen = np.array(chosen)
    return index, pool_index[chosen], pool[chosen]


def _neighbours(cell) -> np.ndarray:
    """Shifts to a cell and the 26 around it, shape (27, 3)."""
    return np.stack(np.meshgrid(*3 * [(-1, 0, 1)], indexing="ij"), axis=-1).reshape(-1, 3) * np.asarray(cell, float)


def draw_projection(ax: Axes, positions: np.ndarray, symbols, cell, factor: float) -> dict:
    """
    Draw an orthogonal cell (Å) along its first axis, the displacements of Er from its layers enlarged by ``factor`` (more than 1).

    Arrows lead from the layer mean to the drawn atoms, open circles mark where these truly are. Returns ``"atoms"`` (circles, farthest first),
    ``"bipyramids"``, ``"layers"`` (lines by height) and ``"arrows"`` (place on the page and true displacement in Å of each column of Er).
    """
    drawn, er = scene(positions, symbols, cell), np.asarray(symbols) == "Er"
    enlarged = drawn.places + (exaggerate(positions, symbols, cell, factor) - positions)[drawn.index]
    faces = project(drawn.corners[:, FACES].reshape(-1, 3)).reshape(-1, 3, 3)
    faces = faces[np.argsort(faces[..., 2].mean(axis=1), kind="stable"), :, :2]
    violet = ELEMENTS["Mn"][0]
    bipyramid = ax.add_collection(PolyCollection(faces, facecolors=violet, edgecolors=violet, alpha=0.13, lw=0.5, zorder=1))
    means = np.unique(np.round(layer_displacements(np.asarray(positions)[er, 2], cell[2])[0], 6))
    dashed = {"color": "0.25", "ls": "--", "lw": 1.0, "zorder": 2.5}
    layers = {float(mean): ax.plot((-0.9, cell[1] + 0.9), (mean, mean), **dashed)[0] for mean in means}
    in_front = drawn.symbols == "Er"
    seen, atoms = project(enlarged), []
    for order, atom in enumerate(np.argsort(seen[:, 2], kind="stable")):
        colour, radius = ELEMENTS[drawn.symbols[atom]]
        style = {"facecolor": colour, "edgecolor": "0.2", "lw": 0.7, "zorder": 3 + in_front[atom] + order / len(seen)}
        atoms.append(ax.add_patch(Circle(seen[atom, :2], radius, **style)))
    columns = {}  # atoms of Er behind each other share a place on the page
    for place, target in zip(project(drawn.places[in_front]), seen[in_front]):
        columns[tuple(np.round(target[:2], 3))] = (*target[:2], place[1], (target[1] - place[1]) / (factor - 1))
    for x, y, height, moved in columns.values():
        style = {"arrowstyle": "-|>,head_width=0.22,head_length=0.4", "color": "black", "lw": 1.3, "shrinkA": 0, "shrinkB": 0}
        ax.annotate("", (x, y), (x, y - factor * moved), arrowprops=style, zorder=5)
        ax.plot(x, height, "o", mfc="white", mec="black", ms=3.2, mew=0.9, zorder=5.2)
    arrows = [((x, y), moved) for x, y, _, moved in columns.values()]
    ax.add_patch(Rectangle((0, 0), cell[1], cell[2], fill=False, color="0.3", lw=0.8, zorder=2))
    ax.set(aspect="equal", xlim=(-3, cell[1] + 3.4), ylim=(-4, cell[2] + 2.3))
    ax.set_axis_off()
    return {"bipyramids": bipyramid, "layers": layers, "atoms": atoms, "arrows": arrows}


def label_displacements(ax: Axes, arrows: list[tuple[tuple[float, float], float]], above: float) -> list:
    """Write the true displacement in Å beside each of the ``"arrows"`` of :func:`draw_projection` whose atoms lie higher than ``above`` (Å)."""
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.6}
    style = {"ha": "center", "va": "center", "fontsize": 6.8, "bbox": box, "zorder": 6}
    shown = [(x, y + np.sign(moved) * 0.85, f"{moved:+.3f}".replace("-", "−")) for (x, y), moved in arrows if y > above]
    return [ax.text(x, y, text, **style) for x, y, text in shown]


def polarization_arrow(ax: Axes, sign: int, x: float, low: float, high: float) -> FancyArrow:
    """Draw the polarization as a thick arrow beside the cell, red and upward for +P, blue and downward for −P, between two heights."""
    colour, name = (PLUS_P, "+P") if sign > 0 else (MINUS_P, "−P")
    start = low if sign > 0 else high
    shape = {"width": 0.32, "head_width": 0.95, "head_length": 0.95, "length_includes_head": True}
    arrow = ax.arrow(x, start, 0, sign * (high - low), color=colour, lw=0, zorder=6, **shape)
    ax.text(x, low - 0.25 if sign > 0 else high + 0.25, name, color=colour, ha="center", fontsize=12,
            va="top" if sign > 0 else "bottom", weight="bold")  # fmt: skip
    return arrow


def draw_axes_triad(ax: Axes) -> None:
    """Draw the directions in the lower left corner: b* to the right, c up, a towards the viewer."""
    x, y, length, arrow = -2.3, -3.6, 1.5, {"arrowstyle": "-|>", "color": "0.2", "lw": 1.0, "shrinkA": 0, "shrinkB": 0}
    for dx, dy, name in ((length, 0, "b*"), (0, length, "c")):
        ax.annotate("", (x + dx, y + dy), (x, y), arrowprops=arrow)
        ax.annotate(name, (x + dx, y + dy), (4 * bool(dx), 3 * bool(dy)), textcoords="offset points", fontsize=9, style="italic",
                    ha="left" if dx else "center", va="center" if dx else "bottom")  # fmt: skip
    ax.plot(x, y, "o", mfc="white", mec="0.2", ms=7, zorder=7)
    ax.plot(x, y, "o", color="0.2", ms=2.2, zorder=7)
    ax.annotate("a", (x, y), (-9, -5), textcoords="offset points", fontsize=9, style="italic", ha="center", va="center")


@dataclass(frozen=True)
class Experiment:
    """
    The numbers of the experiment; detector places are (row, column) in pixels, rows downward as in the published pictures.

    On the page, row 0 of scan and detector is the far side: both are seen from above, the side of the source.
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

    @property
    def radius_px(self) -> float:
        """Radius of a diffraction disc."""
        return self.convergence_mrad / self.mrad_per_px


def reflections_on_detector(experiment: Experiment, orders: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Indices (k, l) of the reflections 0kl with even l whose discs lie inside the frame, and their (row, column) in pixels, both (n, 2)."""
    k, half_l = np.meshgrid(np.arange(-orders, orders + 1), np.arange(-orders, orders + 1), indexing="ij")
    indices = np.stack([k.ravel(), 2 * half_l.ravel()], axis=1)
    places = place_of(experiment, *indices.T)
    radius = experiment.radius_px
    inside = ((places > radius) & (places < np.array(experiment.frame_px) - 1 - radius)).all(axis=1)
    return indices[inside], places[inside]


def place_of(experiment: Experiment, k, l) -> np.ndarray:
    """Pixel (row, column) of reflections 0kl, shape of ``k`` and then 2."""
    k, l = np.asarray(k)[..., None], np.asarray(l)[..., None]
    return np.array(experiment.origin_px) + k * np.array(experiment.g010_px) + l / 2 * np.array(experiment.g002_px)


def _disc_rim(experiment: Experiment) -> np.ndarray:
    """Points around a disc, (row, column) from its centre, shape (60, 2)."""
    phi = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    return experiment.radius_px * np.stack([np.sin(phi), np.cos(phi)], axis=-1)


def _disc_colours(indices: np.ndarray) -> list[str]:
    """White for the direct beam, yellow for 00l, grey for the others."""
    return ["#ffffff" if k == l == 0 else "#ffd166" if k == 0 else "#9aa3b2" for k, l in indices]


def draw_detector_face(ax: Axes, experiment: Experiment, bar_mrad: float) -> PolyCollection:
    """Draw the detector face-on, as published pictures show it: row 0 at the top, discs at their true places and size, a bar in mrad."""
    indices, places = reflections_on_detector(experiment)
    rims = (places[:, None] + _disc_rim(experiment))[..., ::-1]
    discs = ax.add_collection(PolyCollection(rims, facecolors=_disc_colours(indices), lw=0))
    rim = [withStroke(linewidth=2, foreground=GROUND)]
    for name, (k, l) in LABELLED.items():
        offset, side = ((6, 2), "left") if l else ((8, -27), "center") if k else ((-7, -7), "right")
        lead = {"arrowstyle": "-", "color": "white", "lw": 0.8, "shrinkA": 0, "shrinkB": 0} if k else None  # other discs lie between
        box = {"facecolor": GROUND, "edgecolor": "none", "pad": 1} if k else None
        ax.annotate(name, place_of(experiment, k, l)[::-1], offset, textcoords="offset points", color="white", fontsize=8, ha=side,
                    path_effects=rim, arrowprops=lead, bbox=box)
    origin = np.array(experiment.origin_px)[::-1]
    for vector, name in ((experiment.g002_px, "c"), (experiment.g010_px, "b*")):
        reach = 5.45 * np.array(vector)[::-1]
        ax.annotate("", origin + reach, origin, arrowprops={"arrowstyle": "->", "color": "white", "lw": 1.1, "shrinkA": 6})
        box = {"facecolor": GROUND, "edgecolor": "none", "pad": 4}
        ax.text(*(origin + 1.09 * reach), name, color="white", ha="center", va="center", style="italic", fontsize=11, bbox=box)
    rows, cols = experiment.frame_px
    length = bar_mrad / experiment.mrad_per_px
    ax.add_patch(Rectangle((4, rows - 32), length + 16, 28, facecolor=GROUND, lw=0))
    ax.plot((12, 12 + length), (rows - 10,) * 2, color="white", lw=3, solid_capstyle="butt")
    ax.text(12 + length / 2, rows - 14, f"{bar_mrad:g} mrad", color="white", ha="center", va="bottom", fontsize=9)
    ax.set(aspect="equal", xlim=(-0.5, cols - 0.5), ylim=(rows - 0.5, -0.5), facecolor=GROUND, xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return discs


def angle_exaggeration(experiment: Experiment) -> float:
    """How many times larger than in the microscope every angle is drawn: the cone of the beam, the spread of the pattern and the discs."""
    true = experiment.mrad_per_px * 1e-3 * experiment.frame_px[1]
    return DETECTOR_WIDTH / SPECIMEN_HEIGHT / true


def draw_experiment(ax: Axes, experiment: Experiment, every: int) -> dict:
    """
    Draw the experiment in oblique view, one in ``every`` scan positions along each direction; only its numbers place things on the page.

    Returns ``"discs"`` and ``"domains"`` (PolyCollections), ``"detector"`` and ``"beam"`` (Polygons), ``"wall"`` and ``"raster"`` (lines).
    """
    artists = _draw_detector(ax, experiment) | _draw_lamella(ax, experiment)
    artists |= {"raster": _draw_raster(ax, experiment, every), "beam": _draw_beam(ax, experiment)}
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


def _draw_detector(ax: Axes, experiment: Experiment) -> dict:
    """The frame with its grid of pixels, the discs, and cones from the probe to those of 002, 004, 030 and their opposites."""
    rows, cols = experiment.frame_px
    corners = _detector_page(experiment, np.array([0, 0, rows, rows]) - 0.5, np.array([0, cols, cols, 0]) - 0.5)
    frame = ax.add_patch(Polygon(corners, facecolor=GROUND, edgecolor="black", lw=1, zorder=0))
    for row in range(32, rows, 32):
        ax.plot(*_detector_page(experiment, [row - 0.5] * 2, [-0.5, cols - 0.5]).T, color="#3c4352", lw=0.5, zorder=0.5)
    for col in range(32, cols, 32):
        ax.plot(*_detector_page(experiment, [-0.5, rows - 0.5], [col - 0.5] * 2).T, color="#3c4352", lw=0.5, zorder=0.5)
    (indices, places), rim = reflections_on_detector(experiment), _disc_rim(experiment)
    row, col = np.moveaxis(places[:, None] + rim, -1, 0)
    discs = ax.add_collection(PolyCollection(_detector_page(experiment, row, col), facecolors=_disc_colours(indices), lw=0, zorder=1))
    probe = to_page(0.0, 0.0, SPECIMEN_HEIGHT - LAMELLA_THICKNESS)
    for k, l in ((0, -4), (0, -2), (0, 0), (0, 2), (0, 4), (-3, 0), (3, 0)):
        page = _detector_page(experiment, *(place_of(experiment, k, l) + rim).T)
        along = page.mean(axis=0) - probe
        across = (page - probe) @ (-along[1], along[0])
        cone = [probe, page[across.argmin()], page[across.argmax()]]
        ax.add_patch(Polygon(cone, facecolor=BEAM, alpha=0.75 if k == l == 0 else 0.4, lw=0, zorder=2))
    return {"detector": frame, "discs": discs}


def _draw_lamella(ax: Axes, experiment: Experiment) -> dict:
    """The plate: two domains on its upper face, its front and right sides, the wall, and arrows of ±P along c on the free margin."""
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
    row, col = np.array(experiment.g002_px) / np.hypot(*experiment.g002_px)
    shape = {"arrowstyle": "-|>,head_width=0.3,head_length=0.5", "lw": 2.6, "shrinkA": 0, "shrinkB": 0}
    for sign, colour, name, place in ((1, PLUS_P, "+P", -2.0), (-1, MINUS_P, "−P", 2.05)):
        ends = [to_page(place + s * 0.55 * sign * col, -s * 0.55 * sign * row, SPECIMEN_HEIGHT) for s in (-1, 1)]
        ax.annotate("", ends[1], ends[0], arrowprops={"color": colour} | shape, zorder=4)
        ax.annotate(name, ends[0], (0, -3 * sign), textcoords="offset points", color=colour, weight="bold", zorder=4,
                    ha="center", va="top" if sign > 0 else "bottom")  # fmt: skip
    return {"domains": domains, "wall": wall}


def _draw_raster(ax: Axes, experiment: Experiment, every: int) -> Line2D:
    """The scanned field with one in ``every`` positions as dots."""
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


def crystal_viewer(states: dict[int, np.ndarray], symbols, cell, factor: float = 3.0, name: str = "crystal-1") -> str:
    """
    HTML of an interactive view of a crystal in both polarizations, ``{+1: positions, -1: positions}`` (n, 3) along (a, b*, c) in Å.

    ``factor`` enlarges the Er displacements. Without JavaScript a sentence points to the figure above, so one must stand there.
    """
    middle = np.asarray(cell, float) / 2
    low, high = np.array([[0.0, -2.6, -3.0], [0.0, -2.6, 3.0]]) - [0, middle[1], 0]
    ends = np.array(list(product((-1, 1), repeat=3)))
    edges = [(a, b) for i, a in enumerate(ends) for b in ends[i + 1 :] if np.abs(a - b).sum() == 2]
    data = {  # lengths in Å from the middle of the cell, rounded to 0.001 Å
        "states": [_state(sign, positions, symbols, cell, factor) for sign, positions in states.items()],
        "elements": ELEMENTS,
        "face": ELEMENTS["Mn"][0],
        "edges": [[_short(a * middle), _short(b * middle)] for a, b in edges],
        "arrow": [low.tolist(), high.tolist()],
        "axes": ["a", "b*", "c"],
        "factor": factor,
        "size": round(float(np.linalg.norm(cell)) + 1.0, 3),
    }
    return piece("viewer", name, STAGE.format(name=name, label=LABEL), data, WITHOUT)


def _state(sign: int, positions, symbols, cell, factor: float) -> dict:
    drawn = scene(positions, symbols, cell)
    middle = np.asarray(cell, float) / 2
    moved = (exaggerate(positions, symbols, cell, factor) - positions)[drawn.index]
    plus, away = sign > 0, np.linalg.norm(drawn.corners[:, :, None] - drawn.places, axis=-1)
    return {
        "sign": sign,
        "name": "+P" if plus else "−P",
        "pattern": "two Er up, one down" if plus else "two Er down, one up",
        "symbols": drawn.symbols.tolist(),
        "places": _short(drawn.places - middle),
        "enlarged": _short((drawn.places + moved - middle)[:, 2]),
        "faces": away.argmin(axis=-1)[:, FACES].reshape(-1, 3).tolist(),  # as triples of atoms
    }


def _short(values: np.ndarray) -> list:
    return np.round(np.asarray(values, float), 3).tolist()


_HEAD = """\
# {name}, polarization {sign}P ({pattern}); standard setting of P6_3cm is -P.
# Coordinates are NOT a refinement: interpolated 0.36 LuMnO3 + 0.64 YMnO3 by the radii of the rare earths.
# LuMnO3: van Aken, Meetsma, Palstra, Acta Cryst. E57, i101 (2001). YMnO3: relaxation of Gibbs et al., PRB 83, 094111 (2011).
data_{name}_{word}_P
_chemical_name_common '{name}'
_cell_length_a {a}
_cell_length_b {a}
_cell_length_c {c}
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 120
_space_group_name_H-M_alt 'P 63 c m'
_space_group_IT_number {space_group}
loop_
_space_group_symop_operation_xyz
"""
SITE_COLUMNS = ("label", "type_symbol", "fract_x", "fract_y", "fract_z", "U_iso_or_equiv", "occupancy")


def cif_text(polarization=1):
    """ErMnO3 of either polarization as the text of a CIF; the sites are those of :func:`figures_pkg.crystal.ermno3`, for +1 inverted through the origin."""
    table, sense = structure(), sense_of(polarization)
    words = {"sign": "+", "word": "plus", "pattern": "up-up-down"} if polarization > 0 else {"sign": "-", "word": "minus", "pattern": "down-down-up"}
    numbers = {"name": table["name"], "a": table["a_angstrom"], "c": table["c_angstrom"], "space_group": table["space_group"]}
    lines = _HEAD.format(**words, **numbers).splitlines()
    for rotation, screw in SYMMETRY:  # in words, e.g. -y,x-y,z+1/2
        parts = ["".join(f"{'+' if value > 0 else '-'}{name}" for value, name in zip(row, "xy") if value) for row in rotation]
        lines.append("'" + ",".join(part.removeprefix("+") for part in parts) + (",z+1/2'" if screw else ",z'"))
    lines += ["loop_", *(f"_atom_site_{name}" for name in SITE_COLUMNS)]
    for site in table["sites"]:
        x, y, z = (sense * value % 1 for value in site["xyz"])
        lines.append(f"{site['label']} {site['symbol']} {x:.9f} {y:.9f} {z:.9f} {site['u_iso']} 1")
    return "\n".join(lines) + "\n"
