"""The decoder as a generator: patterns drawn from a channel swept from low to high, beside the measured ones."""

from __future__ import annotations

import numpy as np
import xarray as xr

from figures_pkg.data.axes import DETECTOR_DIMS
from figures_pkg.model import Autoencoder
from figures_pkg.model.embed import decoded_counts

from .quantiles import band_weights, mean_patterns


def sweep_patterns(net: Autoencoder, scan: xr.DataArray, embedding: xr.DataArray, swept: xr.DataArray, bands: int = 20) -> xr.Dataset:
    """
    Sweep a channel from low to high: what the decoder draws, and what was measured where the channel has that value.

    The positions are cut into bands of equal shares by the value of the channel.

    Parameters
    ----------
    net
        The network of the embedding.
    scan
        Counts, as large as the network's transform expects before it bins them.
    embedding
        (channel, scan_y, scan_x).
    swept
        (scan_y, scan_x): one channel of the embedding, with the coordinate ``channel`` that says which, or any other map
        made from it, such as a rotated channel, without that coordinate.
    bands
        How many; 20 of them hold 5 % of the positions each.

    Returns
    -------
    xarray.Dataset
        Over ``band``, the share of the positions below its middle: ``value``, the mean of the swept map; ``measured``, the
        mean pattern; ``together``, decoded from the mean of each channel in the band, so that all channels go along; and,
        for a channel, ``alone``, decoded with this channel moved and all others held at their mean over the scan. Patterns
        are in counts of binned pixels, (band, det_y, det_x).
    """
    weights = band_weights(swept.values, bands)
    flat = embedding.values.reshape(len(embedding), -1)
    shares = weights.reshape(bands, -1) / weights.sum(axis=(1, 2))[:, None]
    values = shares @ np.ravel(swept.values)
    measured = bin_pixels(mean_patterns(scan, weights[None])[0], net.transform.bin_px)
    drawn = {"together": decoded_counts(net, shares @ flat.T)}
    if "channel" in swept.coords:
        moved = np.repeat(flat.mean(axis=1)[None], bands, axis=0)
        moved[:, int(swept.channel)] = values
        drawn["alone"] = decoded_counts(net, moved)
    dims, middles = ("band", *DETECTOR_DIMS), (np.arange(bands) + 0.5) / bands
    kept = {dim: measured[dim] for dim in DETECTOR_DIMS if dim in measured.coords} | {"band": middles}
    found = {name: (dims, each, {"units": "counts"}) for name, each in (drawn | {"measured": measured.values}).items()}
    return xr.Dataset(found | {"value": ("band", values)}, kept, dict(scan.attrs))


def bin_pixels(patterns: xr.DataArray, side: int) -> xr.DataArray:
    """Sum squares of ``side`` × ``side`` pixels; the coordinates become the middles of the squares."""
    return patterns.coarsen({dim: side for dim in DETECTOR_DIMS}, boundary="trim").sum()


def end_difference(patterns: xr.DataArray) -> xr.DataArray:
    """Highest band less lowest band, (det_y, det_x)."""
    return patterns.isel(band=-1, drop=True) - patterns.isel(band=0, drop=True)


def agreement(drawn: xr.DataArray, measured: xr.DataArray) -> tuple[float, float]:
    """
    How alike two difference patterns are: Pearson's r over the pixels, and how large the first is for one of the second.

    The size is the slope of the regression of the drawn on the measured difference: 1 where the decoder neither damps nor
    exaggerates the change.

    Raises
    ------
    ValueError
        If one of the two does not change at all.
    """
    a, b = np.ravel(drawn.values) - float(drawn.mean()), np.ravel(measured.values) - float(measured.mean())
    if not (a.any() and b.any()):
        raise ValueError("a difference pattern is constant, so it resembles nothing; the channel may be dead: pick a live one")
    return float(a @ b / np.sqrt((a @ a) * (b @ b))), float(a @ b / (b @ b))
