"""The first look at a scan: open it, read it once, and hold its labels, counts, frame and pictures against what is published."""

from __future__ import annotations

import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import xarray as xr

from figures_pkg.data.axes import ScanFileError
from figures_pkg.data.hspy import open_hspy
from figures_pkg.data.published import box_image_numbers, chip_dead_pixels, mean_pattern_numbers
from figures_pkg.data.scan import open_scan
from figures_pkg.data.units import disc_radius
from figures_pkg.imaging import Box, Lattice
from figures_pkg.imaging.lattice import as_drawn, between_discs, ring_background
from figures_pkg.record.fetch import locate, origin_of
from figures_pkg.record.manifest import Dataset, Manifest, load_manifest

from .counts import KnownPixels, Statistics, counter_findings, gather_statistics
from .findings import AGREES, CONFLICT, DECIDED, OPEN, WARNING, Decision, Finding, FirstLook, manifest_patch, signed, times
from .frame import (
    AS_PUBLISHED,
    ORIENTATIONS,
    Frame,
    candidates_of,
    carried,
    counts_findings,
    frame_of,
    geometry_findings,
    opposite_strengths,
    orientation_findings,
    reoriented,
)

OF_RECORD = ("record", "rehearsal")  # sources of files under a record's name
STEP_ERROR = 0.01  # of a stated step, within which two sources agree
SLOW_CHUNK_BYTES = 64e6  # of whole patterns that must be decoded to see one of them
PARTS = 16  # the published box images are kept as so many equal parts of the scan along each side
LIKE, CLEARER = 0.5, 0.15  # correlation of the box images, and by how much the next orientation must be worse
BOX_ERRORS = 3.0  # errors of the published mean within which a box agrees
RING_ERROR = 0.1  # of the counts between the discs
BOXES = ("box1", "box2")


def inspect_dataset(dataset: str, data: str = "twin", profile: str = "laptop", *, progress: bool = False) -> FirstLook:
    """The first look at a scan of the book, by name and source as for :func:`figures_pkg.record.fetch.locate`, which says how to make a missing one."""
    path = locate(dataset, data, profile)
    manifest = load_manifest()
    entry = manifest[dataset] if data == "zenodo" else manifest.datasets.get(dataset.partition("-field")[0])
    origin = origin_of(dataset) if data == "zenodo" else "twin"
    return _look(path, manifest, entry, origin, progress, profile="" if data == "zenodo" else profile)


def inspect_scan(path, expect: str | None = None, *, scan_shape: tuple[int, int] | None = None, progress: bool = False) -> FirstLook:
    """The first look at any file that the package can open.

    Without `expect`, an entry of the manifest, it is held against the one whose file has this name on the record; without either, only what the
    file shows by itself is checked. ``scan_shape`` is (rows, columns) of a ``.mib`` or ``.npy`` that does not tell, (1, 1) for a single pattern.
    FileNotFoundError or PermissionError if there is nothing to read.
    """
    path, manifest = Path(path), load_manifest()
    named = next((entry for entry in manifest.datasets.values() if entry.role == "measured" and path.name == entry.remote), None)
    return _look(path, manifest, manifest[expect] if expect else named, "user", progress, scan_shape=scan_shape)


def _look(path: Path, manifest: Manifest, entry: Dataset | None, origin: str, progress: bool, scan_shape=None, profile: str = "") -> FirstLook:
    """Open, read once, and collect the findings; a file that cannot be read is a finding of its own."""
    begin = time.perf_counter()
    stored = entry.axes["orientation"].value if entry and (origin in OF_RECORD or path.name == entry.remote) else None  # None: as the format has it
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of missing calibrations: they are findings
            scan = open_scan(path, scan_shape=scan_shape, stored_orientation=stored, check_counts=False)
        # what a file says itself counts before the word of who gave its checksum; a record's file that names a twin is a rehearsal
        source = origin if scan.source == "user" else "rehearsal" if origin in OF_RECORD else scan.source
        look = _held_against(scan, path, entry, source, stored or "lab", progress, profile)
    except (FileNotFoundError, PermissionError, IsADirectoryError):
        raise
    except (ScanFileError, OSError) as error:
        finding = Finding("file", "damaged or of another kind", "", CONFLICT, str(error), wrong=True, says=f"the file cannot be read: {error}")
        return FirstLook(str(path), origin, entry.id if entry else "", (finding,))
    wrong = [finding for finding in look.findings if finding.wrong]
    mended = () if any(finding.check in ("shape", "wrap-around") for finding in wrong) else wrong or look.findings
    decisions = [decision for finding in mended for decision in finding.decisions]  # in a file that contradicts, nothing but what mends that
    patch = manifest_patch(manifest.path, entry, decisions) if entry and look.source != "twin" else ""
    return replace(look, patch=patch, seconds=time.perf_counter() - begin)


def _held_against(scan: xr.DataArray, path: Path, entry: Dataset | None, source: str, stored: str, progress: bool, profile: str) -> FirstLook:
    """All findings in the order of the table; `stored` is how the rows were taken to lie in the file."""
    published = entry if entry and scan.shape[2:] == tuple(entry.container["shape"].value[2:]) else None  # of the same detector
    of_record, lattice, radius, pictures, pixels, images = source != "twin", None, None, None, KnownPixels(), None
    if published:
        lattice = Lattice(*(tuple(entry.axes[name].value) for name in ("origin_row_col_px", "g002_row_col_px", "g010_row_col_px")))
        angle, energy = (entry.acquisition[name].value for name in ("convergence_mrad", "beam_energy_kev"))
        radius = disc_radius(angle, energy) / entry.axes["det_scale_inv_angstrom"].value
    if published and entry.id in ("ds1", "ds2"):
        pictures, images = mean_pattern_numbers(entry.id), box_image_numbers(entry.id)
        pixels = KnownPixels(tuple(chip_dead_pixels()), len(images["dark_points_row_col"]), stored)

    findings = [_file_finding(scan, path, entry, of_record), _shape_finding(scan, entry, of_record, profile), _type_finding(scan),
                _chunk_finding(scan, path), _step_finding(scan, entry, of_record), _energy_finding(scan, entry)]  # fmt: skip
    statistics = gather_statistics(scan, _box_masks(published, scan.shape[2:]), progress=progress)
    findings += counter_findings(statistics, entry.container["counter_bits"].value if entry else None, pixels)
    frame = Frame(problem="The detector has fewer than 32 pixels along an axis.")
    if min(scan.shape[2:]) >= 32:
        frame = frame_of(statistics.mean, statistics.mean_log, lattice, radius, pictures)
    findings += orientation_findings(frame, statistics.mean_log, pictures, stored)
    findings += geometry_findings(scan, statistics, frame, entry) + counts_findings(statistics, entry)
    orientation, strengths = frame.orientation or AS_PUBLISHED, {}
    if images and statistics.images:
        findings += [_box_finding(name, statistics, orientation, entry, images[name]) for name in BOXES]
        findings.append(scan_axes_finding({name: statistics.images[f"{name}, {orientation}"] for name in BOXES}, images))
    if pictures and frame.lattice is not None:
        findings.append(_ring_finding(statistics, frame.lattice, orientation, pictures, images["dark_points_row_col"]))
        strengths = opposite_strengths(statistics.mean_log, frame.lattice, pictures)
    histogram = None if statistics.histogram is None else np.trim_zeros(statistics.histogram, "b")
    return FirstLook(str(path), source, entry.id if entry else "", tuple(findings), histogram=histogram, strengths=strengths)


def _file_finding(scan, path: Path, entry: Dataset | None, of_record: bool) -> Finding:
    size = path.stat().st_size if path.is_file() else sum(part.stat().st_size for part in path.rglob("*") if part.is_file())
    found = f"{scan.attrs['format']}, {size / 1e6:,.0f} MB"
    if entry is None:
        return Finding("file", found, "", OPEN, "Nothing is known of it beforehand.")
    stated, (least, most) = entry.container["format"], entry.expected_bytes.value
    verdict = AGREES if str(stated.value).startswith(scan.attrs["format"]) else CONFLICT
    if not of_record:
        return Finding("file", found, str(stated.value), verdict, "The twin writes the format of the record.")
    expected = f"{least / 1e6:,.0f} to {most / 1e6:,.0f} MB"
    if not least <= size <= most:
        return Finding("file", found, expected, WARNING, f"Its size lies outside what {entry.expected_bytes.source} lets expect.")
    decision = Decision("container", "format", stated.value, f"the file names its format, {scan.attrs['format']}")
    return Finding("file", found, expected, verdict, f"The manifest expects {stated.value}.", decisions=(decision,) if verdict == AGREES else ())


def _shape_finding(scan, entry: Dataset | None, of_record: bool, profile: str) -> Finding:
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
    verdict, text = AGREES, "Room for any counter."
    if scan.dtype == np.uint8:
        verdict, text = WARNING, "Bytes hold counts up to 255. Deeper counters are wrapped or cut by a conversion to bytes; see wrap-around."
    elif scan.dtype.kind == "u":
        text = "Room for a counter of 12 bits."
    elif scan.dtype.kind == "f":
        verdict, text = WARNING, "Counts are whole numbers; these values may have been scaled, and then noise estimates from counting do not hold."
    return Finding("type", str(scan.dtype), "whole numbers, 16 bits", verdict, text)


def _chunk_finding(scan, path: Path) -> Finding:
    piece = open_hspy(path, scan_shape=(1, 1)).stored.piece if path.suffix.lower() == ".hspy" else tuple(sizes[0] for sizes in scan.chunks)
    dragged = min(piece[0], scan.shape[0]) * min(piece[1], scan.shape[1]) * scan.shape[2] * scan.shape[3] * scan.dtype.itemsize
    text = f"To see a single pattern, {dragged / 1e6:,.1f} MB are decoded. Blocks of whole chunks are read here, each once."
    if dragged > SLOW_CHUNK_BYTES:
        text += " A copy made with figures_pkg convert gives single patterns at once."
    return Finding("chunks", times(piece), "any", AGREES, text)


def _step_finding(scan, entry: Dataset | None, of_record: bool) -> Finding:
    """The step of the scan: the file's own axes against every source of the manifest."""
    own = scan.attrs["scan_step_nm"]
    sources = candidates_of(entry, "axes", "scan_step_nm")
    expected = f"{sources[0].value:.4g} nm" if sources else ""
    if not np.isfinite(own).all():
        return Finding("scan step", "not in the file", expected, OPEN, "The scan axes of the file are not in nm; nothing in the counts tells the step.")
    found = f"{own[0]:.3g} nm" if np.isclose(*own) else f"{own[0]:.3g} nm down, {own[1]:.3g} nm across"
    if not sources:
        return Finding("scan step", found, "", OPEN, "As the file's axes say. Nothing to compare with.")
    if not of_record:
        here, there = own[0] * scan.shape[0], sources[0].value * entry.container["shape"].value[0]
        text = f"The twin shows the same field in fewer, wider steps: {here:.0f} nm, like {there:.0f} nm on the record."
        return Finding("scan step", found, expected, AGREES, text)
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


def _energy_finding(scan, entry: Dataset | None) -> Finding:
    energy = scan.attrs["beam_energy_kev"]
    wanted = entry.acquisition["beam_energy_kev"].value if entry else None
    expected = f"{wanted:g} keV" if wanted else ""
    if np.isnan(energy):
        return Finding("beam energy", "not in the file", expected, OPEN, "The manifest's value is used.")
    verdict = OPEN if wanted is None else AGREES if abs(energy / wanted - 1) < 0.01 else CONFLICT
    text = "From the file's metadata, where this laboratory's converter writes V in the place of keV."
    return Finding("beam energy", f"{energy:g} keV", expected, verdict, text)


def _box_masks(entry: Dataset | None, shape: tuple[int, int]) -> dict[str, np.ndarray]:
    """The authors' boxes as they lie on the detector in each orientation, boolean (det_y, det_x)."""
    if entry is None or shape[0] != shape[1]:
        return {}
    masks = {}
    for name in BOXES:
        box = entry.boxes[name].value
        mask = Box(tuple(box["rows"]), tuple(box["cols"])).mask(shape)
        masks |= {f"{name}, {orientation}": np.ascontiguousarray(reoriented(mask, orientation)) for orientation in ORIENTATIONS}
    return masks


def _box_finding(name: str, statistics: Statistics, orientation: str, entry: Dataset, image: dict) -> Finding:
    box = entry.boxes[name].value
    area = (box["rows"][1] - box["rows"][0]) * (box["cols"][1] - box["cols"][0])
    mean = float(statistics.images[f"{name}, {orientation}"].mean()) / area
    fits = abs(mean - image["mean"]) <= BOX_ERRORS * image["error"]
    rows, cols = (f"{start} to {stop - 1}" for start, stop in (box["rows"], box["cols"]))
    _, k, l = box["reflection"]
    text = (f"Rows {rows}, columns {cols} of the published frame, on 0{k}{l}; {signed(100 * (mean / image['mean'] - 1))} % against the "
            "published mean, read off the colour bar of the box image.")  # fmt: skip
    digits = 1 if image["mean"] >= 10 else 2
    expected = f"{image['mean']:.{digits}f} ± {image['error']:g} counts per px"
    return Finding(name, f"{mean:.{digits}f} counts per px", expected, AGREES if fits else WARNING, text)


def scan_axes_finding(maps: dict[str, np.ndarray], images: dict) -> Finding:
    """Whether the scan's rows and columns lie as in the published box images, told by the counts in both boxes, (scan_y, scan_x)."""
    check, expected = "rows and columns of the scan", "as in the box images"
    shape = next(iter(maps.values())).shape
    if min(shape) < PARTS:
        return Finding(check, "unknown", expected, OPEN, f"The scan of {times(shape)} positions is too small to compare with the published box images.")
    likeness = {}
    for orientation in ORIENTATIONS:
        pairs = ((_in_parts(maps[name]), reoriented(images[name]["blocks"], orientation)) for name in BOXES)
        likeness[orientation] = float(np.mean([np.corrcoef(here.ravel(), there.ravel())[0, 1] if here.std() > 0 else 0.0 for here, there in pairs]))
    best, second = sorted(likeness, key=likeness.get, reverse=True)[:2]
    listed = ", ".join(f"{likeness[name]:.2f} if it is {name}" for name in dict.fromkeys((AS_PUBLISHED, best, second)))
    text = f"The images of both boxes correlate with the published ones by so much under each assumption about the scan: {listed}."
    if likeness[best] < LIKE or likeness[best] - likeness[second] < CLEARER:
        return Finding(check, "unknown", expected, OPEN, f"{text} That does not tell them apart.")
    if best == AS_PUBLISHED:
        return Finding(check, best, expected, AGREES, text)
    says = f"the scan's frame is {best} with respect to the published box images"
    return Finding(check, best, expected, CONFLICT, f"{text} Directions in maps and patterns do not belong together then.", wrong=True, says=says)


def _in_parts(image: np.ndarray) -> np.ndarray:
    """Means over 16 × 16 equal parts of an image."""
    rows, cols = (np.linspace(0, size, PARTS + 1).astype(int)[:-1] for size in image.shape)
    sums = np.add.reduceat(np.add.reduceat(image.astype(float), rows, axis=0), cols, axis=1)
    sizes = np.diff(np.append(rows, image.shape[0]))[:, None] * np.diff(np.append(cols, image.shape[1]))
    return sums / sizes


def _ring_finding(statistics: Statistics, lattice: Lattice, orientation: str, published: dict, dark_points) -> Finding:
    """Counts between the discs against the published mean pattern."""
    shape = statistics.mean.shape
    matrix = np.array(ORIENTATIONS[orientation]).T
    back = next(name for name, inverse in ORIENTATIONS.items() if np.array_equal(matrix, inverse))
    upright, centre = reoriented(as_drawn(statistics.mean_log), back), carried(lattice.centre, back, shape)
    lattice = Lattice(tuple(centre), tuple(matrix @ lattice.g002), tuple(matrix @ lattice.g010))
    mask = between_discs(lattice, shape, published["clearance_px"], tuple(dark_points))
    ratio = ring_background(upright, lattice, mask, published["rings_px"]) / np.array(published["ring_counts"])
    ratio = ratio[np.isfinite(ratio)]
    if not ratio.size:
        return Finding("mean pattern", "no rings", "", OPEN, "The detector is too small for the rings of the published picture.")
    low, middle, high = np.quantile(ratio, [0.1, 0.5, 0.9])
    text = (f"Mean log pattern, drawn like the published one, in {ratio.size} rings between the discs: {middle:.2f} times the published counts "
            f"in the median, {low:.2f} to {high:.2f} in four fifths of the rings.")  # fmt: skip
    return Finding("mean pattern", f"{middle:.2f} of the published", "1", AGREES if abs(middle - 1) <= RING_ERROR else WARNING, text)
