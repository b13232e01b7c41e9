"""Where scans are, how they get here, and opening them, by their path or by their name in the book, as one labelled array."""

from __future__ import annotations

import xarray as xr

from figures_pkg.record.fetch import ensure, fetch, locate, origin_of
from figures_pkg.record.manifest import load_manifest
from figures_pkg.workspace import artefact_path, artefacts_folder, available_cores, replacing, repository

from .axes import DETECTOR_DIMS, DIMS, SCAN_DIMS, Axes, ScanFileError, check_scan
from .convert import convert
from .hspy import HspyWriter
from .scan import open_scan

__all__ = ["Axes", "DETECTOR_DIMS", "DIMS", "HspyWriter", "SCAN_DIMS", "ScanFileError", "artefact_path", "artefacts_folder", "available_cores", "check_scan",
           "convert", "ensure", "fetch", "load_manifest", "locate", "open_dataset", "open_scan", "replacing", "repository"]  # fmt: skip


def open_dataset(dataset: str, data: str = "twin", profile: str = "laptop") -> xr.DataArray:
    """Open a scan of the twin or of the authors' record, in the "lab" orientation; parameters and errors are those of :func:`figures_pkg.record.fetch.locate`.

    The twin's file carries its own axes. For the record the manifest's values are used: the authors' files are known to hold nominal axes.
    A file of the record with another shape than the manifest expects is a :class:`ScanFileError`, because its steps and reflections cannot be
    right. The ``source`` attribute is ``"twin"``, ``"record"``, or ``"rehearsal"`` for a file that Zenodo did not vouch for or that says
    itself that it is simulated.
    """
    path = locate(dataset, data, profile)
    if data == "twin":
        return open_scan(path)
    entry = load_manifest()[dataset]
    known = {name: entry.axes[name].value for name in ("scan_step_nm", "det_scale_inv_angstrom")}
    known |= {name: entry.acquisition[name].value for name in ("beam_energy_kev", "camera_length_cm", "convergence_mrad")}
    axes = Axes(origin_row_col=tuple(entry.axes["origin_row_col_px"].value), **known)
    scan = open_scan(path, axes=axes, stored_orientation=entry.axes["orientation"].value)
    expected = tuple(entry.container["shape"].value)
    if scan.shape != expected:
        found, wanted = (" × ".join(map(str, shape)) for shape in (scan.shape, expected))
        raise ScanFileError(f"{path} holds {found} numbers, the manifest expects {wanted} of {dataset}: its steps and reflections "
                            f"do not belong to this file. See what it holds with `figures_pkg inspect {dataset} --source zenodo`")
    return scan.assign_attrs(source=origin_of(dataset) if scan.source == "user" else "rehearsal")
