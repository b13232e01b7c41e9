"""Recipes: what a training does, from the transform of the counts to the last epoch; the paper's three, and ours beside them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from .config import NetworkConfig
from .losses import LossWeights

PAPER = "paper, Methods, doi 10.1038/s41524-024-01265-y"
PUBLISHED_NOTEBOOK = "published notebook; the paper does not say"
SCHEDULES = ("constant", "cycle", "one-cycle")


@dataclass(frozen=True)
class Stage:
    """
    A number of epochs with one set of weights and one schedule of the learning rate.

    Raises
    ------
    ValueError
        For a number that cannot be meant: no epoch, a rate that is not positive, an unknown schedule, a ramp outside 0 to 1.
    """

    epochs: int
    learning_rate: float  # of Adam; of a cycle its low end
    l1: float  # λ_act at the end of the stage
    similarity: float = 0.0  # λ_sim
    divergence: float = 0.0  # λ_div
    schedule: str = "constant"  # "cycle": by epoch, linear, up and down; "one-cycle": by step, cosines, up to a peak and to 0
    peak_rate: float | None = None  # of both cycles
    rise_epochs: int = 0  # of "cycle": this many up, as many down, and again
    ramp: tuple[float, float] | None = None  # shares of the stage between which all λ rise linearly from 0; None: constant

    def __post_init__(self) -> None:
        """Refuse what would fail epochs later."""
        if self.epochs < 1 or not self.learning_rate > 0:
            raise ValueError(f"a stage of {self.epochs} epochs at a rate of {self.learning_rate}; both must be positive")
        if self.schedule not in SCHEDULES:
            raise ValueError(f"schedule={self.schedule!r}; it must be one of {', '.join(SCHEDULES)}")
        if self.schedule != "constant" and not (self.peak_rate and self.peak_rate >= self.learning_rate):
            raise ValueError(f"schedule={self.schedule!r} with peak_rate={self.peak_rate}; give a peak above {self.learning_rate}")
        if self.schedule == "cycle" and self.rise_epochs < 1:
            raise ValueError("a cycle needs rise_epochs, the number of epochs up (and down)")
        if self.ramp and not 0 <= self.ramp[0] < self.ramp[1] <= 1:
            raise ValueError(f"ramp={self.ramp}; expected two rising shares of the stage, for instance (0.3, 1)")

    def rate_at(self, epochs_done: float) -> float:
        """
        Learning rate after a number of epochs of this stage, with its fraction.

        Examples
        --------
        >>> stage = Stage(60, 3e-5, 5e-4, schedule="cycle", peak_rate=5e-5, rise_epochs=15)
        >>> [round(1e5 * stage.rate_at(epochs), 2) for epochs in (0, 7.9, 15, 30, 45)]
        [3.0, 3.93, 5.0, 3.0, 5.0]
        """
        if self.schedule == "cycle":
            place = math.floor(epochs_done) % (2 * self.rise_epochs)
            share = 1 - abs(place / self.rise_epochs - 1)
            return self.learning_rate + share * (self.peak_rate - self.learning_rate)
        if self.schedule == "one-cycle":
            return _one_cycle(epochs_done / self.epochs, self.learning_rate, self.peak_rate)
        return self.learning_rate

    def weights_at(self, epochs_done: float) -> LossWeights:
        """
        Weights of the loss after a number of epochs of this stage, with its fraction.

        Examples
        --------
        >>> stage = Stage(4, 1e-3, l1=0.3, ramp=(0.5, 1))
        >>> [round(stage.weights_at(epochs).l1, 3) for epochs in (1, 2, 3, 4)]
        [0.0, 0.0, 0.15, 0.3]
        """
        first, last = self.ramp or (-1, 0)
        share = min(1.0, max(0.0, (epochs_done / self.epochs - first) / (last - first)))
        return LossWeights(share * self.l1, share * self.similarity, share * self.divergence)


def _one_cycle(share: float, start: float, peak: float, rise: float = 0.3) -> float:
    """Half a cosine up in the first part, half a cosine down to zero in the rest."""
    if share < rise:
        return start + (peak - start) * (1 - math.cos(math.pi * share / rise)) / 2
    return peak * (1 + math.cos(math.pi * (min(share, 1.0) - rise) / (1 - rise))) / 2


@dataclass(frozen=True)
class Recipe:
    """
    All that decides the result of a training, the data and the seed excepted.

    ``sources`` says where each number comes from, field by field; tests hold every recipe to having one for each.
    """

    name: str
    title: str
    network: NetworkConfig
    stages: tuple[Stage, ...]
    transform: str  # of the counts, one of transform.TRANSFORMS
    batch_size: int
    components: int | None = None  # of the whitening, at most
    start_bias: float | None = None  # of the embedding layer, before the first step; None leaves PyTorch's draw
    convention: str = "book"  # of the losses, see losses.py
    precision: str = "auto"  # bf16 where it pays, see train.py; or a name that Lightning Fabric knows
    sources: dict[str, str] = field(default_factory=dict, hash=False, compare=False)

    @property
    def epochs(self) -> int:
        """Epochs of all stages."""
        return sum(stage.epochs for stage in self.stages)

    def stage_at(self, epochs_done: float) -> tuple[Stage, float]:
        """The stage in which the training is, and the epochs done in it."""
        for stage in self.stages[:-1]:
            if epochs_done < stage.epochs:
                return stage, epochs_done
            epochs_done -= stage.epochs
        return self.stages[-1], epochs_done


def _paper(name: str, title: str, stages: tuple[Stage, ...], **sources: str) -> Recipe:
    """One of the paper's recipes: the full network on the logarithm of the counts."""
    common = {
        "network": f"{PAPER}: 4,700,770 parameters; sizes of Fig. 3",
        "transform": f"{PAPER}: 'the log of the raw 4D-STEM data'; ln(1 + N) in float32",
        "batch_size": f"{PUBLISHED_NOTEBOOK}",
        "start_bias": "PyTorch's own, as in the published code",
        "precision": "the paper does not say; 32 bits",
        "convention": "the sign of the divergence that does what the paper says of it, see losses.py",
        "stages.learning_rate": f"{PAPER}: ADAM, 3e-5",
        "stages.l1": f"{PAPER}: λ_act",
    }
    return Recipe(name, title, NetworkConfig(), stages, "log", 256, precision="32-true", sources=common | sources)


PAPER_RECIPES = (
    _paper(
        "domains",
        "The paper's domains and wall of the first scan (Fig. 5a, b)",
        (Stage(377, 3e-5, l1=1e-5),),
        **{"stages.epochs": f"{PAPER}: 377; the published notebook says 225, the name of the published weights 377"},
    ),
    _paper(
        "vortex",
        "The paper's vortex (Fig. 5c)",
        (Stage(225, 3e-5, l1=1e-5), Stage(60, 3e-5, l1=5e-4, schedule="cycle", peak_rate=5e-5, rise_epochs=15)),
        **{
            "stages.epochs": f"{PAPER}: 225, then 60; the name of the published weights says 286 together",
            "stages.schedule": f"{PAPER}: from 3e-5 to 5e-5 in 15 epochs and back in 15",
            "stages.l1": f"{PAPER}: λ_act 1e-5, then 5e-4",
        },
    ),
    _paper(
        "walls",
        "The paper's charged walls of the vortex (Fig. 5e, f)",
        (Stage(18, 3e-5, l1=5e-3, similarity=5e-5, divergence=2e-4),),
        **{
            "stages.epochs": f"{PAPER}: 18",
            "stages.learning_rate": f"{PAPER}: 3e-5; the name of the published weights says 9e-5",
            "stages.similarity": f"{PAPER}: λ_sim 5e-5",
            "stages.divergence": f"{PAPER}: λ_div 2e-4; the name of the published weights says 7e-4",
        },
    ),
)

OURS = "this book"
SMALL = NetworkConfig(pattern=32, filters=8, pools=(2, 2), channels=12)
QUICK = Stage(1, 3e-4, l1=0.3, schedule="one-cycle", peak_rate=3e-3, ramp=(1 / 3, 1))


def _ours(name: str, title: str, epochs: int, network: NetworkConfig = SMALL, **sources: str) -> Recipe:
    """One of our recipes: whitened input, weights that rise from zero, an early end."""
    common = {
        "network": f"{OURS}: the paper's body on patterns binned to 32 x 32, so that a laptop trains it in a minute",
        "transform": f"{OURS}: even noise, mean subtracted, few components of equal weight; decides more than all else",
        "components": f"{OURS}: 4, found with the truth of two simulated scans; with 8 weak terms of bend drown the polarization",
        "batch_size": f"{OURS}: many steps in few epochs",
        "start_bias": f"{OURS}: channels start above zero, so that none is dead from the first step",
        "precision": f"{OURS}: bf16 where it pays",
        "convention": f"{OURS}: see losses.py",
        "stages.epochs": f"{OURS}: some 150 to 300 steps; the channels mix again when the training goes on",
        "stages.learning_rate": f"{OURS}: Adam; a hundred times the paper's, for a fraction of its steps",
        "stages.schedule": f"{OURS}: up and down once, so that the steps are small at the end",
        "stages.l1": f"{OURS}: on input of unit variance; rises from zero, since a constant high weight kills the channels",
    }
    stages = (replace(QUICK, epochs=epochs),)
    return Recipe(name, title, network, stages, "anscombe-whitened", 32, components=4, start_bias=0.3, sources=common | sources)


OUR_RECIPES = (
    _ours("smoke", "Ours, seconds on the coarse scan", 2),
    _ours("laptop", "Ours, half a minute on the middle scan", 1),
    _ours("recommended", "Ours with twice the filters, for a full scan", 1, replace(SMALL, filters=16)),
)
PROFILE_RECIPES = {"smoke": "smoke", "laptop": "laptop", "paper": "recommended"}  # what a profile trains unless told otherwise
RECIPES = {recipe.name: recipe for recipe in (*PAPER_RECIPES, *OUR_RECIPES)}


def recipe_called(name: str) -> Recipe:
    """A recipe by its name; an unknown one raises with those there are."""
    if name not in RECIPES:
        raise ValueError(f"no recipe is called {name!r}; there are: {', '.join(RECIPES)}")
    return RECIPES[name]
