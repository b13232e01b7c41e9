"""An embedding for figures: opened, its domain map turned the right way up, its channels named by what the truth says they show."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from scipy.ndimage import gaussian_filter

from figures_pkg.data.axes import SCAN_DIMS
from figures_pkg.model.rotation import rotate_steps

from .matching import correlations, match_channels
from .scores import otsu_threshold
from .truth_scores import boundary

KINDS = {1: "head-to-head wall", -1: "tail-to-tail wall", 0: "neutral wall"}
TURNS = {1: "walls, phase +60°", -1: "walls, phase −60°"}
FIELDS = {"thickness": "thickness_nm", "bend along b": "tilt_b_mrad", "bend along c": "tilt_c_mrad"}


@dataclass(frozen=True)
class Named:
    """What a channel resembles most among the maps of the truth, and Pearson's r with it; "dead" and 0 for a constant one."""

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


def domain_channel(maps: xr.DataArray, truth: xr.Dataset | None) -> xr.DataArray:
    """
    The domain map of an embedding, found without the truth: the first channel after rotation to step components.

    Parameters
    ----------
    maps
        (channel, scan_y, scan_x).
    truth
        Turns the sign alone, so that +P is high; None leaves it as it is.

    Returns
    -------
    xarray.DataArray
        (scan_y, scan_x), of variance 1; zero is the threshold between the two domains (Otsu's).
    """
    found = rotate_steps(maps)[0].reset_coords(drop=True)
    sign = 1.0 if truth is None else np.sign(np.sum((found - found.mean()) * truth.polarization).item()) or 1.0
    return sign * (found - otsu_threshold(found.values)) / (float(found.std()) or 1.0)


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


def reference_maps(truth: xr.Dataset | None, domains: xr.DataArray, g002: tuple[float, float]) -> dict[str, np.ndarray]:
    """
    What domains and walls should look like: by the truth, or without it by a domain map.

    Parameters
    ----------
    truth
        From :func:`figures_pkg.twin.read_truth`, or None.
    domains
        (scan_y, scan_x), for instance of :func:`domain_channel`; used where there is no truth. Walls are then where it changes,
        and of one charge or the other where it falls or rises along c. Which of them is head-to-head stays open, as the sign of
        the map does.
    g002
        (row, col) of 002 on the detector, the direction of +c; detector and scan are taken to have the same rows.

    Returns
    -------
    dict
        ``"domains"``, ``"walls"``, ``"head-to-head"``, ``"tail-to-tail"``: (scan_y, scan_x) each.
    """
    if truth is not None:
        kinds = {name: wall_map(truth, kind) for kind, name in ((1, "head-to-head"), (-1, "tail-to-tail"))}
        return {"domains": truth.polarization.values.astype(float), "walls": wall_map(truth)} | kinds
    image = gaussian_filter(domains.values.astype(float), 1.0)
    falls = -np.tensordot(np.array(g002) / np.hypot(*g002), np.stack(np.gradient(image)), 1)
    kinds = {"head-to-head": np.maximum(falls, 0), "tail-to-tail": np.maximum(-falls, 0)}
    return {"domains": domains.values.astype(float), "walls": boundary(domains.values)} | kinds


def true_maps(truth: xr.Dataset) -> dict[str, np.ndarray]:
    """
    The maps of the truth that a channel can resemble.

    Parameters
    ----------
    truth
        From :func:`figures_pkg.twin.read_truth`.

    Returns
    -------
    dict
        By name (scan_y, scan_x): the polarization, thickness, both directions of bend, all walls, and where there are
        several kinds each kind: by charge, and by the turn of the phase from +P to −P. Walls are 1 on the wall and fall off
        as a Gaussian, see :func:`wall_map`.
    """
    kinds = [kind for kind in KINDS if (_on_wall(truth) & (truth.wall_type.values == kind)).any()]
    walls = {"walls" if len(kinds) > 1 else KINDS[kinds[0]]: wall_map(truth)} if kinds else {}
    walls |= {KINDS[kind]: wall_map(truth, kind) for kind in kinds if len(kinds) > 1}
    turns = np.sign(truth.wall_step.values) if "wall_step" in truth else np.zeros(truth.domain.shape)
    if (turns > 0).any() and (turns < 0).any():
        walls |= {name: np.where(turns == sign, wall_map(truth), 0.0) for sign, name in TURNS.items()}
    maps = {"±P": truth.polarization.values} | {name: truth[key].values for name, key in FIELDS.items()} | walls
    return {name: np.asarray(image, float) for name, image in maps.items()}


def wall_map(truth: xr.Dataset, kind: int | None = None) -> np.ndarray:
    """
    A map that is 1 on the walls and falls off on both sides, over the width in which the beam crosses the wall.

    Parameters
    ----------
    truth
        With ``wall_distance_nm``, ``wall_width_nm`` and ``wall_type``.
    kind
        +1 for head-to-head walls alone, −1 for tail-to-tail, 0 for neutral ones; by default all.
    """
    step = abs(float(truth.scan_x[1] - truth.scan_x[0]))
    reach = np.maximum(truth.wall_width_nm.values / 2, step)
    near = np.exp(-((truth.wall_distance_nm.values / reach) ** 2))
    return near if kind is None else np.where(truth.wall_type.values == kind, near, 0.0)


def name_channels(maps: xr.DataArray, truth: xr.Dataset | None) -> list[Named]:
    """
    Name every channel after the map of the truth that it correlates with most, whatever the sign.

    Several channels may bear one name. Where maps of the truth resemble each other, as thickness and polarization do in a
    wedge with one wall, the name says only which of them comes first.

    Parameters
    ----------
    maps
        (channel, scan_y, scan_x).
    truth
        None where there is none; channels are then called "live" or "dead".
    """
    if truth is None:
        return [Named("live" if np.ptp(image) > 0 else "dead", 0.0) for image in maps.values]
    known = true_maps(truth)
    found = correlations(maps.values, np.stack(list(known.values())))
    best = np.abs(found).argmax(axis=1)
    names = np.array(list(known))[best]
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


def _on_wall(truth: xr.Dataset) -> np.ndarray:
    """Positions within one step of a wall."""
    return np.abs(truth.wall_distance_nm.values) <= abs(float(truth.scan_x[1] - truth.scan_x[0]))
