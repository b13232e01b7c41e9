"""The scans of the book by name, opened with their axes."""

from __future__ import annotations

import xarray as xr

from figures_pkg.record.fetch import origin_of
from figures_pkg.record.manifest import load_manifest
from figures_pkg.record.scans import locate

from .axes import Axes, ScanFileError
from .scan import open_scan


def open_dataset(dataset: str, data: str = "twin", profile: str = "laptop") -> xr.DataArray:
    """
    Open a scan of the twin or of the authors' record, in the "lab" orientation; the parameters are those of :func:`figures_pkg.record.scans.locate`.

    The twin's file carries its own axes. For the record the manifest's values are used: the authors' files are known to hold nominal axes.
    The ``source`` attribute is ``"twin"``, ``"record"``, or ``"rehearsal"`` for a file that Zenodo did not vouch for or that says itself
    that it is simulated.

    Raises
    ------
    MissingDataset
        As :func:`figures_pkg.record.scans.locate`.
    ScanFileError
        If a file of the record has another shape than the manifest expects, so that its steps and reflections cannot be right.
    """
    path = locate(dataset, data, profile)
    if data == "twin":
        return open_scan(path)
    manifest = load_manifest()
    entry = manifest[dataset]
    axes = Axes(
        scan_step_nm=entry.axes["scan_step_nm"].value,
        det_scale_inv_angstrom=entry.axes["det_scale_inv_angstrom"].value,
        origin_row_col=tuple(entry.axes["origin_row_col_px"].value),
        **{name: entry.acquisition[name].value for name in ("beam_energy_kev", "camera_length_cm", "convergence_mrad")},
    )
    scan = open_scan(path, axes=axes, stored_orientation=entry.axes["orientation"].value)
    expected = tuple(entry.container["shape"].value)
    if scan.shape != expected:
        found, wanted = (" × ".join(map(str, shape)) for shape in (scan.shape, expected))
        raise ScanFileError(
            f"{path} holds {found} numbers, the manifest expects {wanted} of {dataset}: its steps and reflections "
            f"do not belong to this file. See what it holds with `figures_pkg inspect {dataset} --source zenodo`"
        )
    return scan.assign_attrs(source=origin_of(dataset, manifest) if scan.source == "user" else "rehearsal")
