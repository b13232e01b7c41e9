"""What a wall is assumed to be: width, screening, strain and mirror variant, each with its confidence.

Confidence as in the presets: A read, B inferred with a model, C plausible, chosen by us.

===============  ======================  ==========================================================================
half width       0.257 nm along c, B     Landau theory, coefficients of YMnO3 (Artyukhin et al. 2014); stiffness and
                 0.149 nm across c, B    barrier give it. Charged walls are known to differ in width (Smabraten et
                                         al. 2018), by how much was not found: both have the same here.
screening        1 nm, C                 over which the polar mode of a charged wall turns over. Bound charge
                                         0.11 C/m2 wants 0.7 e/nm2; 1 to 5 nm would be as plausible.
strain           0, C                    of c at a charged wall; no number was found, beyond 0.002 is unlikely.
step             +1 or -1, C             the phase turns by +60 or -60 degrees out of +P: mirror variants, which
                                         exist side by side in a crystal with vortices.
===============  ======================  ==========================================================================

The potential is that of neutral atoms. The electrostatic potential of the bound charge and of what screens it is not in it.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import erf

from figures_pkg.twin.specimen.landau import wall_phase_deg

HALF_WIDTH_C_NM, HALF_WIDTH_AB_NM = 0.257, 0.149


@dataclass(frozen=True)
class WallProfile:
    """Assumptions about a wall, see the table above.

    Attributes
    ----------
    half_width_nm : float
        Of the phase, ``(2/3) arctan exp(x / half width)``; 10 to 90 % of the change lie within about 4 of them.
    screening_nm : float
        Half width of the polar mode where the wall is charged; no less than `half_width_nm`. Zero: the mode follows the phase.
    strain : float
        Of c in the middle of a head-to-head wall, Gaussian over `screening_nm`; tail-to-tail walls have the opposite.
    step : int
        Turn of the phase in units of 60 degrees, out of the +P domain: 1 or -1.
    """

    half_width_nm: float = HALF_WIDTH_C_NM
    screening_nm: float = 1.0
    strain: float = 0.0
    step: int = 1

    def __post_init__(self):
        if self.step not in (1, -1) or self.half_width_nm <= 0 or self.screening_nm < 0 or abs(self.strain) > 0.02:
            raise ValueError(
                "a wall has a step of 1 or -1, a positive half width, a screening length of zero or more and a strain within "
                f"0.02; got {self.step}, {self.half_width_nm:g} nm, {self.screening_nm:g} nm, {self.strain:g}"
            )

    def phase_deg(self, distance_nm) -> np.ndarray:
        """Phase at a distance from the wall, positive in the +P domain, where it goes to zero."""
        return self.step * wall_phase_deg(-np.asarray(distance_nm), self.half_width_nm)

    def polar(self, distance_nm, charge: float) -> np.ndarray:
        """Amplitude of the polar mode, from -1 to 1; `charge` (-1 to 1) blends the widths of neutral and charged walls."""
        slaved = np.cos(np.radians(3 * self.phase_deg(distance_nm)))
        if not self.screening_nm:
            return slaved
        screened = np.tanh(np.asarray(distance_nm) / max(self.screening_nm, self.half_width_nm))
        return slaved + abs(charge) * (screened - slaved)

    def shift_nm(self, distance_nm, charge: float) -> np.ndarray:
        """Displacement along c that the strain has added on the way from the middle of the wall."""
        width = max(self.screening_nm, self.half_width_nm)
        return self.strain * charge * width * np.sqrt(np.pi) / 2 * erf(np.asarray(distance_nm) / width)


def default_profile(
    charge: float, step: int = 1, width_factor: float = 1.0, screening_nm: float = 1.0, strain: float = 0.0
) -> WallProfile:
    """The profile of a wall with bound charge `charge` in units of 2 P (1 head-to-head, -1 tail-to-tail), as assumed or as told."""
    squared = charge**2 * HALF_WIDTH_C_NM**2 + (1 - charge**2) * HALF_WIDTH_AB_NM**2
    return WallProfile(width_factor * float(np.sqrt(squared)), screening_nm, strain, step)

