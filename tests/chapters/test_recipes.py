"""Variants differ from their recipe in what their name says, and keep their sources complete."""

from dataclasses import fields, replace

from figures_pkg.chapters.recipes import variants_of
from figures_pkg.model.recipes import recipe_called, whitened

BASE = recipe_called("laptop")
TOUCHED = {  # fields of the recipe that a change may touch
    "as it is": set(), "logarithm": {"transform"}, "logarithm, L1 1e-05": {"transform", "stages"},
    "whitened, 4": {"transform", "components"}, "whitened, 4, L1 rising to 0.3": {"transform", "components", "stages"},
    "whitened, 8": {"transform", "components"}, "harsh L1": {"stages"}, "twice the epochs": {"stages"},
}  # fmt: skip


def test_a_variant_changes_what_it_says():
    """All other fields are the recipe's own, the network and the name among them; twice the epochs is twice."""
    variants = variants_of(BASE)
    for change, variant in variants.items():
        differing = {f.name for f in fields(BASE) if f.compare and getattr(variant, f.name) != getattr(BASE, f.name)}
        assert differing == TOUCHED[change], change
    assert set(variants) == set(TOUCHED) and variants["twice the epochs"].epochs == 2 * BASE.epochs


def test_whitening_keeps_epochs_and_schedule():
    """Equal strength of the components changes the L1 weight and its rise, no more."""
    stage, other = BASE.stages[0], whitened(BASE, 4).stages[0]
    assert replace(other, l1=stage.l1, ramp=stage.ramp) == stage and other.ramp and "components" in whitened(BASE, 4).sources
