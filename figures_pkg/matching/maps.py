"""Every pattern of a scan matched to a library: polarization, thickness and tilts as maps with errors."""

import io
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import xarray as xr

from figures_pkg.data.axes import SCAN_DIMS
from figures_pkg.data.blocks import block_places, finished, read_block, scan_digest
from figures_pkg.workspace import available_cores
from figures_pkg.data.journal import open_journal, take_folder

from .discs import disc_sums
from .matcher import UNITS, Matcher

PARTS = 32  # into which an array in memory is cut
DISCS = {"discs": "counts of each disc above its background", "discs_variance": "variance of these counts"}


def match(scan: xr.DataArray, matcher: Matcher, threads: int | None = None, progress: bool = True, kept: Path | None = None,
          discs: bool = False) -> xr.Dataset:
    """
    Match every pattern of a scan, block by block; the scan is read once and memory holds a few blocks.

    When a ``dask.distributed`` client is active, its workers do the work.

    Parameters
    ----------
    scan
        Counts (scan_y, scan_x, det_y, det_x), in memory or of dask.
    matcher
        From :func:`figures_pkg.matching.prepare`.
    threads
        All processors of this process by default.
    progress
        Whether to show a progress bar on stderr.
    kept
        A folder for finished blocks. After an interruption the same call goes on from there; the folder stays until it is removed.
    discs
        Whether to keep the counts of all discs too, ``discs`` and ``discs_variance`` on (scan_y, scan_x, disc), for
        :func:`figures_pkg.matching.measure_walls` and :func:`figures_pkg.matching.disc_residuals`.

    Returns
    -------
    xarray.Dataset
        On (scan_y, scan_x), the variables of `UNITS` with their units. **Sign:** polarization +1 is +P where the lattice's 002
        points along +c; a lattice turned by half a turn exchanges the two.
    """
    maps = {name: np.empty(scan.shape[:2], _type(name)) for name in UNITS}
    maps |= {name: np.empty((*scan.shape[:2], len(matcher.plan)), np.float32) for name in DISCS if discs}
    places = {(place[0].start, place[1].start): place for place in block_places(scan, PARTS)}
    with _journal(kept, scan, matcher, places, discs) as journal:
        for corner, payload in journal.payloads() if journal else ():
            _fill(maps, places.pop(corner), _unpacked(payload))
        work = finished(_match_block, places.values(), (scan, matcher, discs), threads or available_cores(), "matching" if progress else None)
        for place, found in work:
            if journal:
                journal.append((place[0].start, place[1].start), _packed(found))
            _fill(maps, place, found)
    return _labelled(maps, scan, matcher)


def _match_block(place, scan, matcher, discs):
    """Maps of one block, shape (ny, nx) each."""
    patterns = read_block(scan, place, scheduler="synchronous")
    sums, variances = disc_sums(patterns.reshape(-1, *patterns.shape[2:]), matcher.plan)
    found = matcher.fit(sums, variances) | (dict(zip(DISCS, (sums, variances))) if discs else {})
    return {name: values.astype(_type(name)).reshape(*patterns.shape[:2], *values.shape[1:]) for name, values in found.items()}


def _fill(maps, place, found):
    for name, values in found.items():
        maps[name][place] = values


@contextmanager
def _journal(folder, scan, matcher, places, discs):
    """The journal of finished blocks in a folder, or None without one; another scan, matcher or cut starts afresh."""
    if folder is None:
        yield None
        return
    lock = take_folder(Path(folder))
    journal = open_journal(Path(folder), f"{scan_digest(scan)} {matcher.fingerprint()} {len(places)} {discs}")
    try:
        yield journal
    finally:
        journal.close()
        lock.release()


def _packed(found) -> bytes:
    memory = io.BytesIO()
    np.savez(memory, **found)
    return memory.getvalue()


def _unpacked(payload) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(payload)) as stored:
        return dict(stored)


def _type(name):
    return {"polarization": np.int8, "poor_fit": bool}.get(name, np.float32)


def _labelled(maps, scan, matcher):
    """The maps as a dataset."""
    variables = {name: (SCAN_DIMS, maps[name], {"units": units, "long_name": meaning}) for name, (units, meaning) in UNITS.items()}
    variables |= {name: ((*SCAN_DIMS, "disc"), maps[name], {"units": "counts", "long_name": DISCS[name]}) for name in DISCS if name in maps}
    coordinates = {dim: scan.coords[dim].variable for dim in SCAN_DIMS if dim in scan.coords}
    if "discs" in maps:
        coordinates |= {name: ("disc", column, {"units": "1/Å"}) for name, column in zip(("g_b", "g_c"), matcher.library.g.T)}
    attributes = {"source": str(scan.attrs.get("source", "")), "title": str(scan.attrs.get("title", "")), "discs": len(matcher.plan),
                  "systematic": matcher.systematic, "poor_chi2": matcher.poor_chi2}
    return xr.Dataset(variables, coordinates, attributes)
