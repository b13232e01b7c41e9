"""Make a simulated dataset: a scan in the format of the authors' files, and its truth beside it."""

import math
import shutil
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import numpy as np
from tqdm import tqdm

import figures_pkg
from figures_pkg.crystal.structure import ermno3
from figures_pkg.data.hspy import HspyWriter
from figures_pkg.diffraction.library import Library, LibrarySettings, build_library, reflections
from figures_pkg.twin.domains import polar_axis
from figures_pkg.twin.presets import Preset, load_preset
from figures_pkg.twin.render import Renderer
from figures_pkg.twin.specimen import specimen_fields
from figures_pkg.twin.truth import simulate_truth, states_of, truth_path
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


def make_dataset(preset: str | Path = "ds1", size: str = "smoke", seed: int = 0, out: str | Path = "ds1.hspy", *, library: Library | None = None,
                 overwrite: bool = False, chunks: tuple[int, int, int, int] | None = None, workers: int | None = None) -> Path:
    """Simulate a scan and write it with its truth.

    The counts depend on the preset, the size, the seed and the library, on nothing else: neither the chunks nor the
    number of threads changes one of them. Both files appear when they are complete.

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
    overwrite : bool
        Replace an existing file.
    chunks : (cy, cx, ky, kx), optional
        HDF5 chunks. Whole patterns by default; ``(32, 32, 32, 32)`` is the layout of the lab's converter.
    workers : int, optional
        Threads; as many as the process has cores by default.

    Raises
    ------
    ValueError
        For an unknown preset or size, a negative seed, a name that does not end in ``.hspy``.
    FileExistsError
        When `out` exists and `overwrite` is false.
    OSError
        When the disk has no room for the estimated size, or the memory none for the library.
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
    renderer = Renderer(chosen, library or build_library(settings, threads=workers))
    truth.attrs = _attributes(renderer, size, seed)
    out.parent.mkdir(parents=True, exist_ok=True)
    with _writer(out, chosen, shape, chunks or (*CHUNK_POSITIONS, *shape[2:]), truth.attrs) as writer:
        _render_blocks(writer, renderer, states_of(truth), seed, workers)
        with replacing(truth_path(out)) as temporary:
            truth.to_netcdf(temporary, engine="h5netcdf")
    return out


def library_settings(preset: Preset, seed: int | None = None) -> LibrarySettings:
    """What a library must cover for a preset: its thicknesses, and its tilts with the discs around them.

    A seed covers its specimen closely, which takes half the time for a strongly bent one. Without it all seeds are covered: a field keeps
    within its range of its mean.
    """
    ranges, disc = _field_ranges(preset, seed), preset.beam.convergence_mrad
    step = abs(preset.terrace.height_nm) / 2 if preset.terrace else 0.0
    thickness = [ranges["thickness_nm"][0] - step, ranges["thickness_nm"][1] + step]
    tilt_b, tilt_c = (np.abs(ranges[name]).max() + disc for name in ("tilt_b_mrad", "tilt_c_mrad"))
    return LibrarySettings.covering(thickness, tilt_b, tilt_c, energy_kev=preset.beam.energy_kev)


def memory_bytes(settings: LibrarySettings, shape: tuple[int, ...], built: bool = False) -> int:
    """Estimate of the memory that a scan of a shape takes at its peak; less if its library is `built` already.

    The patterns go to the disk block by block and hardly count.
    """
    grids = (settings.tilt_b_mrad, settings.tilt_c_mrad, settings.periods)
    hkl = reflections(ermno3(+1), settings.g_max_inv_angstrom)[0]
    library = 4 * len(hkl) * math.prod(len(grid) + 2 for grid in grids)
    return int(BASE_BYTES + BYTES_PER_POSITION * math.prod(shape[:2]) + (1 if built else LIBRARY_COPIES) * library)


def _field_ranges(preset: Preset, seed: int | None) -> dict[str, np.ndarray]:
    """Least and largest thickness (nm) and tilts (mrad) of a specimen, on and around the field of view.

    The drift carries the beam off the field, by less than its total; 2 % of the range stand for what lies between the nodes.
    """
    around = [np.linspace(-abs(d), n + abs(d), 129) for d, n in zip(preset.scan.drift_nm_yx, preset.specimen.field_nm)]
    grid, ranges = np.meshgrid(*around, indexing="ij"), {}
    for name, field in specimen_fields(preset.specimen, seed or 0).items():
        values = np.array([field.mean - field.extent, field.mean + field.extent]) if seed is None else field(*grid)
        ranges[name] = np.array([values.min(), values.max()]) + np.array([-0.02, 0.02]) * field.extent * (seed is not None)
    return ranges


def _attributes(renderer: Renderer, size: str, seed: int) -> dict:
    """Provenance and geometry of the truth, as netCDF holds them."""
    preset, optics = renderer.preset, renderer.optics
    fingerprint = preset.fingerprint(size, str(seed), renderer.library.fingerprint)
    provenance = {"source": "twin", "preset": preset.name, "size": size, "seed": seed, "version": figures_pkg.__version__, "fingerprint": fingerprint}
    beam = {name: getattr(preset.beam, name) for name in ("convergence_mrad", "electrons_per_pattern")}
    return provenance | {"beam_energy_kev": preset.beam.energy_kev} | beam | {
        "counts_per_electron": preset.detector.counts_per_electron,
        "bragg_share": preset.detector.bragg_share,
        "bragg_counts": optics.bragg_counts,
        "scan_rotation_deg": preset.scan.scan_rotation_deg,
        "c_axis_yx": polar_axis(preset).tolist(),
        **{name: list(getattr(preset.pattern, name)) for name in ("origin_row_col", "g002_row_col", "g010_row_col")},
        "disc_radius_px": optics.radius_px,
        "dead_pixels_row_col": np.ravel(preset.detector.dead_pixels).tolist(),
        "reflections_hkl": renderer.library.hkl.ravel().tolist(),
    }


def _writer(out: Path, preset: Preset, shape: tuple[int, ...], chunks, attributes: dict) -> HspyWriter:
    pattern, steps = preset.pattern, tuple(length / n for length, n in zip(preset.specimen.field_nm, shape))
    extra = {key: attributes[key] for key in ("source", "preset", "size", "seed", "version")}
    return HspyWriter(out, shape, chunks=chunks, scan_step_nm=steps, det_scale_inv_angstrom=pattern.scale_inv_angstrom,
                      origin_row_col=pattern.origin_row_col, beam_energy_kev=preset.beam.energy_kev, camera_length_cm=pattern.camera_length_cm,
                      title=preset.title, compression_level=COMPRESSION_LEVEL, extra=extra, fingerprint=attributes["fingerprint"])


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
    """Raise an `OSError` with need, room and advice unless the disk on which `path` will lie has room; nothing need exist yet."""
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise OSError(f"{path} takes up to {needed_bytes / 1e9:.2g} GB while it is written and {folder} has {free / 1e9:.2g} GB; "
                      "choose a smaller size or another disk")


def available_memory_bytes() -> float:
    """Memory that this process can still take without swapping; infinite where the system does not tell.

    The smaller of what the machine has free, with what caches would give back, and what is left of the limit of the container or batch job.
    """
    try:
        rows = dict(line.split(":") for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
        machine = 1024.0 * int(rows["MemAvailable"].split()[0])
    except (OSError, KeyError, ValueError):
        machine = math.inf
    return min(machine, *(_left_of_limit(*names) for names in LIMITS))


def _left_of_limit(limit: str, used: str) -> float:
    try:
        most, taken = ((CGROUP / name).read_text(encoding="ascii").strip() for name in (limit, used))
        return math.inf if most == "max" else max(float(most) - float(taken), 0.0)
    except (OSError, ValueError):
        return math.inf
