"""Variants differ from their recipe in what their name says, and keep their sources complete."""

from dataclasses import fields, replace

import pytest

from figures_pkg.chapters.recipes import variants_of
from figures_pkg.model.recipes import RECIPES, recipe_called, whitened

BASE = recipe_called("laptop")
TOUCHED = {  # fields of the recipe that a change may touch
    "as it is": set(), "logarithm": {"transform"}, "logarithm, L1 1e-05": {"transform", "stages"},
    "whitened, 4": {"transform", "components"}, "whitened, 4, L1 rising to 0.3": {"transform", "components", "stages"},
    "whitened, 8": {"transform", "components"}, "harsh L1": {"stages"}, "twice the epochs": {"stages"},
}  # fmt: skip


@pytest.mark.parametrize("change", TOUCHED)
def test_a_variant_changes_what_it_says(change):
    """All other fields are the recipe's own, the network and the name among them."""
    variant = variants_of(BASE)[change]
    differing = {f.name for f in fields(BASE) if f.compare and getattr(variant, f.name) != getattr(BASE, f.name)}
    assert differing == TOUCHED[change]


def test_all_variants_are_listed():
    """No variant escapes the test above."""
    assert set(variants_of(BASE)) == set(TOUCHED)


def test_whitening_keeps_epochs_and_schedule():
    """Equal strength of the components changes the L1 weight and its rise, no more."""
    stage, other = BASE.stages[0], whitened(BASE, 4).stages[0]
    assert replace(other, l1=stage.l1, ramp=stage.ramp) == stage and other.ramp and "components" in whitened(BASE, 4).sources


def test_twice_the_epochs_is_twice():
    """The only number that changes is that of the epochs."""
    assert variants_of(BASE)["twice the epochs"].epochs == 2 * BASE.epochs


def test_recipes_of_several_stages_are_refused():
    """The paper's vortex has two stages; the message says how many."""
    with pytest.raises(ValueError, match="2 stages"):
        variants_of(RECIPES["vortex"])
