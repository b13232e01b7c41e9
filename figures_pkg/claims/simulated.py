"""Measures of claims on the simulation of Fig. 4 and on the network itself: nothing here reads a truth."""

from __future__ import annotations

import numpy as np
import pandas as pd

from figures_pkg.data.published import mean_pattern_numbers
from figures_pkg.imaging import Lattice, wavelength_angstrom
from figures_pkg.imaging.delta import pearson_map
from figures_pkg.twin import load_preset
from figures_pkg.crystal import ermno3
from figures_pkg.diffraction.discs import disc_means
from figures_pkg.twin.patterns import disc_pattern
from figures_pkg.crystal.structure import formal_polarization

from .made import Made
from .scans import measured_delta
from figures_pkg.evaluate.delta_pairs import pair_change, pair_ratio, reflection_table

FITTED = "fitted"  # in place of a thickness or a tilt: what was fitted to the published picture of the first scan


def parameter_count(made: Made) -> int:
    """Parameters of the network in the paper's configuration, counted on tensors without memory."""
    import torch

    from figures_pkg.model import Autoencoder

    with torch.device("meta"):
        return sum(values.numel() for values in Autoencoder().parameters())


def up_up_down(made: Made) -> float:
    """Polarization of the up-up-down state from formal charges, in µC/cm²; positive points along +c."""
    return float(formal_polarization(ermno3(+1)))


def simulated_delta(made: Made, thickness_nm=75.0, tilt=(0.0, 0.0)) -> pd.DataFrame:
    """Reflections ranked by the share in 1 − r between the simulated patterns of both domains, on the detector of the first scan."""
    preset, (thickness, *tilts) = load_preset("ds1"), _state(thickness_nm, tilt)
    plus, minus = (disc_pattern(made.library, preset, sign, thickness, tuple(tilts)) for sign in (+1, -1))
    p = preset.pattern
    lattice = Lattice(tuple(p.origin_row_col), tuple(p.g002_row_col), tuple(p.g010_row_col))
    radius = preset.beam.convergence_mrad * 1e-3 / wavelength_angstrom(preset.beam.energy_kev) / p.scale_inv_angstrom
    return reflection_table(pearson_map(plus, minus), lattice, radius)


def simulated_004_over_002(made: Made, thickness_nm=75.0, tilt=(0.0, 0.0)) -> float:
    """How much more of the simulated difference between the domains lies in the pair 004 than in the pair 002, as a ratio."""
    return pair_ratio(simulated_delta(made, thickness_nm, tilt))


def delta_correlation(made: Made, dataset: str, thickness_nm=75.0, tilt=(0.0, 0.0)) -> float:
    """Pearson's r, over the reflections, of the simulated and the measured share in 1 − r between the domains."""
    both = pd.concat([simulated_delta(made, thickness_nm, tilt).share, measured_delta(made, dataset).share], axis=1).dropna()
    return float(np.corrcoef(both.values.T)[0, 1])


def simulated_asymmetry(made: Made, order: int = 4, thickness_nm=75.0, tilt=(0.0, 0.0)) -> float:
    """Size of the asymmetry of 00l against 00-l in the simulated pattern of +P, in %."""
    found, _ = pair_change(made.library, order, *_state(thickness_nm, tilt), load_preset("ds1").beam.convergence_mrad)
    return 100 * abs(float(found))


def share_of_thicknesses(made: Made, tilt=(0.0, 0.0)) -> float:
    """Share of the thicknesses from 10 to 100 nm at which the pair 004 changes more between the domains than 002, in %."""
    cone, thickness = load_preset("ds1").beam.convergence_mrad, np.arange(10, 100.1, 0.5)
    _, *tilts = _state(0.0, tilt)
    two, four = (pair_change(made.library, order, thickness, *tilts, cone)[1] for order in (2, 4))
    return 100 * float(np.mean(four > two))


def picture_factor(made: Made, thickness_nm=75.0, tilt=(0.0, 0.0)) -> float:
    """
    By what factor the simulated strengths of 00l and 0k0 are typically off those in the published mean pattern of the first scan.

    Shares of their sum, both domains alike, the direct beam left out; the picture is the authors', read back from its colours.
    """
    published = {kl: counts for kl, counts in mean_pattern_numbers("ds1")["disc_sums"].items() if kl != (0, 0)}
    state, cone = _state(thickness_nm, tilt), load_preset("ds1").beam.convergence_mrad
    means = sum(disc_means(made.library, sign, *state, cone) for sign in (+1, -1))
    place = {(k, l): index for index, (_, k, l) in enumerate(made.library.hkl.tolist())}
    return typical_factor(list(published.values()), [means[place[kl]] for kl in published])


def typical_factor(first, second, floor: float = 1e-3) -> float:
    """
    The middle of the factors between two lists of strengths, each the larger over the smaller share of its list.

    Shares below ``floor`` count as that, since a picture does not show them.

    Examples
    --------
    >>> round(typical_factor([1, 1, 2], [10, 10, 20]), 6), round(typical_factor([1, 1], [3, 1]), 6)
    (1.0, 1.75)
    """
    shares = [np.maximum(np.asarray(values, float) / np.sum(values), floor) for values in (first, second)]
    return float(np.median(np.exp(np.abs(np.log(shares[0] / shares[1])))))


def _state(thickness_nm, tilt) -> tuple[float, float, float]:
    """Thickness and both tilts, where "fitted" stands for those of the first scan."""
    specimen = load_preset("ds1").specimen
    thickness = specimen.thickness_nm if thickness_nm == FITTED else float(thickness_nm)
    tilts = (specimen.tilt_b_mrad, specimen.tilt_c_mrad) if tilt == FITTED else map(float, tilt)
    return (thickness, *tilts)
