"""How far a pattern lies from every mixture of +P and -P, counted in what the dose can tell."""

import numpy as np


def chi2_per_electron(first, second, background) -> np.ndarray:
    """Squared difference over expected noise, summed over discs, for one electron.

    Times the electrons that the discs and their background share out, it is the squared significance of the difference.

    Parameters
    ----------
    first, second : array, shape (..., n)
        Intensities of discs as fractions of the incident beam.
    background : float or array, shape (n,)
        Diffuse intensity inside each disc, same unit, positive.
    """
    first, second = np.asarray(first, float), np.asarray(second, float)
    return ((first - second) ** 2 / (np.clip((first + second) / 2, 0, None) + background)).sum(axis=-1)


def best_mixture(pattern, plus, minus, background) -> tuple[float, float]:
    """Share of +P in the mixture nearest to a pattern, and the chi2 per electron that is left."""
    shares = np.linspace(0, 1, 501)
    left = chi2_per_electron(pattern, shares[:, None] * plus + (1 - shares[:, None]) * minus, background)
    return float(shares[left.argmin()]), float(left.min())
