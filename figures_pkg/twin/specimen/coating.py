"""What is not crystal in an overview: an amorphous carbon layer along the edge, and platinum markers on it.

In the simplest terms that give the right look: carbon shows the direct beam, weakened, and the diffuse background of
the foil around it, without a reflection of the crystal; a marker weakens the whole pattern. Neither the rings of
amorphous carbon nor the crystals of the platinum are modelled.
"""

import numpy as np

from figures_pkg.twin.preset_parts import Coating

DESCRIPTION = {
    "crystal_share": ("1", "share of the beam that crosses the crystal; the rest crosses the carbon layer"),
    "transmission": ("1", "factor on the whole pattern, below 1 on a marker"),
}


def coating_maps(coating: Coating, field_nm: tuple[float, float], y_nm, x_nm) -> dict[str, np.ndarray]:
    """Share of crystal and transmission at places of the specimen; the carbon begins at its edge and goes on downward."""
    below = (y_nm - coating.edge_fraction_y * field_nm[0]) / coating.edge_nm
    on_marker = np.zeros(np.shape(y_nm), bool)
    for row, col in coating.marker_fraction_yx:
        apart = np.stack([y_nm - row * field_nm[0], x_nm - col * field_nm[1]])
        on_marker |= (2 * np.abs(apart) <= np.reshape(coating.marker_nm_yx, (2, *[1] * np.ndim(y_nm)))).all(axis=0)
    return {
        "crystal_share": 0.5 - 0.5 * np.clip(2 * below, -1, 1),
        "transmission": np.where(on_marker, coating.marker_transmission, 1.0),
    }
