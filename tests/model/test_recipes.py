"""The recipes hold the paper's numbers, and say where each number comes from."""

from dataclasses import replace

import pytest

from figures_pkg.model.autoencoder import NetworkConfig
from figures_pkg.model.losses import LossWeights
from figures_pkg.model.recipes import RECIPES, Stage, recipe_called
from figures_pkg.model.transform import TRANSFORMS


def test_the_papers_recipes():
    for name, epochs, weights in (("domains", 377, LossWeights(1e-5)), ("walls", 18, LossWeights(5e-3, 5e-5, 2e-4)), ("vortex", 225, LossWeights(1e-5))):
        recipe = recipe_called(name)
        assert recipe.epochs == epochs + 60 * (name == "vortex") and recipe.network == NetworkConfig() and recipe.transform == "log"
        for epoch in (0, epochs - 0.1):
            stage, done = recipe.stage_at(epoch)
            assert stage.rate_at(done) == 3e-5 and stage.weights_at(done) == weights
    second = [recipe.stage_at(225 + epoch) for epoch in range(60)]
    rates = [stage.rate_at(done) for stage, done in second]
    assert all(stage.weights_at(done).l1 == 5e-4 for stage, done in second)
    assert rates[0] == rates[30] == 3e-5 and rates[15] == rates[45] == max(rates) == 5e-5
    assert all(b > a for a, b in zip(rates[:16], rates[1:16])) and all(b < a for a, b in zip(rates[15:31], rates[16:31]))


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_each_number_has_a_source(recipe):
    wanted = {"network", "transform", "batch_size", "start_bias", "convention", "precision", "stages.epochs", "stages.learning_rate", "stages.l1"}
    wanted |= {f"stages.{term}" for term in ("similarity", "divergence") if any(getattr(stage, term) for stage in recipe.stages)}
    wanted |= {"stages.schedule"} if any(stage.schedule != "constant" for stage in recipe.stages) else set()
    wanted |= {name for name in ("components", "beta", "start_log_variance") if getattr(recipe, name) is not None}
    assert wanted <= set(recipe.sources) and all(recipe.sources.values()) and recipe.transform in TRANSFORMS


def test_ramp_and_one_cycle_end_where_they_should():
    stage = Stage(6, 3e-4, l1=0.3, similarity=0.1, schedule="one-cycle", peak_rate=3e-3, ramp=(1 / 3, 1))
    assert stage.weights_at(2) == LossWeights() and stage.weights_at(6) == LossWeights(0.3, 0.1)
    assert [stage.rate_at(done) for done in (0, 1.8, 6)] == pytest.approx([3e-4, 3e-3, 0], abs=1e-12)


@pytest.mark.parametrize("wrong, says", [
    ({"epochs": 0}, "positive"), ({"learning_rate": 0.0}, "positive"), ({"schedule": "cosine"}, "one-cycle"), ({"ramp": (1, 0.3)}, "rising"),
    ({"schedule": "cycle", "peak_rate": 5e-5}, "rise_epochs"), ({"schedule": "one-cycle"}, "peak"),
    ({"beta": -1.0}, "not negative"), ({"stages": (Stage(1, 1e-3, l1=0.1),)}, "set them to 0"), ({"beta": None}, "without beta")])
def test_impossible_stages_and_recipes_are_refused(wrong, says):
    with pytest.raises(ValueError, match=says):
        replace(RECIPES["beta-vae"] if {"beta", "stages"} & set(wrong) else Stage(1, 3e-5, l1=0.0), **wrong)
