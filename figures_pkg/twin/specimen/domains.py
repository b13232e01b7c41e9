"""Domains of opposite polarization and the inclined wall between them.

The wall is a surface that cuts through the foil at an angle to the beam. Seen along the beam, the share of the foil
above and below it changes over ``thickness * tan(inclination)``; this share, blurred by the probe, is the weight with
which the patterns of +P and -P are added. Adding intensities is a first approximation: a beam that passes through one
domain and then the other gives a pattern that no such sum reaches; `figures_pkg.twin.walls` has what such stacks add.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from figures_pkg.twin.specimen.fields import SmoothField
from figures_pkg.twin.preset_parts import Wall

FWHM_PER_SIGMA = 2 * math.sqrt(2 * math.log(2))


@dataclass(frozen=True)
class WallSurface:
    """Course of the wall at mid thickness: a straight line that leans, bows and wanders a little."""

    wall: Wall
    field_nm: tuple[float, float]
    roughness: SmoothField

    @classmethod
    def draw(cls, wall: Wall, field_nm: tuple[float, float], seed: int) -> "WallSurface":
        """Draw the random part of the course."""
        rng = np.random.default_rng([seed, 3])
        return cls(wall, field_nm, SmoothField.draw(wall.roughness_length_nm, rng))

    def distance(self, y_nm, x_nm) -> np.ndarray:
        """Signed distance (nm) from the mid-thickness line, positive in the +P domain.

        It is measured along the normal of the straight line, which is within 1 % of the shortest way for bows of a
        few nm. ``plus_side: left`` makes it positive to the left in the picture (small x).
        """
        height, width = self.field_nm
        centre_y, centre_x = (f * n for f, n in zip(self.wall.centre_fraction_yx, self.field_nm))
        lean = math.radians(self.wall.lean_deg)
        right = math.cos(lean) * (np.asarray(x_nm) - centre_x) + math.sin(lean) * (np.asarray(y_nm) - centre_y)
        along = (math.cos(lean) * (np.asarray(y_nm) - centre_y) - math.sin(lean) * (np.asarray(x_nm) - centre_x)) / (height / 2)
        course = self.wall.sag_nm * (1 - along**2) + self.wall.roughness_nm * self.roughness(along * height / 2, 0.0)
        return (right - course) * (-1.0 if self.wall.plus_side == "left" else 1.0)


def projected_width_nm(thickness_nm, inclination_deg) -> np.ndarray:
    """Width over which an inclined wall is seen along the beam, ``thickness * tan(inclination)``."""
    return np.asarray(thickness_nm) * np.tan(np.radians(inclination_deg))


def polarization_weight(distance_nm, width_nm, probe_fwhm_nm: float) -> np.ndarray:
    """Weight of +P minus weight of -P in the pattern of a position, from -1 to +1.

    A linear ramp over `width_nm` folded with a Gaussian probe. With F the antiderivative of the normal distribution
    function, the fold is ``sigma/width * (F((d + width/2)/sigma) - F((d - width/2)/sigma))``.

    Parameters
    ----------
    distance_nm : array
        Signed distance from the middle of the wall, positive in the +P domain.
    width_nm : array
        Projected width of the wall; zero is a wall seen edge-on.
    probe_fwhm_nm : float
        Full width at half maximum of the probe, positive.
    """
    sigma = probe_fwhm_nm / FWHM_PER_SIGMA
    half = np.maximum(np.asarray(width_nm), 1e-3 * sigma) / (2 * sigma)
    d = np.asarray(distance_nm) / sigma
    plus = (_normal_antiderivative(d + half) - _normal_antiderivative(d - half)) / (2 * half)
    return np.clip(2 * plus - 1, -1.0, 1.0)


def _normal_antiderivative(z):
    """Integral of the normal distribution function from minus infinity to `z`."""
    return z * ndtr(z) + np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
