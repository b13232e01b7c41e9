"""A lattice of discs is found where it was put."""

import numpy as np
import pytest

from figures_pkg.imaging.lattice import Lattice, refine_lattice

TRUE = Lattice((124.0, 128.6), (-17.41, -5.89), (-6.74, 18.88))


def discs(lattice, radius=5.0, shape=(256, 256)):
    """A pattern with soft discs of falling intensity on a sloping background."""
    y, x = np.indices(shape)
    pattern = 20 - 0.03 * y + 0.01 * x
    for k, l in lattice.reflections(shape, 0):
        row, col = lattice.position(k, l)
        height = 200 * np.exp(-(((row - 124) ** 2 + (col - 128) ** 2) / 80**2)) * (1 + 0.5 * np.sin(3 * k + l))
        pattern = pattern + height / (1 + np.exp((np.hypot(y - row, x - col) - radius) / 0.5))
    return pattern


def test_refines_a_poor_guess():
    """From three pixels and 2 % off the fit comes back to 0.05 px."""
    guess = Lattice((126.0, 126.8), (-17.8, -5.7), (-6.5, 19.2))
    found = refine_lattice(discs(TRUE), guess, 5.0)
    assert np.allclose(found.centre, TRUE.centre, atol=0.1)
    assert np.allclose([found.g002, found.g010], [TRUE.g002, TRUE.g010], atol=0.05)


def test_binning_keeps_the_places():
    """Joining 2 x 2 pixels moves the lattice as ``scaled`` says."""
    binned = discs(TRUE).reshape(128, 2, 128, 2).mean(axis=(1, 3))
    found = refine_lattice(binned, TRUE.scaled(2), 2.5)
    assert np.allclose(found.centre, TRUE.scaled(2).centre, atol=0.15)


def test_an_empty_pattern_is_refused():
    """Where nothing stands out, the error says what to check."""
    with pytest.raises(ValueError, match="only 0 discs"):
        refine_lattice(np.ones((256, 256)), TRUE, 5.0)
