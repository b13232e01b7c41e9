"""An array in some dozen numbers, so that a change of a figure is seen without keeping the figure."""

import numpy as np

LEVELS = (1, 5, 25, 50, 75, 95, 99)  # percent
BLOCKS = 4  # along each of the last two axes
FEW = 12  # an array of so many numbers is kept whole
FLOOR = 1e-9  # of the largest value, what lies below counts as this much before the logarithm is taken


def summarise(array: np.ndarray, any_order: bool = False, logarithm: bool = False) -> dict:
    """
    What identifies an array: shape, kind, mean, spread, norm, quantiles, and means over coarse blocks.

    Parameters
    ----------
    array
        Numbers or truth values.
    any_order
        The first axis counts things without an order, such as the channels of a network: nothing then depends on their order, and
        the spreads of the channels, sorted, take the place of the blocks.
    logarithm
        Take log10 of the values first: a pattern whose faint parts count, though the bright ones hold the electrons.

    Returns
    -------
    dict
        ``shape``, ``kind`` ("b", "i", "u" or "f") and ``missing`` (number of entries that are not finite) are compared exactly, the
        lists ``moments`` (mean, standard deviation, root mean square), ``quantiles`` and ``blocks`` within a tolerance.

    Examples
    --------
    >>> summarise(np.arange(16.0).reshape(4, 4))["blocks"][:5]
    [0.0, 1.0, 2.0, 3.0, 4.0]
    """
    values = np.asarray(array, float)
    if logarithm:
        values = np.log10(np.maximum(values, FLOOR * np.nanmax(values)))
    finite = values[np.isfinite(values)]
    found = {"shape": list(values.shape), "kind": np.asarray(array).dtype.kind, "missing": int(values.size - finite.size)}
    if finite.size == 0:
        return found
    found["moments"] = _short([finite.mean(), finite.std(), np.sqrt(np.mean(finite**2))])
    if values.size > FEW:
        found["quantiles"] = _short(np.percentile(finite, LEVELS))
    found["blocks"] = _short(_spreads(values) if any_order else _blocks(values))
    return found


def spread(summary: dict) -> float:
    """The size of a change that would matter: the standard deviation, or a hundredth of the size where an array hardly varies."""
    _, deviation, size = summary["moments"]
    return max(deviation, 0.01 * size, 1e-12)


def _blocks(values: np.ndarray) -> np.ndarray:
    """The array itself if it is small, else its means over up to 4 × 4 blocks of the last two axes, all others averaged."""
    if values.size <= FEW:
        return values.ravel()
    image = values.reshape(-1, *values.shape[-2:]) if values.ndim > 1 else values.reshape(1, 1, -1)
    rows = np.array_split(np.arange(image.shape[1]), min(BLOCKS, image.shape[1]))
    columns = np.array_split(np.arange(image.shape[2]), min(BLOCKS, image.shape[2]))
    with np.errstate(invalid="ignore"):
        return np.array([_mean(image[:, row][:, :, column]) for row in rows for column in columns])


def _mean(values: np.ndarray) -> float:
    """Mean of what is finite; 0 where nothing is."""
    finite = values[np.isfinite(values)]
    return finite.mean() if finite.size else 0.0


def _spreads(values: np.ndarray) -> np.ndarray:
    """Standard deviation of each channel, largest first."""
    return np.sort(np.nanstd(values.reshape(len(values), -1), axis=1))[::-1]


def _short(numbers) -> list[float]:
    """Nine digits: more than any tolerance, less than the noise of the last bits."""
    return [float(f"{number:.9g}") for number in np.ravel(numbers)]
