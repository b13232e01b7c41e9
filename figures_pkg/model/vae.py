"""The variational autoencoder of Supplementary Fig. 1: the same body with a sampled embedding."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .autoencoder import Autoencoder, Encoder
from .config import NetworkConfig


class VariationalEncoder(Encoder):
    """Patterns to the mean and the log-variance of the embedding, two linear layers behind the ReLU of the body."""

    def __init__(self, config: NetworkConfig):
        super().__init__(config)
        self.set_mean = nn.Linear(config.channels, config.channels)
        self.set_std = nn.Linear(config.channels, config.channels)  # gives the log-variance, in spite of its published name

    def forward(self, patterns: Tensor) -> tuple[Tensor, Tensor]:
        """Patterns (n, height, width) to mean and log-variance, (n, channels) each."""
        selection = super().forward(patterns)
        return self.set_mean(selection), self.set_std(selection)


class BetaVAE(Autoencoder):
    """
    The β-VAE beside the autoencoder; its embedding has both signs and no incentive to be sparse.

    Parameters are those of :class:`Autoencoder`; the paper's sizes give 4,702,882 parameters.

    Examples
    --------
    >>> net = BetaVAE(NetworkConfig(pattern=32, filters=4, pools=(2, 2), channels=3), seed=0)
    >>> reconstruction, mean, log_variance = net(torch.zeros(5, 32, 32), generator=torch.Generator().manual_seed(1))
    >>> tuple(reconstruction.shape), tuple(mean.shape), tuple(log_variance.shape)
    ((5, 32, 32), (5, 3), (5, 3))
    """

    encoder = VariationalEncoder
    parameters_of_paper = 4_702_882

    def encode(self, patterns: Tensor) -> Tensor:
        """
        The mean of the embedding of patterns.

        The published code returns a random draw here, so its embeddings change from call to call; the mean does not.

        Parameters
        ----------
        patterns
            (n, height, width), transformed as in training.

        Returns
        -------
        Tensor
            (n, channels), of both signs.
        """
        self._check_patterns(patterns)
        return self.enc(patterns)[0]

    def forward(self, patterns: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """
        Reconstruct patterns from a draw of their embedding.

        Parameters
        ----------
        patterns
            (n, height, width).
        generator
            Where the draw comes from; PyTorch's global state by default.

        Returns
        -------
        reconstruction, mean, log_variance
            (n, height, width), (n, channels), (n, channels).
        """
        self._check_patterns(patterns)
        mean, log_variance = self.enc(patterns)
        noise = torch.empty_like(mean).normal_(generator=generator)
        return self.decode(mean + torch.exp(0.5 * log_variance) * noise), mean, log_variance
