"""The numbers kept of the published box images are those of the pictures, where these are at hand."""

import matplotlib
import numpy as np
import pytest
from matplotlib.image import imread
from scipy.ndimage import gaussian_filter

from figures_pkg.data.published import box_image_numbers

PICTURES = {"ds1": "DS1_meanlog_boxA_boxB__STEM_Domains_cell11.png", "ds2": "DS2_meanlog_boxA_boxB__STEM_Domains_cell27.png"}
PANELS = {  # columns of the image, and the counts at the ends of its colour bar, extrapolated from the ticks
    ("ds1", "box1"): (slice(155, 271), 40.5, 100.4), ("ds1", "box2"): (slice(310, 425), 21.1, 65.0),
    ("ds2", "box1"): (slice(156, 271), 1.64, 7.21), ("ds2", "box2"): (slice(300, 415), 13.3, 56.1),
}  # fmt: skip
VIRIDIS = matplotlib.colormaps["viridis"](np.linspace(0, 1, 501))[:, :3]


def counts_of(folder, dataset, box) -> np.ndarray:
    """The colour map is inverted; letters and scale bars, which have no colour of the map, are left out."""
    columns, low, high = PANELS[dataset, box]
    panel = imread(folder / "ermno3_published" / PICTURES[dataset])[11:126, columns, :3]
    away = np.linalg.norm(panel[:, :, None] - VIRIDIS, axis=-1)
    return np.where(away.min(-1) < 0.1, low + (high - low) * away.argmin(-1) / 500, np.nan)


@pytest.mark.parametrize(("dataset", "box"), PANELS)
def test_means_and_blocks_are_those_of_the_picture(realdata, dataset, box):
    """As far as the colour bar allows."""
    counts = counts_of(realdata, dataset, box)
    kept = box_image_numbers(dataset)[box]
    assert np.nanmean(counts) == pytest.approx(kept["mean"], abs=kept["error"] / 2)
    rows, cols = (np.array_split(np.arange(size), 16) for size in counts.shape)
    blocks = np.array([[np.nanmean(counts[np.ix_(row, col)]) for col in cols] for row in rows])
    np.testing.assert_allclose(blocks, kept["blocks"], atol=kept["error"])


def test_the_dark_line_is_that_of_the_picture(realdata):
    """Its course is the darkest pixel of each row of the 000 box, smoothed; both boxes across it agree with the stored profiles."""
    images, kept, row = [counts_of(realdata, "ds1", box)[:, :115] for box in ("box1", "box2")], box_image_numbers("ds1")["wall"], np.arange(115)
    smooth = gaussian_filter(np.where(np.isnan(images[0]), np.nanmean(images[0]), images[0]), (3, 1.2))
    start = np.maximum(0.51 * 115 - (row - 57) * np.tan(np.radians(20)) - 9, 0).astype(int)
    darkest = start + np.array([smooth[r, first : first + 18].argmin() for r, first in zip(row, start)])
    course = np.polynomial.Polynomial.fit(row, darkest, 4)
    distance = (course(row)[:, None] - row) * 358.4 / 115 / np.hypot(1, course.deriv()(row))[:, None]
    for image, profile in zip(images, kept["profiles"].T):
        level = np.nanmean(image[(abs(distance) > 20) & (abs(distance) < 40)])
        means = [np.nanmean(image[abs(distance - place) < 1.5]) / level for place in kept["distance_nm"]]
        np.testing.assert_allclose(means, profile, atol=0.04)
