"""Patterns that a decoder draws, brought back to counts."""

from __future__ import annotations

import numpy as np
import torch

from .autoencoder import Autoencoder


def decoded_counts(net: Autoencoder, embedding: np.ndarray) -> np.ndarray:
    """
    Patterns that the decoder draws, in counts.

    Parameters
    ----------
    net
        From :func:`figures_pkg.model.load_checkpoint`, with the transform it was trained on.
    embedding
        (n, channels).

    Returns
    -------
    numpy.ndarray
        float32 (n, height, width), counts of binned pixels.
    """
    if getattr(net, "transform", None) is None:
        raise ValueError("the network carries no input transform, so its output cannot be brought back to counts; train it again")
    device = next(net.parameters()).device
    with torch.inference_mode():
        drawn = net.decode(torch.as_tensor(np.asarray(embedding), dtype=torch.float32, device=device))
    return net.transform.inverse(drawn.float().cpu().numpy())
