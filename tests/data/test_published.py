"""Numbers read off the published pictures agree with the pictures, where these are at hand."""

import numpy as np
import pytest

from figures_pkg.data.published import mean_log_counts, mean_pattern_numbers


def test_rings_are_those_of_the_picture(realdata, monkeypatch, repository, from_notebook):
    monkeypatch.setenv("FIGURES_PKG_REALDATA", str(realdata))
    table = repository / "figures_pkg/chapters/published/ds1_rings.csv"
    inner, outer, counts = np.loadtxt(table, delimiter=",", comments=["#", "inner"], unpack=True)
    edges, ring_means = np.append(inner, outer[-1]), from_notebook("the-data", "ring_means")
    assert ring_means(mean_log_counts("ds1"), (124.0, 128.6), edges) == pytest.approx(counts, abs=1e-3)


def test_without_the_picture_there_is_none(monkeypatch, tmp_path):
    """A computer without the picture is no error; an unknown dataset is."""
    for folder in (tmp_path, tmp_path / "nowhere"):
        monkeypatch.setenv("FIGURES_PKG_REALDATA", str(folder))
        assert mean_log_counts("ds1") is None
    with pytest.raises(ValueError, match="'ds9'; there are those of ds1, ds2"):
        mean_pattern_numbers("ds9")
