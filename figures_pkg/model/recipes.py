"""Recipes: what a training does, from the transform of the counts to the last epoch; the paper's three, and ours beside them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from .autoencoder import NetworkConfig
from .losses import LossWeights

SCHEDULES = ("constant", "cycle", "one-cycle")


@dataclass(frozen=True)
class Stage:
    """A number of epochs with one set of weights and one schedule of the learning rate; numbers that cannot be meant are a ValueError."""

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
        """Learning rate after a number of epochs of this stage, with its fraction."""
        peak_rate = self.peak_rate or self.learning_rate
        if self.schedule == "cycle":
            place = math.floor(epochs_done) % (2 * self.rise_epochs)
            share = 1 - abs(place / self.rise_epochs - 1)
            return self.learning_rate + share * (peak_rate - self.learning_rate)
        if self.schedule == "one-cycle":  # half a cosine up in the first 30 %, half a cosine down to zero in the rest
            share = epochs_done / self.epochs
            if share < 0.3:
                return self.learning_rate + (peak_rate - self.learning_rate) * (1 - math.cos(math.pi * share / 0.3)) / 2
            return peak_rate * (1 + math.cos(math.pi * (min(share, 1.0) - 0.3) / (1 - 0.3))) / 2
        return self.learning_rate

    def weights_at(self, epochs_done: float) -> LossWeights:
        """Weights of the loss after a number of epochs of this stage, with its fraction."""
        first, last = self.ramp or (-1, 0)
        share = min(1.0, max(0.0, (epochs_done / self.epochs - first) / (last - first)))
        return LossWeights(share * self.l1, share * self.similarity, share * self.divergence)


@dataclass(frozen=True)
class Recipe:
    """All that decides the result of a training, the data and the seed excepted; ``sources`` says field by field where each number comes from."""

    name: str
    title: str
    network: NetworkConfig
    stages: tuple[Stage, ...]
    transform: str  # of the counts, one of transform.TRANSFORMS
    batch_size: int
    components: int | None = None  # of the whitening, at most
    beta: float | None = None  # of a β-VAE, weight of its divergence (see losses.variational_loss); None trains the autoencoder
    start_log_variance: float | None = None  # bias of a β-VAE's log-variance before the first step; None as for start_bias
    start_bias: float | None = None  # of the embedding layer, before the first step; None leaves PyTorch's draw
    convention: str = "book"  # of the losses, see losses.py
    precision: str = "auto"  # bf16 where it pays, see train.py; or a name that Lightning Fabric knows
    sources: dict[str, str] = field(default_factory=dict, hash=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse a β that cannot be meant, and the autoencoder's terms beside one."""
        if self.beta is None:
            if self.start_log_variance is not None:
                raise ValueError(f"start_log_variance={self.start_log_variance} without beta; only a β-VAE has variances")
            return
        if not 0 <= self.beta < math.inf:
            raise ValueError(f"beta={self.beta}; expected a finite number, not negative, or None for the autoencoder")
        if any(stage.l1 or stage.similarity or stage.divergence for stage in self.stages):
            raise ValueError(f"beta={self.beta} beside weights of L1, similarity or divergence; those are for the non-negative "
                             "embedding of the autoencoder: set them to 0, or beta to None")  # fmt: skip

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


PAPER = "paper, Methods, doi 10.1038/s41524-024-01265-y"


def _paper(name: str, title: str, *stages: Stage, **stage_sources: str) -> Recipe:
    """One of the paper's recipes: the full network on the logarithm of the counts."""
    sources = {
        "network": f"{PAPER}: 4,700,770 parameters; sizes of Fig. 3",
        "transform": f"{PAPER}: 'the log of the raw 4D-STEM data'; ln(1 + N) in float32",
        "batch_size": "published notebook; the paper does not say",
        "start_bias": "PyTorch's own, as in the published code",
        "precision": "the paper does not say; 32 bits",
        "convention": "the sign of the divergence that does what the paper says of it, see losses.py",
        "stages.learning_rate": f"{PAPER}: ADAM, 3e-5",
        "stages.l1": f"{PAPER}: λ_act",
    } | {f"stages.{key}": source for key, source in stage_sources.items()}
    return Recipe(name, title, NetworkConfig(), stages, "log", 256, precision="32-true", sources=sources)


OURS = "this book"
SMALL = NetworkConfig(pattern=32, filters=8, pools=(2, 2), channels=12)
QUICK = Stage(1, 3e-4, l1=1e-3, schedule="one-cycle", peak_rate=3e-3)
RISING = replace(QUICK, l1=0.3, ramp=(1 / 3, 1))  # for whitened input


def _ours(name: str, title: str, epochs: int, network: NetworkConfig = SMALL) -> Recipe:
    """One of our recipes: even noise, the mean pattern subtracted, a few hundred steps."""
    sources = {
        "network": f"{OURS}: the paper's body on patterns binned to 32 x 32, so that a laptop trains it in a minute",
        "transform": f"{OURS}: even noise; without its mean, which few steps cannot learn; strong contrasts stay strong",
        "batch_size": f"{OURS}: many steps in few epochs",
        "start_bias": f"{OURS}: channels start above zero, so that none is dead from the first step",
        "precision": f"{OURS}: bf16 where it pays",
        "convention": f"{OURS}: see losses.py",
        "stages.epochs": f"{OURS}: some 150 to 300 steps, enough for the strong contrasts",
        "stages.learning_rate": f"{OURS}: Adam; a hundred times the paper's, for a fraction of its steps",
        "stages.schedule": f"{OURS}: up and down once, so that the steps are small at the end",
        "stages.l1": f"{OURS}: small beside the noise, whose variance is about 1 in each pixel: no channel dies of it",
    }
    stages = (replace(QUICK, epochs=epochs),)
    return Recipe(name, title, network, stages, "anscombe-centred", 32, start_bias=0.3, sources=sources)


def whitened(recipe: Recipe, components: int, stage: Stage = RISING, sources: Mapping[str, str] | None = None) -> Recipe:
    """The same recipe on a few components of equal strength, with weights that rise from zero over the same epochs."""
    common = {
        "transform": f"{OURS}: even noise, mean subtracted, few components of equal weight",
        "components": f"{OURS}: {components}; equal weight helps the weak contrasts, at the cost of the strong ones",
        "stages.l1": f"{OURS}: on input of unit variance; rises from zero, since a constant high weight kills the channels",
    }
    stages, both = (replace(stage, epochs=recipe.epochs),), recipe.sources | common | dict(sources or {})
    return replace(recipe, transform="anscombe-whitened", components=components, stages=stages, sources=both)


RECIPES = {recipe.name: recipe for recipe in (
    _paper("domains", "The paper's domains and wall of the first scan (Fig. 5a, b)", Stage(377, 3e-5, l1=1e-5),
           epochs=f"{PAPER}: 377; the published notebook says 225, the name of the published weights 377"),
    _paper("vortex", "The paper's vortex (Fig. 5c)", Stage(225, 3e-5, l1=1e-5),
           Stage(60, 3e-5, l1=5e-4, schedule="cycle", peak_rate=5e-5, rise_epochs=15),
           epochs=f"{PAPER}: 225, then 60; the name of the published weights says 286 together",
           schedule=f"{PAPER}: from 3e-5 to 5e-5 in 15 epochs and back in 15",
           l1=f"{PAPER}: λ_act 1e-5, then 5e-4"),
    _paper("walls", "The paper's charged walls of the vortex (Fig. 5e, f)", Stage(18, 3e-5, l1=5e-3, similarity=5e-5, divergence=2e-4),
           epochs=f"{PAPER}: 18",
           learning_rate=f"{PAPER}: 3e-5; the name of the published weights says 9e-5",
           similarity=f"{PAPER}: λ_sim 5e-5",
           divergence=f"{PAPER}: λ_div 2e-4; the name of the published weights says 7e-4"),
    _ours("smoke", "Ours, seconds on the coarse scan", 2),
    _ours("laptop", "Ours, half a minute on the middle scan", 1),
    _ours("recommended", "Ours with twice the filters, for a full scan", 1, replace(SMALL, filters=16)),
    whitened(_ours("small-walls", "Ours for the charged walls of the vortex", 2, replace(SMALL, filters=16)), 8,
             replace(RISING, similarity=0.01, divergence=0.01), {  # as the paper's third, all three terms from zero
        "network": f"{OURS}: twice the filters of the laptop's network",
        "components": f"{OURS}: 8; what walls add to a pattern lies in weaker components than the polarization",
        "stages.epochs": f"{OURS}: twice the domains', since the weights rise over a part of them only",
        "stages.similarity": f"{OURS}: half of L1 on batches of 32 parallel vectors of one unit of activity each",
        "stages.divergence": f"{OURS}: gives back a third of what L1 takes from a pattern with a single active channel",
    }),
    Recipe("small-paper", "The paper's choices on a small network", SMALL, (Stage(2, 1e-3, l1=1e-5),), "log-centred", 32, precision="32-true", sources={
        "network": f"{OURS}: the paper's body on patterns binned to 32 x 32",
        "transform": f"{PAPER}: the logarithm; {OURS}: its mean subtracted, the one deviation: a few hundred steps do not learn it",
        "batch_size": "default of the published code; the published notebook has 256, which makes few steps of a small scan",
        "start_bias": "PyTorch's own, as in the published code",
        "precision": "32 bits, as in the paper's recipes",
        "convention": "as in the paper's recipes",
        "stages.epochs": f"{OURS}: some 150 steps of a coarse scan, 600 of the middle one",
        "stages.learning_rate": f"{PAPER}: Adam; {OURS}: 1e-3 instead of 3e-5, for a fraction of its steps",
        "stages.l1": f"{PAPER}: λ_act 1e-5, from the first step to the last",
    }),
    whitened(_ours("small-whitened", "Ours on the input of the β-VAE, for as many steps (Supplementary Fig. 1)", 3), 4, RISING, {
        "stages.epochs": f"{OURS}: 3, as for the β-VAE",
    }),
    replace(whitened(_ours("beta-vae", "β-VAE of the laptop's sizes on whitened input (Supplementary Fig. 1)", 3), 4, replace(QUICK, l1=0.0), {
        "beta": f"{OURS}: 0.01; the published value is not on record; with 0.03 the embedding collapses for some seeds",
        "start_log_variance": f"{OURS}: -4, draws near their mean, else the decoder learns to do without the embedding first",
        "stages.epochs": f"{OURS}: 3, since the draws slow the training down; with 2, some seeds collapse on a coarse scan",
        "stages.l1": "none, as in a β-VAE; the divergence takes its place",
    }), beta=0.01, start_log_variance=-4.0),
)}  # fmt: skip


def recipe_called(name: str) -> Recipe:
    """A recipe by its name; an unknown one raises with those there are."""
    if name not in RECIPES:
        raise ValueError(f"no recipe is called {name!r}; there are: {', '.join(RECIPES)}")
    return RECIPES[name]


def with_network_sizes(recipe: Recipe, **sizes) -> Recipe:
    """A recipe for a network of other sizes, otherwise the same; ``sizes`` are fields of :class:`figures_pkg.model.autoencoder.NetworkConfig`."""
    chosen = ", ".join(f"{name} {value}" for name, value in sizes.items())
    return replace(recipe, network=replace(recipe.network, **sizes), sources=recipe.sources | {"network": f"chosen for this training: {chosen}"})
