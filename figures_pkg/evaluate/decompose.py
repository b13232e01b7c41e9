"""How much of a map is polarization and how much is bend or thickness."""

from dataclasses import dataclass
from itertools import combinations_with_replacement, permutations

import numpy as np


@dataclass(frozen=True)
class Split:
    """A step between two domains on a smooth background, with its standard error."""

    step: float
    error: float
    background: np.ndarray  # (scan_y, scan_x), the smooth part without the step


def domain_split(image: np.ndarray, domain: np.ndarray, order: int = 2, block: int = 8) -> Split:
    """
    Step of a map between +P and −P where bend and thickness are taken as a smooth polynomial in position.

    Fits ``image = polynomial(y, x) + step / 2 · domain`` by least squares over all positions with a domain. Neighbours
    are not independent (bend is smooth), so the standard error comes from leaving out square blocks in turn (jackknife).
    What the polynomial cannot follow and happens to change across the wall is counted as step: an upper bound of the
    knowledge that one straight wall allows.

    Parameters
    ----------
    image
        Map, shape ``(scan_y, scan_x)``.
    domain
        +1, −1, or 0 for positions to leave out (the wall), same shape.
    order
        Total order of the polynomial.
    block
        Side of a jackknife block in positions.

    Returns
    -------
    Split
        ``step`` is the mean value at +P minus that at −P, in the map's units.
    """
    y, x = (c / max(n - 1, 1) * 2 - 1 for c, n in zip(np.indices(image.shape), image.shape))
    smooth = [y**i * x**j for i in range(order + 1) for j in range(order + 1 - i)]
    columns = np.stack([domain / 2, *smooth], axis=-1).reshape(image.size, -1)
    used = (domain != 0).ravel()
    labels = _block_labels(image.shape, block).ravel()
    fit = _solve(columns[used], image.ravel()[used])
    left_out = [_solve(columns[used & (labels != b)], image.ravel()[used & (labels != b)])[0] for b in np.unique(labels[used])]
    n = len(left_out)
    error = np.sqrt((n - 1) / n * np.sum((np.array(left_out) - np.mean(left_out)) ** 2))
    return Split(float(fit[0]), float(error), (columns[:, 1:] @ fit[1:]).reshape(image.shape))


def effect_at_equal(image: np.ndarray, cause: np.ndarray, others: list[np.ndarray], order: int = 3) -> float:
    """
    What a unit of one cause adds to a map where all other causes are equal.

    Fits ``image = effect · cause + polynomial(others)``, with all products of the others up to a total order.

    Parameters
    ----------
    image
        Values of a map, all of it or chosen positions; any shape.
    cause
        The cause at the same positions, e.g. half the polarization, so that the effect is the step from −P to +P.
    others
        The other causes there, e.g. both tilts and the thickness.
    order
        Total order of the polynomial.
    """
    scaled = [(other - other.mean()) / other.std() for other in others]
    terms = [combination for n in range(order + 1) for combination in combinations_with_replacement(scaled, n)]
    smooth = [np.prod(term, axis=0) if term else np.ones(image.shape) for term in terms]
    columns = np.stack([cause, *smooth], axis=-1).reshape(image.size, -1)
    return float(_solve(columns, image.ravel())[0])


def variance_shares(image: np.ndarray, causes: dict[str, list[np.ndarray]]) -> dict[str, float]:
    """
    Share of a map's variance that each known cause explains, averaged over the order in which causes are added.

    Each cause is a group of maps; a linear model of all maps in a subset of groups gives its R². The share of a group is
    its mean gain in R² over all orders (the Shapley value, known in regression as the LMG measure), so the shares add up
    to the R² of the full model and correlated causes divide what they share. ``"rest"`` is what no cause explains: noise
    and what is not linear in the given maps.

    Parameters
    ----------
    image
        Map, shape ``(scan_y, scan_x)``.
    causes
        Maps of each cause, e.g. ``{"polarization": [P], "bend": [tilt_b, tilt_c, tilt_c**2], "thickness": [t]}``.

    Returns
    -------
    dict
        Shares between 0 and 1 by name, with ``"rest"``; they sum to 1.

    References
    ----------
    U. Grömping, The American Statistician 61, 139 (2007), doi 10.1198/000313007X188252.
    """
    names = list(causes)
    explained = {(): 0.0}
    shares = dict.fromkeys(names, 0.0)
    for order in _orders(names):
        for k, name in enumerate(order):
            with_it, before = tuple(sorted(order[: k + 1])), tuple(sorted(order[:k]))
            if with_it not in explained:
                explained[with_it] = _r_squared(image, [m for n in with_it for m in causes[n]])
            shares[name] += explained[with_it] - explained[before]
    total = len(_orders(names))
    shares = {name: value / total for name, value in shares.items()}
    return shares | {"rest": 1 - sum(shares.values())}


def _orders(names: list[str]) -> list[tuple[str, ...]]:
    """All orders of the names."""
    return list(permutations(names))


def _r_squared(image: np.ndarray, maps: list[np.ndarray]) -> float:
    """Share of variance that a linear model with a constant explains."""
    columns = np.stack([np.ones(image.size), *(m.ravel() for m in maps)], axis=-1)
    residual = image.ravel() - columns @ _solve(columns, image.ravel())
    return float(1 - residual.var() / image.var())


def _solve(columns: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Least squares."""
    return np.linalg.lstsq(columns, values, rcond=None)[0]


def _block_labels(shape: tuple[int, int], block: int) -> np.ndarray:
    """Number of the square block of each position."""
    y, x = np.indices(shape) // block
    return y * (shape[1] // block + 1) + x
