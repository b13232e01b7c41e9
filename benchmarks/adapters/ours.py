"""figures_pkg.imaging.summarise."""

import numpy as np
from common import CENTRE, answer, contest, masks

from figures_pkg.data.axes import Axes, build_scan
from figures_pkg.data.scan import open_scan
from figures_pkg.imaging import Annulus, Box, Disc, summarise

AXES = Axes(scan_step_nm=1.4, det_scale_inv_angstrom=1.0, origin_row_col=(0.0, 0.0), beam_energy_kev=200.0)
DETECTORS = {"bright": Disc(CENTRE, 5.2), "dark": Box((102, 117), (114, 130)), "ring": Annulus(CENTRE, 30, 120)}


def prepare(path, case, threads):
    """One call of summarise on the scan, opened beforehand; in memory for the case of that name."""
    assert all((DETECTORS[name].mask((256, 256)) == mask).all() for name, mask in masks().items())
    if case == "memory":
        scan = build_scan(np.load(path), AXES, orientation="lab", source="user", path="", title="", format="")
    else:
        scan = open_scan(path, axes=AXES, check_counts=False)

    def work():
        images = summarise(scan, DETECTORS, threads=threads if case == "memory" else None)
        return answer({name: images[name] for name in DETECTORS}, images.com_y, images.com_x, images.mean_pattern)
    return work


contest(prepare)
