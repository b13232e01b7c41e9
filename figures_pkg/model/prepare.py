"""The transform of the counts on the training device, batch by batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .transform import InputTransform


class Prepare(nn.Module):
    """
    The same as :meth:`figures_pkg.model.transform.InputTransform.apply` for counts that are binned already, in torch.

    Parameters
    ----------
    transform
        Of the scan; its binning is left to who reads the counts.
    """

    def __init__(self, transform: InputTransform):
        super().__init__()
        self.stabiliser = transform.stabiliser
        for name in ("mean", "components", "deviation"):
            values = getattr(transform, name)
            self.register_buffer(name, None if values is None else torch.from_numpy(values.copy()), persistent=False)

    @torch.no_grad()
    def forward(self, counts: Tensor) -> Tensor:
        """Counts (n, height, width) in float32 to the network's input of the same shape."""
        values = torch.log1p(counts) if self.stabiliser == "log" else 2 * torch.sqrt(counts + 0.375)
        values = values if self.mean is None else values - self.mean
        return values if self.components is None else self._whitened(values)

    def _whitened(self, values: Tensor) -> Tensor:
        """Projected on the components, each scaled to the same variance; mean square 1 per pixel over the scan."""
        basis = self.components.flatten(1)  # (components, pixels)
        unit = (basis.shape[1] / basis.shape[0]) ** 0.5
        return (values.flatten(1) @ basis.T / self.deviation * unit @ basis).view_as(values)
