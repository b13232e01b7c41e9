"""What a library covers and how finely: grids of tilt and thickness, reflections, and the multislice behind them."""

import hashlib
import json
from dataclasses import asdict, dataclass

import numpy as np

from figures_pkg.twin.structure.crystal import structure

VERSION = 2  # raise it when the same settings give other numbers


@dataclass(frozen=True)
class LibrarySettings:
    """Settings of a library; thicknesses count whole periods of 0.6112 nm along [100].

    Attributes
    ----------
    energy_kev : float
    g_max_inv_angstrom : float
        Reflections up to here.
    tilt_b_max_mrad, tilt_c_max_mrad, tilt_step_mrad : float
        Both tilts run from -max to +max.
    first_period, last_period, period_step : int
        Thicknesses.
    gpts : tuple of int
        Grid of the orthogonal cell, along b* and c.
    slices : int
        Slices per period: 6 is converged, 4 merges neighbouring layers of Mn and O, 2 all of them.
    damping_from_inv_angstrom, damping_nm : float
        Beams beyond this frequency are damped with this mean free path (see `damp_beams`).
    """

    energy_kev: float = 200.0
    g_max_inv_angstrom: float = 1.5  # beyond it no reflection holds more than 2e-4 of the beam at 50 nm and more
    tilt_b_max_mrad: float = 10.0
    tilt_c_max_mrad: float = 10.0
    tilt_step_mrad: float = 0.5
    first_period: int = 15
    last_period: int = 165
    period_step: int = 2  # nodes of thickness cost memory only, all come from one run
    gpts: tuple = (128, 128)  # keeps beams to 5.6 1/angstrom; powers of two, whose transforms cost less than those of (88, 96)
    slices: int = 6
    damping_from_inv_angstrom: float = 3.2  # between the zone's own beams and the ring
    damping_nm: float = 15.0  # lines 0.3 mrad wide: less loses more of the ring, more leaves more between the nodes of tilt

    @property
    def periods(self):
        """Thickness nodes in periods."""
        return np.arange(self.first_period, self.last_period + 1, self.period_step)

    @property
    def tilt_b_mrad(self):
        """Tilt nodes along b*, symmetric about zero."""
        return _symmetric_grid(self.tilt_b_max_mrad, self.tilt_step_mrad)

    @property
    def tilt_c_mrad(self):
        """Tilt nodes along c, symmetric about zero."""
        return _symmetric_grid(self.tilt_c_max_mrad, self.tilt_step_mrad)

    @classmethod
    def covering(cls, thickness_nm, tilt_b_mrad, tilt_c_mrad, **settings):
        """Settings of a library that covers the given values, with a node of thickness to spare on either side.

        A spline is less exact in its first and last interval; a further node of thickness costs next to nothing, one of
        tilt would, so tilts end at the first node that covers them.

        Parameters
        ----------
        thickness_nm, tilt_b_mrad, tilt_c_mrad : array-like
            Any values to be covered, for instance the two ends of a range; tilts with the radius of a disc added.
        **settings
            Any other field.

        Returns
        -------
        settings : LibrarySettings
        """
        grid = cls(**settings)
        period_nm = structure()["a_angstrom"] / 10
        first = max(int(np.min(thickness_nm) / period_nm) - grid.period_step, 1)
        steps = max(int(np.ceil((np.max(thickness_nm) / period_nm - first) / grid.period_step)) + 1, 3)
        ranges = {"first_period": first, "last_period": first + steps * grid.period_step}
        for name, tilt in (("tilt_b_max_mrad", tilt_b_mrad), ("tilt_c_max_mrad", tilt_c_mrad)):
            ranges[name] = grid.tilt_step_mrad * max(int(np.ceil(np.abs(tilt).max() / grid.tilt_step_mrad)), 2)
        return cls(**settings | ranges)

    def fingerprint(self):
        """Hash of everything that determines the numbers in a library."""
        content = json.dumps([VERSION, asdict(self), structure()], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]


SMALL = LibrarySettings(tilt_b_max_mrad=5.0, tilt_c_max_mrad=7.0, last_period=117, slices=2)
"""A library in a few seconds: 9 to 72 nm, |tilt_b| <= 5 and |tilt_c| <= 7 mrad, two slices per period."""


def _symmetric_grid(edge, step):
    count = round(edge / step)
    return step * np.arange(-count, count + 1)


def reflections(cell_angstrom, g_max_inv_angstrom):
    """Reflections 0 k l with even l up to `g_max_inv_angstrom`, sorted by k then l, and their components along b* and c."""
    b_star, c_star = 2 / cell_angstrom[1], 1 / cell_angstrom[2]
    k_max, l_max = int(g_max_inv_angstrom / b_star), int(g_max_inv_angstrom / c_star / 2) * 2
    k, l = (grid.ravel() for grid in np.meshgrid(np.arange(-k_max, k_max + 1), np.arange(-l_max, l_max + 1, 2), indexing="ij"))
    inside = np.hypot(k * b_star, l * c_star) <= g_max_inv_angstrom
    hkl = np.stack([np.zeros_like(k), k, l], axis=1)[inside]
    return hkl, hkl[:, 1] * b_star, hkl[:, 2] * c_star
