"""The explorer: a scan made small enough for a web page with all its maps, and a virtual detector to be dragged; its data are loaded on demand."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from scipy.ndimage import distance_transform_edt

from figures_pkg.data.axes import DIMS, SCAN_DIMS, check_scan
from figures_pkg.imaging.detectors import linear_axis
from figures_pkg.workspace import artefact_path, replacing

from .frames import colour_codes
from .page import element_id, piece

MOST_CODES = 38_000_000  # pixels times positions that a browser holds without trouble
MOST_BYTES = 12_000_000  # of the file, base64 included
STEPS = (1.5, 2.0, 3.0)  # between stored counts, in standard deviations of Poisson counts
UNIT = 1 / 128  # of the decoded counts: sums of multiples of it are exact, in the browser as here
LINE = '(self.companionData = self.companionData || {{}})["{key}"] = "{text}";\n'
SCRIPTS = ("unpack.js", "patterns.js", "explorer_draw.js")
MAP = "Map over the scan. The arrow keys move the position whose pattern is shown, plus and minus resize the aperture; the list below says all numbers."
PATTERN = "Diffraction pattern at the chosen position. The arrow keys move the aperture, plus and minus resize it; the list below says all numbers."
WITHOUT = "The explorer needs JavaScript; the figure on this page shows the same scan, pattern and virtual dark-field image."
OVERLAYS = {"com": "COM as arrows", "domains": "domains", "wall": "wall", "held": "hold the position"}
READOUT = {"position": "Position", "value": "Map here", "counts": "In the aperture here", "centre": "Aperture at", "disc": "Aperture",
           "com": "COM of this pattern"}  # fmt: skip
DATA, TRUTH, MATCHED, NETWORK = "from the data", "truth of the twin", "matched to the library", "from the autoencoder"
KNOWN_MAPS = {
    "polarization": ("domains: weight of +P less −P", "RdBu_r", True),
    "thickness_nm": ("thickness", "viridis", False),
    "tilt_b_mrad": ("tilt along b*", "PuOr_r", False),
    "tilt_c_mrad": ("tilt along c", "PuOr_r", False),
    "wall_distance_nm": ("distance from the wall, positive in +P", "RdBu_r", True),
}
HELP = (
    "Move over the map and the pattern follows; a click holds the position. Drag the circle on the pattern to move it, its rim to "
    "resize it; two fingers, plus and minus, or the wheel after a click resize it too. Arrow keys move what is in focus, "
    "with Shift five steps. Arrows of the COM show how far it lies from the mean of the scan, enlarged."
)


class ExplorerFileError(ValueError):
    """A data file of the explorer that is truncated, damaged, or none."""


@dataclass(frozen=True)
class Layer:
    """A map over the scan that a reader can choose, or that lies over the others; without a heading it only serves an overlay."""

    key: str
    title: str
    group: str  # heading in the list of maps
    values: xr.DataArray  # (scan_y, scan_x), finite
    units: str = ""
    cmap: str = "viridis"
    centred: bool = False  # whether the colours are symmetrical about zero


@dataclass(frozen=True)
class Packed:
    """The compressed data, what they are called in the page, and what stands in their head."""

    payload: bytes
    head: dict

    @property
    def key(self) -> str:
        """First digits of the SHA-256 of the compressed data: page and file must agree on it."""
        return hashlib.sha256(self.payload).hexdigest()[:16]

    def script(self) -> str:
        """The file's text: it assigns the data to a name of the page."""
        return LINE.format(key=self.key, text=base64.b64encode(self.payload).decode())

    def write(self, path: str | Path) -> Path:
        """Write the data file (``.js``), under a temporary name first."""
        with replacing(path) as temporary:
            temporary.write_text(self.script(), encoding="ascii")
        return Path(path)

    @classmethod
    def read(cls, path: str | Path) -> Packed:
        """Read a data file back; raises :class:`ExplorerFileError` when it is truncated, damaged or of another kind."""
        text = Path(path).read_text(encoding="ascii", errors="replace")
        found = re.fullmatch(r'.*\["([0-9a-f]{16})"\] = "([A-Za-z0-9+/=]*)";\n', text)
        payload = base64.b64decode(found[2]) if found else b""
        if not found or hashlib.sha256(payload).hexdigest()[:16] != found[1]:
            raise ExplorerFileError(f"{path} is no whole data file of the explorer ({len(text)} letters); make it again with `figures_pkg explore`")
        return cls(payload, _inflated(payload)[1])

    def scan(self) -> xr.DataArray:
        """The scan as the browser sees it: decoded counts, float64 multiples of 1/128, with the coordinates of the joined positions and pixels."""
        body, head = _inflated(self.payload)
        shape = head["shape"]
        positions, pixels = shape[0] * shape[1], shape[2] * shape[3]
        codes = np.frombuffer(body, np.uint8, pixels * positions, pixels).reshape(pixels, positions)
        codes = codes + np.frombuffer(body, np.uint8, pixels)[:, None]
        counts = (np.array(head["table"]) * UNIT)[codes].T.reshape(shape)
        coordinates = {dim: (dim, head["start"][i] + head["pitch"][i] * np.arange(shape[i])) for i, dim in enumerate(DIMS)}
        return xr.DataArray(counts, coordinates, DIMS, name="counts", attrs={"source": head["words"]["source"]})

    def maps(self) -> dict[str, np.ndarray]:
        """The maps as the browser sees them, by key, (scan_y, scan_x): 65536 steps between least and most."""
        body, head = _inflated(self.payload)
        ny, nx, h, w = head["shape"]
        stored = np.frombuffer(body, "<u2", len(head["maps"]) * ny * nx, h * w * (1 + ny * nx)).reshape(-1, ny, nx)
        return {m["key"]: m["least"] + code * ((m["most"] - m["least"]) / 65535) for m, code in zip(head["maps"], stored, strict=True)}


def choose_bins(shape: tuple[int, int, int, int]) -> tuple[int, int]:
    """How many positions and how many pixels to join along each axis so that a browser holds a scan: pixels first, down to 64 along the longer side."""
    widest = max(1, max(shape[2:]) // 64)
    for scan_bin in range(1, max(shape[:2]) + 1):
        for det_bin in range(1, widest + 1):
            size = np.prod([n // b for n, b in zip(shape, (scan_bin, scan_bin, det_bin, det_bin))], dtype=float)
            if size <= MOST_CODES:
                return scan_bin, det_bin
    return max(shape[:2]), widest


def pack(scan: xr.DataArray, layers: list[Layer], words: dict, lattice=None, radius_px: float = 0.0) -> Packed:
    """Bin, quantise and compress a scan of counts with its maps; ``words`` are its ``source`` and its ``title``, a phrase for the page.

    Counts are stored as 8-bit square roots, 1.5 standard deviations of Poisson noise apart (wider where the file would be too large), and decoded
    so that means are kept (:func:`code_means`). Codes lie pixel by pixel, less the median of their pixel: a virtual detector then adds whole rows.
    With a lattice and the radius of a disc in pixels of `scan` the page has the reflections 00l to jump to; else the aperture starts on the origin.
    """
    check_scan(scan)
    bins = choose_bins(scan.shape)
    small = scan.coarsen(dict(zip(DIMS, (bins[0], bins[0], bins[1], bins[1]))), boundary="trim").sum()  # without what fills no bin at the far edges
    small = small.astype(np.int32 if scan.dtype.kind in "bui" else np.float32).compute()
    if not small.size or not np.isfinite(small.values).all() or small.values.min() < 0:
        raise ValueError(f"the scan of shape {small.shape} has no, negative or missing counts; expected counts of at least zero")
    if float(small.sum(DIMS[2:]).max()) / UNIT >= 2**31:
        raise ValueError(f"a pattern holds more than {2**31 * UNIT:.0f} counts; divide the scan by a constant first")
    maps = [layer.values.coarsen(dict.fromkeys(SCAN_DIMS, bins[0]), boundary="trim").mean().transpose(*SCAN_DIMS).values.astype(float) for layer in layers]
    for layer, values in zip(layers, maps, strict=True):
        if values.shape != small.shape[:2] or not np.isfinite(values).all():
            raise ValueError(f"map {layer.key!r} has shape {values.shape} or missing values; expected finite ones on {small.shape[:2]}")
    axes = [linear_axis(small, dim) for dim in DIMS]
    units = [str(small[dim].attrs.get("units", "px")).replace("angstrom", "Å") for dim in ("scan_y", "det_y")]
    about = {"words": words, "start": [axis[0] for axis in axes], "pitch": [axis[1] for axis in axes], "units": units}
    about |= {"maps": [_map_head(*pair) for pair in zip(layers, maps, strict=True)]} | _looks(small, layers) | _aperture(small, bins[1], lattice, radius_px)
    stored = [np.round(65535 * (values - values.min()) / (np.ptp(values) or 1.0)).astype("<u2").tobytes() for values in maps]
    for step in STEPS:
        codes, table = quantise(small.values, step)
        head = {"shape": list(small.shape), "bins": list(bins), "step": step, "table": table.tolist(), "unit": UNIT} | about
        text = json.dumps(head, separators=(",", ":"), ensure_ascii=True).encode()
        flat = codes.reshape(small.shape[0] * small.shape[1], -1).T
        median = np.median(flat, axis=1).astype(np.uint8)
        packer = zlib.compressobj(9, zlib.DEFLATED, 31, 9, zlib.Z_HUFFMAN_ONLY)  # noise has no repetitions to find
        parts = [len(text).to_bytes(4, "little"), text, median.tobytes(), (flat - median[:, None]).tobytes(), *stored]
        packed = Packed(b"".join(map(packer.compress, parts)) + packer.flush(), head)
        if len(packed.payload) * 4 / 3 < MOST_BYTES:
            return packed
    raise ValueError(f"a scan of shape {scan.shape} packs to {len(packed.payload) * 4 / 3e6:.1f} MB; expected at most {MOST_BYTES / 1e6:.0f}: "
                     "cut it to the positions that matter, with scan.isel")  # fmt: skip


def quantise(counts: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Eight-bit codes of counts, 2 √N / step rounded, and the count that each code means in units of 1/128, int64 (256,)."""
    step = max(step, 2 * np.sqrt(float(counts.max())) / 255)
    codes = np.round(2 / step * np.sqrt(counts, dtype=np.float32)).astype(np.uint8)
    return codes, np.round(code_means(step) / UNIT).astype(np.int64)


def code_means(step: float) -> np.ndarray:
    """Counts that the codes mean, shape (256,), so that the mean of noisy counts is kept, to 0.1 counts for Poisson noise.

    That is the mean of the integers with the code, less step² / 12: intervals widen with the counts, and more of the noise lies in the lower half
    of an interval of several integers than in the upper half of the one below.
    """
    edges = (np.clip(np.arange(257) - 0.5, 0, None) * step / 2) ** 2  # of the counts with one code
    first, last = np.ceil(edges[:-1]), np.ceil(edges[1:]) - 1
    number = np.maximum(last - first + 1, 1)
    return (first + np.maximum(last, first)) / 2 - step**2 / 12 * (1 - 1 / number**2)


def explorer(packed: Packed, file: str, *, still: str = "", name: str | None = None) -> str:
    """Write the explorer of packed data as HTML; `file` is their address relative to the page, and `name` the element's id.

    Nothing is loaded until its button is pressed; then `file`, a script, is added to the page, which also works in pages opened from a folder.
    Without JavaScript, a canvas or DecompressionStream, or with a truncated file, a sentence says so. The static figure with the id `still` is
    hidden while the explorer is open.
    """
    name, megabytes = element_id("explorer", name), len(packed.script()) / 1e6
    data = {"key": packed.key, "bytes": len(packed.payload), "file": file, "still": still, "open": f"Open the explorer ({megabytes:.1f} MB)"}
    return piece("explorer", name, _stage(name), data, WITHOUT, more=SCRIPTS, after='<div data-part="start"></div>')


def write_page(packed: Packed, path: str | Path, title: str) -> Path:
    """Write a page of its own (``mine.html``) with a title and the explorer, and its data beside it (``mine.js``)."""
    path = Path(path)
    packed.write(path.with_suffix(".js"))
    body = explorer(packed, path.with_suffix(".js").name, name="explorer")
    start = "<!doctype html><html lang='en'><head><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
    with replacing(path) as temporary:
        text = f"{start}<title>{title}</title></head><body><main><h1>{title}</h1>{body}</main></body></html>"
        temporary.write_text(text, encoding="utf-8")
    return path


def explore(scan: xr.DataArray, name: str, out: Path, source: str = "twin", profile: str = "laptop", embedding: Path | None = None) -> Path:
    """Pack a scan of counts with all maps that there are of it, into a page (``.html``, its data beside it) or as data alone (``.js``).

    ``name`` is its identifier in the manifest, with ``source`` and ``profile``, or its path; ``embedding`` is a netCDF file of channels to choose from.
    What is known of it is the truth beside a simulated scan, or the matched domains of one of the record where they were made.
    """
    from figures_pkg.data import load_manifest
    from figures_pkg.evaluate.channels import open_embedding
    from figures_pkg.evaluate.known import known_maps
    from figures_pkg.evaluate.walls import walls_by_course
    from figures_pkg.imaging import expected_lattice, refine_lattice, summarise
    from figures_pkg.plotting.style import SOURCE_WORDS
    from figures_pkg.twin.dataset import read_truth, truth_path

    images, lattice, radius_px, known = summarise(scan), None, 0.0, None
    if not Path(name).suffix:  # the lattice fitted to the mean pattern, and the radius of a disc in pixels
        guess, radius_px = expected_lattice(load_manifest()[name.partition("-field")[0]], scan)
        lattice = refine_lattice(images.mean_pattern.values, guess, radius_px)
    if scan.source == "twin":
        known = read_truth(scan.path) if truth_path(scan.path).exists() else None
    elif lattice is not None and source == "zenodo" and artefact_path(f"domains/{name}.nc", source, profile).is_file():
        known = walls_by_course(known_maps(scan, name, source, profile), lattice.g002)
    layers = _com_layers(scan, images, lattice, radius_px) + known_layers(known)
    if embedding is not None:
        layers += _network_layers(open_embedding(embedding), known)
    title = f"{name if lattice else Path(name).name}, {SOURCE_WORDS[scan.source]}"
    packed = pack(scan, layers, {"source": scan.source, "title": title}, lattice, radius_px)
    return write_page(packed, out, title) if out.suffix == ".html" else packed.write(out)


def _com_layers(scan: xr.DataArray, images: xr.Dataset, lattice, radius_px: float) -> list[Layer]:
    """The centre of mass of whole patterns less its mean, in 1e-3 of the detector's unit; with a lattice without descan, and along c first."""
    from figures_pkg.imaging import descan_planes, remove_descan

    com = images if lattice is None else remove_descan(images, descan_planes(scan, lattice, radius_px))
    y, x = (1e3 * (com[f"com_{axis}"] - com[f"com_{axis}"].mean()) for axis in "yx")
    units = "10⁻³ " + str(scan.det_y.attrs.get("units", "px")).replace("angstrom", "Å")
    layers = [Layer("com_y", "COM downward", DATA, y, units, "PuOr_r", True), Layer("com_x", "COM to the right", DATA, x, units, "PuOr_r", True)]
    if lattice is None:
        return layers
    row, col = np.array(lattice.g002) / np.hypot(*lattice.g002)
    return [Layer("com_c", "COM along c", DATA, y * row + x * col, units, "PuOr_r", True), *layers]


def known_layers(known: xr.Dataset | None) -> list[Layer]:
    """The truth of a simulated scan, or what matching found in a measured one; distances without any wall are infinite and left out."""
    if known is None:
        return []
    group = TRUTH if known.attrs.get("basis", "truth") == "truth" else MATCHED
    if group == MATCHED:  # the domains as figures show them, without poor fits; other maps have there what the nearest good fit has
        fields = [name for name in ("thickness_nm", "tilt_b_mrad", "tilt_c_mrad") if name in known]
        if "poor_fit" in known and not known.poor_fit.all():
            nearest = distance_transform_edt(known.poor_fit.values, return_distances=False, return_indices=True)
            known = known.assign({name: known[name].copy(data=known[name].values[tuple(nearest)]) for name in fields})
        known = known.assign(polarization=known.domain)
    layers = []
    for name, (title, cmap, centred) in KNOWN_MAPS.items():
        if name in known and np.isfinite(known[name].values).all():
            if group == MATCHED:
                title = title.replace("the wall", "the matched wall") if "the wall" in title else f"matched {title.partition(':')[0]}"
            layers.append(Layer(name, title, group, known[name], known[name].attrs.get("units", "").replace("1", ""), cmap, centred))
    return layers


def _network_layers(embedding: xr.DataArray, known: xr.Dataset | None) -> list[Layer]:
    """The rotated domain channel and every channel of an embedding that varies, (channel, scan_y, scan_x)."""
    from figures_pkg.evaluate.channels import LEAST_R, domain_channel, name_channels

    layers = [Layer("domain_channel", "domain channel, rotated to steps", NETWORK, domain_channel(embedding, known), "", "RdBu_r", True)]
    for number, image, named in zip(embedding.channel.values, embedding, name_channels(embedding, known), strict=True):
        if np.ptp(image.values) > 0:
            title = f"channel {int(number)}" + (f": {named.name}, |r| {abs(named.correlation):.2f}" if abs(named.correlation) >= LEAST_R else "")
            layers.append(Layer(f"channel_{int(number)}", title, NETWORK, image.reset_coords(drop=True).transpose(*SCAN_DIMS)))
    return layers


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


def _inflated(payload: bytes) -> tuple[memoryview, dict]:
    try:
        whole = memoryview(zlib.decompress(payload, 31))
        size = int.from_bytes(whole[:4], "little")
        return whole[4 + size :], json.loads(bytes(whole[4 : 4 + size]))
    except (zlib.error, ValueError) as error:
        raise ExplorerFileError(f"the packed data are damaged ({error}); make the file again with `figures_pkg explore`") from error


def _stage(name: str) -> str:
    boxes = "".join(f'<label><input type="checkbox" data-part="show-{key}">{text}</label>' for key, text in OVERLAYS.items())
    canvas = ('<canvas data-part="{}" tabindex="0" role="application" aria-label="{}" aria-describedby="' + name + '-help"></canvas>').format
    numbers = "".join(f'<dt>{text}</dt><dd data-part="{part}"></dd>' for part, text in READOUT.items())
    return f"""<div class="companion-row"><label for="{name}-choice">Map</label><select id="{name}-choice" data-part="choice"></select>{boxes}</div>
<div class="explorer-panels">
<figure><figcaption data-part="title"></figcaption>{canvas("map", MAP)}
<div class="explorer-scale"><span data-part="low"></span><canvas data-part="scale" role="img" aria-label="colours from low to high"></canvas>\
<span data-part="high"></span></div></figure>
<figure><figcaption>pattern at the position</figcaption>{canvas("pattern", PATTERN)}
<div class="companion-control"><label for="{name}-radius">radius</label>\
<input type="range" id="{name}-radius" data-part="radius" min="0.75" max="1" step="0.25" value="0.75"><output for="{name}-radius"></output></div>
<div class="companion-row" data-part="jumps" role="group" aria-label="Put the aperture on a reflection"></div></figure>
</div>
<dl>{numbers}</dl>
<p class="companion-unseen" aria-live="polite" data-part="said"></p>
<p>Data: <span data-part="source"></span>.</p>
<p id="{name}-help">{HELP}</p>"""
