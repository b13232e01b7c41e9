"""Images, centre of mass and mean patterns of a scan, gathered in one pass over its stored blocks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from figures_pkg.data.axes import DETECTOR_DIMS, DIMS, SCAN_DIMS, check_scan

from .blocks import Partial
from .com import CenterOfMass, Moments
from .detectors import detector_weights, linear_axis
from .graph import run
from .kernels import MOMENTS
from .plan import make_plan

OWN_NAMES = {"total", "mean_pattern", "max_pattern", "mean_log_pattern", "group_mean_pattern", "group_size", "group", *DIMS}
SIGNS = "zero at the origin of the detector coordinates; y grows downward with the detector row, x to the right with the column"


def summarise(scan: xr.DataArray, detectors: Mapping | None = None, com=True, *, mean: bool = True, maximum: bool = False,
              mean_log: bool = False, groups: Mapping | None = None, threads: int | None = None) -> xr.Dataset:
    """
    Read a scan once and keep what fits on a page: virtual images, centre of mass, mean patterns.

    The work is one task per dask block, so it runs in threads, or on a cluster when a ``dask.distributed.Client`` is
    active. Sums of integer counts are exact and do not depend on the blocks; floating-point data are summed in double
    precision. Memory holds a few blocks, whatever the size of the scan.

    Parameters
    ----------
    scan
        From :func:`figures_pkg.data.open_scan`, or any DataArray with its dimensions, of dask or in memory.
    detectors
        Name -> Disc, Annulus, Box, boolean mask or weights (det_y, det_x).
    com
        True for the centre of mass of whole patterns, a :class:`CenterOfMass`, a mapping from names to either for
        several at once, or False.
    mean, maximum, mean_log
        Which patterns to gather: mean, largest value, and mean of ln(1 + N), the average of the paper's log-transformed
        data (Methods of doi:10.1038/s41524-024-01265-y). It lies below ln(1 + mean).
    groups
        Name -> boolean mask (scan_y, scan_x); the mean pattern of each is gathered in the same pass.
    threads
        How many blocks to work on at once; by default one per processor (at least four when reading from a file, so
        that the disk does not wait), fewer if their blocks would not fit in 0.7 GB.

    Returns
    -------
    xarray.Dataset
        On (scan_y, scan_x): one variable per detector, ``total`` (all counts), and for each centre of mass ``com_y``,
        ``com_x`` in the unit of the detector coordinates (1/Å) with ``com_y_std``, ``com_x_std``, the deviations
        expected from Poisson noise; further centres of mass carry their names in place of "com". **Sign:** zero at the
        origin of the detector coordinates, y grows downward with the detector row, x to the right with the column.
        On (det_y, det_x): ``mean_pattern``, ``max_pattern``, ``mean_log_pattern``. On (group, det_y, det_x):
        ``group_mean_pattern``, with ``group_size``. Coordinates and attributes are the scan's.

    Raises
    ------
    TypeError, ValueError
        For another object, wrong dimensions, a detector that does not fit, an empty group, or data with nan.

    Examples
    --------
    >>> from figures_pkg.data.axes import Axes, build_scan
    >>> from figures_pkg.imaging import Box
    >>> beam = np.zeros((1, 2, 8, 8), np.uint16)
    >>> beam[0, 0, 3, 4], beam[0, 1, 3, 5] = 10, 10
    >>> axes = Axes(scan_step_nm=1.4, det_scale_inv_angstrom=0.01, origin_row_col=(4, 4))
    >>> scan = build_scan(beam, axes, orientation="lab", source="user", path="", title="", format="")
    >>> images = summarise(scan, {"beam": Box((3, 4), (4, 5))})
    >>> images.beam.values, images.com_y.values.round(3), images.com_x.values.round(3)
    (array([[10,  0]]), array([[-0.01, -0.01]]), array([[0.  , 0.01]]))
    """
    _check(scan)
    shape = scan.shape[2:]
    moments = [Moments(spec, shape, name) for name, spec in _com_specs(com).items()]
    detectors = {name: detector_weights(detector, shape, name) for name, detector in (detectors or {}).items()}
    _check_names(detectors, moments)
    gathered = {f"detector/{name}": mask for name, mask in detectors.items()}
    for one in moments:
        gathered |= one.masks() | one.weights()
    plan = make_plan(shape, gathered, maximum, mean_log)
    members = _members(groups or {}, scan.shape[:2])
    labels, members_of = _labels(members)
    partial = run(scan, plan, labels, threads)
    sums = _maps(partial, plan, scan.shape[:2])
    _check_finite(sums["total"])
    variables = _images(detectors, sums)
    for one in moments:
        variables |= _com(scan, one, sums)
    variables |= _patterns(partial, scan.shape[0] * scan.shape[1], mean) | _group_means(partial, members, members_of)
    coordinates = {dim: scan.coords[dim].variable for dim in DIMS if dim in scan.coords}
    return xr.Dataset(variables, coordinates | ({"group": list(members)} if members else {}), dict(scan.attrs))


def _check(scan: xr.DataArray) -> None:
    """Raise unless ``scan`` is a scan of real numbers with at least one position and pixel."""
    check_scan(scan)
    if scan.dtype.kind not in "buif":
        raise TypeError(f"scan of type {scan.dtype}: expected counts, integers or real numbers")
    if 0 in scan.shape:
        raise ValueError(f"scan of shape {scan.shape} is empty; select at least one position and one pixel")


def _com_specs(com) -> dict[str, CenterOfMass]:
    """The centres of mass asked for, by name."""
    named = com if isinstance(com, Mapping) else {"com": com}
    specs = {name: CenterOfMass() if one is True else one for name, one in named.items() if one not in (False, None)}
    for name, spec in specs.items():
        if not isinstance(spec, CenterOfMass):
            raise TypeError(f"com={spec!r} ({name}): expected True, False, a CenterOfMass, or a mapping from names to those")
    return specs


def _check_names(detectors: dict, moments: list[Moments]) -> None:
    """Raise if a detector would overwrite another variable."""
    taken = OWN_NAMES | {f"{one.name}_{axis}{end}" for one in moments for axis in "yx" for end in ("", "_std")}
    clash = taken & set(detectors)
    if clash:
        raise ValueError(f"detector names {sorted(clash)} are names of other results; rename these detectors")


def _members(groups: Mapping, shape: tuple[int, int]) -> dict[str, np.ndarray]:
    """The positions of each group as boolean arrays (scan_y, scan_x)."""
    members = {}
    for name, mask in groups.items():
        if isinstance(mask, xr.DataArray) and set(mask.dims) == set(SCAN_DIMS):
            mask = mask.transpose(*SCAN_DIMS)
        mask = np.asarray(mask)
        if mask.shape != shape or mask.dtype != bool:
            raise ValueError(f"group {name!r} is {mask.dtype} {mask.shape}; expected booleans of the scan's shape {shape}")
        if not mask.any():
            raise ValueError(f"group {name!r} has no position; leave it out or widen its condition")
        members[name] = mask
    return members


def _labels(members: dict[str, np.ndarray]) -> tuple[np.ndarray | None, np.ndarray]:
    """
    A label per position, such that positions of one label are in the same groups.

    Returns
    -------
    labels
        (scan_y, scan_x) integers, or None without groups.
    members_of
        (labels, groups) booleans: which groups each label belongs to.
    """
    if not members:
        return None, np.zeros((1, 0), bool)
    stack = np.stack([mask.ravel() for mask in members.values()], axis=1)
    members_of, labels = np.unique(stack, axis=0, return_inverse=True)
    return labels.reshape(next(iter(members.values())).shape), members_of


def _maps(partial: Partial, plan, shape: tuple[int, int]) -> dict[str, np.ndarray]:
    """The sums over pixels by name, (scan_y, scan_x)."""
    names = ("total", "row", "col", "row2", "col2", *plan.masks, *plan.weights)
    exact_type = next(iter(partial.maps.values()))[0].dtype
    types = [exact_type] * (MOMENTS + len(plan.masks)) + [np.float64] * len(plan.weights)
    maps = {name: np.empty(shape, dtype) for name, dtype in zip(names, types)}
    for (y, x), columns in partial.maps.items():
        ny, nx = columns[0].shape[:2]
        values = [part[..., k] for part in columns for k in range(part.shape[2])]
        for name, value in zip(names, values):
            maps[name][y:y + ny, x:x + nx] = value
    return maps


def _check_finite(total: np.ndarray) -> None:
    """Raise if a pattern holds nan or infinity, which its total shows."""
    bad = np.argwhere(~np.isfinite(total))
    if len(bad):
        raise ValueError(f"{len(bad)} patterns hold nan or infinite values, the first at (scan_y, scan_x) = "
                         f"{tuple(int(i) for i in bad[0])}; replace them first, for instance with scan.fillna(0)")


def _images(detectors: dict, sums: dict[str, np.ndarray]) -> dict:
    """The images of all detectors as variables of a dataset: (dims, values, attributes) by name."""
    names = {"total": "total"} | {name: f"detector/{name}" for name in detectors}
    return {name: (SCAN_DIMS, sums[key], {"units": "counts"}) for name, key in names.items()}


def _com(scan: xr.DataArray, moments: Moments, sums: dict[str, np.ndarray]) -> dict:
    """A centre of mass in the unit of the detector coordinates, with its deviation, as variables."""
    found = moments.centre(sums)
    variables = {}
    for axis, key, dim in (("y", "row", "det_y"), ("x", "col", "det_x")):
        start, step = linear_axis(scan, dim)
        units = {"units": scan[dim].attrs.get("units", "px")}
        deviation = {**units, "long_name": "standard deviation expected from Poisson counts"}
        variables[f"{moments.name}_{axis}"] = (SCAN_DIMS, start + step * found[key], {**units, "sign_convention": SIGNS})
        variables[f"{moments.name}_{axis}_std"] = (SCAN_DIMS, abs(step) * found[f"{key}_std"], deviation)
    return variables


def _patterns(partial: Partial, positions: int, mean: bool) -> dict:
    """The patterns gathered over all positions, as variables."""
    variables = {}
    if mean:
        variables["mean_pattern"] = (DETECTOR_DIMS, sum(partial.sums.values()) / positions, {"units": "counts"})
    if partial.largest is not None:
        variables["max_pattern"] = (DETECTOR_DIMS, partial.largest, {"units": "counts"})
    if partial.log_sum is not None:
        if not np.isfinite(partial.log_sum).all():
            raise ValueError("mean_log=True: ln(1 + N) needs values above -1, and the data hold smaller ones")
        variables["mean_log_pattern"] = (DETECTOR_DIMS, partial.log_sum / positions, {"long_name": "mean of ln(1 + counts)"})
    return variables


def _group_means(partial: Partial, members: dict[str, np.ndarray], members_of: np.ndarray) -> dict:
    """The mean pattern of each group and the number of its positions, as variables."""
    if not members:
        return {}
    sizes = np.array([mask.sum() for mask in members.values()])
    means = [sum(partial.sums[label] for label in np.flatnonzero(members_of[:, index])) / size
             for index, size in enumerate(sizes)]
    return {"group_mean_pattern": (("group", *DETECTOR_DIMS), np.stack(means), {"units": "counts"}),
            "group_size": ("group", sizes)}
