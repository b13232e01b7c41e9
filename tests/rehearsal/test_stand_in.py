"""A stand-in is the twin's counts in another writer's file, in which nothing tells of the twin."""

import h5py
import numpy as np
import pytest
import stand_in

from figures_pkg.data import HspyWriter, open_scan

pytestmark = pytest.mark.process


@pytest.mark.parametrize("chunks", [stand_in.CONVERTERS_CHUNKS, stand_in.WHOLE_PATTERNS])
def test_a_stand_in_holds_the_counts_and_nothing_of_the_twin(tmp_path, chunks):
    """Format, package, units, energy in V and nominal axes as the laboratory's converter leaves them; no name, no preset, no seed."""
    counts = np.random.default_rng(5).poisson(150, (12, 8, 64, 64)).astype(np.uint16)
    counts[:, :, 30:34, 28:32] += 200
    with HspyWriter(tmp_path / "ds1.hspy", counts.shape, chunks=(4, 4, 64, 64), scan_step_nm=7.4667, det_scale_inv_angstrom=0.009555,
                    origin_row_col=(31.0, 30.0), title="Twin of DS1", extra={"source": "twin", "preset": "ds1", "seed": 0}) as writer:  # fmt: skip
        writer.write((0, 0), counts)
    path = stand_in.write_scan(tmp_path / "ds1.hspy", tmp_path / "a.hspy", chunks=chunks)
    scan, texts = open_scan(path, check_counts=False), []
    np.testing.assert_array_equal(scan.values, counts)
    with h5py.File(path) as file:
        file.visititems(lambda name, item: texts.append(f"{name} {dict(item.attrs)}"))
        text, group = f"{dict(file.attrs)} {texts}".lower(), file["Experiments/__unnamed__"]
        assert group.attrs["package"] == "pyxem" and group["axis-3"].attrs["units"] == "$A^{-1}$" and "attributes" not in group
        assert group["metadata/Acquisition_instrument/TEM"].attrs["beam_energy"] == 200000
        assert group["data"].compression == "gzip" and group["data"].chunks == tuple(map(min, chunks, scan.shape))
    assert not [word for word in ("twin", "preset", "seed", "figures_pkg", "truth", "simulat") if word in text]
    assert scan.format == "hspy 3.0" and scan.source == "user" and scan.title == "" and scan.beam_energy_kev == 200
    assert scan.attrs["origin_row_col"] == (128, 128) and scan.attrs["scan_step_nm"] == (7.5, 7.5) and scan.attrs["camera_length_cm"] == 12
