"""Patterns of columns that hold both domains: what a probe sees as it moves across an inclined wall.

Under an inclined wall the beam passes one domain and then the other, and the pattern is none that a sum of the patterns of +P and -P
reaches. The twin's depth stacks give it. Here they are averaged over discs, for both orders of the domains.
"""

from dataclasses import dataclass

import numpy as np

from figures_pkg.crystal.structure import ermno3, structure
from figures_pkg.diffraction.discs import average_over_cone, lost_nodes
from figures_pkg.diffraction.spline import evaluate_spline
from figures_pkg.twin.domains import FWHM_PER_SIGMA, polarization_weight
from figures_pkg.twin.walls import DEPTH_STEP, StackSettings, build_stacks, depth_weights

HALF_DEPTH = 2.0  # periods: half width of a wall along the beam; 0.2 nm of wall at 9 degrees
PERIOD_STEP = 3  # between thicknesses


@dataclass(frozen=True)
class Columns:
    """
    What a column with a wall in it adds to the mixture of its two domains, averaged over discs.

    Attributes
    ----------
    coefficients
        Cubic B-splines, float32, shape (2, n_b + 2, n_c + 2, n_t + 2, z, n): +P above -P, then -P above +P; z depths of the wall.
    start, step
        First node and distance of nodes of tilt b, tilt c (mrad) and thickness (nm), shape (3,).
    first_depth
        Of the wall's middle below the upper surface, in periods, at the first of the z nodes.
    """

    coefficients: np.ndarray
    start: np.ndarray
    step: np.ndarray
    first_depth: float

    def at(self, point: np.ndarray) -> np.ndarray:
        """The differences at one state (tilt b, tilt c, thickness), shape (2, z, n); a state outside is taken at the edge."""
        orders, *_, depths, discs = self.coefficients.shape
        last = np.array(self.coefficients.shape[1:4]) - 3.0
        place = np.clip((point - self.start) / self.step, 0, last - 1e-6)
        values = np.empty((orders, depths * discs), np.float32)
        for order in range(orders):
            evaluate_spline(self.coefficients[order].reshape(*self.coefficients.shape[1:4], -1), *place, values[order])
        return values.reshape(orders, depths, discs).astype(float)


def build_columns(g: np.ndarray, low: np.ndarray, high: np.ndarray, convergence_mrad: float, turn: int = 1, threads: int = 1) -> Columns:
    """
    Simulate depth stacks of ErMnO3 for the states between `low` and `high`.

    Parameters
    ----------
    g
        (g_b, g_c) of the discs, 1/Å, shape (n, 2).
    low, high
        Tilt b, tilt c (mrad) and thickness (nm), shape (3,).
    convergence_mrad
        Half angle of the beam's cone.
    turn
        Of the phase from +P to -P in units of 60 degrees, 1 or -1: the mirror variant of the wall.
    threads
        For the simulation.

    Raises
    ------
    ValueError
        When the discs are not those of ErMnO3 along [100].
    """
    period_nm, tilt_step = structure()["a_angstrom"] / 10, StackSettings.tilt_step_mrad
    reach = np.full(2, convergence_mrad / tilt_step)
    ends = [_nodes(low[axis], high[axis], tilt_step, lost_nodes(reach)[axis]) for axis in (0, 1)]
    first = max(int(low[2] / period_nm), 1)
    last = first + PERIOD_STEP * max(int(np.ceil((high[2] / period_nm - first) / PERIOD_STEP)), 3)
    hkl = tuple(map(tuple, _indices(g).tolist()))
    coefficients = []
    for top in (1, -1):
        settings = StackSettings(top, turn, HALF_DEPTH, first, last, *ends, hkl, PERIOD_STEP, tilt_step)
        table = build_stacks(settings, threads)
        means, lost = average_over_cone(np.moveaxis(table.coefficients, 0, 3), reach)
        coefficients.append(means)
    start = np.array([ends[0][0] + lost[0] * tilt_step, ends[1][0] + lost[1] * tilt_step, first * period_nm])
    return Columns(np.stack(coefficients), start, np.array([tilt_step, tilt_step, PERIOD_STEP * period_nm]), table.first_depth)


def across_wall(plus, minus, distance_nm, thickness_nm, probe_fwhm_nm: float, slope: float = 0.0, differences=None,
                first_depth: float = 0.0) -> np.ndarray:
    """
    Discs of probes at several distances from a wall.

    Parameters
    ----------
    plus, minus
        Of the two domains at each probe, shape (x, n).
    distance_nm
        From the middle of the wall at mid thickness, positive in +P, shape (x,).
    thickness_nm
        Of the foil at each probe, shape (x,).
    probe_fwhm_nm
        Full width at half maximum of the probe.
    slope
        Tangent of the wall's angle against the beam: positive where the beam meets +P first, negative where it meets -P first,
        zero for an upright wall, whose patterns are mixtures of both domains.
    differences, first_depth
        From :meth:`Columns.at` for the order that `slope` says, shape (x, z, n), and of the columns; not needed at zero slope.

    Returns
    -------
    array, shape (x, n)
        Fractions of the incident beam.
    """
    distance, thickness, steep = np.asarray(distance_nm, float), np.asarray(thickness_nm, float), abs(slope)
    share = (1 + polarization_weight(distance, thickness * steep, probe_fwhm_nm))[:, None] / 2
    mixture = share * plus + (1 - share) * minus
    if slope == 0:
        return mixture
    period_nm = structure()["a_angstrom"] / 10
    depth = (thickness / 2 + distance / slope) / period_nm
    spread = probe_fwhm_nm / FWHM_PER_SIGMA / steep / period_nm
    shares = depth_weights(depth[:, None], spread, first_depth, DEPTH_STEP, differences.shape[1])
    return mixture + np.einsum("xz,xzn->xn", shares, differences)


def _nodes(low, high, step, lost):
    """Ends of a grid on multiples of the step that keeps four nodes, and the range, when it loses some at both ends."""
    first, last = np.floor(low / step), np.ceil(high / step)
    last = max(last, first + 3)
    return float((first - lost) * step), float((last + lost) * step)


def _indices(g):
    """Whole numbers 0 k l of vectors of ErMnO3 along [100], shape (n, 3)."""
    cell = ermno3().cell_angstrom
    k, l = g[:, 0] * cell[1] / 2, g[:, 1] * cell[2]
    whole = np.rint(np.stack([np.zeros_like(k), k, l], axis=1)).astype(int)
    if np.abs(np.stack([k, l], axis=1) - whole[:, 1:]).max() > 0.01 or (whole[:, 2] % 2).any():
        raise ValueError("the discs are not those of ErMnO3 along [100]; columns with a wall are known for this crystal only")
    return whole
