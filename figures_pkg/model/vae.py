"""The variational autoencoder of Supplementary Fig. 1: the same body with a sampled embedding."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from .autoencoder import Autoencoder, Encoder, NetworkConfig
from .losses import working_precision


class VariationalLosses(NamedTuple):
    """The total and its terms, scalar tensors; the divergence is weighted."""

    total: Tensor
    reconstruction: Tensor
    kl: Tensor


class VariationalEncoder(Encoder):
    """Patterns to the mean and the log-variance of the embedding, two linear layers behind the ReLU of the body."""

    def __init__(self, config: NetworkConfig):
        super().__init__(config)
        self.set_mean = nn.Linear(config.channels, config.channels)
        self.set_std = nn.Linear(config.channels, config.channels)  # gives the log-variance, in spite of its published name

    def forward(self, patterns: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Patterns (n, height, width) to mean and log-variance, (n, channels) each."""
        selection = super().forward(patterns)
        return self.set_mean(selection), self.set_std(selection)


class BetaVAE(Autoencoder):
    """
    The β-VAE beside the autoencoder; its embedding has both signs and no incentive to be sparse.

    Parameters are those of :class:`Autoencoder`; the paper's sizes give 4,702,882 parameters.
    """

    encoder = VariationalEncoder
    parameters_of_paper = 4_702_882

    def encode(self, patterns: Tensor) -> Tensor:
        """
        The mean of the embedding of patterns (n, height, width): (n, channels), of both signs.

        The published code returns a random draw here, so its embeddings change from call to call; the mean does not.
        """
        self._check_patterns(patterns)
        return self.enc(patterns)[0]

    def forward(self, patterns: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """
        Reconstruction (n, height, width) from a draw of the embedding, and the embedding's mean and log-variance (n, channels).

        ``noise`` (n, channels), standard normal numbers, makes the draw; by default it comes from PyTorch's global state. With
        zeros the reconstruction is that of the mean.
        """
        self._check_patterns(patterns)
        mean, log_variance = self.enc(patterns)
        noise = torch.randn_like(mean) if noise is None else noise
        return self.decode(mean + torch.exp(0.5 * log_variance) * noise), mean, log_variance


def gaussian_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """
    Kullback-Leibler divergence of independent normal distributions from the standard normal one, in nats, (n,), not negative.

    ½ Σ_j (μ_j² + σ_j² − 1 − ln σ_j²) over the channels; zero where every channel has mean 0 and variance 1, that is where
    the embedding tells nothing about the pattern. D. P. Kingma, M. Welling, arXiv:1312.6114, appendix B.
    """
    mean, log_variance = working_precision(mean), working_precision(log_variance)
    return 0.5 * (mean.square() + torch.expm1(log_variance) - log_variance).sum(1)


def variational_loss(reconstruction: Tensor, patterns: Tensor, mean: Tensor, log_variance: Tensor,
                     beta: float) -> VariationalLosses:
    """
    Mean squared error of the reconstruction plus β times the divergence of the embedding.

    The error is the mean over pixels and patterns, as for the autoencoder; the divergence is summed over channels and
    averaged over patterns. How the published code divides its divergence is not on record, so this choice is ours. In units
    of the usual objective, which sums ½ of the squared error over the P pixels, our β is 2/P times the usual one: 0.03 at
    32 × 32 px is 15 there. C. P. Burgess et al., Understanding disentangling in β-VAE, arXiv:1804.03599 (reference 39 of the paper).
    """
    if reconstruction.shape != patterns.shape or mean.shape != log_variance.shape or len(mean) != len(patterns):
        shapes = ", ".join(str(tuple(t.shape)) for t in (reconstruction, patterns, mean, log_variance))
        raise ValueError(f"reconstruction, patterns, mean and log-variance have shapes {shapes}; "
                         "expected (n, h, w) and (n, channels), twice each")  # fmt: skip
    error = working_precision(reconstruction).sub(patterns).square().mean()
    kl = beta * gaussian_divergence(mean, log_variance).mean()
    return VariationalLosses(error + kl, error, kl)
