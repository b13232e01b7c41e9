"""What a file says of itself beside its counts: format, size, shape, type, storage, steps and energy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from figures_pkg.data.hspy import open_hspy
from figures_pkg.record.manifest import Dataset

from .findings import AGREES, CONFLICT, DECIDED, OPEN, WARNING, Decision, Finding, times
from .geometry import candidates_of

STEP_ERROR = 0.01  # of a stated step, within which two sources agree
SLOW_CHUNK_BYTES = 64e6  # of whole patterns that must be decoded to see one of them


def label_findings(scan: xr.DataArray, path: Path, entry: Dataset | None, of_record: bool, profile: str = "") -> list[Finding]:
    """
    Findings from the file's labels, before any count is read.

    Parameters
    ----------
    scan
        As opened, with the axes of the file.
    path
        Of the file.
    entry
        The manifest's entry, or None.
    of_record
        Whether the file should be the record's: its size, format and number of positions are then those of the manifest. The twin
        writes the same detector at a size of its own.
    profile
        Name of the size that the twin was made in, for a sentence.

    Returns
    -------
    list of Finding
        "file", "shape", "type", "chunks", "scan step", "beam energy".
    """
    first = [_file_finding(scan, path, entry, of_record), shape_finding(scan, entry, of_record, profile)]
    return first + [_type_finding(scan), _chunk_finding(scan, path), step_finding(scan, entry, of_record), energy_finding(scan, entry)]


def _file_finding(scan, path: Path, entry: Dataset | None, of_record: bool) -> Finding:
    """Format and size of the file."""
    size = path.stat().st_size if path.is_file() else sum(part.stat().st_size for part in path.rglob("*") if part.is_file())
    found = f"{scan.attrs['format']}, {size / 1e6:,.0f} MB"
    if entry is None:
        return Finding("file", found, "", OPEN, "Nothing is known of it beforehand.")
    if not of_record:
        expected = str(entry.container["format"].value)
        return Finding("file", found, expected, _format_verdict(scan, entry), "The twin writes the format of the record.")
    least, most = entry.expected_bytes.value
    expected = f"{least / 1e6:,.0f} to {most / 1e6:,.0f} MB"
    if not least <= size <= most:
        return Finding("file", found, expected, WARNING, f"Its size lies outside what {entry.expected_bytes.source} lets expect.")
    stated = entry.container["format"]
    decision = Decision("container", "format", stated.value, f"the file names its format, {scan.attrs['format']}")
    verdict = _format_verdict(scan, entry)
    return Finding("file", found, expected, verdict, f"The manifest expects {stated.value}.", decisions=(decision,) if verdict == AGREES else ())


def _format_verdict(scan, entry: Dataset) -> str:
    """Whether the file has the format that the manifest names."""
    return AGREES if str(entry.container["format"].value).startswith(scan.attrs["format"]) else CONFLICT


def shape_finding(scan, entry: Dataset | None, of_record: bool, profile: str) -> Finding:
    """Whether the file has the shape that the manifest gives."""
    found = times(scan.shape)
    if entry is None:
        return Finding("shape", found, "", OPEN, "(scan_y, scan_x, det_y, det_x). Nothing to compare with.")
    wanted = tuple(entry.container["shape"].value)
    if scan.shape == wanted:
        decision = Decision("container", "shape", list(wanted), "the file's array has this shape")
        return Finding("shape", found, times(wanted), AGREES, "(scan_y, scan_x, det_y, det_x).", decisions=(decision,) if of_record else ())
    if not of_record and scan.shape[2:] == wanted[2:]:
        text = f"The detector is the one of the record; how many positions the twin has is set by the profile{' ' + profile if profile else ''}."
        return Finding("shape", found, times(wanted), AGREES, text)
    says = f"the file holds {found} numbers, the manifest expects {times(wanted)} of {entry.id}: the book would refuse it"
    text = "Steps, boxes and the lattice of the manifest may not belong to this file. What can be checked without its shape is checked below."
    return Finding("shape", found, times(wanted), CONFLICT, text, wrong=True, says=says)


def _type_finding(scan) -> Finding:
    """Whether the values are stored as counts."""
    kind = scan.dtype
    if kind.kind == "u" and kind.itemsize > 1:
        return Finding("type", str(kind), "whole numbers, 16 bits", AGREES, "Room for a counter of 12 bits.")
    if kind == np.uint8:
        text = "Bytes hold counts up to 255. Deeper counters are wrapped or cut by a conversion to bytes; see wrap-around."
        return Finding("type", str(kind), "whole numbers, 16 bits", WARNING, text)
    if kind.kind != "f":
        return Finding("type", str(kind), "whole numbers, 16 bits", AGREES, "Room for any counter.")
    text = "Counts are whole numbers; these values may have been scaled, and then noise estimates from counting do not hold."
    return Finding("type", str(kind), "whole numbers, 16 bits", WARNING, text)


def _chunk_finding(scan, path: Path) -> Finding:
    """How the file is cut into pieces, and what that costs."""
    piece = open_hspy(path, scan_shape=(1, 1)).stored.piece if path.suffix.lower() == ".hspy" else tuple(sizes[0] for sizes in scan.chunks)
    dragged = min(piece[0], scan.shape[0]) * min(piece[1], scan.shape[1]) * scan.shape[2] * scan.shape[3] * scan.dtype.itemsize
    text = f"To see a single pattern, {dragged / 1e6:,.1f} MB are decoded. Blocks of whole chunks are read here, each once."
    if dragged > SLOW_CHUNK_BYTES:
        text += " A copy made with figures_pkg convert gives single patterns at once."
    return Finding("chunks", times(piece), "", AGREES, text)


def step_finding(scan, entry: Dataset | None, of_record: bool) -> Finding:
    """The step of the scan: the file's own axes against every source of the manifest."""
    own = scan.attrs["scan_step_nm"]
    sources = candidates_of(entry, "axes", "scan_step_nm")
    expected = f"{sources[0].value:.4g} nm" if sources else ""
    if not np.isfinite(own).all():
        text = "The scan axes of the file are not in nm; nothing in the counts tells the step."
        return Finding("scan step", "not in the file", expected, OPEN, text)
    found = f"{own[0]:.3g} nm" if np.isclose(*own) else f"{own[0]:.3g} nm down, {own[1]:.3g} nm across"
    if not sources:
        return Finding("scan step", found, "", OPEN, "As the file's axes say. Nothing to compare with.")
    if not of_record:
        return Finding("scan step", found, expected, AGREES, _field_words(scan, own, sources, entry))
    listed = "; ".join(f"{one.value:g} nm ({one.basis})" for one in sources)
    text = f"As the file's axes say, which hold what was entered at the microscope; nothing in the counts tells the step. The sources say {listed}."
    fitting = [one for one in sources if np.allclose(own, one.value, rtol=STEP_ERROR)]
    if not fitting:
        return Finding("scan step", found, expected, CONFLICT, f"{text} None of them is the file's.")
    if len(sources) == 1:
        return Finding("scan step", found, expected, AGREES, text)
    others = tuple(one.value for one in sources if one not in fitting)
    source, kept = f"the axes of the file say {own[0]:g} nm", fitting[0] is sources[0]
    decision = Decision("axes", "scan_step_nm", fitting[0].value, source, others, keeps_basis=kept)
    return Finding("scan step", found, expected, DECIDED, text, decisions=(decision,))


def _field_words(scan, own, sources, entry) -> str:
    """How wide the field of a twin is, beside that of the record."""
    here, there = own[0] * scan.shape[0], sources[0].value * entry.container["shape"].value[0]
    return f"The twin shows the same field in fewer, wider steps: {here:.0f} nm, like {there:.0f} nm on the record."


def energy_finding(scan, entry: Dataset | None) -> Finding:
    """The energy of the electrons, from the file's metadata."""
    energy = scan.attrs["beam_energy_kev"]
    wanted = entry.acquisition["beam_energy_kev"].value if entry else None
    expected = f"{wanted:g} keV" if wanted else ""
    if np.isnan(energy):
        return Finding("beam energy", "not in the file", expected, OPEN, "The manifest's value is used.")
    verdict = OPEN if wanted is None else AGREES if abs(energy / wanted - 1) < 0.01 else CONFLICT
    text = "From the file's metadata, where this laboratory's converter writes V in the place of keV."
    return Finding("beam energy", f"{energy:g} keV", expected, verdict, text)
