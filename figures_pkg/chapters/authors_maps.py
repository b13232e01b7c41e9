"""
What the authors' published channel maps measure: the pictures of their notebooks read back, scored on domains and walls.

A sheet shows 32 channels of a network, each in colours between its lowest and highest value. A displayed pixel is the mean of about ten
scan positions, and 256 colours are told apart. Walls are those of the twin's presets, which were traced on the same pictures, without
their random part. Maps of the twin's networks go through the same functions.
"""

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import matplotlib
import numpy as np
import xarray as xr
import yaml
from matplotlib.image import imread
from scipy.ndimage import binary_dilation, gaussian_filter
from scipy.spatial import cKDTree

from figures_pkg.data import published
from figures_pkg.data.axes import SCAN_DIMS
from figures_pkg.evaluate.scores import CLEAR_NM, area_under_curve, confusion, domain_auc, domain_regions, interior
from figures_pkg.evaluate.walls import discriminant
from figures_pkg.record.pictures import load_pictures
from figures_pkg.twin import load_preset
from figures_pkg.twin.domains import POINT_SPACING_NM, TracedWalls, domain_maps
from figures_pkg.workspace import replacing

NETWORKS = {"ds1-channels": "DS1, autoencoder", "ds2-channels": "DS2, autoencoder", "ds2-walls-channels": "DS2, wall network", "ds2-vae-channels": "DS2, β-VAE"}
WALL_NETWORK, WALL_CHANNELS = "ds2-walls-channels", (2, 0)  # the two that alternate around the core, c and a on the sheet
APART_NM = 14.0  # from the nearest wall, for a position to count as inside a domain
HELD_OUT_NM = 60.0  # side of the blocks that the linear read-out does not see
ON_NM, FLANKS_NM, PIECE_NM, CORE_NM = 5.0, (9.0, 18.0), 20.0, 25.0  # of a wall: itself, its sides, pieces along it; the core is left out
PROFILE_NM = np.arange(-22.5, 23, 5.0)  # distances from a wall
BLOCKS = 26  # along each side of the coarse maps that are kept
BINS = 24  # of histograms over the colour range
COLOURS = matplotlib.colormaps["viridis"](np.arange(256))[:, :3]
HEADER = """\
# Measured on the sheets of channels in the authors' executed notebooks STEM_Domains and STEM_vortex_VAE, m3-learning/m3_learning at c4d6cec
# (BSD-2-Clause), whose pictures data_manifest.yaml pins. Written by figures_pkg.chapters.authors_maps.write_numbers, which needs the pictures.
#
# Values are shares of the range of a channel's colours. auc, smoothed: AUC of +P against -P of each live channel, plain and after a Gaussian of
# one displayed pixel; contrast: mean of +P less that of -P; linear, linear_smoothed: AUC of a linear read-out of all channels
# in blocks of 60 nm held out; wrong: share of the domains on the wrong side of the best threshold of the best channel, smoothed; regions: share in the
# right one of its domains; levels: mean of the best channel by domain; histogram: of the best channel; blocks: means over 26 x 26 parts, in
# hundredths; vortex: contrast of each channel on pieces of a wall against both flanks, and profiles, means by the distance from each wall.
"""


def digitise(path: Path, dataset: str) -> xr.DataArray:
    """
    The channels of a published sheet as shares of their colour range, (channel, scan_y, scan_x) in nm; nan below letters and scale bars.

    Panels are where rows and columns of the picture are not white. A sheet that does not hold 8 x 4 panels is a ValueError.
    """
    rgb = imread(path)[..., :3]
    drawn = rgb.min(axis=-1) < 0.97
    rows, columns = _runs(drawn.sum(axis=1) > 250), _runs(drawn.sum(axis=0) > 300)
    if (len(rows), len(columns)) != (8, 4):
        raise ValueError(f"{path} shows {len(rows)} x {len(columns)} panels, expected 8 x 4: is it one of the sheets of data_manifest.yaml?")
    side = min(stop - start for start, stop in rows + columns) - 2  # without the frame
    places = {run: np.rint(np.linspace(run[0] + 1, run[1] - 2, side)).astype(int) for run in rows + columns}
    channels = []
    for row in rows:
        for column in columns:
            panel = rgb[np.ix_(places[row], places[column])]
            colours, number = np.unique(panel.reshape(-1, 3), axis=0, return_inverse=True)
            away = np.linalg.norm(colours[:, None] - COLOURS, axis=-1)
            shade, off = (each[number].reshape(panel.shape[:2]) for each in (away.argmin(axis=-1), away.min(axis=-1)))
            channels.append(np.where(binary_dilation(off > 0.05), np.nan, shade / 255))
    nm = np.arange(1, side + 1) / (side + 1) * load_preset(dataset).specimen.field_nm[0]
    return xr.DataArray(np.stack(channels), {"channel": np.arange(32), "scan_y": nm, "scan_x": nm}, ("channel", *SCAN_DIMS))


def _runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """Start and stop of the stretches of true values longer than 30."""
    ends = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(int), [0]])))
    return [(int(start), int(stop)) for start, stop in zip(ends[::2], ends[1::2]) if stop - start > 30]


def quantised(maps: xr.DataArray) -> xr.DataArray:
    """The channels of an embedding in 256 steps between lowest and highest value, as a picture shows them; constant channels are 0."""
    low = maps.min(SCAN_DIMS)
    reach = maps.max(SCAN_DIMS) - low
    return (255 * (maps - low) / reach.where(reach > 0, 1)).round() / 255


def drawn_walls() -> TracedWalls:
    """The six walls of the second scan without their random part."""
    preset = load_preset("ds2")
    return TracedWalls.draw(dataclasses.replace(preset.texture, roughness_nm=0.0), preset.specimen.field_nm, 0)


def drawn_domains(dataset: str, maps: xr.DataArray) -> xr.Dataset:
    """Domains and walls at the positions of maps, as the preset draws them without their random part; see :func:`clear_of_walls`."""
    preset = load_preset(dataset)
    part = "texture" if preset.texture else "wall"
    smooth = dataclasses.replace(preset, **{part: dataclasses.replace(getattr(preset, part), roughness_nm=0.0)})
    y, x = np.meshgrid(maps.scan_y, maps.scan_x, indexing="ij")
    found = domain_maps(smooth, 0, y, x, np.full(y.shape, preset.specimen.thickness_nm))
    return clear_of_walls(xr.Dataset({name: (SCAN_DIMS, values) for name, values in found.items()}, {dim: maps[dim] for dim in SCAN_DIMS}))


def clear_of_walls(known: xr.Dataset) -> xr.Dataset:
    """What is known of a specimen, with walls so wide that only positions more than 14 nm from the nearest one count as inside a domain."""
    return known.assign(wall_width_nm=xr.full_like(known.wall_width_nm, 2 * (APART_NM - CLEAR_NM)))


def score_channels(maps: xr.DataArray, known: xr.Dataset) -> dict:
    """
    How well the channels (channel, scan_y, scan_x) show known domains, as plain numbers; the keys are explained at the head of ``channel_maps.yaml``.

    Positions that are nan in any channel are left out.
    """
    covered = np.isnan(maps.values).any(axis=0)
    known = known.assign(wall_distance_nm=known.wall_distance_nm.where(~covered, 0.0))
    live = [channel for channel, image in enumerate(maps.values) if np.nanstd(image) > 1 / 255]
    filled = {channel: np.where(covered, np.nanmedian(maps.values[channel]), maps.values[channel]) for channel in live}
    smooth = {channel: gaussian_filter(image, 1.0) for channel, image in filled.items()}
    domain = interior(known)
    auc, smoothed = ({channel: domain_auc(image, known) for channel, image in images.items()} for images in (filled, smooth))
    best = max(auc, key=auc.__getitem__)
    plus = domain[domain != 0][np.argsort(smooth[best][domain != 0])] > 0
    below = np.cumsum(plus) + (~plus).sum() - np.cumsum(~plus)  # wrong if +P is above a threshold at each of the values
    histogram = {name: np.histogram(filled[best][domain == sign], BINS, (0, 1))[0].tolist() for name, sign in (("plus", 1), ("minus", -1))}
    states = np.where(domain != 0, known.domain_state.values, -1)
    return {
        "side": len(covered), "live": live, "best": best, "histogram": histogram,
        "auc": rounded(auc.values()), "smoothed": rounded(smoothed.values()),
        **{name: round(_held_out_auc(images, domain, known), 3) for name, images in (("linear", filled), ("linear_smoothed", smooth))},
        "contrast": rounded(image[domain > 0].mean() - image[domain < 0].mean() for image in filled.values()),
        "wrong": round(float(min(below.min(), plus.size - below.max()) / plus.size), 3), "regions": round(confusion(domain_regions(smooth[best]), known)[1], 3),
        "levels": {int(state): round(float(filled[best][states == state].mean()), 3) for state in np.unique(states[states >= 0])},
    }  # fmt: skip


def _held_out_auc(images: dict[int, np.ndarray], domain: np.ndarray, known: xr.Dataset) -> float:
    """AUC of a linear discriminant of all channels, each block of 60 nm judged by what was learned on the others."""
    inside = domain != 0
    y, x = (known[dim].values // HELD_OUT_NM for dim in SCAN_DIMS)
    block = (100 * y[:, None] + x)[inside]
    samples, plus, value = np.stack([image[inside] for image in images.values()], axis=1), domain[inside] > 0, np.empty(inside.sum())
    for each in np.unique(block):
        value[block == each] = discriminant(samples[block != each], plus[block != each], samples[block == each])
    return area_under_curve(value, plus, ~plus)


def wall_pieces(maps: xr.DataArray) -> dict:
    """
    Contrast of each live channel on pieces of 20 nm along the six walls: mean within 5 nm of the wall less that of both flanks, 9 to 18 nm away.

    Returned are ``walls`` and ``pieces``, the number of the wall and of the piece along it, ``contrast``, {channel: values}, and ``profiles``,
    {channel: [wall][distance]} of the channels c and a.
    """
    walls = drawn_walls()
    y, x = np.meshgrid(maps.scan_y, maps.scan_x, indexing="ij")
    places = np.stack([y, x], axis=-1)
    trees = [(points, normals, *cKDTree(points).query(places)) for points, normals in map(walls.points, range(6))]
    nearest = np.argmin([apart for *_, apart, _ in trees], axis=0)
    free = ~np.isnan(maps.values).any(axis=0) & (np.hypot(*(places - walls.origin_nm).transpose(2, 0, 1)) > CORE_NM)
    live = [channel for channel, image in enumerate(maps.values) if np.nanstd(image) > 1 / 255]
    rows, values, profiles = [], [], {channel: [] for channel in WALL_CHANNELS if channel in live}
    for wall, (points, normals, _, foot) in enumerate(trees):
        distance = ((places - points[foot]) * normals[foot]).sum(axis=-1)
        piece = (foot * POINT_SPACING_NM // PIECE_NM).astype(int)
        mine = free & (nearest == wall)
        for number in np.unique(piece[mine & (np.abs(distance) <= ON_NM)]):
            here = mine & (piece == number)
            parts = [here & (np.abs(distance) <= ON_NM), *(here & (side * distance > FLANKS_NM[0]) & (side * distance <= FLANKS_NM[1]) for side in (1, -1))]
            if min(part.sum() for part in parts) >= 3:
                on, left, right = (maps.values[live][:, part].mean(axis=1) for part in parts)
                rows.append((wall, int(number)))
                values.append(on - (left + right) / 2)
        for channel, found in profiles.items():
            bands = [mine & (np.abs(distance - middle) <= 2.5) for middle in PROFILE_NM]
            found.append(rounded(maps.values[channel][band].mean() for band in bands))
    contrast = {channel: rounded(column) for channel, column in zip(live, np.transpose(values))}
    return {"walls": [wall for wall, _ in rows], "pieces": [piece for _, piece in rows], "contrast": contrast, "profiles": profiles}


def piece_charges(pieces: dict, c_deg: np.ndarray | float) -> np.ndarray:
    """Bound charge (..., pieces) in units of 2 P, for +c at angles (...) from the scan's +x, clockwise: the outward normal of the +P domain along c."""
    walls, c = drawn_walls(), np.stack([np.sin(np.radians(c_deg)), np.cos(np.radians(c_deg))], axis=-1)
    along = int(PIECE_NM / POINT_SPACING_NM)
    normals = [walls.points(wall)[1] for wall in range(6)]
    outward = [(-1) ** wall * normals[wall][piece * along : (piece + 1) * along].mean(axis=0) for wall, piece in zip(pieces["walls"], pieces["pieces"])]
    return c @ np.transpose(outward)


def measure_pictures() -> dict | None:
    """All numbers of ``channel_maps.yaml``, measured anew; None unless all four sheets are on this computer."""
    paths = {network: load_pictures()[network].find() for network in NETWORKS}
    if None in paths.values():
        return None
    numbers = {}
    for network, path in paths.items():
        dataset = network.partition("-")[0]
        maps = digitise(path, dataset)
        numbers[network] = score_channels(maps, drawn_domains(dataset, maps))
        shown = {numbers[network]["best"], *(WALL_CHANNELS if network == WALL_NETWORK else ())}
        numbers[network]["blocks"] = {channel: _block_means(maps.values[channel]) for channel in sorted(shown)}
        if network == WALL_NETWORK:
            numbers[network]["vortex"] = wall_pieces(maps)
    return numbers


def _block_means(image: np.ndarray) -> list[str]:
    """Means over equal parts in hundredths, a text of numbers for each row; nan where all is covered."""
    parts = [np.array_split(row, BLOCKS, axis=1) for row in np.array_split(image, BLOCKS, axis=0)]
    return [" ".join("nan" if np.isnan(part).all() else f"{100 * np.nanmean(part):.0f}" for part in row) for row in parts]


def write_numbers() -> Path:
    """Measure the pictures and write ``channel_maps.yaml``; without all of them a FileNotFoundError."""
    numbers = measure_pictures()
    if numbers is None:
        raise FileNotFoundError("a sheet of the authors' channels is not on this computer; run `figures_pkg fetch pictures`")
    path = Path(published.__file__).with_name("channel_maps.yaml")
    with replacing(path) as temporary:
        temporary.write_text(HEADER + yaml.safe_dump(numbers, default_flow_style=None, width=150, sort_keys=False), encoding="utf-8")
    return path


def rounded(values: Iterable[float]) -> list[float]:
    """Numbers to three decimals."""
    return [round(float(value), 3) for value in values]
