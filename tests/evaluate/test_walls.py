"""The probe of walls is a textbook discriminant."""

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from figures_pkg.evaluate import walls


def test_the_discriminant_is_that_of_scikit_learn_also_with_a_channel_that_only_rounding_moves():
    rng = np.random.default_rng(0)
    samples, asked = rng.normal(size=(60, 4)), rng.normal(size=(20, 4))
    first = samples[:, 0] > 0.3
    samples[:, 3], asked[:, 3] = 0.1 + np.spacing(0.1) * rng.integers(0, 2, 60), 0.11
    expected = make_pipeline(StandardScaler(), LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")).fit(samples, first).decision_function(asked)
    np.testing.assert_allclose(walls.discriminant(samples, first, asked), expected, atol=1e-9)
