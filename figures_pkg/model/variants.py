"""Recipes that differ from one in a single choice, to see what each choice is worth."""

from __future__ import annotations

from dataclasses import replace

from .recipe import Recipe
from .recipes import whitened

HARSH_L1 = 3.0  # from the first step; the error of the reconstruction ends at 1.5 to 2, most of it noise
LOG_L1 = 1e-5  # contrasts of the logarithm are many times smaller, so its weight is the paper's


def variants_of(recipe: Recipe) -> dict[str, Recipe]:
    """
    A recipe and others one choice away from it, by what was changed.

    Parameters
    ----------
    recipe
        One of ours, with a single stage: centred patterns, a constant and small L1 weight.

    Returns
    -------
    dict
        "as it is" first. Names of the recipes are kept, so do not save two of them under one name.

    Raises
    ------
    ValueError
        For a recipe with several stages, whose change would not be a single one.

    Examples
    --------
    >>> from figures_pkg.model.recipes import recipe_called
    >>> list(variants_of(recipe_called("laptop")))[:2]
    ['as it is', 'logarithm']
    """
    if len(recipe.stages) != 1:
        raise ValueError(f"recipe {recipe.name!r} has {len(recipe.stages)} stages; variants are made of a recipe with one")
    stage = recipe.stages[0]
    return {
        "as it is": recipe,
        "logarithm": replace(recipe, transform="log-centred", stages=(replace(stage, l1=LOG_L1),)),
        "whitened, 4": whitened(recipe, 4),
        "whitened, 8": whitened(recipe, 8),
        "harsh L1": replace(recipe, stages=(replace(stage, l1=HARSH_L1, ramp=None),)),
        "twice the epochs": replace(recipe, stages=(replace(stage, epochs=2 * stage.epochs),)),
    }
