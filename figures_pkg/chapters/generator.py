"""What the chapter on the generator alone needs."""

import numpy as np

SIGNED = {"cmap": "RdBu_r", "limits": (float(np.exp(-1)), float(np.exp(1)))}  # of a panel of signed_frames


def signed_frames(differences, limit: float) -> np.ndarray:
    """
    Pictures of both signs as frames for a ``Panel(..., **SIGNED)``: red above zero, white at zero, blue below.

    Colours of a slider are logarithmic, so the exponential of a difference is drawn linearly in the difference, up to `limit` in either direction.

    Examples
    --------
    >>> signed_frames(np.array([-9.0, 0.0, 3.0]), 3.0).round(3)
    array([0.368, 1.   , 2.718])
    """
    if not limit > 0:
        raise ValueError(f"limit is {limit}; expected the positive difference at the ends of the colours")
    return np.exp(np.clip(np.asarray(differences, float) / limit, -1, 1))
