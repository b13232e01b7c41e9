"""How the detector's rows and columns lie in a file, and what the lattice says of scales, direct beam, convergence and drift."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from figures_pkg.data.units import wavelength_angstrom
from figures_pkg.imaging import Lattice, refine_lattice
from figures_pkg.imaging.lattice import as_drawn, disc_counts
from figures_pkg.imaging.lattice_search import FoundLattice, Zone, find_lattice
from figures_pkg.record.manifest import Dataset, Fact

from .counts import Statistics
from .findings import AGREES, CONFLICT, DECIDED, OPEN, WARNING, Decision, Finding, number, signed

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
SCALE_ERROR = 0.005  # of a lattice fitted to rims: half a pixel in the radius of the circle moves it by so much; distortion adds to it
OTHER_CAMERA_LENGTH = 0.03  # a scale that is off by more belongs to another camera length
BEAM_REACH_PX = 2.0  # the direct beam may wander so far from where the published picture has it
ELECTRONS_PER_PA_MS = 6241.5
RADIUS_ERROR = 0.12  # of a disc's radius measured on its rim: blur and uneven filling


def carried(places: np.ndarray, orientation: str, shape: tuple[int, int]) -> np.ndarray:
    """Where pixels (row, col), shape (..., 2), of the published frame of a shape lie in a file of another orientation, a key of ``ORIENTATIONS``."""
    matrix = np.array(ORIENTATIONS[orientation])
    middle = (np.array(shape) - 1) / 2
    return (np.asarray(places, float) - middle) @ matrix.T + np.abs(matrix) @ middle


def reoriented(picture: np.ndarray, orientation: str) -> np.ndarray:
    """A picture of the published frame as a file of another orientation holds it."""
    (a, b), (c, d) = ORIENTATIONS[orientation]
    return picture[::a, ::d] if a else picture.T[::b, ::c]


@dataclass(frozen=True)
class Frame:
    """How a file shows the pattern."""

    orientation: str | None = None  # a key of ``ORIENTATIONS``; None where it cannot be told
    lattice: Lattice | None = None  # in the file's own pixels, with +c where the orientation puts it; None for the reason in ``problem``
    radius_px: float = np.nan  # of the discs
    likeness: float = np.nan  # of the strengths of opposite reflections to the published ones, 1 the same, −1 exchanged
    found: FoundLattice | None = None  # what the search without a guess says
    problem: str = ""


def frame_of(mean: np.ndarray, mean_log: np.ndarray, expected: Lattice | None, radius_px: float | None, published: dict | None) -> Frame:
    """Find the lattice of a mean pattern and say how the frame lies with respect to the published one (:mod:`figures_pkg.data.published`).

    The search takes no guess, because a wrong one would find itself again. The c axis tells mirrors and quarter turns; half a turn is told by how
    strong opposite reflections are: the specimen was tilted.
    """
    try:
        found = find_lattice(mean, up=expected.g002 if expected else (-1.0, 0.0))
    except ValueError as error:
        return Frame(problem=str(error))
    unknown = Frame(None, found.lattice, found.radius_px, found=found)
    if expected is None or published is None:
        return unknown

    def away(name: str) -> float:
        """Degrees between the c axis as found and where an orientation puts it, whichever end is +c."""
        c = np.array(ORIENTATIONS[name]) @ expected.g002
        cosine = abs(c @ found.lattice.g002) / np.linalg.norm(c) / np.linalg.norm(found.lattice.g002)
        return float(np.degrees(np.arccos(min(cosine, 1.0))))

    candidates = sorted(ORIENTATIONS, key=away)  # stable, so that the two that are half a turn apart stay side by side
    if away(candidates[0]) >= CLOSE_DEG or away(candidates[2]) <= APART_DEG:  # no pair fits, or several do
        return unknown
    trials = [(name, lattice) for name in candidates[:2] for lattice in _lattices(found.lattice, expected, name, mean.shape)]
    name, lattice = max(trials, key=lambda trial: _strength_correlation(mean_log, trial[1], published))
    ratios = np.array(list(opposite_strengths(mean_log, lattice, published).values())).reshape(-1, 2)
    length = np.linalg.norm(ratios, axis=0)
    likeness = float(ratios[:, 0] @ ratios[:, 1] / length.prod()) if len(ratios) >= 2 and length.all() else 0.0  # a cosine
    try:  # as the chapters of the book fit it
        lattice = refine_lattice(mean, lattice, radius_px or found.radius_px)
    except ValueError:
        pass
    return Frame(name if likeness >= LEAST_LIKENESS else candidates[0], lattice, found.radius_px, likeness, found)


def _lattices(found: Lattice, expected: Lattice, orientation: str, shape) -> list[Lattice]:
    """The lattice with 002 and 010 where an orientation puts them, from the brightest disc; and from the node where the direct beam should be, if another."""
    basis = np.stack([found.g002, found.g010], axis=1)
    steps = np.round(np.linalg.solve(basis, carried(expected.centre, orientation, shape) - found.centre))
    wanted = np.array(ORIENTATIONS[orientation]) @ np.stack([expected.g002, expected.g010], axis=1)
    g002, g010 = (tuple(map(float, vector)) for vector in (basis * np.where((wanted * basis).sum(axis=0) >= 0, 1.0, -1.0)).T)
    lattice = Lattice(found.centre, g002, g010, found.rms_px, found.n_discs)
    return [lattice] + ([replace(lattice, centre=tuple(map(float, found.centre + basis @ steps)))] if steps.any() else [])


def opposite_strengths(mean_log: np.ndarray, lattice: Lattice, published: dict) -> dict[tuple[int, int], tuple[float, float]]:
    """Logarithms of the ratio of opposite reflections, (k, l) on the +c or +b side -> (here, in the published picture), where a pair is clear in both."""
    sums = published["disc_sums"]
    inside = {tuple(map(int, index)) for index in lattice.reflections(mean_log.shape, 12)}
    pairs = [(k, l) for k, l in sums if (l > 0 or (l == 0 and k > 0)) and {(k, l), (-k, -l)} <= inside and (-k, -l) in sums]
    if not pairs:
        return {}
    opposite = [(-k, -l) for k, l in pairs]
    picture, floor, ratios = as_drawn(mean_log), 0.01 * sums[0, 0], {}
    here, there = (disc_counts(picture, lattice, side, published["disc_px"]) for side in (pairs, opposite))
    for pair, other, plus, minus in zip(pairs, opposite, here, there):
        if min(plus, minus) > 0 and max(plus, minus) > floor and max(sums[pair], sums[other]) > floor:
            ratios[pair] = float(np.log(plus / minus)), float(np.log(sums[pair] / sums[other]))
    return ratios


def _strength_correlation(mean_log: np.ndarray, lattice: Lattice, published: dict) -> float:
    """Correlation of the logarithms of the strengths of all reflections with the published ones."""
    inside = {tuple(map(int, index)) for index in lattice.reflections(mean_log.shape, 12)}
    known = {index: counts for index, counts in published["disc_sums"].items() if index in inside and counts > 0}
    if len(known) < 6:
        return -1.0
    here = disc_counts(as_drawn(mean_log), lattice, list(known), published["disc_px"])
    return float(np.corrcoef(np.log(np.maximum(here, 1.0)), np.log(list(known.values())))[0, 1])


def orientation_findings(frame: Frame, mean_log: np.ndarray, published: dict | None, opened: str = "lab") -> list[Finding]:
    """Findings about rows and columns of the detector, taken as ``opened`` ("lab" or "camera"), and about half a turn."""
    if published is None or frame.lattice is None:
        why = f"{frame.problem[:1].upper()}{frame.problem[1:]}." if frame.problem else "No published picture of this scan is known to compare with."
        return [Finding(check, "unknown", "", OPEN, why) for check in ("rows and columns", "half a turn")]
    row, col = frame.found.lattice.g002
    degrees = (np.degrees(np.arctan2(-col, -row)) + 90) % 180 - 90  # from image up, anticlockwise, whichever end is +c
    angle = f"c axis lies {abs(degrees):.1f}° {'left' if degrees > 0 else 'right'} of image up"
    if frame.orientation is None:
        text = f"The lattice of this file fits the published one in no clear way: the {angle}. The scan may have been taken with another rotation."
        return [Finding("rows and columns", "unknown", AS_PUBLISHED, OPEN, text), Finding("half a turn", "unknown", "", OPEN, text)]
    half_turn, discs = _half_turn_finding(frame, mean_log, published), f"{frame.found.n_discs} discs, {frame.found.rms_px:.2f} px scatter"
    if frame.orientation in (AS_PUBLISHED, HALF_TURN):
        source = f"the lattice of the file lies as in the published picture: the {angle}"
        decisions = (Decision("axes", "orientation", opened, source),) if frame.orientation == AS_PUBLISHED else ()
        text = f"The {angle}, as in the published picture; a mirror would lean it to the other side ({discs})."
        return [Finding("rows and columns", AS_PUBLISHED, AS_PUBLISHED, AGREES, text, decisions=decisions), half_turn]
    where, remedy, decisions = f"the detector's frame is {frame.orientation}", "turn the array before it is used; no option of the manifest does it", ()
    if frame.orientation == UPSIDE_DOWN:
        native = "camera" if opened == "lab" else "lab"
        doubt = "" if frame.likeness >= LEAST_LIKENESS else " (or left and right are exchanged: the strengths of the reflections do not tell)"
        where, remedy = f"the rows are upside down{doubt}", f"stored_orientation is {native}"
        source = f"upside down with respect to the published picture: the {angle} when opened as {opened}"
        decisions = (Decision("axes", "orientation", native, source, (opened,)),)
    says = f"{where} with respect to the published picture: {remedy}"
    text = (f"The {angle} ({discs}), where the published picture has it on the other side or along the other axis. Which of two opposite "
            f"reflections is stronger tells a mirror of the rows from one of the columns (likeness {frame.likeness:.2f}). The sign of P depends "
            "on it.")  # fmt: skip
    return [Finding("rows and columns", frame.orientation, AS_PUBLISHED, CONFLICT, text, wrong=True, says=says, decisions=decisions), half_turn]


def _half_turn_finding(frame: Frame, mean_log, published: dict) -> Finding:
    """Whether the file is the published frame or turned by half a turn, and what that can and cannot mean."""
    ratios = opposite_strengths(mean_log, frame.lattice, published)
    named = ", ".join(f"0{k}{l}/0{-k}{-l} {np.exp(here):.2g} ({np.exp(there):.2g})" for (k, l), (here, there) in list(ratios.items())[:5])
    honest = ("A lattice looks the same after half a turn; which reflections are stronger tells whether this is the published frame. "
              "That +c points to the stronger 002 is a convention.")  # fmt: skip
    if abs(frame.likeness) < LEAST_LIKENESS or not ratios:
        return Finding("half a turn", "unknown", "as published", OPEN, f"{honest} Here they do not decide: {named or 'no pair is clear'}.")
    text = f"{honest} Ratios here (in the published picture): {named}; likeness {frame.likeness:.2f} of 1."
    if frame.orientation == HALF_TURN:
        says = "the patterns are turned by half a turn with respect to the published picture: 002 and 00-2, and so +P and −P, are exchanged"
        return Finding("half a turn", "turned", "as published", CONFLICT, text, wrong=True, says=says)
    return Finding("half a turn", "not turned", "as published", AGREES, text)


def geometry_findings(scan: xr.DataArray, statistics: Statistics, frame: Frame, entry: Dataset | None) -> list[Finding]:
    """Findings about the pattern's geometry: "detector scale", "direct beam", "convergence", "drift of the pattern"."""
    if frame.lattice is None:
        return [Finding(check, "no lattice", "", OPEN, "No lattice of reflections was found, see rows and columns.")
                for check in ("detector scale", "direct beam", "convergence", "drift of the pattern")]  # fmt: skip
    return [_scale_finding(scan, frame, entry), _beam_finding(frame, entry), _convergence_finding(scan, frame, entry), _drift_finding(statistics, frame)]


def candidates_of(entry: Dataset | None, group: str, name: str) -> list[Fact]:
    """What all sources of the manifest say of a quantity, the one that is used first."""
    fact = getattr(entry, group).get(name) if entry else None
    return [] if fact is None else [fact, *fact.conflicts]


def _lattice_scale(lattice: Lattice) -> tuple[float, float, float]:
    """Size of a pixel in 1/Å that makes the lattice that of ErMnO3: the geometric mean, from 002 alone, and from 010 alone."""
    zone = Zone.ermno3()
    along_c, along_b = zone.g002 / np.hypot(*lattice.g002), zone.g010 / np.hypot(*lattice.g010)
    return float(np.sqrt(along_c * along_b)), float(along_c), float(along_b)


def _scale_finding(scan: xr.DataArray, frame: Frame, entry: Dataset | None) -> Finding:
    """The size of a detector pixel: the lattice against the cell, the file's own axes and every source of the manifest."""
    scale, along_c, along_b = _lattice_scale(frame.lattice)
    error = SCALE_ERROR + abs(along_c / along_b - 1) / 2
    own = float(np.mean(scan.attrs["det_scale_inv_angstrom"]))
    sources = candidates_of(entry, "axes", "det_scale_inv_angstrom")
    found = f"{scale:.5f} 1/Å ± {100 * error:.1f} %"
    off = own / scale - 1
    if np.isnan(own):
        own_axes = "The file's own axes hold no calibration."
    elif abs(off) <= error:
        own_axes = f"The file's own axes say {own:.5f}, which agrees."
    elif abs(off) <= OTHER_CAMERA_LENGTH:
        own_axes = f"The file's own axes say {own:.5f}, off by {signed(100 * off, 1)} %: a nominal value, which this book does not use."
    else:
        own_axes = f"The file's own axes say {own:.5f}, {own / scale:.2f} times as much: they belong to another camera length. This book does not use them."
    text = (f"From the lattice and a = 6.112, c = 11.42 Å: 002 asks for {along_c:.5f}, 010 for {along_b:.5f} 1/Å a pixel; a projector with "
            f"elliptic distortion makes them differ. {own_axes}")  # fmt: skip
    if not sources:
        verdict = OPEN if np.isnan(own) else AGREES if abs(off) <= error else CONFLICT
        return Finding("detector scale", found, "" if np.isnan(own) else f"{own:.5f} 1/Å in the file", verdict, text)
    expected, values = f"{sources[0].value:g} 1/Å", tuple(one.value for one in sources)
    if abs(values[0] / scale - 1) > OTHER_CAMERA_LENGTH:
        says = f"the lattice asks for {scale:.5f} 1/Å a pixel, {scale / values[0]:.2f} times the manifest's {values[0]:g}: another camera length"
        source = f"lattice of the file against a = 6.112 and c = 11.42 angstrom, {frame.lattice.n_discs} discs"
        decision = Decision("axes", "det_scale_inv_angstrom", round(scale, 5), source, values)
        return Finding("detector scale", found, expected, CONFLICT, text, wrong=True, says=says, decisions=(decision,))
    listed = "; ".join(f"{one.value:g} ({one.basis}) is off by {signed(100 * (one.value / scale - 1), 1)} %" for one in sources)
    text = f"{text} Of the sources, {listed}."
    excluded = tuple(value for value in values if abs(value / scale - 1) > error)
    if not excluded:
        return Finding("detector scale", found, expected, AGREES, f"{text} The lattice excludes none of them.")
    kept = [value for value in values if value not in excluded]
    source = f"the lattice of the file gives {scale:.5f} within {100 * error:.1f} %"
    decision = Decision("axes", "det_scale_inv_angstrom", kept[0] if kept else round(scale, 5), source, excluded, keeps_basis=bool(kept))
    return Finding("detector scale", found, expected, DECIDED, text, decisions=(decision,))


def _beam_finding(frame: Frame, entry: Dataset | None) -> Finding:
    """Where the direct beam lies; its decisions are that place and the two vectors of the lattice."""
    row, col = frame.lattice.centre
    found = f"row {row:.1f}, column {col:.1f}"
    sources = candidates_of(entry, "axes", "origin_row_col_px")
    doubt = "" if frame.found.second_brightest < 0.9 else " The next disc is almost as bright, so that this may not be the direct beam."
    text = f"{frame.lattice.n_discs} discs scatter by {frame.lattice.rms_px:.2f} px about the lattice.{doubt}"
    if not sources:
        return Finding("direct beam", found, "", OPEN, text + " Nothing to compare with.")
    wanted = np.array(sources[0].value, float)
    expected = f"row {wanted[0]:g}, column {wanted[1]:g}"
    if frame.orientation not in (None, "as published"):
        return Finding("direct beam", found, expected, OPEN, text + " It is to be compared once the frame is turned, see above.")
    away = float(np.hypot(row - wanted[0], col - wanted[1]))
    source = f"lattice of the file, {frame.lattice.n_discs} discs, {frame.lattice.rms_px:.2f} px rms"
    decision = Decision("axes", "origin_row_col_px", [round(row, 1), round(col, 1)], source, tolerance=0.5)
    verdict = AGREES if away <= BEAM_REACH_PX else CONFLICT
    says = f"the direct beam lies {away:.1f} px from where the manifest has it, at row {row:.1f}, column {col:.1f}: take over the patch"
    wrong = away > 0.7 * frame.radius_px and verdict == CONFLICT
    text += f" It lies {away:.1f} px from the expected place."
    source = f"same fit to the file; {frame.lattice.n_discs} discs"
    vectors = {"g002_row_col_px": frame.lattice.g002, "g010_row_col_px": frame.lattice.g010}
    decisions = (decision, *(Decision("axes", name, [round(part, 2) for part in vector], source, tolerance=0.3) for name, vector in vectors.items()))
    return Finding("direct beam", found, expected, verdict, text, wrong=wrong, says=says if wrong else "", decisions=decisions)


def _convergence_finding(scan: xr.DataArray, frame: Frame, entry: Dataset | None) -> Finding:
    """The convergence angle that the radius of the discs means, against every source of the manifest."""
    energy = scan.attrs["beam_energy_kev"]
    sources = candidates_of(entry, "acquisition", "convergence_mrad")
    radius = f"discs of {frame.radius_px:.1f} px"
    if np.isnan(energy):
        return Finding("convergence", radius, "", OPEN, "The file names no beam energy, so the radius cannot be turned into an angle.")
    scale = _lattice_scale(frame.lattice)[0]
    measured = 1e3 * wavelength_angstrom(energy) * scale * frame.radius_px
    found = f"{measured:.2f} mrad ({radius})"
    spacing = min(np.hypot(*frame.lattice.g002), np.hypot(*frame.lattice.g010))
    text = f"The counts fall most at a radius of {frame.radius_px:.1f} px; the discs are {spacing:.1f} px apart and do not overlap."
    if not sources:
        return Finding("convergence", found, "", OPEN, text)
    expected = f"{sources[0].value:g} mrad"
    listed = "; ".join(f"{one.value:g} mrad ({one.basis}) means {one.value * frame.radius_px / measured:.1f} px" for one in sources)
    text = f"{text} Of the sources, {listed}."
    excluded = tuple(one.value for one in sources if abs(one.value / measured - 1) > RADIUS_ERROR)
    if not excluded:
        return Finding("convergence", found, expected, AGREES, text)
    kept = sources[0].value not in excluded
    source = f"discs of {frame.radius_px:.1f} px in the file are {measured:.2f} mrad"
    decision = Decision("acquisition", "convergence_mrad", sources[0].value if kept else round(measured, 2), source, excluded, keeps_basis=kept)
    return Finding("convergence", found, expected, DECIDED, text, decisions=(decision,))


def _drift_finding(statistics: Statistics, frame: Frame) -> Finding:
    rows, cols = statistics.tiles.shape[:2]
    centres = np.full((rows, cols, 2), np.nan)
    for place in np.ndindex(rows, cols):
        try:
            fit = refine_lattice(statistics.tiles[place], frame.lattice, frame.radius_px, rounds=2, reach_px=1.5, widest_px=0)
        except ValueError:  # too few counts in this part
            continue
        centres[place] = fit.centre
    known = np.isfinite(centres[..., 0])
    if known.sum() < 6 or min(rows, cols) < 2:
        return Finding("drift of the pattern", f"{known.sum()} parts", "", OPEN, "Too few parts of the scan show enough discs to fit a lattice to.")
    y, x = (axis[known] for axis in np.meshgrid((np.arange(rows) + 0.5) / rows, (np.arange(cols) + 0.5) / cols, indexing="ij"))
    design = np.stack([np.ones_like(y), y, x], axis=1)
    plane = np.linalg.lstsq(design, centres[known], rcond=None)[0]
    scatter, limit = float((centres[known] - design @ plane).std()), 0.1 * frame.radius_px
    walk = float(np.hypot(*plane[1:].T).max())
    down, right = (f"({signed(row, 2)}, {signed(col, 2)})" for row, col in plane[1:])
    text = (f"A lattice was fitted to each of {known.sum()} parts of the scan. From top to bottom the centre moves by {down} px "
            f"(row, column), from left to right by {right}, and scatters by {scatter:.2f} px about that plane.")  # fmt: skip
    if walk > limit:
        text += " The plane is taken out before centres of mass are compared; fixed apertures should be wider by as much."
    return Finding("drift of the pattern", f"{walk:.2f} px from side to side", f"below {limit:.1f} px", WARNING if walk > limit else AGREES, text)


def counts_findings(statistics: Statistics, entry: Dataset | None) -> list[Finding]:
    """Counts a pattern, against the published picture and the dose, and how they change over the scan."""
    return [_level_finding(float(statistics.total.mean()), entry), _trend_finding(statistics.total.astype(float))]


def _level_finding(mean: float, entry: Dataset | None) -> Finding:
    found = f"{mean:,.0f}"
    facts = entry.acquisition if entry else {}
    if "counts_per_pattern" not in facts:
        return Finding("counts a pattern", found, "", OPEN, "Mean over all patterns. Nothing to compare with.")
    least = facts["counts_per_pattern"].value
    dose = facts["current_pa"].value * facts["dwell_ms"].value * ELECTRONS_PER_PA_MS if {"current_pa", "dwell_ms"} <= set(facts) else None
    text = f"The published picture allows no fewer than {least:,}: it shows geometric means, which are smaller than plain ones."
    if dose:
        current, dwell = facts["current_pa"].value, facts["dwell_ms"].value
        text += (f" {current:g} pA for {dwell:g} ms are {number(dose)} electrons, of which {100 * mean / dose:.0f} % were counted; the rest "
                 "missed the chip, or current or dwell time are not those of this scan.")  # fmt: skip
    fits = mean >= 0.9 * least and not (dose and mean > 1.2 * dose)
    decision = Decision("acquisition", "counts_per_pattern", int(round(mean, -3)), "mean over all patterns of the file", tolerance=mean)
    return Finding("counts a pattern", found, f"at least {least:,}", AGREES if fits else CONFLICT, text, decisions=(decision,))


def _trend_finding(total: np.ndarray) -> Finding:
    mean = float(total.mean())
    if min(total.shape) < 2 or mean == 0:
        return Finding("drift of the counts", "one line", "", OPEN, "The scan is too small to tell.")
    rows, cols = np.meshgrid(*(np.linspace(-0.5, 0.5, size) for size in total.shape), indexing="ij")
    design = np.stack([np.ones(total.size), rows.ravel(), cols.ravel()], axis=1)
    down, right = np.linalg.lstsq(design, total.ravel() / mean, rcond=None)[0][1:]
    dark = int((total < 0.2 * np.median(total)).sum())
    down_words, right_words = (signed(100 * change, 1, " %") for change in (down, right))
    text = f"A plane through the counts changes by {down_words} from the first row to the last and by {right_words} from left to right."
    text += f" {dark} patterns hold less than a fifth of the median: the beam was off, or frames were lost." if dark else ""
    large = max(abs(down), abs(right)) > 0.25
    return Finding("drift of the counts", f"{down_words}, {right_words}", "within 25 %", WARNING if dark or large else AGREES, text)
