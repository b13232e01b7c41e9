"""What the chapter on recipes alone needs: recipes that differ in a single choice, to see what each choice is worth."""

from __future__ import annotations

from dataclasses import replace

from figures_pkg.model.recipes import Recipe, whitened

HARSH_L1 = 3.0  # from the first step; the error of the reconstruction ends at 1.5 to 2, most of it noise
LOG_L1 = 1e-5  # contrasts of the logarithm are many times smaller, so its weight is the paper's


def variants_of(recipe: Recipe) -> dict[str, Recipe]:
    """
    A recipe of a single stage, "as it is" first, and others that differ in what their name says, most of them in one choice only.

    The transform is changed once alone and once together with the weight of L1 that it is usually given: a weight that is small beside the contrasts
    of one input may be large beside those of another, and a row must say which of the two it shows.
    """
    (stage,), rising = recipe.stages, whitened(recipe, 4)
    logarithm = replace(recipe, transform="log-centred")
    return {
        "as it is": recipe,
        "logarithm": logarithm,
        f"logarithm, L1 {LOG_L1:g}": replace(logarithm, stages=(replace(stage, l1=LOG_L1),)),
        "whitened, 4": _with_stages_of(recipe, rising),
        f"whitened, 4, L1 rising to {rising.stages[0].l1:g}": rising,
        "whitened, 8": _with_stages_of(recipe, whitened(recipe, 8)),
        "harsh L1": replace(recipe, stages=(replace(stage, l1=HARSH_L1, ramp=None),)),
        "twice the epochs": replace(recipe, stages=(replace(stage, epochs=2 * stage.epochs),)),
    }


def _with_stages_of(recipe: Recipe, changed: Recipe) -> Recipe:
    kept = {name: text for name, text in recipe.sources.items() if name.startswith("stages.")}
    return replace(changed, stages=recipe.stages, sources=changed.sources | kept)
