"""
A stand-in for the authors' record: files under the record's names, whose truth the judge knows and the book does not.

The scans are the twin's counts in files as the laboratory's converter leaves them: RosettaSciIO writes the arrays, and the attributes are then
set back to HyperSpy 1.5 and pyxem 0.12 (format 3.0, energy in V, ``$A^{-1}$``, origin at pixel 128, nominal steps). Nothing in them names the
twin. The checkpoints hold small networks, trained here, in the layout of the published training. A manifest of their own says what they are.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import dask
import dask.array as da
import h5py
import numpy as np
import rsciio.hspy
import yaml

from figures_pkg.data.scan import open_scan
from figures_pkg.record.manifest import REPOSITORY_MANIFEST, load_manifest

REMOTE = {  # the record's own names, colons and all
    "ds1": "256p_3w_step1k4_a5_cl12_50ms_nmf_4-001.hspy",
    "ds2": "SED_256x256x12_30x30_alpha3_NBD_spot0p5nm_CL12cm_vortex.hspy",
    "ca-ds1": "11.23_log_epoch_0376_coef_1e-05_trainloss_0.1362.pkl",
    "ca-ds2-domains": "4.5_log_epoch_0285_L1loss_0.0001__lr_0.00003_trainloss_0.2279.pkl",
    "ca-ds2-walls": "11.1_log_epoch_0017_L1loss_0.00181_l1coef_0.0050_lr_0.00009_contrasPara_0.000050_contrasLoss_0.00020_"
                    "maxiPara_0.00070_maxiLoss_0.0019_trainloss_0.2289.pkl",
    "vae-27": "Weight_epoch:0027_l1coef:0.0000_lr:0.00003_trainloss:0.7317.pkl",
}
SCANS = ("ds1", "ds2")
RECORDS = {"sed": "9900001", "vae": "9900002"}  # no such records: the numbers are not those of the authors
NOMINAL_SCALE = 0.0097  # 1/Å per pixel: an older table than the manifest's, as a converter may have used
NONE = "_None_"  # HyperSpy's word for None
PATTERNS_IN_MEMORY = 1024  # of 256 x 256 uint16: 134 MB a block
CONVERTERS_CHUNKS = (32, 32, 32, 32)  # an option of the laboratory's converter
WHOLE_PATTERNS = (2, 4, 256, 256)  # a megabyte, as HyperSpy chooses by itself
CHUNKS = {"ds1": CONVERTERS_CHUNKS, "ds2": WHOLE_PATTERNS}  # nobody knows which of both the record has, so each is rehearsed


@dataclass(frozen=True)
class Specimen:
    """What the manifest must know of a scan: shape (4), step in nm, and (row, column) of the pattern's lattice in px."""

    shape: tuple[int, int, int, int]
    step_nm: float
    origin: tuple[float, float]
    g002: tuple[float, float]
    g010: tuple[float, float]


def flipped(counts: da.Array) -> da.Array:
    """The detector's rows upside down, as RosettaSciIO reads a ``.mib``."""
    return counts[:, :, ::-1]


def wrapped(counts: da.Array) -> da.Array:
    """Counts modulo 256 in bytes, as the laboratory's converter wrote some scans."""
    return (counts % 256).astype(np.uint8)


def turned(counts: da.Array) -> da.Array:
    """Each pattern turned by half a turn: the pattern of the other domain."""
    return counts[:, :, ::-1, ::-1]


def moved(counts: da.Array) -> da.Array:
    """A twelfth of the rows of the scan missing: another shape than the manifest's."""
    return counts[counts.shape[0] // 12 :]


VARIANTS: dict[str, Callable[[da.Array], da.Array]] = {
    "good": lambda counts: counts, "flipped": flipped, "wrapped": wrapped, "turned": turned, "moved": moved,
}  # fmt: skip


def specimen_of(source: Path, variant: str = "good") -> Specimen:
    """
    What an honest manifest says of a stand-in made from a twin's scan.

    A wrapped, flipped or moved file contradicts its manifest: that is what a reader has to notice. A turned one comes with the lattice as
    it lies in the turned patterns, but with c along the same direction as before, so that its polarization has the other sign.
    """
    import xarray as xr

    with xr.open_dataset(source.with_suffix("").with_suffix(".truth.nc")) as truth:
        attrs = truth.attrs
        step = float(truth.scan_y[1] - truth.scan_y[0])
    with h5py.File(source) as file:
        shape = _counts(file).shape
    origin = tuple(map(float, attrs["origin_row_col"]))
    if variant == "turned":
        origin = tuple(float(size - 1 - place) for size, place in zip(shape[2:], origin))
    return Specimen(shape, step, origin, tuple(map(float, attrs["g002_row_col"])), tuple(map(float, attrs["g010_row_col"])))


def write_scan(source: Path, target: Path, variant: str = "good", chunks: tuple[int, int, int, int] = CONVERTERS_CHUNKS) -> Path:
    """
    Copy the counts of a twin's scan into a file as the laboratory writes them, block by block.

    Parameters
    ----------
    source
        ``.hspy`` of the twin, of any size; never more than a few blocks of 1024 patterns are in memory.
    target
        ``.hspy`` to write; it appears when it is complete.
    variant
        A key of ``VARIANTS``.
    chunks
        Of the file: ``CONVERTERS_CHUNKS`` or ``WHOLE_PATTERNS``.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    with h5py.File(source) as file:
        stored = _counts(file)
        side = int(PATTERNS_IN_MEMORY**0.5)
        counts = VARIANTS[variant](da.from_array(stored, chunks=(side, side, *stored.shape[2:]), lock=True))
        step = float(file["Experiments"][next(iter(file["Experiments"]))]["axis-0"].attrs["scale"])
        chunks = tuple(min(one, size) for one, size in zip(chunks, counts.shape))
        with dask.config.set(scheduler="threads", num_workers=2):
            rsciio.hspy.file_writer(str(part), _signal(counts, round(step, 1)), chunks=chunks, show_progressbar=False)
    _as_the_converter_wrote(part)
    part.replace(target)
    return target


def _counts(file: h5py.File) -> h5py.Dataset:
    """The only signal of a ``.hspy`` file."""
    (group,) = file["Experiments"].values()
    return group["data"]


def _signal(counts: da.Array, step_nm: float) -> dict:
    """A signal as RosettaSciIO takes it, with the nominal axes of the microscope."""
    axes = [
        dict(name=name, size=size, scale=step_nm if index < 2 else NOMINAL_SCALE, offset=0.0 if index < 2 else -128 * NOMINAL_SCALE,
             units="nm" if index < 2 else "$A^{-1}$", navigate=index < 2)
        for index, (name, size) in enumerate(zip(("y", "x", "ky", "kx"), counts.shape))
    ]  # fmt: skip
    return dict(data=counts, axes=axes, metadata=_metadata(), original_metadata=_original_metadata(step_nm), learning_results={},
                attributes={"_lazy": True}, tmp_parameters={}, models=None,
                package_info={"package": "pyxem", "package_version": "0.12.2"})  # fmt: skip


def _metadata() -> dict:
    """The metadata of a file of the same detector, converter and year."""
    tem = {"beam_energy": np.int32(200000), "convergence_angle": np.nan, "rocking_angle": np.nan, "rocking_frequency": np.nan,
           "Detector": {"Diffraction": {"camera_length": 22.95}}}  # fmt: skip
    signal = {"binned": False, "record_by": "image", "signal_type": "electron_diffraction", "exposure_time": NONE, "flyback_times": NONE,
              "frames_number_skipped": NONE, "scan_X": NONE}  # fmt: skip
    folding = {"original_axes_manager": NONE, "original_shape": NONE, "signal_unfolded": False, "unfolded": False}
    return {"Acquisition_instrument": {"TEM": tem}, "General": {"title": ""}, "Signal": signal, "_HyperSpy": {"Folding": folding}}


def _original_metadata(step_nm: float) -> dict:
    """The converter's table, and lines of the detector's header."""
    length = {"Nominal value": np.int32(12), "Actual value": 22.95, "Units": "cm"}
    step = {"Nominal value": step_nm, "Actual value": np.nan, "Units": "nm"}
    parameters = {"acceleration_voltage": {"Value": np.int32(200000), "Units": "V"}, "cameralength": length, "camera": {"Value": "Merlin", "Units": ""},
                  "scale": {"Value": NOMINAL_SCALE, "Units": "1/Å"}, "step_x": step, "step_y": step}  # fmt: skip
    header = {"chiptype(medipix3.0,medipix3.1,medipix3rx)": "Medipix 3RX", "counterdepth(number)": "12", "gain": "SLGM",
              "thresholds(kev)": "4.000000E+1,5.110000E+2"}  # fmt: skip
    return {"Acquisition_instrument": {"Parameters": parameters}, "Header": header}


def _as_the_converter_wrote(path: Path) -> None:
    """Take back to format 3.0 what RosettaSciIO writes in today's."""
    with h5py.File(path, "r+") as file:
        file.attrs["file_format_version"] = "3.0"
        (group,) = file["Experiments"].values()
        del group["attributes"]
        for index in range(4):
            for name in {"_type", "is_binned"} & set(group[f"axis-{index}"].attrs):
                del group[f"axis-{index}"].attrs[name]


def make_record(scans: dict[str, Path], folder: Path) -> Path:
    """
    Make both records, scans and checkpoints, with their manifest; files that were made from the same scans are left alone.

    Parameters
    ----------
    scans
        The twin's ``.hspy`` that stands behind ``ds1`` and behind ``ds2``.
    folder
        Where the files lie, under the names of the record.

    Returns
    -------
    Path
        The manifest.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stamp, made_of = folder / "made-of.json", _fingerprint(scans)
    if not (stamp.is_file() and stamp.read_text(encoding="utf-8") == made_of):
        stamp.unlink(missing_ok=True)
        for name, source in scans.items():
            write_scan(source, folder / REMOTE[name], chunks=CHUNKS[name])
        write_checkpoints(scans, folder)
        stamp.write_text(made_of, encoding="utf-8")
    return write_manifest(folder, {name: specimen_of(source) for name, source in scans.items()})


def _fingerprint(scans: dict[str, Path]) -> str:
    """What decides the files: the scans, and the text of both modules."""
    here = {path.name: path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.glob("[cs]*.py"))}
    facts = {name: [str(path), path.stat().st_size, path.stat().st_mtime_ns] for name, path in scans.items()}
    return json.dumps(facts | here)


def write_checkpoints(scans: dict[str, Path], folder: Path) -> None:
    """Train the networks of both scans and save each under its name on the record; the walls' goes on from the domains', as in the paper."""
    from checkpoints import save_published, some_patterns, train_further, train_small

    first, second = (some_patterns(open_scan(scans[name])) for name in SCANS)
    save_published(*train_small(first), folder / REMOTE["ca-ds1"], epoch=376)
    net, optimizer = train_small(second)
    save_published(net, optimizer, folder / REMOTE["ca-ds2-domains"], epoch=285)
    save_published(net, train_further(net, second[::2], l1=1e-4), folder / REMOTE["ca-ds2-walls"], epoch=17)
    save_published(*train_small(second, variational=True), folder / REMOTE["vae-27"], epoch=27, beta=1e-4)


def write_manifest(folder: Path, specimens: dict[str, Specimen]) -> Path:
    """
    Write ``manifest.yaml``, with facts of its own: every number is that of a file in the same folder.

    Parameters
    ----------
    folder
        With the files under the names of the record.
    specimens
        Of ``ds1`` and ``ds2``.
    """
    figures = {name: {"shows": figure.shows, "data": figure.data} for name, figure in load_manifest(REPOSITORY_MANIFEST).figures.items()}  # facts of the paper
    records = {
        name: {"doi": f"10.5072/rehearsal.{number}", "record": number, "licence": "BSD-2-Clause", "title": f"rehearsal: simulated stand-in, {kind}"}
        for (name, number), kind in zip(RECORDS.items(), ("scans and small networks", "a small variational network"))
    }
    datasets = [_scan_entry(name, folder / REMOTE[name], specimens[name]) for name in SCANS]
    datasets += [_weights_entry(name, folder / REMOTE[name]) for name in REMOTE if name not in SCANS and (folder / REMOTE[name]).is_file()]
    content = {"schema": 1, "bases": {"rehearsal": "the settings with which this stand-in was simulated"}, "figures": figures,
               "records": records, "datasets": datasets}  # fmt: skip
    path = folder / "manifest.yaml"
    path.write_text("# The manifest of a rehearsal: simulated stand-ins under the names of the authors' record.\n"
                    + yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")  # fmt: skip
    return path


def _fact(value, source: str, **more) -> dict:
    """A fact of the rehearsal."""
    return {"value": value, "basis": "rehearsal", "source": source, **more}


def _bytes(path: Path) -> dict:
    """A narrow bracket around the size of a file."""
    size = path.stat().st_size
    return _fact([int(0.9 * size), int(1.1 * size) + 1], "size of the stand-in within a tenth")


def _scan_entry(name: str, path: Path, specimen: Specimen) -> dict:
    """The manifest's entry of a scan."""
    figures = {"ds1": ["fig1d", "fig2a", "fig2b", "fig3d", "fig3e", "fig4d", "fig5a", "fig5b", "s2"], "ds2": ["fig5c", "fig5d", "fig5e", "fig5f", "s1", "s3"]}
    exact = "set in the simulation"
    boxes = {"ds1": ([117, 135, 119, 135], [0, 0, 0], [102, 117, 114, 130], [0, 0, 2]), "ds2": ([150, 162, 152, 165], [0, 1, -4], [106, 123, 110, 125], [0, 0, 2])}[name]
    return {
        "id": name, "role": "measured", "record": "sed", "remote": REMOTE[name], "local": f"{name}/{name}.hspy", "pin": "resolve",
        "expected_bytes": _bytes(path), "used_by": figures[name],
        "substitute": {"generator": "figures_pkg.twin:make_dataset", "args": {"preset": name}},
        "container": {
            "format": _fact("hspy 3.0, written by pyxem", "as the laboratory's converter writes"),
            "shape": _fact(list(specimen.shape), exact),
            "counter_bits": _fact(12, exact),
        },
        "axes": {
            "orientation": _fact("lab", exact),
            "scan_step_nm": _fact(specimen.step_nm, exact),
            "det_scale_inv_angstrom": _fact(0.009555, exact),
            "origin_row_col_px": _fact(list(specimen.origin), exact),
            "g002_row_col_px": _fact(list(specimen.g002), exact),
            "g010_row_col_px": _fact(list(specimen.g010), exact),
        },
        "acquisition": {
            "beam_energy_kev": _fact(200, exact),
            "detector": _fact("simulated, with one 12-bit chip in mind", exact),
            "dwell_ms": _fact({"ds1": 50, "ds2": 30}[name], exact),
            "camera_length_cm": _fact(22.95, "calibrated length, from which the scale follows"),
            "probe_nm": _fact({"ds1": 2, "ds2": 0.5}[name], exact),
            "current_pa": _fact(4.6, exact),
            "convergence_mrad": _fact({"ds1": 1.27, "ds2": 0.785}[name], exact),
            "counts_per_pattern": _fact({"ds1": 540000, "ds2": 100000}[name], "a lower bound"),
        },
        "boxes": {
            f"box{number}": _fact({"rows": box[:2], "cols": box[2:], "reflection": hkl, "authors_name": kind}, "the authors' boxes, drawn in the same place")
            for number, box, hkl, kind in ((1, boxes[0], boxes[1], "bright_field"), (2, boxes[2], boxes[3], "dark_field"))
        },
    }  # fmt: skip


def _weights_entry(name: str, path: Path) -> dict:
    """The manifest's entry of a checkpoint."""
    figures = {"ca-ds1": ["fig3d", "fig3e", "fig4d", "fig5a", "fig5b", "s2"], "ca-ds2-domains": ["fig5c", "fig5d", "s3"],
               "ca-ds2-walls": ["fig5e", "fig5f", "s3"], "vae-27": ["s1"]}[name]  # fmt: skip
    return {
        "id": name, "role": "checkpoint", "record": "vae" if name.startswith("vae") else "sed", "remote": REMOTE[name],
        "local": f"weights/{name.replace('-', '_')}.pkl", "pin": "resolve", "expected_bytes": _bytes(path), "used_by": figures, "substitute": None,
        "container": {"format": _fact("torch pickle, read with weights_only=True", "published layout"),
                      "parameters": _fact(_parameters(path), "counted in the file")},
    }  # fmt: skip


def _parameters(path: Path) -> int:
    """Number of weights in a checkpoint."""
    import torch

    return sum(tensor.numel() for tensor in torch.load(path, weights_only=True)["net"].values())
