"""An embedding for figures: opened, its domain map turned the right way up, its channels named by what they resemble.

What they are compared with is the truth of a simulated scan, or the maps that matching found in a measured one, see
:mod:`figures_pkg.evaluate.known`. Matching knows no walls, only domains: :func:`walls_by_course` names the walls between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from scipy.ndimage import distance_transform_edt, gaussian_filter

from figures_pkg.data.axes import SCAN_DIMS
from figures_pkg.model.step_components import rotate_steps
from figures_pkg.twin.domains import wall_type

from .matching import correlations, match_channels
from .scores import otsu_threshold

WALL_WIDTH_NM = 10.0  # taken for every wall of a measured scan; those of the twin are 3 to 13 nm wide
COURSE_NM = 8.0  # over which the course of a matched wall is smoothed
KINDS = {1: "head-to-head", -1: "tail-to-tail", 0: "neutral"}
SIGN_UNKNOWN = {1: "charge A", -1: "charge B", 0: "neutral"}
TURNS = {1: "walls, phase +60°", -1: "walls, phase −60°"}
FIELDS = {"thickness": "thickness_nm", "bend along b": "tilt_b_mrad", "bend along c": "tilt_c_mrad"}


@dataclass(frozen=True)
class Named:
    """What a channel resembles most among the maps that are known, and Pearson's r with it; "dead" and 0 for a constant one."""

    name: str
    correlation: float

    def __str__(self) -> str:
        return self.name if self.name == "dead" else f"{self.name}\n|r| = {abs(self.correlation):.2f}"


def open_embedding(path: str | Path) -> xr.DataArray:
    """
    Read the embedding of a scan, with the number of each channel as coordinate, in memory.

    Returns
    -------
    xarray.DataArray
        (channel, scan_y, scan_x).

    Raises
    ------
    FileNotFoundError
        If it was not made yet; the message holds the command.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no embedding at {path}; `make book` makes it, or `figures_pkg train` and then `figures_pkg embed`")
    maps = xr.load_dataarray(path).transpose("channel", *SCAN_DIMS)
    return maps.assign_coords(channel=np.arange(len(maps)))


def at_positions(where: xr.DataArray | xr.Dataset, maps: xr.DataArray):
    """
    A scan, or what is known of it, at the positions of an embedding that was made on a grid.

    Parameters
    ----------
    where
        With coordinates ``scan_y`` and ``scan_x`` in nm, at least those of `maps`.
    maps
        An embedding of the same scan, or a map.
    """
    same = all(where.sizes[dim] == maps.sizes[dim] for dim in SCAN_DIMS)
    return where if same else where.isel({dim: _places(where, maps, dim) for dim in SCAN_DIMS})


def _places(where: xr.DataArray | xr.Dataset, maps: xr.DataArray, dim: str) -> slice | np.ndarray:
    """Indices of the positions of `maps` along one side, as a slice where they can be: dask then takes them block by block."""
    places = where.get_index(dim).get_indexer(maps[dim].values, method="nearest")
    even = slice(int(places[0]), int(places[-1]) + 1, int(places[1] - places[0])) if len(places) > 1 else slice(places[0], places[0] + 1)
    return even if even.step != 0 and np.array_equal(np.arange(where.sizes[dim])[even], places) else places


def domain_channel(maps: xr.DataArray, known: xr.Dataset | None) -> xr.DataArray:
    """
    The domain map of an embedding, found without what is known: the first channel after rotation to step components.

    Parameters
    ----------
    maps
        (channel, scan_y, scan_x).
    known
        Truth, or from :func:`figures_pkg.evaluate.known.known_maps`. Turns the sign alone, so that its domain +1 is high: +P, where
        the sign of the polarization is known. None leaves the sign as it is.

    Returns
    -------
    xarray.DataArray
        (scan_y, scan_x), of variance 1; zero is the threshold between the two domains (Otsu's).
    """
    found = rotate_steps(maps)[0].reset_coords(drop=True)
    sign = 1.0
    if known is not None:
        sign = np.sign(np.sum((found - found.mean()).values * at_positions(known, maps).domain.values)) or 1.0
    return float(sign) * (found - otsu_threshold(found.values)) / (float(found.std()) or 1.0)


def pick_channels(maps: xr.DataArray, references: list[np.ndarray]) -> tuple[list[xr.DataArray], np.ndarray]:
    """
    For each reference the channel that resembles it, no channel twice, turned so that they correlate positively.

    Parameters
    ----------
    maps
        (channel, scan_y, scan_x).
    references
        Each (scan_y, scan_x), for instance of :func:`reference_maps`.

    Returns
    -------
    channels, correlations
        Each channel (scan_y, scan_x) times the sign of its correlation, with its number as coordinate; and all ``|r|``.

    Raises
    ------
    ValueError
        If there are fewer channels than references.
    """
    if len(references) > len(maps):
        raise ValueError(f"{len(references)} references for {len(maps)} channels; expected at least one channel for each")
    found = match_channels(maps.values, np.stack(references))
    picked = [maps[int(k)] * (np.sign(r) or 1.0) for k, r in zip(found.channel, found.correlation, strict=True)]
    return picked, np.abs(found.correlation)


def walls_by_course(known: xr.Dataset, g002: tuple[float, float]) -> xr.Dataset:
    """
    What is known of a specimen, with its walls: those of a truth as they are, those of a measured scan by their course.

    Between matched domains P jumps by 2P, so the course of a wall against c tells its charge. That takes the detector's rows and
    columns for those of the scan, since the rotation between the two is not on record. Which mirror variant a wall is cannot be told.

    Parameters
    ----------
    known
        From :func:`figures_pkg.evaluate.known.known_maps`.
    g002
        (row, col) of 002 on the detector, the direction of +c.

    Returns
    -------
    xarray.Dataset
        A truth unchanged. Else with ``polarization``, ±1; ``wall_width_nm``, 10 nm everywhere; ``wall_charge`` and ``wall_type`` as
        a truth has them. With an unknown sign of P, head-to-head and tail-to-tail may be exchanged.
    """
    if known.attrs.get("basis", "truth") == "truth":
        return known
    side = np.where(known.wall_distance_nm.values > 0, 1.0, -1.0)
    step = abs(float(known.scan_x[1] - known.scan_x[0]))
    normal = -np.stack(np.gradient(gaussian_filter(side, max(COURSE_NM / step, 1.0))))  # out of +P
    charge = np.tensordot(np.array(g002) / np.hypot(*g002), normal / np.maximum(np.hypot(*normal), 1e-12), 1)
    on_wall = np.abs(known.wall_distance_nm.values) < step
    if on_wall.any():
        charge = charge[tuple(distance_transform_edt(~on_wall, return_distances=False, return_indices=True))]
    distance = 0.999 * known.wall_distance_nm.values  # positions on both sides of a wall are half a step from it, and count as on it
    found = {"polarization": side, "wall_distance_nm": distance, "wall_width_nm": np.full(side.shape, WALL_WIDTH_NM),
             "wall_charge": charge, "wall_type": wall_type(charge)}  # fmt: skip
    return known.assign({name: (SCAN_DIMS, values) for name, values in found.items()})


def wall_kinds(known: xr.Dataset) -> dict[int, str]:
    """
    What the kinds of ``wall_type`` are called; without the sign of P nobody knows which charge is which.

    Examples
    --------
    >>> wall_kinds(xr.Dataset(attrs={"basis": "matched", "sign_known": 0}))
    {1: 'charge A', -1: 'charge B', 0: 'neutral'}
    """
    return KINDS if known.attrs.get("sign_known", 1) else SIGN_UNKNOWN


def reference_maps(known: xr.Dataset) -> dict[str, np.ndarray]:
    """
    What domains and walls should look like.

    Parameters
    ----------
    known
        A truth, or from :func:`walls_by_course`.

    Returns
    -------
    dict
        ``"domains"``, ``"walls"``, ``"head-to-head"``, ``"tail-to-tail"``: (scan_y, scan_x) each. With an unknown sign of P the last
        two may be exchanged.
    """
    kinds = {name: wall_map(known, kind) for kind, name in ((1, "head-to-head"), (-1, "tail-to-tail"))}
    return {"domains": known.polarization.values.astype(float), "walls": wall_map(known)} | kinds


def named_maps(known: xr.Dataset) -> dict[str, np.ndarray]:
    """
    The maps that a channel can resemble.

    Parameters
    ----------
    known
        A truth, or from :func:`walls_by_course`.

    Returns
    -------
    dict
        By name (scan_y, scan_x): the polarization, thickness, both directions of bend, all walls, and where there are
        several kinds each kind: by charge, and in a truth by the turn of the phase from +P to −P. Walls are 1 on the wall and fall off
        as a Gaussian, see :func:`wall_map`. Where matching does not describe the scan, its thickness and bend are left out.
    """
    plus = "±P" if known.attrs.get("sign_known", 1) else "domains"
    fields = {} if known.attrs.get("basis", "truth") == "steps" else {name: _filled(known[key].values) for name, key in FIELDS.items()}
    maps = {plus: known.polarization.values} | fields | _named_walls(known)
    return {name: np.asarray(image, float) for name, image in maps.items()}


def _named_walls(known: xr.Dataset) -> dict[str, np.ndarray]:
    """The maps of all walls, and of each kind where there are several."""
    names = {kind: f"{name} wall" for kind, name in wall_kinds(known).items()}
    kinds = [kind for kind in names if (_on_wall(known) & (known.wall_type.values == kind)).any()]
    walls = {"walls" if len(kinds) > 1 else names[kinds[0]]: wall_map(known)} if kinds else {}
    walls |= {names[kind]: wall_map(known, kind) for kind in kinds if len(kinds) > 1}
    turns = np.sign(known.wall_step.values) if "wall_step" in known else np.zeros(known.domain.shape)
    if (turns > 0).any() and (turns < 0).any():
        walls |= {name: np.where(turns == sign, wall_map(known), 0.0) for sign, name in TURNS.items()}
    return walls


def _filled(field: np.ndarray) -> np.ndarray:
    """A field with its median where it is not known."""
    return np.where(np.isfinite(field), field, np.nanmedian(field))


def wall_map(known: xr.Dataset, kind: int | None = None) -> np.ndarray:
    """
    A map that is 1 on the walls and falls off on both sides, over the width in which the beam crosses the wall.

    Parameters
    ----------
    known
        With ``wall_distance_nm``, ``wall_width_nm`` and ``wall_type``.
    kind
        +1 for head-to-head walls alone, −1 for tail-to-tail, 0 for neutral ones; by default all.
    """
    step = abs(float(known.scan_x[1] - known.scan_x[0]))
    reach = np.maximum(known.wall_width_nm.values / 2, step)
    near = np.exp(-((known.wall_distance_nm.values / reach) ** 2))
    return near if kind is None else np.where(known.wall_type.values == kind, near, 0.0)


def name_channels(maps: xr.DataArray, known: xr.Dataset | None) -> list[Named]:
    """
    Name every channel after the map that it correlates with most, whatever the sign.

    Several channels may bear one name. Where the maps resemble each other, as thickness and polarization do in a
    wedge with one wall, the name says only which of them comes first.

    Parameters
    ----------
    maps
        (channel, scan_y, scan_x).
    known
        A truth, or from :func:`walls_by_course`, at the same positions. Without it channels are called "live" or "dead".
    """
    if known is None:
        return [Named("live" if np.ptp(image) > 0 else "dead", 0.0) for image in maps.values]
    named = named_maps(known)
    found = correlations(maps.values, np.stack(list(named.values())))
    best = np.abs(found).argmax(axis=1)
    names = np.array(list(named))[best]
    return [Named(str(name) if np.ptp(image) > 0 else "dead", float(r[place]))
            for name, image, r, place in zip(names, maps.values, found, best, strict=True)]


def sparsity(maps: xr.DataArray) -> dict[str, float]:
    """
    How an embedding spends its channels.

    Parameters
    ----------
    maps
        (channel, scan_y, scan_x).

    Returns
    -------
    dict
        ``live``: channels with at least 1 % of the variance of the strongest one; a channel that a β-VAE gave up varies a little
        still. ``zero`` and ``negative``: shares of the values in the live channels that are. ``effective``: how many live channels
        a position uses, the mean of (Σ|a|)² / Σa² with each channel scaled to a mean square of 1; nan without a live channel.
    """
    flat = maps.values.reshape(len(maps), -1).astype(float)
    spread = flat.var(axis=1)
    alive = flat[spread > 0.01 * spread.max()]
    if not len(alive):
        return {"live": 0, "zero": float("nan"), "negative": float("nan"), "effective": float("nan")}
    size = np.abs(alive) / np.sqrt((alive**2).mean(axis=1, keepdims=True))
    total, square = size.sum(axis=0), (size**2).sum(axis=0)
    used = total[square > 0] ** 2 / square[square > 0]
    return {"live": len(alive), "zero": float((alive == 0).mean()), "negative": float((alive < 0).mean()), "effective": float(used.mean())}


def _on_wall(known: xr.Dataset) -> np.ndarray:
    """Positions within one step of a wall."""
    return np.abs(known.wall_distance_nm.values) <= abs(float(known.scan_x[1] - known.scan_x[0]))
