"""Make a simulated dataset: a scan in the format of the authors' files, and beside it the truth at each of its positions."""

import math
import shutil
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import xarray as xr
from tqdm import tqdm

import figures_pkg
from figures_pkg.crystal.structure import ermno3
from figures_pkg.data.axes import SCAN_DIMS
from figures_pkg.data.hspy import HspyWriter
from figures_pkg.diffraction.library import Library, LibrarySettings, build_library, load_or_build, reflections
from figures_pkg.twin.domains import WALL_COLUMNS, domain_maps, polar_axis
from figures_pkg.twin.presets import Preset, load_preset
from figures_pkg.twin.render import Renderer
from figures_pkg.twin.specimen import COATING_DESCRIPTION, coating_maps, drifted_positions, nominal_positions, pattern_shifts, specimen_fields, terrace_nm
from figures_pkg.workspace import available_cores, check_target, replacing

# Whole patterns, 4 x 4 of them: one pattern costs a decompression of 2 MB (10 ms). In chunks of 32 on each axis, which
# the lab's converter makes, it costs more than a second (64 chunks); a pass over everything is equally fast in both.
CHUNK_POSITIONS = (4, 4)
COMPRESSION_LEVEL = 1  # noise hardly compresses: level 4 takes twice the time for 2 % of the size
BYTES_PER_PIXEL = 0.75  # gzip of Poisson counts of about 8 per pixel, with some margin
BASE_BYTES = 4.6e8  # Python, the compiled kernels and the blocks in flight, measured
BYTES_PER_POSITION = 500  # the truth: eighteen maps and what they are made from
LIBRARY_COPIES = 3.5  # of the coefficients: samples and sums while they are made, later those of -P
CGROUP = Path("/sys/fs/cgroup")  # limits of a container or a batch job on Linux: version 2, and version 1 in a folder below
LIMITS = (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"))

# What a pattern depends on, in the order of the columns that the renderer takes.
STATE = ("polarization", "thickness_nm", "tilt_b_mrad", "tilt_c_mrad", "shift_row_px", "shift_col_px")

DESCRIPTION = {
    "polarization": ("1", "weight of +P minus weight of -P in the pattern"),
    "domain": ("1", "domain at mid thickness, +1 or -1"),
    "domain_state": ("1", "domain at mid thickness, 0 to 5: alpha+, beta-, gamma+, alpha-, beta+, gamma-"),
    "phase_deg": ("degree", "phase of the trimerization at mid thickness, 60 degrees times the domain away from walls"),
    "wall_distance_nm": ("nm", "distance from the nearest wall at mid thickness, positive in +P domains; infinite without walls"),
    "wall_width_nm": ("nm", "width over which the inclined wall is seen along the beam"),
    "wall_inclination_deg": ("degree", "angle of the nearest wall against the beam, positive where the beam meets +P first"),
    "wall_charge": ("1", "bound charge of the nearest wall in units of 2 P: cosine between c and the normal out of +P"),
    "wall_type": ("1", "of the nearest wall: +1 head-to-head, -1 tail-to-tail, 0 within 15 degrees of neutral"),
    "wall_step": ("1", "turn of the phase across the nearest wall, out of +P, in units of 60 degrees; 0 without walls"),
    "wall_normal_b": ("1", "cosine between b* and the normal of the nearest wall out of +P"),
    "thickness_nm": ("nm", "thickness of the foil"),
    "tilt_b_mrad": ("mrad", "tilt of the beam against the zone axis, component along b*"),
    "tilt_c_mrad": ("mrad", "tilt of the beam against the zone axis, component along c"),
    "shift_row_px": ("px", "shift of the pattern on the detector, downward"),
    "shift_col_px": ("px", "shift of the pattern on the detector, to the right"),
    "specimen_y_nm": ("nm", "place on the specimen, with drift, downward"),
    "specimen_x_nm": ("nm", "place on the specimen, with drift, to the right"),
}


def make_dataset(preset: str | Path = "ds1", size: str = "smoke", seed: int = 0, out: str | Path = "ds1.hspy", *, library: Library | None = None,
                 libraries: str | Path | None = None, overwrite: bool = False, chunks: tuple[int, int, int, int] | None = None,
                 workers: int | None = None) -> Path:
    """Simulate a scan and write it with its truth.

    The counts depend on the preset, the size, the seed and the library alone, not on chunks or threads. Both files appear when they are complete.

    Parameters
    ----------
    preset : str or Path
        Name of a preset of the package, or the path of a YAML file of your own.
    size : str
        Size of the preset: the number of positions over the same field of view.
    seed : int
        Not negative; names the specimen's random parts and the counting noise.
    out : Path
        The ``.hspy`` file to write; the truth goes to ``.truth.nc`` beside it.
    library : Library, optional
        Intensities of the preset's crystal; built when not given (some seconds).
    libraries : Path, optional
        Folder that keeps what is built, for other scans that need a library of the same settings.
    overwrite : bool
        Replace an existing file, which is a `FileExistsError` otherwise.
    chunks : (cy, cx, ky, kx), optional
        HDF5 chunks. Whole patterns by default; ``(32, 32, 32, 32)`` is the layout of the lab's converter.
    workers : int, optional
        Threads; as many as the process has cores by default.

    Raises
    ------
    ValueError, OSError
        For a request that makes no sense; when the disk has no room for the estimated size, or the memory none for the library.
    """
    chosen, out = load_preset(preset), Path(out)
    shape = (*chosen.scan_shape(size), *chosen.pattern.shape)
    check_target(out, ".hspy", overwrite)
    if not 0 <= seed < 2**63:
        raise ValueError(f"seed is {seed}; it must be an integer from 0 to 2**63 - 1")
    require_disk(out, int(math.prod(shape) * BYTES_PER_PIXEL))
    settings = library_settings(chosen, seed)
    needed, free = memory_bytes(settings, shape, built=library is not None), available_memory_bytes()
    if free < needed:
        raise OSError(f"preset {chosen.name!r} in size {size!r} needs about {needed / 1e9:.2g} GB of memory and {free / 1e9:.2g} GB are free; "
                      "choose a smaller size, less bend or wedge in the preset, or close other programs")
    truth = simulate_truth(chosen, size, seed)
    workers = workers or available_cores()
    if library is None and libraries:
        library = load_or_build(Path(libraries) / f"library-{settings.fingerprint()}.npz", settings, workers)
    renderer = Renderer(chosen, library or build_library(settings, threads=workers))
    truth.attrs = _attributes(renderer, size, seed)
    out.parent.mkdir(parents=True, exist_ok=True)
    pattern, steps = chosen.pattern, tuple(length / n for length, n in zip(chosen.specimen.field_nm, shape))
    extra = {key: truth.attrs[key] for key in ("source", "preset", "size", "seed", "version")}
    with HspyWriter(out, shape, chunks=chunks or (*CHUNK_POSITIONS, *shape[2:]), scan_step_nm=steps, det_scale_inv_angstrom=pattern.scale_inv_angstrom,
                    origin_row_col=pattern.origin_row_col, beam_energy_kev=chosen.beam.energy_kev, camera_length_cm=pattern.camera_length_cm,
                    title=chosen.title, compression_level=COMPRESSION_LEVEL, extra=extra, fingerprint=truth.attrs["fingerprint"]) as writer:
        _render_blocks(writer, renderer, states_of(truth), seed, workers)
        with replacing(truth_path(out)) as temporary:
            truth.to_netcdf(temporary, engine="h5netcdf")
    return out


def library_settings(preset: Preset, seed: int | None = None) -> LibrarySettings:
    """What a library must cover for a preset: its thicknesses, and its tilts with the discs around them.

    A seed covers its specimen closely, which takes half the time for a strongly bent one. Without it all seeds are covered: a field keeps
    within its range of its mean.
    """
    # The drift carries the beam off the field, by less than its total; 2 % of the range stand for what lies between the nodes.
    around = [np.linspace(-abs(d), n + abs(d), 129) for d, n in zip(preset.scan.drift_nm_yx, preset.specimen.field_nm)]
    grid, ranges, disc = np.meshgrid(*around, indexing="ij"), {}, preset.beam.convergence_mrad
    for name, field in specimen_fields(preset.specimen, seed or 0).items():
        values = np.array([field.mean - field.extent, field.mean + field.extent]) if seed is None else field(*grid)
        ranges[name] = np.array([values.min(), values.max()]) + np.array([-0.02, 0.02]) * field.extent * (seed is not None)
    step = abs(preset.terrace.height_nm) / 2 if preset.terrace else 0.0
    thickness = [ranges["thickness_nm"][0] - step, ranges["thickness_nm"][1] + step]
    tilt_b, tilt_c = (np.abs(ranges[name]).max() + disc for name in ("tilt_b_mrad", "tilt_c_mrad"))
    return LibrarySettings.covering(thickness, tilt_b, tilt_c, energy_kev=preset.beam.energy_kev)


def memory_bytes(settings: LibrarySettings, shape: tuple[int, ...], built: bool = False) -> int:
    """Estimate of the memory that a scan takes at its peak, less if its library is `built` already; patterns go to the disk block by block."""
    grids = (settings.tilt_b_mrad, settings.tilt_c_mrad, settings.periods)
    library = 4 * len(reflections(ermno3(+1), settings.g_max_inv_angstrom)[0]) * math.prod(len(grid) + 2 for grid in grids)
    return int(BASE_BYTES + BYTES_PER_POSITION * math.prod(shape[:2]) + (1 if built else LIBRARY_COPIES) * library)


def _attributes(renderer: Renderer, size: str, seed: int) -> dict:
    """Provenance and geometry of the truth, as netCDF holds them."""
    preset, optics = renderer.preset, renderer.optics
    fingerprint = preset.fingerprint(size, str(seed), renderer.library.fingerprint)
    provenance = {"source": "twin", "preset": preset.name, "size": size, "seed": seed, "version": figures_pkg.__version__, "fingerprint": fingerprint}
    return provenance | {
        "beam_energy_kev": preset.beam.energy_kev,
        **{name: getattr(preset.beam, name) for name in ("convergence_mrad", "electrons_per_pattern")},
        **{name: getattr(preset.detector, name) for name in ("counts_per_electron", "bragg_share")},
        "bragg_counts": optics.bragg_counts,
        "scan_rotation_deg": preset.scan.scan_rotation_deg,
        "c_axis_yx": polar_axis(preset).tolist(),
        **{name: list(getattr(preset.pattern, name)) for name in ("origin_row_col", "g002_row_col", "g010_row_col")},
        "disc_radius_px": optics.radius_px,
        "dead_pixels_row_col": np.ravel(preset.detector.dead_pixels).tolist(),
        "reflections_hkl": renderer.library.hkl.ravel().tolist(),
    }


def _render_blocks(writer: HspyWriter, renderer: Renderer, states: np.ndarray, seed: int, workers: int) -> None:
    """Render in threads; the kernels and the compression release the GIL."""
    (height, width), (cy, cx) = states.shape[:2], writer.chunks[:2]
    positions = np.arange(height * width).reshape(height, width)

    def render_block(origin):
        block = np.s_[origin[0] : origin[0] + cy, origin[1] : origin[1] + cx]
        where = positions[block]
        counts = renderer.counts(states[block].reshape(where.size, -1), where.ravel(), seed)
        writer.write(origin, counts.reshape(*where.shape, *counts.shape[1:]))

    with ThreadPoolExecutor(workers) as pool:
        tasks = [pool.submit(render_block, origin) for origin in writer.missing()]
        blocks = f"{writer.path.name}, blocks of {cy * cx} patterns"
        try:
            for task in tqdm(as_completed(tasks), total=len(tasks), desc=blocks, mininterval=1.0):
                task.result()
        finally:  # after an error or an interruption
            for task in tasks:
                task.cancel()


def require_disk(path: Path, needed_bytes: int) -> None:
    """Raise an `OSError` unless the disk on which `path` will lie has room; nothing need exist yet."""
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise OSError(f"{path} takes up to {needed_bytes / 1e9:.2g} GB while it is written and {folder} has {free / 1e9:.2g} GB; "
                      "choose a smaller size or another disk")


def available_memory_bytes() -> float:
    """Memory that this process can still take without swapping: what the machine has, or what a container or batch job leaves of its limit."""
    left = [float(psutil.virtual_memory().available)]
    for names in LIMITS:
        with suppress(OSError, ValueError):  # no such file, or "max"
            most, taken = (float((CGROUP / name).read_text(encoding="ascii")) for name in names)
            left.append(max(most - taken, 0.0))
    return min(left)


def simulate_truth(preset: Preset, size: str, seed: int) -> xr.Dataset:
    """Maps of a preset on the positions of a scan, coordinates in nm: those of `DESCRIPTION`, with a coating also `COATING_DESCRIPTION`.

    Another size shows the same specimen with another step. The seed draws the random parts of thickness, bend and wall, and the patterns' jitter.
    """
    scan_shape, specimen = preset.scan_shape(size), preset.specimen
    y_nm, x_nm = drifted_positions(preset, scan_shape)
    maps = {name: field(y_nm, x_nm) for name, field in specimen_fields(specimen, seed).items()}
    if preset.terrace:
        maps["thickness_nm"] += terrace_nm(preset.terrace, specimen.field_nm, y_nm, x_nm)
    maps |= domain_maps(preset, seed, y_nm, x_nm, maps["thickness_nm"])
    maps |= dict(zip(("shift_row_px", "shift_col_px"), pattern_shifts(preset.scan, scan_shape, seed)))
    maps |= {"specimen_y_nm": y_nm, "specimen_x_nm": x_nm}
    if preset.coating:
        maps |= coating_maps(preset.coating, specimen.field_nm, y_nm, x_nm)
    variables = {}
    for name, (units, meaning) in (DESCRIPTION | COATING_DESCRIPTION).items():
        if name in maps:
            dtype = np.int8 if maps[name].dtype == np.int8 else np.float32
            variables[name] = (SCAN_DIMS, maps[name].astype(dtype), {"units": units, "long_name": meaning})
    coordinates = {dim: (dim, values, {"units": "nm"}) for dim, values in zip(SCAN_DIMS, nominal_positions(preset, scan_shape))}
    return xr.Dataset(variables, coordinates)


def states_of(truth: xr.Dataset) -> np.ndarray:
    """States (scan_y, scan_x, 11, or 13 with a coating) that the renderer takes, from the maps of the truth."""
    coated = [name for name in COATING_DESCRIPTION if name in truth]
    return np.stack([truth[name].values for name in (*STATE, *coated, *WALL_COLUMNS)], axis=-1)


def truth_path(path: str | Path) -> Path:
    """Where the truth of a scan lies: ``scan.truth.nc`` beside ``scan.hspy``."""
    path = Path(path)
    return path if path.name.endswith(".truth.nc") else path.with_suffix(".truth.nc")


def read_truth(path: str | Path) -> xr.Dataset:
    """Read the truth of a simulated scan, by its path or that of the scan; a `FileNotFoundError` where there is none, as beside a measured scan."""
    source = truth_path(path)
    if not source.exists():
        raise FileNotFoundError(f"{source} does not exist; only simulated scans have a truth, made beside them by make_dataset")
    with xr.open_dataset(source, engine="h5netcdf") as truth:
        return truth.load()
