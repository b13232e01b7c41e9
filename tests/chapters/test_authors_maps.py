"""Pictures of channels are read back, scored, and agree with the numbers that are kept of the authors'."""

import numpy as np
import pytest
import xarray as xr
from matplotlib.image import imsave

from figures_pkg.chapters import authors_maps
from figures_pkg.data.axes import SCAN_DIMS
from figures_pkg.data.published import channel_map_numbers
from figures_pkg.twin import load_preset
from figures_pkg.twin.domains import polar_axis

NM = np.arange(1, 61) / 61 * load_preset("ds2").specimen.field_nm[0]


def as_maps(*images):
    return xr.DataArray(np.stack(images), {"channel": range(len(images)), "scan_y": NM, "scan_x": NM}, ("channel", *SCAN_DIMS))


@pytest.fixture(scope="module")
def vortex():
    """The drawn domains of the second scan at 60 x 60 places."""
    return authors_maps.drawn_domains("ds2", as_maps(np.zeros((60, 60))))


def test_numbers_kept_are_those_of_the_pictures(realdata, monkeypatch):
    monkeypatch.setenv("FIGURES_PKG_REALDATA", str(realdata))
    fresh = authors_maps.measure_pictures()
    if fresh is None:
        pytest.skip("the sheets of channels are not there")
    for network, found in fresh.items():
        kept = channel_map_numbers(network)
        assert [found[key] for key in ("side", "live", "best", "histogram")] == [kept[key] for key in ("side", "live", "best", "histogram")]
        for key in ("auc", "smoothed", "linear", "linear_smoothed", "contrast", "wrong", "regions"):
            np.testing.assert_allclose(found[key], kept[key], atol=2e-3)
    found, kept = fresh[authors_maps.WALL_NETWORK]["vortex"], channel_map_numbers(authors_maps.WALL_NETWORK)["vortex"]
    assert (found["walls"], found["pieces"]) == (kept["walls"], kept["pieces"])
    np.testing.assert_allclose([*found["contrast"].values()], [*kept["contrast"].values()], atol=2e-3)


def test_a_drawn_sheet_is_read_back_but_for_its_letters(tmp_path):
    """Frames of one pixel, panels of 70; a white letter and its surroundings are nan; another picture is refused."""
    values = np.random.default_rng(0).integers(0, 256, (8, 4, 70, 70))
    picture = np.ones((8 * 90, 4 * 120, 3))
    for row, column in np.ndindex(8, 4):
        picture[row * 90 + 9 : row * 90 + 81, column * 120 + 9 : column * 120 + 81] = 0.1
        picture[row * 90 + 10 : row * 90 + 80, column * 120 + 10 : column * 120 + 80] = authors_maps.COLOURS[values[row, column]]
    picture[20:24, 20:24] = 1.0
    imsave(tmp_path / "sheet.png", picture)
    maps = authors_maps.digitise(tmp_path / "sheet.png", "ds1")
    assert maps.shape == (32, 70, 70) and np.isnan(maps.values).sum() == 32  # 4 x 4 and one more on each side
    np.testing.assert_allclose(maps.values[5], values[1, 1] / 255, atol=1.1 / 255)  # eight bits
    imsave(tmp_path / "other.png", picture[:300])
    with pytest.raises(ValueError, match="3 x 4 panels, expected 8 x 4|0 panels"):
        authors_maps.digitise(tmp_path / "other.png", "ds1")


def test_channels_are_scored_against_drawn_domains(vortex):
    """A channel of the domains is perfect, one of noise is chance; domains hidden in two channels by a ramp are found by the read-out of both."""
    noise, ramp = np.random.default_rng(1).normal(size=(60, 60)), np.indices((60, 60))[1] / 8.0
    clean, hidden = 0.5 + 0.4 * vortex.domain.values, ramp + vortex.domain.values
    found = authors_maps.score_channels(authors_maps.quantised(as_maps(clean, noise, 0 * noise)), vortex)
    assert found["live"] == [0, 1] and found["best"] == 0 and found["auc"][0] == found["linear"] == found["regions"] == 1 and found["wrong"] == 0
    assert found["auc"][1] < 0.55 and set(found["levels"]) == set(range(6))
    found = authors_maps.score_channels(authors_maps.quantised(as_maps(hidden, ramp + 0.1 * noise)), vortex)
    assert max(found["auc"]) < 0.8 < 0.97 < found["linear"]


def test_walls_are_told_by_variant_and_by_charge(vortex, from_notebook):
    """Bright walls of one variant have contrast there alone and no charge explains them; a map of charge is explained at the direction of c that made it."""
    c_deg = np.degrees(np.arctan2(*polar_axis(load_preset("ds2"))))
    near = np.exp(-((vortex.wall_distance_nm.values / 6) ** 2))
    maps = as_maps(near * (vortex.wall_step.values > 0), near * vortex.wall_charge.values)
    pieces = authors_maps.wall_pieces(maps)
    contrast = from_notebook("authors-maps", "wall_contrasts")
    lit = contrast(pieces, 0)[:, 0] > 0.3
    assert lit.tolist() in ([True, False] * 3, [False, True] * 3)
    assert from_notebook("authors-maps", "variant_auc")(pieces, 0) > 0.99
    charges = authors_maps.piece_charges(pieces, c_deg)
    np.testing.assert_allclose(authors_maps.piece_charges(pieces, c_deg + 180), -charges, atol=1e-9)
    assert np.corrcoef(charges, pieces["contrast"][1])[0, 1] > 0.98
    aucs = from_notebook("authors-maps", "charge_aucs")
    assert aucs(pieces, 1, [c_deg])[0] > 0.99 and aucs(pieces, 0, range(0, 180, 10)).max() < 0.9
