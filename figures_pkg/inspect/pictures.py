"""A scan held against the pictures that its authors published: box images, and the mean pattern between the discs."""

from __future__ import annotations

import numpy as np

from figures_pkg.imaging import Box, Lattice
from figures_pkg.imaging.pictures import as_drawn, between_discs, ring_background
from figures_pkg.record.manifest import Dataset

from .findings import AGREES, CONFLICT, OPEN, WARNING, Finding, signed
from .orientation import AS_PUBLISHED, ORIENTATIONS, Frame, carried, reoriented
from .statistics import Statistics

PARTS = 16  # the published box images are kept as so many equal parts of the scan along each side
LIKE, CLEARER = 0.5, 0.15  # correlation of the box images, and by how much the next orientation must be worse
BOX_ERRORS = 3.0  # errors of the published mean within which a box agrees
RING_ERROR = 0.1  # of the counts between the discs
BOXES = ("box1", "box2")


def box_masks(entry: Dataset | None, shape: tuple[int, int], frame_shape: tuple[int, int]) -> dict[str, np.ndarray]:
    """
    The authors' boxes as they lie on the detector in each orientation of the frame, boolean (det_y, det_x).

    Empty for a detector of another shape than `frame_shape`, that of the published frame.
    """
    if entry is None or tuple(shape) != tuple(frame_shape) or shape[0] != shape[1]:
        return {}
    masks = {}
    for name in BOXES:
        box = entry.boxes[name].value
        mask = Box(tuple(box["rows"]), tuple(box["cols"])).mask(shape)
        masks |= {f"{name}, {orientation}": np.ascontiguousarray(reoriented(mask, orientation)) for orientation in ORIENTATIONS}
    return masks


def picture_findings(statistics: Statistics, frame: Frame, entry: Dataset | None, images: dict | None, published: dict | None) -> list[Finding]:
    """
    Findings from the published pictures.

    Parameters
    ----------
    statistics, frame
        From :func:`gather_statistics`, with the masks of :func:`box_masks`, and :func:`frame_of`.
    entry
        The manifest's entry, or None.
    images, published
        From :func:`figures_pkg.data.published.box_image_numbers` and :func:`mean_pattern_numbers`, or None.

    Returns
    -------
    list of Finding
        "box1", "box2", "rows and columns of the scan", "mean pattern"; only those that can be looked at.
    """
    findings = []
    if images and statistics.images:
        orientation = frame.orientation or AS_PUBLISHED
        findings = [_box_finding(name, statistics, orientation, entry, images[name]) for name in BOXES]
        findings.append(scan_axes_finding({name: statistics.images[f"{name}, {orientation}"] for name in BOXES}, images))
    if published and frame.lattice is not None:
        findings.append(ring_finding(statistics, frame, published, images))
    return findings


def _box_finding(name: str, statistics: Statistics, orientation: str, entry: Dataset, image: dict) -> Finding:
    """Mean counts of a box against its published image."""
    box = entry.boxes[name].value
    area = (box["rows"][1] - box["rows"][0]) * (box["cols"][1] - box["cols"][0])
    mean = float(statistics.images[f"{name}, {orientation}"].mean()) / area
    reflection = "0{1}{2}".format(*box["reflection"])
    off = (mean - image["mean"]) / image["error"]
    rows, cols = (f"{start} to {stop - 1}" for start, stop in (box["rows"], box["cols"]))
    text = (f"Rows {rows}, columns {cols} of the published frame, on {reflection}; {signed(100 * (mean / image['mean'] - 1))} % against the "
            "published mean, read off the colour bar of the box image.")  # fmt: skip
    digits = 1 if image["mean"] >= 10 else 2
    expected = f"{image['mean']:.{digits}f} ± {image['error']:g} counts per px"
    return Finding(name, f"{mean:.{digits}f} counts per px", expected, AGREES if abs(off) <= BOX_ERRORS else WARNING, text)


def scan_axes_finding(maps: dict[str, np.ndarray], images: dict) -> Finding:
    """
    Whether the scan's rows and columns lie as in the published box images.

    Parameters
    ----------
    maps
        Counts in both boxes, (scan_y, scan_x).
    images
        From :func:`figures_pkg.data.published.box_image_numbers`.
    """
    check, expected = "rows and columns of the scan", "as in the box images"
    shape = next(iter(maps.values())).shape
    if min(shape) < PARTS:
        text = f"The scan of {shape[0]} × {shape[1]} positions is too small to compare with the published box images."
        return Finding(check, "unknown", expected, OPEN, text)
    likeness = {name: _image_likeness(maps, images, name) for name in ORIENTATIONS}
    best, second = sorted(likeness, key=likeness.get, reverse=True)[:2]
    listed = ", ".join(f"{likeness[name]:.2f} if it is {name}" for name in dict.fromkeys((AS_PUBLISHED, best, second)))
    text = f"The images of both boxes correlate with the published ones by so much under each assumption about the scan: {listed}."
    if likeness[best] < LIKE or likeness[best] - likeness[second] < CLEARER:
        return Finding(check, "unknown", expected, OPEN, f"{text} That does not tell them apart.")
    if best == AS_PUBLISHED:
        return Finding(check, best, expected, AGREES, text)
    says = f"the scan's frame is {best} with respect to the published box images"
    return Finding(check, best, expected, CONFLICT, f"{text} Directions in maps and patterns do not belong together then.", wrong=True, says=says)


def _image_likeness(maps, images, orientation: str) -> float:
    """Mean correlation of both box images with the published ones, if the scan has an orientation."""
    pairs = ((_in_parts(maps[name]), reoriented(images[name]["blocks"], orientation)) for name in BOXES)
    return float(np.mean([np.corrcoef(here.ravel(), there.ravel())[0, 1] if here.std() > 0 else 0.0 for here, there in pairs]))


def _in_parts(image: np.ndarray) -> np.ndarray:
    """Means over 16 × 16 equal parts of an image."""
    rows, cols = (np.linspace(0, size, PARTS + 1).astype(int)[:-1] for size in image.shape)
    sums = np.add.reduceat(np.add.reduceat(image.astype(float), rows, axis=0), cols, axis=1)
    sizes = np.diff(np.append(rows, image.shape[0]))[:, None] * np.diff(np.append(cols, image.shape[1]))
    return sums / sizes


def ring_finding(statistics: Statistics, frame: Frame, published: dict, images: dict | None) -> Finding:
    """Counts between the discs against the published mean pattern, in rings around the direct beam."""
    shape = statistics.mean.shape
    orientation = frame.orientation or AS_PUBLISHED
    upright = reoriented(as_drawn(statistics.mean_log), _back(orientation))
    lattice = _upright(frame, orientation, shape)
    mask = between_discs(lattice, shape, published["clearance_px"], tuple((images or {}).get("dark_points_row_col", ())))
    ratio = ring_background(upright, lattice, mask, published["rings_px"]) / np.array(published["ring_counts"])
    ratio = ratio[np.isfinite(ratio)]
    if not ratio.size:
        return Finding("mean pattern", "no rings", "", OPEN, "The detector is too small for the rings of the published picture.")
    low, middle, high = np.quantile(ratio, [0.1, 0.5, 0.9])
    text = (f"Mean log pattern, drawn like the published one, in {ratio.size} rings between the discs: {middle:.2f} times the published counts "
            f"in the median, {low:.2f} to {high:.2f} in four fifths of the rings.")  # fmt: skip
    fits = abs(middle - 1) <= RING_ERROR
    return Finding("mean pattern", f"{middle:.2f} of the published", "1", AGREES if fits else WARNING, text)


def _back(orientation: str) -> str:
    """The orientation that undoes another."""
    inverse = np.array(ORIENTATIONS[orientation]).T
    return next(name for name, matrix in ORIENTATIONS.items() if np.array_equal(matrix, inverse))


def _upright(frame: Frame, orientation: str, shape) -> Lattice:
    """The lattice in the published frame."""
    matrix = np.array(ORIENTATIONS[_back(orientation)])
    centre = carried(frame.lattice.centre, _back(orientation), shape)
    return Lattice(tuple(centre), tuple(matrix @ frame.lattice.g002), tuple(matrix @ frame.lattice.g010))
