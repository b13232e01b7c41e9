"""Known mixtures of polarization, bend and thickness are taken apart again."""

import numpy as np
import pytest

from figures_pkg.evaluate import domain_split, effect_at_equal, variance_shares


@pytest.fixture
def scan():
    """A domain map with a slanted wall and smooth coordinates."""
    y, x = np.indices((48, 48)) / 47
    return np.where(x + 0.3 * y < 0.6, 1, -1), y, x


def test_step_on_a_polynomial_is_exact(scan):
    """Without noise the step comes back whatever the polynomial."""
    domain, y, x = scan
    split = domain_split(0.02 * domain + 3 * x - 2 * x * y + y**2, domain)
    assert split.step == pytest.approx(0.04, abs=1e-12)
    assert split.error < 1e-12


def test_standard_error_is_that_of_repeated_noise(scan):
    """The jackknife error agrees with the scatter over independent noise."""
    domain, y, x = scan
    rng = np.random.default_rng(0)
    splits = [domain_split(domain * 0.5 + x + rng.normal(size=x.shape), domain) for _ in range(60)]
    scatter = np.std([s.step for s in splits])
    assert np.mean([s.error for s in splits]) == pytest.approx(scatter, rel=0.35)
    assert np.mean([s.step for s in splits]) == pytest.approx(1.0, abs=5 * scatter / np.sqrt(60))


def test_positions_without_domain_are_left_out(scan):
    """What happens at the wall itself does not move the step."""
    domain, y, x = scan
    wall = np.abs(x + 0.3 * y - 0.6) < 0.05
    spoiled = np.where(wall, 100.0, 0.5 * domain)
    assert domain_split(spoiled, np.where(wall, 0, domain)).step == pytest.approx(1.0)


def test_the_step_of_matched_domains_is_that_of_the_true_ones(scan):
    """Holes of poor fits and a wall that runs along whole positions cost precision, not correctness; noise stays within the errors."""
    domain, y, x = scan
    rng = np.random.default_rng(7)
    image = 1.5 * domain + 4 * x - 3 * x * y + 2 * y**2 + 0.3 * rng.normal(size=x.shape)
    wall = np.abs(x + 0.3 * y - 0.6) < 0.06
    true = domain_split(image, np.where(wall, 0, domain), order=4)
    holes = rng.random(x.shape) < 0.15
    ragged = np.abs(x + 0.3 * y - 0.6) < 0.06 + 0.03 * rng.random(x.shape)
    matched = domain_split(image, np.where(holes | ragged, 0, domain), order=4)
    assert matched.step == pytest.approx(true.step, abs=2 * np.hypot(true.error, matched.error))
    assert matched.step == pytest.approx(3.0, abs=4 * matched.error) and 0 < matched.error < 0.3


def test_an_effect_is_that_of_the_positions_given(scan):
    """Chosen positions, as where a domain is known, give what the whole map gives."""
    domain, y, x = scan
    image, inside = 0.7 * domain + x**2 * y, np.random.default_rng(1).random(x.shape) < 0.5
    assert effect_at_equal(image[inside], domain[inside] / 2, [x[inside], y[inside]]) == pytest.approx(1.4)


def test_independent_causes_share_by_variance():
    """Uncorrelated causes get their own variance, and everything sums to one."""
    rng = np.random.default_rng(4)
    a, b, noise = rng.normal(size=(3, 200, 200))
    shares = variance_shares(3 * a + 2 * b + noise, {"a": [a], "b": [b]})
    assert shares == pytest.approx({"a": 9 / 14, "b": 4 / 14, "rest": 1 / 14}, abs=0.01)
    assert sum(shares.values()) == pytest.approx(1)


def test_equal_causes_divide_what_they_share():
    """Two copies of one cause get half each."""
    a = np.random.default_rng(5).normal(size=(20, 20))
    assert variance_shares(a, {"one": [a], "two": [a]}) == pytest.approx({"one": 0.5, "two": 0.5, "rest": 0.0}, abs=1e-9)


def test_effect_at_equal_causes_is_exact(scan):
    """A cause's effect comes back from under a nonlinear mixture of the others."""
    domain, y, x = scan
    image = 0.7 * domain + np.sin(1.0) * x**2 * y - 3 * y + x
    assert effect_at_equal(image, domain / 2, [x, y]) == pytest.approx(1.4)
