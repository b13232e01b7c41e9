"""What the lattice in the mean pattern says of the scales: size of a pixel, direct beam, convergence, and drift of the pattern."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from figures_pkg.data.units import wavelength_angstrom
from figures_pkg.record.manifest import Dataset
from figures_pkg.imaging import Lattice, refine_lattice
from figures_pkg.imaging.lattice_search import Zone

from .findings import AGREES, CONFLICT, DECIDED, OPEN, WARNING, Decision, Finding, number, signed
from .orientation import Frame
from .statistics import Statistics

SCALE_ERROR = 0.005  # of a lattice fitted to rims: half a pixel in the radius of the circle moves it by so much; distortion adds to it
OTHER_CAMERA_LENGTH = 0.03  # a scale that is off by more belongs to another camera length
BEAM_REACH_PX = 2.0  # the direct beam may wander so far from where the published picture has it
ELECTRONS_PER_PA_MS = 6241.5
RADIUS_ERROR = 0.12  # of a disc's radius measured on its rim: blur and uneven filling


@dataclass(frozen=True)
class Candidate:
    """One source's value of a quantity."""

    value: float
    basis: str


def geometry_findings(scan: xr.DataArray, statistics: Statistics, frame: Frame, entry: Dataset | None) -> list[Finding]:
    """
    Findings about the pattern's geometry.

    Parameters
    ----------
    scan
        As opened, with the axes of the file.
    statistics, frame
        From :func:`gather_statistics` and :func:`frame_of`.
    entry
        The manifest's entry, or None.

    Returns
    -------
    list of Finding
        "detector scale", "direct beam", "convergence", "drift of the pattern".
    """
    if frame.lattice is None:
        rows = ("detector scale", "direct beam", "convergence", "drift of the pattern")
        return [Finding(check, "no lattice", "", OPEN, "No lattice of reflections was found, see rows and columns.") for check in rows]
    return [scale_finding(scan, frame, entry), beam_finding(frame, entry), convergence_finding(scan, frame, entry), drift_finding(statistics, frame)]


def candidates_of(entry: Dataset | None, group: str, name: str) -> list[Candidate]:
    """What all sources of the manifest say of a quantity, the one that is used first."""
    fact = getattr(entry, group).get(name) if entry else None
    return [] if fact is None else [Candidate(one.value, one.basis) for one in (fact, *fact.conflicts)]


def lattice_scale(lattice: Lattice) -> tuple[float, float, float]:
    """
    Size of a pixel that makes the lattice that of ErMnO3, and how far its two directions disagree.

    Returns
    -------
    scale, along_c, along_b : float
        1/Å per pixel: the geometric mean, from 002 alone, and from 010 alone.
    """
    zone = Zone.ermno3()
    along_c, along_b = zone.g002 / np.hypot(*lattice.g002), zone.g010 / np.hypot(*lattice.g010)
    return float(np.sqrt(along_c * along_b)), float(along_c), float(along_b)


def scale_finding(scan: xr.DataArray, frame: Frame, entry: Dataset | None) -> Finding:
    """The size of a detector pixel: the lattice against the cell, the file's own axes and every source of the manifest."""
    scale, along_c, along_b = lattice_scale(frame.lattice)
    error = SCALE_ERROR + abs(along_c / along_b - 1) / 2
    own = float(np.mean(scan.attrs["det_scale_inv_angstrom"]))
    sources = candidates_of(entry, "axes", "det_scale_inv_angstrom")
    found = f"{scale:.5f} 1/Å ± {100 * error:.1f} %"
    text = (f"From the lattice and a = 6.112, c = 11.42 Å: 002 asks for {along_c:.5f}, 010 for {along_b:.5f} 1/Å a pixel; a projector with "
            f"elliptic distortion makes them differ. {_own_scale(own, scale, error)}")  # fmt: skip
    if not sources:
        verdict = OPEN if np.isnan(own) else AGREES if abs(own / scale - 1) <= error else CONFLICT
        return Finding("detector scale", found, "" if np.isnan(own) else f"{own:.5f} 1/Å in the file", verdict, text)
    expected, off = f"{sources[0].value:g} 1/Å", sources[0].value / scale - 1
    if abs(off) > OTHER_CAMERA_LENGTH:
        factor = f"{scale / sources[0].value:.2f} times the manifest's {sources[0].value:g}"
        says = f"the lattice asks for {scale:.5f} 1/Å a pixel, {factor}: another camera length"
        source = f"lattice of the file against a = 6.112 and c = 11.42 angstrom, {frame.lattice.n_discs} discs"
        decision = Decision("axes", "det_scale_inv_angstrom", round(scale, 5), source, tuple(one.value for one in sources))
        return Finding("detector scale", found, expected, CONFLICT, text, wrong=True, says=says, decisions=(decision,))
    return _decided_scale(found, expected, text, scale, error, sources)


def _decided_scale(found, expected, text, scale, error, sources: list[Candidate]) -> Finding:
    """Which of the sources fit the lattice."""
    excluded = [one for one in sources if abs(one.value / scale - 1) > error]
    kept = [one for one in sources if one not in excluded]
    listed = "; ".join(f"{one.value:g} ({one.basis}) is off by {signed(100 * (one.value / scale - 1), 1)} %" for one in sources)
    text = f"{text} Of the sources, {listed}."
    if not excluded:
        return Finding("detector scale", found, expected, AGREES, f"{text} The lattice excludes none of them.")
    value = kept[0].value if kept else round(scale, 5)
    source = f"the lattice of the file gives {scale:.5f} within {100 * error:.1f} %"
    decision = Decision("axes", "det_scale_inv_angstrom", value, source, tuple(one.value for one in excluded), keeps_basis=bool(kept))
    return Finding("detector scale", found, expected, DECIDED, text, decisions=(decision,))


def _own_scale(own: float, scale: float, error: float) -> str:
    """What the axes of the file say."""
    if np.isnan(own):
        return "The file's own axes hold no calibration."
    off = own / scale - 1
    if abs(off) <= error:
        return f"The file's own axes say {own:.5f}, which agrees."
    if abs(off) <= OTHER_CAMERA_LENGTH:
        return f"The file's own axes say {own:.5f}, off by {signed(100 * off, 1)} %: a nominal value, which this book does not use."
    return f"The file's own axes say {own:.5f}, {own / scale:.2f} times as much: they belong to another camera length. This book does not use them."


def beam_finding(frame: Frame, entry: Dataset | None) -> Finding:
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
    decisions = (decision, *_lattice_decisions(frame))
    return Finding("direct beam", found, expected, verdict, text, wrong=wrong, says=says if wrong else "", decisions=decisions)


def _lattice_decisions(frame: Frame) -> list[Decision]:
    """The two vectors of the lattice, for the manifest."""
    source = f"same fit to the file; {frame.lattice.n_discs} discs"
    vectors = {"g002_row_col_px": frame.lattice.g002, "g010_row_col_px": frame.lattice.g010}
    return [Decision("axes", name, [round(part, 2) for part in vector], source, tolerance=0.3) for name, vector in vectors.items()]


def convergence_finding(scan: xr.DataArray, frame: Frame, entry: Dataset | None) -> Finding:
    """The convergence angle that the radius of the discs means, against every source of the manifest."""
    energy = scan.attrs["beam_energy_kev"]
    sources = candidates_of(entry, "acquisition", "convergence_mrad")
    radius = f"discs of {frame.radius_px:.1f} px"
    if np.isnan(energy):
        return Finding("convergence", radius, "", OPEN, "The file names no beam energy, so the radius cannot be turned into an angle.")
    scale = lattice_scale(frame.lattice)[0]
    measured = 1e3 * wavelength_angstrom(energy) * scale * frame.radius_px
    found = f"{measured:.2f} mrad ({radius})"
    spacing = min(np.hypot(*frame.lattice.g002), np.hypot(*frame.lattice.g010))
    text = f"The counts fall most at a radius of {frame.radius_px:.1f} px; the discs are {spacing:.1f} px apart and do not overlap."
    if not sources:
        return Finding("convergence", found, "", OPEN, text)
    expected = f"{sources[0].value:g} mrad"
    excluded = [one for one in sources if abs(one.value / measured - 1) > RADIUS_ERROR]
    listed = "; ".join(f"{one.value:g} mrad ({one.basis}) means {one.value * frame.radius_px / measured:.1f} px" for one in sources)
    text = f"{text} Of the sources, {listed}."
    if not excluded:
        return Finding("convergence", found, expected, AGREES, text)
    value = round(measured, 2) if sources[0] in excluded else sources[0].value
    source = f"discs of {frame.radius_px:.1f} px in the file are {measured:.2f} mrad"
    against, kept = tuple(one.value for one in excluded), sources[0] not in excluded
    decision = Decision("acquisition", "convergence_mrad", value, source, against, keeps_basis=kept)
    return Finding("convergence", found, expected, DECIDED, text, decisions=(decision,))


def drift_finding(statistics: Statistics, frame: Frame) -> Finding:
    """How far the pattern moves while the beam scans: the lattice of each part of the scan."""
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
    slopes, scatter = _plane(centres, known)
    walk = float(np.hypot(*slopes).max())
    limit = 0.1 * frame.radius_px
    text = (f"A lattice was fitted to each of {known.sum()} parts of the scan. From top to bottom the centre moves by {_vector(slopes[:, 0])} px "
            f"(row, column), from left to right by {_vector(slopes[:, 1])}, and scatters by {scatter:.2f} px about that plane.")  # fmt: skip
    if walk > limit:
        text += " The plane is taken out before centres of mass are compared; fixed apertures should be wider by as much."
    return Finding("drift of the pattern", f"{walk:.2f} px over the scan", f"below {limit:.1f} px", WARNING if walk > limit else AGREES, text)


def _plane(centres: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, float]:
    """Change of (row, col) over the whole height and width of the scan, columns of a 2 × 2 array, and the scatter about it."""
    rows, cols = known.shape
    y, x = (axis[known] for axis in np.meshgrid((np.arange(rows) + 0.5) / rows, (np.arange(cols) + 0.5) / cols, indexing="ij"))
    design = np.stack([np.ones_like(y), y, x], axis=1)
    fit = np.linalg.lstsq(design, centres[known], rcond=None)[0]
    return fit[1:].T, float((centres[known] - design @ fit).std())


def _vector(pair) -> str:
    """Two numbers with their signs."""
    return f"({signed(pair[0], 2)}, {signed(pair[1], 2)})"


def counts_finding(statistics: Statistics, entry: Dataset | None) -> list[Finding]:
    """Counts a pattern, against the published picture and the dose, and how they change over the scan."""
    mean = float(statistics.total.mean())
    return [_level_finding(mean, entry), _trend_finding(statistics.total.astype(float), mean)]


def _level_finding(mean: float, entry: Dataset | None) -> Finding:
    """Mean counts of a pattern."""
    found = f"{mean:,.0f}"
    facts = entry.acquisition if entry else {}
    if "counts_per_pattern" not in facts:
        return Finding("counts a pattern", found, "", OPEN, "Mean over all patterns. Nothing to compare with.")
    least = facts["counts_per_pattern"].value
    dose = facts["current_pa"].value * facts["dwell_ms"].value * ELECTRONS_PER_PA_MS if {"current_pa", "dwell_ms"} <= set(facts) else None
    text = f"The published picture allows no fewer than {least:,}; geometric means lie below means."
    if dose:
        current, dwell = facts["current_pa"].value, facts["dwell_ms"].value
        text += (f" {current:g} pA for {dwell:g} ms are {number(dose)} electrons, of which {100 * mean / dose:.0f} % were counted; the rest "
                 "missed the chip, or current or dwell time are not those of this scan.")  # fmt: skip
    fits = mean >= 0.9 * least and not (dose and mean > 1.2 * dose)
    decision = Decision("acquisition", "counts_per_pattern", int(round(mean, -3)), "mean over all patterns of the file", tolerance=mean)
    return Finding("counts a pattern", found, f"at least {least:,}", AGREES if fits else CONFLICT, text, decisions=(decision,))


def _trend_finding(total: np.ndarray, mean: float) -> Finding:
    """How the counts change while the beam scans."""
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
