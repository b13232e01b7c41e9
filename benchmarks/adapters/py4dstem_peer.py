"""py4DSTEM: virtual images, mean pattern, and the centre of mass of its DPC class."""

import numpy as np
import py4DSTEM
from common import CENTRE, answer, contest, masks
from py4DSTEM.process.phase import DPC


def prepare(path, case, threads):
    """A DataCube in memory."""
    cube = py4DSTEM.DataCube(np.load(path))
    phase = DPC(datacube=cube, energy=200e3, verbose=False)
    phase._reciprocal_sampling = (1.0, 1.0)
    geometry = {"bright": ("circular", (CENTRE, 5.2)), "dark": ("rectangular", (102, 117, 114, 130)), "ring": ("mask", masks()["ring"])}

    def work():
        images = {name: cube.get_virtual_image(mode=mode, geometry=where, verbose=False).data
                  for name, (mode, where) in geometry.items()}
        com = phase._calculate_intensities_center_of_mass(cube.data, fit_function=None)
        return answer(images, com[0], com[1], cube.get_dp_mean().data)
    return work


contest(prepare)
