"""A crystal that a reader turns by hand: one self-contained piece of HTML that needs no network and no kernel."""

from itertools import count, product

import numpy as np

from figures_pkg.plotting.atoms import exaggerate, scene
from figures_pkg.plotting.crystal import ELEMENTS, FACES
from .page import piece

_numbers = count(1)
LABEL = (
    "Crystal structure that can be turned: layers of green Er between layers of violet Mn, each inside a bipyramid of five O. "
    "Buttons choose +P or -P, enlarge the Er displacements and set the view."
)

STAGE = """<div class="companion-row" data-part="buttons" role="group" aria-label="State and view of the crystal"></div>
<canvas tabindex="0" role="application" aria-label="{label}" aria-describedby="{name}-help"></canvas>
<p aria-live="polite" data-part="status"></p>
<p id="{name}-help">Drag or use the arrow keys to turn; plus and minus, a pinch, or the wheel after a click zoom; Home goes back.</p>"""
WITHOUT = "Turning the crystal needs JavaScript; the figure above shows the same two structures."


def crystal_viewer(states: dict[int, np.ndarray], symbols, cell, *, factor: float = 3.0, name: str | None = None) -> str:
    """
    Write an interactive view of a crystal in both polarizations.

    Ground and letters follow the page, light or dark. Dragging or the arrow keys turn it, buttons choose the state, the
    enlargement of the Er displacements and the views along [100] and [001]. Without JavaScript a sentence points to the
    figure above, so a static figure must stand there.

    Parameters
    ----------
    states
        ``{+1: positions, -1: positions}``, each of shape ``(n, 3)`` along (a, b*, c) in an orthogonal cell, in Å.
    symbols
        Element of each atom, length n.
    cell
        Edges of the cell in Å.
    factor
        How many times the Er displacements from their layer are enlarged at the push of a button.
    name
        The element's id; by default ``crystal-1``, ``crystal-2``, … so that several can stand in one page.

    Returns
    -------
    str
        HTML for ``IPython.display.HTML``.
    """
    name = f"crystal-{next(_numbers)}" if name is None else name
    stage = STAGE.format(name=name, label=LABEL)
    return piece("viewer", name, stage, viewer_data(states, symbols, cell, factor), WITHOUT)


def viewer_data(states: dict[int, np.ndarray], symbols, cell, factor: float = 3.0) -> dict:
    """
    Gather what the script draws, lengths in Å from the middle of the cell, rounded to 0.001 Å.

    Parameters
    ----------
    states, symbols, cell, factor
        As for :func:`crystal_viewer`.

    Returns
    -------
    dict
        ``states`` (places, enlarged heights, symbols and the faces as triples of atoms), ``edges`` of the cell, colours
        and drawn radii of the ``elements``, ends of the polarization's ``arrow``.
    """
    middle = np.asarray(cell, float) / 2
    low, high = np.array([[0.0, -2.6, -3.0], [0.0, -2.6, 3.0]]) - [0, middle[1], 0]
    return {
        "states": [_state(sign, positions, symbols, cell, factor) for sign, positions in states.items()],
        "elements": ELEMENTS,
        "face": ELEMENTS["Mn"][0],
        "edges": _edges(middle),
        "arrow": [low.tolist(), high.tolist()],
        "axes": ["a", "b*", "c"],
        "factor": factor,
        "size": round(float(np.linalg.norm(cell)) + 1.0, 3),
    }


def _state(sign: int, positions, symbols, cell, factor: float) -> dict:
    """One polarization: its drawn atoms and the triangular faces of its bipyramids."""
    drawn = scene(positions, symbols, cell)
    middle = np.asarray(cell, float) / 2
    moved = (exaggerate(positions, symbols, cell, factor) - positions)[drawn.index]
    plus = sign > 0
    return {
        "sign": sign,
        "name": "+P" if plus else "−P",
        "pattern": "two Er up, one down" if plus else "two Er down, one up",
        "symbols": drawn.symbols.tolist(),
        "places": _short(drawn.places - middle),
        "enlarged": _short((drawn.places + moved - middle)[:, 2]),
        "faces": _faces(drawn),
    }


def _faces(drawn) -> list[list[int]]:
    """The faces of all bipyramids as triples of atoms of the scene."""
    away = np.linalg.norm(drawn.corners[:, :, None] - drawn.places, axis=-1)
    return away.argmin(axis=-1)[:, FACES].reshape(-1, 3).tolist()


def _edges(middle: np.ndarray) -> list:
    """The twelve edges of a box around the origin, as pairs of ends."""
    ends = np.array(list(product((-1, 1), repeat=3)))
    pairs = [(a, b) for i, a in enumerate(ends) for b in ends[i + 1 :] if np.abs(a - b).sum() == 2]
    return [[_short(a * middle), _short(b * middle)] for a, b in pairs]


def _short(values: np.ndarray) -> list:
    """Nested lists with three decimals."""
    return np.round(np.asarray(values, float), 3).tolist()
