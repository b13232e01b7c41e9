"""The numbers kept of the published box images are those of the pictures, where these are at hand."""

import matplotlib
import numpy as np
import pytest
from matplotlib.image import imread

from figures_pkg.data.published import box_image_numbers

PICTURES = {"ds1": "DS1_meanlog_boxA_boxB__STEM_Domains_cell11.png", "ds2": "DS2_meanlog_boxA_boxB__STEM_Domains_cell27.png"}
PANELS = {  # columns of the image, and the counts at the ends of its colour bar, extrapolated from the ticks
    ("ds1", "box1"): (slice(155, 271), 40.5, 100.4), ("ds1", "box2"): (slice(310, 425), 21.1, 65.0),
    ("ds2", "box1"): (slice(156, 271), 1.64, 7.21), ("ds2", "box2"): (slice(300, 415), 13.3, 56.1),
}  # fmt: skip
VIRIDIS = matplotlib.colormaps["viridis"](np.linspace(0, 1, 501))[:, :3]


@pytest.mark.parametrize(("dataset", "box"), PANELS)
def test_means_and_blocks_are_those_of_the_picture(realdata, dataset, box):
    """The colour map is inverted; letters and scale bars, which have no colour of the map, are left out."""
    columns, low, high = PANELS[dataset, box]
    panel = imread(realdata / "ermno3_published" / PICTURES[dataset])[11:126, columns, :3]
    away = np.linalg.norm(panel[:, :, None] - VIRIDIS, axis=-1)
    counts = np.where(away.min(-1) < 0.1, low + (high - low) * away.argmin(-1) / 500, np.nan)
    kept = box_image_numbers(dataset)[box]
    assert np.nanmean(counts) == pytest.approx(kept["mean"], abs=kept["error"] / 2)
    rows, cols = (np.array_split(np.arange(size), 16) for size in counts.shape)
    blocks = np.array([[np.nanmean(counts[np.ix_(row, col)]) for col in cols] for row in rows])
    np.testing.assert_allclose(blocks, kept["blocks"], atol=kept["error"])
