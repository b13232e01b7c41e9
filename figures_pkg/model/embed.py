"""The embedding of a whole scan, block by block, in constant memory; and back from an embedding to patterns in counts."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

import numpy as np
import torch
import xarray as xr

from figures_pkg.data.axes import SCAN_DIMS, check_scan
from figures_pkg.data.blocks import walk_blocks
from figures_pkg.workspace import check_target, replacing

from .autoencoder import Autoencoder
from .transform import InputTransform

MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1  # of glibc's mallopt
BATCH_BYTES = 2**28  # what the widest three images of a batch may take; on a GPU an eighth of what is free


def embed(net: Autoencoder, scan: xr.DataArray, transform: InputTransform | None = None, *, batch: int | None = None,
          device: str | torch.device | None = None, progress: bool = False) -> xr.DataArray:
    """
    The activations of every channel at every position of a scan.

    The network comes from :func:`figures_pkg.model.load_checkpoint`, or was trained just now; the scan (scan_y, scan_x, det_y, det_x) holds counts and is
    read once, block by block. ``transform`` is done to the counts first; by default the network's own, else the paper's ln(1 + N). ``batch`` patterns go
    through the network at once; by default as many as keep memory below about 0.3 GB, on a GPU below a quarter of what is free. ``device`` is where to
    compute, for instance "cuda"; None leaves the network where it is.

    Returns "embedding", float32 (scan_y, scan_x, channel), with the scan's coordinates and attributes. Patterns of another size than the network's, and
    counts that are NaN, infinite or negative, are a ValueError.
    """
    check_scan(scan)
    transform = transform or net.transform or InputTransform("log")
    check_patterns(net, scan, transform)
    net = net if device is None else net.to(device)
    device = next(net.parameters()).device
    batch = batch or batch_size(net, device)
    found = np.empty((*scan.shape[:2], net.config.channels), np.float32)
    with torch.inference_mode():
        for place, counts in walk_blocks(scan, progress):
            patterns = counts.reshape(-1, *counts.shape[2:])
            parts = []
            for start in range(0, len(patterns), batch):
                values = torch.from_numpy(np.ascontiguousarray(transform.apply(patterns[start:start + batch]), np.float32))
                parts.append(net.encode(values.to(device)).cpu().numpy())
            found[place] = np.concatenate(parts).reshape(*counts.shape[:2], -1)
    kept = {dim: scan[dim] for dim in SCAN_DIMS if dim in scan.coords}
    return xr.DataArray(found, kept, (*SCAN_DIMS, "channel"), name="embedding", attrs=dict(scan.attrs))


def batch_size(net: Autoencoder, device: torch.device) -> int:
    """How many patterns a network takes at once without filling the memory of a device."""
    free = torch.cuda.mem_get_info(device)[0] // 8 if device.type == "cuda" else BATCH_BYTES
    return max(1, free // (12 * net.config.filters * net.config.pattern**2))


def check_patterns(net: Autoencoder, scan: xr.DataArray, transform: InputTransform) -> None:
    """Raise ValueError for an empty scan, or one whose patterns have another size than the network's, before anything is read."""
    side = net.config.pattern
    height, width = (size // transform.bin_px for size in scan.shape[2:])
    if 0 in scan.shape:
        raise ValueError(f"scan of shape {scan.shape} is empty; select at least one position and one pixel")
    if (height, width) != (side, side):
        binned = f", {height} x {width} px after binning by {transform.bin_px}" if transform.bin_px > 1 else ""
        raise ValueError(f"the patterns of the scan have {scan.shape[2]} x {scan.shape[3]} px{binned}; this network expects "
                         f"{side} x {side} px: bin or crop them, or load a network of their size")  # fmt: skip


def keep_freed_memory() -> None:
    """
    Let this process keep the memory that it frees, for its next images; with glibc on Linux, elsewhere nothing changes.

    By default the system takes back a block as large as an image of the paper's network (34 MB) and clears the next one: 30 % of the encoder's time.
    """
    allocator = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if allocator is not None:
        allocator(MMAP_THRESHOLD, 2**30)
        allocator(TRIM_THRESHOLD, 2**31 - 1)


def save_embedding(maps: xr.DataArray, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write the embedding of a scan as netCDF (``.nc``), under a temporary name first."""
    path = check_target(path, ".nc", overwrite)
    with replacing(path) as temporary:
        maps.to_dataset(name="embedding").to_netcdf(temporary, engine="h5netcdf")
    return path


def decoded_counts(net: Autoencoder, embedding: np.ndarray) -> np.ndarray:
    """
    Patterns that the decoder draws for an embedding (n, channels), in counts of binned pixels, float32 (n, height, width).

    A network without the transform that it was trained on is a ValueError.
    """
    if net.transform is None:
        raise ValueError("the network carries no input transform, so its output cannot be brought back to counts; train it again")
    device = next(net.parameters()).device
    vectors = torch.as_tensor(np.asarray(embedding), dtype=torch.float32, device=device)
    with torch.inference_mode():
        drawn = torch.cat([net.decode(some) for some in vectors.split(batch_size(net, device))])
    return net.transform.inverse(drawn.cpu().numpy())
