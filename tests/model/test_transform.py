"""Input transforms keep their promises: noise made even, whitened to one, undone again, refused when the counts are bad."""

import dask.array as da
import numpy as np
import pytest
from drawn_patterns import scan_of

from figures_pkg.model.transform import TRANSFORMS, InputTransform, fit_transform, principal_components, scan_statistics, stabilise


@pytest.fixture(scope="module")
def scan():
    """Two smooth changes of the pattern, 200 counts a pixel, Poisson noise."""
    rng = np.random.default_rng(1)
    y, x = np.indices((24, 25)) / 24
    first, second = rng.normal(size=(2, 8, 8))
    mean = 200 * np.exp(0.2 * y[..., None, None] * first + 0.1 * np.sin(5 * x)[..., None, None] * second)
    return scan_of(da.from_array(rng.poisson(mean).astype(np.uint16), (3, 5, -1, -1)))


@pytest.mark.parametrize("level", [5, 20, 300, 5000])
def test_anscombe_makes_noise_one(level):
    assert stabilise(np.random.default_rng(level).poisson(level, size=(1, 200, 200)), "anscombe").var() == pytest.approx(1, abs=0.05)


def test_binning_sums_before_the_stabiliser():
    values = stabilise(np.full((3, 4, 6), 65535, np.uint16), "log", bin_px=2)
    assert values.shape == (3, 2, 3) and values.dtype == np.float32
    np.testing.assert_allclose(values, np.log1p(262140), rtol=1e-6)


def test_statistics_and_components_are_those_in_memory_whatever_the_blocks(scan):
    values = stabilise(scan.values, "anscombe").reshape(-1, 64).astype(float)
    for other in (scan, scan.chunk(scan_y=-1, scan_x=-1), scan.compute()):
        statistics = scan_statistics(other, "anscombe", 1)
        np.testing.assert_allclose(statistics.mean.ravel(), values.mean(axis=0), rtol=1e-6)
        np.testing.assert_allclose(statistics.covariance, np.cov(values.T, bias=True), rtol=1e-4, atol=1e-4)
    found = principal_components(statistics, 12)
    singular = np.linalg.svd(values - values.mean(axis=0), compute_uv=False)
    np.testing.assert_allclose(found.variance, singular[:12] ** 2 / len(values), rtol=1e-4)
    assert found.significant in (2, 3) and found.noise_variance == pytest.approx(1, abs=0.05)  # the exponential bends the two changes a little
    assert len(fit_transform(scan, "anscombe-whitened", bin_px=1, most_components=1).components) == 1


def test_whitened_input_has_unit_scores_and_forgets_only_noise(scan):
    transform = fit_transform(scan, "anscombe-whitened", bin_px=1)
    values = transform.apply(scan.values)
    scores = np.tensordot(values, transform.components, ((2, 3), (1, 2))).reshape(-1, len(transform.components))
    np.testing.assert_allclose(np.cov(scores.T, bias=True), np.eye(scores.shape[1]) * 64 / scores.shape[1], rtol=1e-3, atol=0.03)
    assert np.mean(values**2) == pytest.approx(1, abs=1e-4)
    back = transform.inverse(values)
    assert np.abs(back / scan.values - 1).mean() < 1.3 / np.sqrt(200)
    np.testing.assert_allclose(transform.apply(np.maximum(back, 0)), values, atol=0.2)


@pytest.mark.parametrize("name", sorted(TRANSFORMS))
def test_arrays_hold_everything_and_the_inverse_gives_the_counts_back(scan, name):
    transform = fit_transform(scan, name, bin_px=2)
    values = transform.apply(scan.values)
    np.testing.assert_array_equal(InputTransform.from_arrays(transform.to_arrays()).apply(scan.values), values)
    if name != "anscombe-whitened":
        np.testing.assert_allclose(transform.inverse(values), scan.values.reshape(24, 25, 4, 2, 4, 2).sum(axis=(3, 5)), rtol=1e-4)


def test_bad_counts_and_wrong_requests_are_refused(scan):
    noise, large = scan_of(np.random.default_rng(2).poisson(50, size=(8, 8, 16, 16))), scan_of(np.ones((2, 2, 128, 128), np.uint16))
    bad = [np.where(np.arange(8) == 6, value, scan.values) for value in (np.nan, np.inf, -1.0)]
    for message, use in [
        *(("NaN, infinite or negative", lambda counts=counts: fit_transform(scan_of(counts), "anscombe-centred", bin_px=1)) for counts in bad),
        *(("NaN, infinite or negative", lambda counts=counts: InputTransform("log").apply(counts)) for counts in bad),
        ("expected one of", lambda: fit_transform(scan, "sqrt")), ("does not tile", lambda: fit_transform(scan, bin_px=3)),
        ("nothing to whiten", lambda: fit_transform(noise, "anscombe-whitened", bin_px=8)), ("bin by more", lambda: scan_statistics(large, "anscombe", 1)),
        (r"\(4, 4\).*\(8, 8\)", lambda: fit_transform(scan, "anscombe-centred", bin_px=1).apply(np.ones((4, 4)))),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=message):
            use()
