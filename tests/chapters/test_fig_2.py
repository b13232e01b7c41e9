"""The cloud of centres of mass lies as the detector does, coloured by how crowded it is."""

import numpy as np

from figures_pkg.chapters.fig_2 import com_cloud, density


def test_cloud_has_y_downward(ax):
    """Reciprocal space is drawn as the detector lies: y grows downward, and both axes have one scale."""
    points = com_cloud(ax, np.array([0.1, 0.2]), np.array([0.0, -0.1]), "k")
    assert np.allclose(points.get_offsets(), [[0.0, 0.1], [-0.1, 0.2]])
    assert ax.get_ylim()[0] > ax.get_ylim()[1] and ax.get_aspect() == 1


def test_density_counts_neighbours():
    """Points in one cell share its count."""
    assert np.array_equal(density(np.array([0, 0, 0, 1.0]), np.array([0, 0, 0, 1.0]), bins=4), [3, 3, 3, 1])
