"""A scan made small enough for a web page: binned, quantised, compressed with its maps."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass

import numpy as np
import xarray as xr

from figures_pkg.data.axes import DIMS, SCAN_DIMS, check_scan
from figures_pkg.imaging.detectors import linear_axis

from .explorer_file import UNIT, Packed
from .frame_parts import colour_codes

MOST_CODES = 38_000_000  # pixels times positions that a browser holds without trouble
MOST_BYTES = 12_000_000  # of the file, base64 included
STEPS = (1.5, 2.0, 3.0)  # between stored counts, in standard deviations of Poisson counts


@dataclass(frozen=True)
class Layer:
    """
    A map over the scan that a reader can choose, or that lies over the others.

    Attributes
    ----------
    key : str
        Short name, unique.
    title : str
        Shown in the list of maps.
    group : str
        Heading in that list; empty for a map that only serves an overlay.
    values : array, shape (scan_y, scan_x)
        Finite.
    units : str
    cmap : str
        A colour map of matplotlib.
    centred : bool
        Whether the colours are symmetrical about zero.
    """

    key: str
    title: str
    group: str
    values: xr.DataArray
    units: str = ""
    cmap: str = "viridis"
    centred: bool = False


def choose_bins(shape: tuple[int, int, int, int]) -> tuple[int, int]:
    """
    How many positions and pixels to join along each axis so that a browser holds the scan.

    Pixels are joined first, down to 64 along the longer side, then positions.

    Parameters
    ----------
    shape
        (scan_y, scan_x, det_y, det_x).

    Examples
    --------
    >>> choose_bins((48, 48, 256, 256)), choose_bins((256, 256, 256, 256))
    ((1, 2), (3, 4))
    """
    widest = max(1, max(shape[2:]) // 64)
    for scan_bin in range(1, max(shape[:2]) + 1):
        for det_bin in range(1, widest + 1):
            size = np.prod([n // b for n, b in zip(shape, (scan_bin, scan_bin, det_bin, det_bin))], dtype=float)
            if size <= MOST_CODES:
                return scan_bin, det_bin
    return max(shape[:2]), widest


def pack(scan: xr.DataArray, layers: list[Layer], words: dict, lattice=None, radius_px: float = 0.0) -> Packed:
    """
    Bin, quantise and compress a scan with its maps.

    Counts of joined pixels and positions are added. They are stored as 8-bit square roots, 1.5 standard deviations of Poisson
    noise apart (wider where the file would be too large), and decoded so that means are kept (:func:`code_means`). Codes lie
    pixel by pixel, less the median of their pixel: a virtual detector then adds whole rows.

    Parameters
    ----------
    scan
        (scan_y, scan_x, det_y, det_x), counts.
    layers
        Maps on the positions of `scan`.
    words
        Texts for the page: ``source`` ("twin", "record", "rehearsal" or "user") and ``title``, a phrase that says what the data are.
    lattice, radius_px
        A :class:`figures_pkg.imaging.Lattice` and the radius of a disc in pixels of `scan`; give the page the reflections 00l to
        jump to. Without them the aperture starts on the origin.

    Raises
    ------
    ValueError
        For negative or missing counts, or maps of another shape.
    """
    check_scan(scan)
    bins = choose_bins(scan.shape)
    small = _binned(scan, *bins)
    maps = [_coarse(layer.values, bins[0]) for layer in layers]
    _check(small, layers, maps)
    for step in STEPS:
        codes, table = quantise(small.values, step)
        head = _head(small, bins, step, table, words) | {"maps": [_map_head(*pair) for pair in zip(layers, maps, strict=True)]}
        head |= _looks(small, layers) | _aperture(small, bins[1], lattice, radius_px)
        packed = Packed(_compressed(codes, head, maps), head)
        if len(packed.payload) * 4 / 3 < MOST_BYTES:
            return packed
    raise ValueError(f"a scan of shape {scan.shape} packs to {len(packed.payload) * 4 / 3e6:.1f} MB; expected at most {MOST_BYTES / 1e6:.0f}: "
                     "cut it to the positions that matter, with scan.isel")  # fmt: skip


def quantise(counts: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """
    Eight-bit codes of counts, and what each code means.

    Parameters
    ----------
    counts
        Not negative, any shape.
    step
        Between stored counts, in standard deviations of Poisson counts.

    Returns
    -------
    codes : uint8, shape of `counts`
        2 sqrt(N) / step, rounded.
    table : int64, shape (256,)
        Count that each code means, in units of 1/128.
    """
    step = max(step, 2 * np.sqrt(float(counts.max())) / 255)
    codes = np.round(2 / step * np.sqrt(counts, dtype=np.float32)).astype(np.uint8)
    return codes, np.round(code_means(step) / UNIT).astype(np.int64)


def code_means(step: float) -> np.ndarray:
    """
    Counts that the codes mean, so that the mean of noisy counts is kept whatever it is.

    That is the mean of the integers with the code, less step² / 12: intervals widen with the counts, and more of the noise lies
    in the lower half of an interval of several integers than in the upper half of the one below. (The mean of the counts that
    got a code in the whole scan would draw dark pixels up and bright ones down.)

    Parameters
    ----------
    step
        As for :func:`quantise`.

    Returns
    -------
    numpy.ndarray
        Shape (256,); good to 0.1 counts where the noise is Poisson's.
    """
    edges = (np.clip(np.arange(257) - 0.5, 0, None) * step / 2) ** 2  # of the counts with one code
    first, last = np.ceil(edges[:-1]), np.ceil(edges[1:]) - 1
    number = np.maximum(last - first + 1, 1)
    return (first + np.maximum(last, first)) / 2 - step**2 / 12 * (1 - 1 / number**2)


def _binned(scan: xr.DataArray, scan_bin: int, det_bin: int) -> xr.DataArray:
    """Counts of joined positions and pixels, int32 in memory; what does not fill a bin at the far edges is left out."""
    sizes = dict(zip(DIMS, (scan_bin, scan_bin, det_bin, det_bin)))
    small = scan.coarsen(sizes, boundary="trim").sum()
    return small.astype(np.int32 if scan.dtype.kind in "bui" else np.float32).compute()


def _coarse(values: xr.DataArray, scan_bin: int) -> np.ndarray:
    """A map averaged over joined positions."""
    return values.coarsen(dict.fromkeys(SCAN_DIMS, scan_bin), boundary="trim").mean().transpose(*SCAN_DIMS).values.astype(float)


def _check(small: xr.DataArray, layers: list[Layer], maps: list[np.ndarray]) -> None:
    """Refuse counts and maps that the page could not show."""
    if not small.size or not np.isfinite(small.values).all() or small.values.min() < 0:
        raise ValueError(f"the scan of shape {small.shape} has no, negative or missing counts; expected counts of at least zero")
    if float(small.sum(DIMS[2:]).max()) / UNIT >= 2**31:
        raise ValueError(f"a pattern holds more than {2**31 * UNIT:.0f} counts; divide the scan by a constant first")
    for layer, values in zip(layers, maps, strict=True):
        if values.shape != small.shape[:2] or not np.isfinite(values).all():
            raise ValueError(f"map {layer.key!r} has shape {values.shape} or missing values; expected finite ones on {small.shape[:2]}")


def _head(small: xr.DataArray, bins, step: float, table: np.ndarray, words: dict) -> dict:
    """What the browser must know of the numbers."""
    axes = [linear_axis(small, dim) for dim in DIMS]
    units = [str(small[dim].attrs.get("units", "px")) for dim in ("scan_y", "det_y")]
    head = {"shape": list(small.shape), "bins": list(bins), "step": step, "table": table.tolist(), "unit": UNIT, "words": words}
    return head | {"start": [axis[0] for axis in axes], "pitch": [axis[1] for axis in axes], "units": [u.replace("angstrom", "Å") for u in units]}


def _map_head(layer: Layer, values: np.ndarray) -> dict:
    """A map's name, ends of its codes, and the ends of its colours: quantiles that leave out single extremes."""
    low, high = (float(q) for q in np.quantile(values, [0.005, 0.995]))
    if layer.centred:
        low, high = -max(abs(low), abs(high)), max(abs(low), abs(high))
    ends = {"least": float(values.min()), "most": float(values.max()), "shown": [low, high]}
    return {"key": layer.key, "title": layer.title, "group": layer.group, "units": layer.units, "cmap": layer.cmap} | ends


def _looks(small: xr.DataArray, layers: list[Layer]) -> dict:
    """Colours of all maps, and the counts at the ends of the pattern's logarithmic colours."""
    mean = small.values.mean((0, 1))
    low = max(np.quantile(mean[mean > 0], 0.02), 0.5) if mean.any() else 0.5
    names = {"viridis", "magma"} | {layer.cmap for layer in layers}
    return {"ends": [float(low), max(1.5 * float(mean.max()), 2 * float(low))], "colours": {name: colour_codes(name) for name in sorted(names)}}


def _aperture(small: xr.DataArray, det_bin: int, lattice, radius_px: float) -> dict:
    """Where the aperture starts, in binned pixels: on 004, or on the origin; and the lattice where it is known."""
    h, w = small.shape[2:]
    if lattice is None:
        row, col = (-start / step for start, step in (linear_axis(small, dim) for dim in DIMS[2:]))
        inside = 0 <= row < h and 0 <= col < w
        return {"disc": {"row": row if inside else h / 2, "col": col if inside else w / 2, "radius": max(0.75, min(h, w) / 20)}}
    lattice = lattice.scaled(det_bin)
    row, col = lattice.position(0, 4)
    head = {"centre": list(lattice.centre), "g002": list(lattice.g002), "g010": list(lattice.g010)}
    return {"disc": {"row": row, "col": col, "radius": max(0.75, 1.1 * radius_px / det_bin)}, "lattice": head}


def _compressed(codes: np.ndarray, head: dict, maps: list[np.ndarray]) -> bytes:
    """Head, medians, differences from them, and maps. Noise has no repetitions to find, so Huffman codes alone are smallest."""
    flat = codes.reshape(head["shape"][0] * head["shape"][1], -1).T
    median = np.median(flat, axis=1).astype(np.uint8)
    text = json.dumps(head, separators=(",", ":"), ensure_ascii=True).encode()
    packer = zlib.compressobj(9, zlib.DEFLATED, 31, 9, zlib.Z_HUFFMAN_ONLY)
    parts = [len(text).to_bytes(4, "little"), text, median.tobytes(), (flat - median[:, None]).tobytes(), *map(_map_codes, maps)]
    return b"".join(map(packer.compress, parts)) + packer.flush()


def _map_codes(values: np.ndarray) -> bytes:
    """A map in 65536 steps between its ends."""
    low, width = values.min(), np.ptp(values) or 1.0
    return np.round(65535 * (values - low) / width).astype("<u2").tobytes()
