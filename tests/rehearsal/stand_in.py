"""A stand-in for the authors' record: files under the record's names, whose truth the judge knows and the book does not.

The scans are the twin's counts in files as the laboratory's converter leaves them: RosettaSciIO writes the arrays, and the attributes are then
set back to HyperSpy 1.5 and pyxem 0.12 (format 3.0, energy in V, ``$A^{-1}$``, origin at pixel 128, nominal steps). Nothing in them names the
twin. The checkpoints hold small networks, trained here, in the layout of the published training. A manifest of their own says what they are.
"""

import json
from collections.abc import Callable
from pathlib import Path

import dask
import dask.array as da
import h5py
import numpy as np
import rsciio.hspy
import xarray as xr
import yaml

from figures_pkg.data.scan import open_scan
from figures_pkg.record.manifest import REPOSITORY_MANIFEST, Dataset, load_manifest
from figures_pkg.workspace import replacing

AUTHORS = load_manifest(REPOSITORY_MANIFEST)
REMOTE = {name: AUTHORS[name].remote for name in ("ds1", "ds2", "ca-ds1", "ca-ds2-domains", "ca-ds2-walls", "vae-27")}  # colons and all
SCANS = ("ds1", "ds2")
PARTS = ("ds2", "ds1", "vae-27")  # of both records, which can be made side by side; the longest first
RECORDS = {"sed": "9900001", "vae": "9900002"}  # no such records: the numbers are not those of the authors
NOMINAL_SCALE = 0.0097  # 1/Å per pixel: an older table than the manifest's, as a converter may have used
NONE = "_None_"  # HyperSpy's word for None
PATTERNS_IN_MEMORY = 1024  # of 256 x 256 uint16: 134 MB a block
CONVERTERS_CHUNKS = (32, 32, 32, 32)  # an option of the laboratory's converter
WHOLE_PATTERNS = (2, 4, 256, 256)  # a megabyte, as HyperSpy chooses by itself
CHUNKS = {"ds1": CONVERTERS_CHUNKS, "ds2": WHOLE_PATTERNS}  # nobody knows which of both the record has, so each is rehearsed
VARIANTS: dict[str, Callable[[da.Array], da.Array]] = {
    "good": lambda counts: counts,
    "flipped": lambda counts: counts[:, :, ::-1],  # the detector's rows upside down, as RosettaSciIO reads a ``.mib``
    "wrapped": lambda counts: (counts % 256).astype(np.uint8),  # bytes modulo 256, as the laboratory's converter wrote some scans
    "moved": lambda counts: counts[counts.shape[0] // 12 :],  # rows of the scan missing: another shape than the manifest's
}


def specimen_of(source: Path) -> dict:
    """What an honest manifest says of a stand-in made from a twin's scan, its container and axes; a reader has to notice that a variant contradicts it."""
    with xr.open_dataset(source.with_suffix("").with_suffix(".truth.nc")) as truth, h5py.File(source) as file:
        shape, step = _counts(file).shape, float(truth.scan_y[1] - truth.scan_y[0])
        origin, g002, g010 = ([float(part) for part in truth.attrs[name]] for name in ("origin_row_col", "g002_row_col", "g010_row_col"))
    axes = {"orientation": "lab", "scan_step_nm": step, "det_scale_inv_angstrom": 0.009555, "origin_row_col_px": origin, "g002_row_col_px": g002,
            "g010_row_col_px": g010}  # fmt: skip
    return {"container": {"format": "hspy 3.0, written by pyxem", "shape": list(shape), "counter_bits": 12}, "axes": axes}


def write_scan(source: Path, target: Path, variant: str = "good", chunks: tuple[int, int, int, int] = CONVERTERS_CHUNKS) -> Path:
    """Copy the counts of a twin's scan, a few blocks at a time, into a file as the laboratory writes them; `variant` is a key of ``VARIANTS``."""
    with replacing(target) as part, h5py.File(source) as file:
        stored = _counts(file)
        side = int(PATTERNS_IN_MEMORY**0.5)
        counts = VARIANTS[variant](da.from_array(stored, chunks=(side, side, *stored.shape[2:]), lock=True))
        step = round(float(stored.parent["axis-0"].attrs["scale"]), 1)
        chunks = tuple(min(one, size) for one, size in zip(chunks, counts.shape))
        with dask.config.set(scheduler="threads", num_workers=2):
            rsciio.hspy.file_writer(str(part), _signal(counts, step), chunks=chunks, compression_opts=1, show_progressbar=False)
        with h5py.File(part, "r+") as written:  # back to format 3.0 from today's
            written.attrs["file_format_version"] = "3.0"
            group = _counts(written).parent
            del group["attributes"]
            for index in range(4):
                for name in {"_type", "is_binned"} & set(group[f"axis-{index}"].attrs):
                    del group[f"axis-{index}"].attrs[name]
    return target


def _counts(file: h5py.File) -> h5py.Dataset:
    """The only signal of a ``.hspy`` file."""
    (group,) = file["Experiments"].values()
    return group["data"]


def _signal(counts: da.Array, step_nm: float) -> dict:
    """A signal as RosettaSciIO takes it: the nominal axes of the microscope, the converter's table and lines of the detector's header."""
    axes = [
        dict(name=name, size=size, scale=step_nm if index < 2 else NOMINAL_SCALE, offset=0.0 if index < 2 else -128 * NOMINAL_SCALE,
             units="nm" if index < 2 else "$A^{-1}$", navigate=index < 2)
        for index, (name, size) in enumerate(zip(("y", "x", "ky", "kx"), counts.shape))
    ]  # fmt: skip
    tem = {"beam_energy": np.int32(200000), "convergence_angle": np.nan, "rocking_angle": np.nan, "rocking_frequency": np.nan,
           "Detector": {"Diffraction": {"camera_length": 22.95}}}  # fmt: skip
    signal = {"binned": False, "record_by": "image", "signal_type": "electron_diffraction", "exposure_time": NONE, "flyback_times": NONE,
              "frames_number_skipped": NONE, "scan_X": NONE}  # fmt: skip
    folding = {"original_axes_manager": NONE, "original_shape": NONE, "signal_unfolded": False, "unfolded": False}
    metadata = {"Acquisition_instrument": {"TEM": tem}, "General": {"title": ""}, "Signal": signal, "_HyperSpy": {"Folding": folding}}
    length = {"Nominal value": np.int32(12), "Actual value": 22.95, "Units": "cm"}
    step = {"Nominal value": step_nm, "Actual value": np.nan, "Units": "nm"}
    parameters = {"acceleration_voltage": {"Value": np.int32(200000), "Units": "V"}, "cameralength": length, "camera": {"Value": "Merlin", "Units": ""},
                  "scale": {"Value": NOMINAL_SCALE, "Units": "1/Å"}, "step_x": step, "step_y": step}  # fmt: skip
    header = {"chiptype(medipix3.0,medipix3.1,medipix3rx)": "Medipix 3RX", "counterdepth(number)": "12", "gain": "SLGM",
              "thresholds(kev)": "4.000000E+1,5.110000E+2"}  # fmt: skip
    original = {"Acquisition_instrument": {"Parameters": parameters}, "Header": header}
    return dict(data=counts, axes=axes, metadata=metadata, original_metadata=original, learning_results={}, attributes={"_lazy": True}, tmp_parameters={},
                models=None, package_info={"package": "pyxem", "package_version": "0.12.2"})  # fmt: skip


def make_part(part: str, scans: dict[str, Path], folder: Path) -> None:
    """Make one of ``PARTS`` of both records from the twin's files behind ds1 and ds2, unless the same code has made it of the same file."""
    source = scans.get(part, scans["ds2"])
    texts = {path.name: path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.glob("[cs]*.py"))}
    stamp, made_of = folder / f"{part}.json", json.dumps([texts, str(source), source.stat().st_size, source.stat().st_mtime_ns])
    if not (stamp.is_file() and stamp.read_text(encoding="utf-8") == made_of):
        folder.mkdir(parents=True, exist_ok=True)
        stamp.unlink(missing_ok=True)
        if part in SCANS:
            write_scan(source, folder / REMOTE[part], chunks=CHUNKS[part])
        write_checkpoints(part, source, folder)
        stamp.write_text(made_of, encoding="utf-8")


def write_checkpoints(part: str, source: Path, folder: Path) -> None:
    """Train the networks of a part and save each under its name on the record; the walls' goes on from the domains', as in the paper."""
    from checkpoints import save_published, some_patterns, train_further, train_small

    patterns = some_patterns(open_scan(source))
    net, optimizer = train_small(patterns, variational=part == "vae-27")
    if part == "vae-27":
        save_published(net, optimizer, folder / REMOTE[part], epoch=27, beta=1e-4)
    elif part == "ds1":
        save_published(net, optimizer, folder / REMOTE["ca-ds1"], epoch=376)
    else:
        save_published(net, optimizer, folder / REMOTE["ca-ds2-domains"], epoch=285)
        save_published(net, train_further(net, patterns[::2], l1=1e-4), folder / REMOTE["ca-ds2-walls"], epoch=17)


def write_manifest(folder: Path, specimens: dict[str, dict]) -> Path:
    """Write ``manifest.yaml`` beside the files: every number is that of a file here; names, places, boxes and figures are those of the authors' manifest."""
    content = {
        "schema": 1,
        "bases": {"rehearsal": "the settings with which this stand-in was simulated"},
        "figures": {name: {key: figure[key] for key in ("shows", "data")} for name, figure in AUTHORS.figures.items()},
        "records": {name: {"doi": f"10.5072/rehearsal.{number}", "record": number, "licence": "BSD-2-Clause", "title": f"rehearsal: simulated stand-in, {kind}"}
                    for (name, number), kind in zip(RECORDS.items(), ("scans and small networks", "a small variational network"))},
        "datasets": [_entry(AUTHORS[name], folder / remote, specimens.get(name)) for name, remote in REMOTE.items() if (folder / remote).is_file()],
    }  # fmt: skip
    path = folder / "manifest.yaml"
    path.write_text("# The manifest of a rehearsal: simulated stand-ins under the names of the authors' record.\n"
                    + yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")  # fmt: skip
    return path


def _entry(author: Dataset, path: Path, specimen: dict | None) -> dict:
    """The manifest's entry of a scan or, without a specimen, of a checkpoint."""
    if specimen is None:
        import torch

        weights = sum(tensor.numel() for tensor in torch.load(path, weights_only=True)["net"].values())
        groups = {"container": {"format": author.container["format"].value, "parameters": weights}}
    else:
        first = author.id == "ds1"
        acquisition = {"beam_energy_kev": 200, "detector": "simulated, with one 12-bit chip in mind", "dwell_ms": 50 if first else 30,
                       "camera_length_cm": 22.95, "probe_nm": 2 if first else 0.5, "current_pa": 4.6, "convergence_mrad": 1.27 if first else 0.785,
                       "counts_per_pattern": 540000 if first else 100000}  # fmt: skip
        groups = specimen | {"acquisition": acquisition, "boxes": {name: fact.value for name, fact in author.boxes.items()}}
    def fact(value, source: str = "set in the simulation") -> dict:
        return {"value": value, "basis": "rehearsal", "source": source}

    size = path.stat().st_size
    return {
        "id": author.id, "role": author.role, "record": author.record.id, "remote": author.remote, "local": author.local, "pin": "resolve",
        "expected_bytes": fact([int(0.9 * size), int(1.1 * size) + 1], "size of the stand-in within a tenth"), "used_by": list(author.used_by),
        "substitute": author.substitute,
        **{group: {name: fact(value) for name, value in facts.items()} for group, facts in groups.items()},
    }  # fmt: skip
