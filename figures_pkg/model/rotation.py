"""Rotation of an embedding towards channels that change in steps, as domains do."""

from __future__ import annotations

import numpy as np
import xarray as xr

from figures_pkg.data.axes import SCAN_DIMS

from .step_components import StepSettings, step_in_nm, step_components


def rotate_steps(maps: xr.DataArray, settings: StepSettings | None = None) -> xr.DataArray:
    """
    Step components of an embedding: linear combinations of its channels, the one with the sharpest steps first.

    Training fixes the embedding only up to a mixture: from seed to seed the same domains are spread over other channels. The
    rotation undoes that from the maps alone, without the truth. It is a part of the result and is to be named with it, and
    the same rotation of an **untrained** network's embedding is the control.

    Parameters
    ----------
    maps
        Dimensions channel, scan_y, scan_x in any order, such as the embedding of a scan; channels that are constant are left out.
    settings
        Lengths of the analysis; by default those for the scan's step in nm.

    Returns
    -------
    xarray.DataArray
        (channel, scan_y, scan_x). Attributes: ``ratios``, the eigenvalues, whose first should stand well above the second;
        ``chosen``, 0, the channel to take for the domains; ``rotation``, its name. The sign of a channel means nothing.

    Raises
    ------
    ValueError
        If all channels are constant (a dead embedding), or the scan is too small.
    """
    maps = maps.transpose("channel", *SCAN_DIMS)
    alive = maps.isel(channel=np.flatnonzero(np.ptp(maps.values.reshape(len(maps), -1), axis=1) > 0))
    if not len(alive):
        raise ValueError(f"all {len(maps)} channels are constant: the embedding is dead; train again with a smaller L1 weight")
    values, ratios = step_components(alive.values, settings or StepSettings.of_step(step_in_nm(maps)))
    rotated = alive.drop_vars("channel", errors="ignore").copy(data=values)
    return rotated.assign_attrs(maps.attrs, ratios=ratios, chosen=0, rotation="step components")
