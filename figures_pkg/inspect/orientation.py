"""How the detector's rows and columns lie in a file: told by its lattice, half a turn by which of two opposite reflections is stronger."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from figures_pkg.imaging.pictures import as_drawn, disc_counts
from figures_pkg.imaging import Lattice, refine_lattice
from figures_pkg.imaging.lattice_search import find_lattice
from figures_pkg.imaging.lattice_search import FoundLattice

from .findings import AGREES, CONFLICT, OPEN, Decision, Finding

AS_PUBLISHED, UPSIDE_DOWN, HALF_TURN = "as published", "upside down", "turned by half a turn"
ORIENTATIONS = {  # what was done to the published frame, as a matrix on (row, col)
    AS_PUBLISHED: ((1, 0), (0, 1)),
    UPSIDE_DOWN: ((-1, 0), (0, 1)),
    "left and right exchanged": ((1, 0), (0, -1)),
    HALF_TURN: ((-1, 0), (0, -1)),
    "rows and columns exchanged": ((0, 1), (1, 0)),
    "rows and columns exchanged, and turned by half a turn": ((0, -1), (-1, 0)),
    "turned by a quarter turn anticlockwise": ((0, -1), (1, 0)),
    "turned by a quarter turn clockwise": ((0, 1), (-1, 0)),
}
CLOSE_DEG, APART_DEG = 4.0, 8.0  # the c axis may lie so far from where it is expected; the next orientation must be so much worse
LEAST_LIKENESS = 0.5  # of the strengths of opposite reflections, for half a turn to be told


def carried(places: np.ndarray, orientation: str, shape: tuple[int, int]) -> np.ndarray:
    """
    Where pixels of the published frame lie in a file of another orientation.

    Parameters
    ----------
    places
        (row, col) in the published frame, shape (..., 2).
    orientation
        A key of ``ORIENTATIONS``.
    shape
        (rows, columns) of the published frame.
    """
    matrix = np.array(ORIENTATIONS[orientation])
    middle = (np.array(shape) - 1) / 2
    return (np.asarray(places, float) - middle) @ matrix.T + np.abs(matrix) @ middle


def reoriented(picture: np.ndarray, orientation: str) -> np.ndarray:
    """
    A picture of the published frame as a file of another orientation holds it.

    Examples
    --------
    >>> reoriented(np.array([[1, 2], [3, 4]]), "upside down")
    array([[3, 4],
           [1, 2]])
    """
    (a, b), (c, d) = ORIENTATIONS[orientation]
    return picture[::a, ::d] if a else picture.T[::b, ::c]


@dataclass(frozen=True)
class Frame:
    """
    How a file shows the pattern.

    Attributes
    ----------
    orientation : str or None
        A key of ``ORIENTATIONS``; None where it cannot be told.
    lattice : Lattice or None
        In the file's own pixels, with +c where the orientation puts it.
    radius_px : float
        Of the discs.
    likeness : float
        Of the strengths of opposite reflections to the published ones, 1 the same, −1 exchanged; nan where unknown.
    found : FoundLattice or None
        What the search without a guess says.
    problem : str
        Why there is no lattice.
    """

    orientation: str | None
    lattice: Lattice | None
    radius_px: float
    likeness: float
    found: FoundLattice | None
    problem: str = ""

    @property
    def why(self) -> str:
        """Why there is no lattice, as a sentence."""
        return f"{self.problem[:1].upper()}{self.problem[1:]}." if self.problem else ""


def frame_of(mean: np.ndarray, mean_log: np.ndarray, expected: Lattice | None = None, radius_px: float | None = None,
             published: dict | None = None) -> Frame:
    """
    Find the lattice of a mean pattern and say how the frame lies with respect to the published one.

    The lattice is searched without a guess, because a wrong guess would find itself again. Its c axis tells mirrors and quarter turns,
    but a lattice looks the same after half a turn. What differs is how strong opposite reflections are: the specimen was tilted, and
    the published picture shows which of them is the stronger one.

    Parameters
    ----------
    mean, mean_log
        Mean counts and mean of ln(1 + counts), shape (det_y, det_x).
    expected
        Lattice of the published frame.
    radius_px
        Expected radius of the discs.
    published
        From :func:`figures_pkg.data.published.mean_pattern_numbers`.
    """  # fmt: skip
    try:
        up = expected.g002 if expected else (-1.0, 0.0)
        found = find_lattice(mean, up=up)
    except ValueError as error:
        return Frame(None, None, np.nan, np.nan, None, str(error))
    if expected is None:
        return Frame(None, found.lattice, found.radius_px, np.nan, found)
    candidates = _by_direction(found.lattice, expected)
    if not candidates:
        return Frame(None, found.lattice, found.radius_px, np.nan, found)
    trials = [(name, _signed(lattice, expected, name)) for name in candidates for lattice in _centred(found.lattice, expected, name, mean.shape)]
    if published is None:
        return Frame(None, trials[0][1], found.radius_px, np.nan, found)
    name, lattice = max(trials, key=lambda trial: _strength_correlation(mean_log, trial[1], published))
    likeness = _likeness(mean_log, lattice, published)
    name = name if likeness >= LEAST_LIKENESS else candidates[0]
    return Frame(name, _refined(mean, lattice, radius_px, found), found.radius_px, likeness, found)


def _centred(lattice: Lattice, expected: Lattice, orientation: str, shape) -> list[Lattice]:
    """The lattice as found, from the brightest disc, and with the direct beam at the node where an orientation puts it, where that is another."""
    place = carried(expected.centre, orientation, shape)
    basis = np.stack([lattice.g002, lattice.g010], axis=1)
    steps = np.round(np.linalg.solve(basis, place - lattice.centre))
    nearest = np.array(lattice.centre) + basis @ steps
    return [lattice] + ([replace(lattice, centre=tuple(map(float, nearest)))] if steps.any() else [])


def _by_direction(lattice: Lattice, expected: Lattice) -> list[str]:
    """The two orientations, half a turn apart, that put the c axis where it is found; none where no or several pairs do."""
    def away(name):
        c = np.array(ORIENTATIONS[name]) @ expected.g002
        cosine = abs(c @ lattice.g002) / np.linalg.norm(c) / np.linalg.norm(lattice.g002)
        return float(np.degrees(np.arccos(min(cosine, 1.0))))

    ordered = sorted(ORIENTATIONS, key=away)  # stable, so that partners stay side by side
    clear = away(ordered[0]) < CLOSE_DEG and away(ordered[2]) > APART_DEG
    return ordered[:2] if clear else []


def _signed(lattice: Lattice, expected: Lattice, orientation: str) -> Lattice:
    """The lattice with 002 and 010 on the sides where an orientation puts them."""
    matrix = np.array(ORIENTATIONS[orientation])
    vectors = []
    for found, wanted in ((lattice.g002, expected.g002), (lattice.g010, expected.g010)):
        sign = 1.0 if np.dot(matrix @ np.array(wanted), found) >= 0 else -1.0
        vectors.append(tuple(float(sign * part) for part in found))
    return Lattice(lattice.centre, *vectors, lattice.rms_px, lattice.n_discs)


def _refined(mean, lattice: Lattice, radius_px: float | None, found: FoundLattice) -> Lattice:
    """The lattice as the chapters of the book fit it, from the one that was found; that one where the fit fails."""
    try:
        return refine_lattice(mean, lattice, radius_px or found.radius_px)
    except ValueError:
        return lattice


def opposite_strengths(mean_log: np.ndarray, lattice: Lattice, published: dict) -> dict[tuple[int, int], tuple[float, float]]:
    """
    Logarithms of the ratio of opposite reflections, here and in the published picture.

    Parameters
    ----------
    mean_log
        Mean of ln(1 + counts), shape (det_y, det_x).
    lattice
        Says where the reflections lie.
    published
        From :func:`figures_pkg.data.published.mean_pattern_numbers`.

    Returns
    -------
    dict
        (k, l) -> (here, published), for the reflections on the +c or +b side whose pair is clear in both.
    """
    sums = published["disc_sums"]
    inside = {tuple(map(int, index)) for index in lattice.reflections(mean_log.shape, 12)}
    pairs = [(k, l) for k, l in sums if (l > 0 or (l == 0 and k > 0)) and {(k, l), (-k, -l)} <= inside and (-k, -l) in sums]
    if not pairs:
        return {}
    picture = as_drawn(mean_log)
    ours = disc_counts(picture, lattice, pairs, published["disc_px"]), disc_counts(picture, lattice, [(-k, -l) for k, l in pairs], published["disc_px"])
    floor = 0.01 * sums[0, 0]
    return {pair: (float(np.log(plus / minus)), float(np.log(sums[pair] / sums[-pair[0], -pair[1]])))
            for pair, plus, minus in zip(pairs, *ours)
            if min(plus, minus) > 0 and max(plus, minus) > floor and max(sums[pair], sums[-pair[0], -pair[1]]) > floor}  # fmt: skip


def _strength_correlation(mean_log: np.ndarray, lattice: Lattice, published: dict) -> float:
    """Correlation of the logarithms of the strengths of all reflections with the published ones."""
    inside = {tuple(map(int, index)) for index in lattice.reflections(mean_log.shape, 12)}
    known = {index: counts for index, counts in published["disc_sums"].items() if index in inside and counts > 0}
    if len(known) < 6:
        return -1.0
    here = disc_counts(as_drawn(mean_log), lattice, list(known), published["disc_px"])
    return float(np.corrcoef(np.log(np.maximum(here, 1.0)), np.log(list(known.values())))[0, 1])


def _likeness(mean_log, lattice: Lattice, published: dict) -> float:
    """Cosine between the logarithmic ratios here and in the published picture; nan-free, 0 where there is nothing to compare."""
    ratios = np.array(list(opposite_strengths(mean_log, lattice, published).values())).reshape(-1, 2)
    length = np.linalg.norm(ratios, axis=0)
    return float(ratios[:, 0] @ ratios[:, 1] / length.prod()) if len(ratios) >= 2 and length.all() else 0.0


def orientation_findings(frame: Frame, mean_log: np.ndarray, published: dict | None, opened: str = "lab") -> list[Finding]:
    """
    Findings about rows and columns of the detector, and about half a turn.

    Parameters
    ----------
    frame
        From :func:`frame_of`.
    mean_log
        Mean of ln(1 + counts), shape (det_y, det_x).
    published
        As for :func:`frame_of`.
    opened
        How the rows were taken to lie in the file, "lab" or "camera".
    """
    if published is None or frame.lattice is None:
        why = frame.why or "No published picture of this scan is known to compare with."
        return [Finding(check, "unknown", "", OPEN, why) for check in ("rows and columns", "half a turn")]
    angle = _course_of_c(frame.found.lattice)
    if frame.found and frame.orientation is None:
        text = f"The lattice of this file fits the published one in no clear way: the {angle}. The scan may have been taken with another rotation."
        return [Finding("rows and columns", "unknown", AS_PUBLISHED, OPEN, text), Finding("half a turn", "unknown", "", OPEN, text)]
    return [_rows_finding(frame, angle, opened), _half_turn_finding(frame, mean_log, published)]


def _course_of_c(lattice: Lattice) -> str:
    """How the c axis runs, whichever of its ends is +c."""
    row, col = lattice.g002
    angle = (np.degrees(np.arctan2(-col, -row)) + 90) % 180 - 90  # from image up, anticlockwise
    return f"c axis lies {abs(angle):.1f}° {'left' if angle > 0 else 'right'} of image up"


def _rows_finding(frame: Frame, angle: str, opened: str) -> Finding:
    """Whether the frame is mirrored or turned with respect to the published one."""
    discs = f"{frame.found.n_discs} discs, {frame.found.rms_px:.2f} px scatter"
    if frame.orientation in (AS_PUBLISHED, HALF_TURN):
        source = f"the lattice of the file lies as in the published picture: the {angle}"
        decisions = (Decision("axes", "orientation", opened, source),) if frame.orientation == AS_PUBLISHED else ()
        text = f"The {angle}, as in the published picture; a mirror would lean it to the other side ({discs})."
        return Finding("rows and columns", AS_PUBLISHED, AS_PUBLISHED, AGREES, text, decisions=decisions)
    where, remedy, decisions = _mirror_words(frame, angle, opened)
    says = f"{where} with respect to the published picture{remedy}"
    text = (f"The {angle} ({discs}), where the published picture has it on the other side or along the other axis. Which of two opposite "
            f"reflections is stronger tells a mirror of the rows from one of the columns (likeness {frame.likeness:.2f}). The sign of P depends "
            "on it.")  # fmt: skip
    return Finding("rows and columns", frame.orientation, AS_PUBLISHED, CONFLICT, text, wrong=True, says=says, decisions=decisions)


def _mirror_words(frame: Frame, angle: str, opened: str) -> tuple[str, str, tuple[Decision, ...]]:
    """Name of a wrong orientation, the remedy, and what follows for the manifest."""
    if frame.orientation != UPSIDE_DOWN:
        return f"the detector's frame is {frame.orientation}", ": turn the array before it is used; no option of the manifest does it", ()
    native = "camera" if opened == "lab" else "lab"
    source = f"upside down with respect to the published picture: the {angle} when opened as {opened}"
    doubt = "" if frame.likeness >= LEAST_LIKENESS else " (or left and right are exchanged: the strengths of the reflections do not tell)"
    return f"the rows are upside down{doubt}", f": stored_orientation is {native}", (Decision("axes", "orientation", native, source, (opened,)),)


def _half_turn_finding(frame: Frame, mean_log, published: dict) -> Finding:
    """Whether the file is the published frame or turned by half a turn, and what that can and cannot mean."""
    ratios = opposite_strengths(mean_log, frame.lattice, published)
    named = ", ".join(f"{_name(k, l)}/{_name(-k, -l)} {np.exp(here):.2g} ({np.exp(there):.2g})" for (k, l), (here, there) in list(ratios.items())[:5])
    honest = ("A lattice looks the same after half a turn; which reflections are stronger tells whether this is the published frame. "
              "That +c points to the stronger 002 is a convention.")  # fmt: skip
    if abs(frame.likeness) < LEAST_LIKENESS or not ratios:
        return Finding("half a turn", "unknown", "as published", OPEN, f"{honest} Here they do not decide: {named or 'no pair is clear'}.")
    text = f"{honest} Ratios here (in the published picture): {named}; likeness {frame.likeness:.2f} of 1."
    if frame.orientation == HALF_TURN:
        says = "the patterns are turned by half a turn with respect to the published picture: 002 and 00-2, and so +P and −P, are exchanged"
        return Finding("half a turn", "turned", "as published", CONFLICT, text, wrong=True, says=says)
    return Finding("half a turn", "not turned", "as published", AGREES, text)


def _name(k: int, l: int) -> str:
    """Name of a reflection, such as 00-4."""
    return f"0{k}{l}"
