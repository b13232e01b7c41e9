"""What a recipe of a training is made of: stages with rates and weights, and all else that decides the result."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from .config import NetworkConfig
from .loss_conventions import LossWeights

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
    beta: float | None = None  # of a β-VAE, weight of its divergence (see vae.variational_loss); None trains the autoencoder
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
