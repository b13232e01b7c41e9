"""What the chapter on the realism of the twin alone needs."""

import numpy as np

from figures_pkg.imaging.lattice import Lattice


def half_maximum_radius(picture: np.ndarray, centre_row_col: tuple[float, float]) -> float:
    """
    Radius in pixels of the circle as large as the area where the direct beam exceeds half its height over its surroundings.

    Includes the blur of the picture. The surroundings are 9 to 11 px away, so discs of up to 7 px are measured.
    """
    distance = np.hypot(*(np.indices(picture.shape) - np.reshape(centre_row_col, (2, 1, 1))))
    floor = np.median(picture[(distance > 9) & (distance < 11)])
    near = picture[distance < 8] - floor
    peak = np.sort(near)[-9:].mean()
    return float(np.sqrt((near > peak / 2).sum() / np.pi))


def spacings(lattice: Lattice) -> dict[str, float]:
    """Centre, spacings and angle of a lattice by name, in px and degrees."""
    c, b = np.array(lattice.g002), np.array(lattice.g010)
    angle = np.degrees(np.arccos(c @ b / np.linalg.norm(c) / np.linalg.norm(b)))
    row, col = lattice.centre
    places = {"direct beam, row (px)": row, "direct beam, column (px)": col}
    return places | {"002 (px)": np.linalg.norm(c), "010 (px)": np.linalg.norm(b), "angle 010 to 002 (°)": angle}
