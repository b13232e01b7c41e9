"""An upsampling and the three convolutions behind it with their sums over filters done before the upsampling, exactly.

Bilinear upsampling and convolutions are linear, and nothing nonlinear lies between them in the decoder. So the three are
one 7 x 7 convolution away from the border; and as each of its 49 taps mixes filters and then shifts, while upsampling treats
every filter for itself, the mixing may come first: on 64 x 64 px instead of 256 x 256, a sixteenth of the work for each tap.
What remains are products with narrow bands of the upsampling matrix, along x and then along y. At the paper's sizes this is a
fifth of the operations. Zero padding between the convolutions makes the outermost three lines different; those are computed
by the convolutions themselves, as in :mod:`figures_pkg.model.stem`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .stem import RING, Convolutions, compose, with_border

FORMS = ("auto", "plain", "raised")
LEAST_FILTERS, LEAST_SIDE = 64, 128  # measured on a CPU: below either, the products are too small to save time
BAND = 32  # lines of the result that are made at once: narrow bands waste little, wide ones make large products


def apply_raised(upsample: nn.Upsample, convolutions: Convolutions, images: Tensor, form: str = "auto") -> tuple[Tensor, Tensor]:
    """
    Upsampled images, and the three convolutions of a block on top of them.

    Parameters
    ----------
    upsample
        Bilinear with ``align_corners``.
    convolutions
        The three of the block.
    images
        (n, filters, side, side).
    form
        "plain" applies one after the other, "raised" mixes before it upsamples, "auto" chooses the faster.
        Values and gradients are the same but for rounding.

    Returns
    -------
    start, convolved
        (n, filters, scale * side, scale * side) each: what the upsampling gives, and the third convolution.

    Raises
    ------
    ValueError
        For another form, or results too small to have a border of their own.
    """
    if form not in FORMS:
        raise ValueError(f"tail_form={form!r}; expected one of {', '.join(FORMS)}")
    start = upsample(images) if form == "plain" else upsampled(upsample, images)
    if form == "raised" or (form == "auto" and pays(images.shape[1], start.shape[-1], images.device)):
        return _raised(start, convolutions, images)
    convolved = start
    for convolution in convolutions:
        convolved = convolution(convolved)
    return start, convolved


def upsampled(upsample: nn.Upsample, images: Tensor) -> Tensor:
    """
    Bilinear upsampling; on a GPU as two products with a matrix, since PyTorch's own kernel has no repeatable gradient there.

    The result of the products lies in memory with the filters last, as convolutions on a GPU want it.
    """
    return upsampled_by_products(images, int(upsample.scale_factor)) if images.device.type == "cuda" else upsample(images)


def upsampled_by_products(images: Tensor, scale: int) -> Tensor:
    """Images (n, filters, side, side) to (n, filters, scale * side, scale * side)."""
    side = images.shape[-1]
    places = torch.arange(scale * side, device=images.device, dtype=torch.float64) * ((side - 1) / (scale * side - 1))
    shares = (1 - (places[:, None] - torch.arange(side, device=images.device)).abs()).clamp(min=0).to(images)  # (large, side)
    rows = shares @ images.permute(0, 2, 3, 1).flatten(2)  # (n, large, side * filters)
    return (shares @ rows.unflatten(2, (side, -1))).permute(0, 3, 1, 2)  # (n, filters, large, large)


def pays(filters: int, side: int, device: torch.device) -> bool:
    """Whether mixing first is the faster way to results of ``side`` px; not on a GPU, where the products are many and small."""
    return device.type == "cpu" and filters >= LEAST_FILTERS and side >= LEAST_SIDE


def _raised(start: Tensor, convolutions: Convolutions, images: Tensor) -> tuple[Tensor, Tensor]:
    """``start``, and the third convolution's output from what goes into the upsampling; the border from what comes out of it."""
    side = start.shape[-1]
    if side <= 2 * RING:
        raise ValueError(f"results of {side} px are too small to mix before the upsampling; use tail_form='plain'")
    kernel, bias = compose(convolutions[0], convolutions[1:])
    if torch.is_autocast_enabled(images.device.type):
        kernel, images = (values.to(torch.get_autocast_dtype(images.device.type)) for values in (kernel, images))
    inner = _MixThenUpsample.apply(images, kernel, side)
    return with_border(inner + bias.to(inner)[:, None, None], start, convolutions)


class _Band(NamedTuple):
    """Some lines of the result, the (line, tap) pairs of the input they need, and the weights between them."""

    lines: slice
    pairs: slice
    weights: Tensor  # (lines, pairs)


def _bands(small: int, large: int, taps: int, like: Tensor) -> list[_Band]:
    """Upsampling from ``small`` to ``large`` lines with the sum over ``taps`` shifted lines, cut into bands of the result."""
    whole = F.interpolate(torch.eye(small, dtype=torch.float64)[None], size=large, mode="linear", align_corners=True)[0].T
    found = []
    for first in range(0, large - taps + 1, BAND):
        last = min(first + BAND, large - taps + 1)
        used = whole[first:last + taps - 1].ne(0).any(0).nonzero().flatten()
        low, high = int(used[0]), int(used[-1]) + 1
        weights = torch.stack([whole[first + tap:last + tap, low:high] for tap in range(taps)], dim=2).flatten(1)
        found.append(_Band(slice(first, last), slice(low * taps, high * taps), weights.to(like)))
    return found


class _MixThenUpsample(torch.autograd.Function):
    """
    A convolution without padding of images that are first upsampled to ``size`` px.

    Written out with its gradient, since the bands overlap and are added in place; nothing of full size is kept for the
    gradient. Lines of x are named r, columns s, the tap's row t and column u, so that each product below is one matrix.
    """

    @staticmethod
    def forward(ctx, images: Tensor, kernel: Tensor, size: int) -> Tensor:
        """Images (n, filters, side, side) and kernel (out, filters, taps, taps) to (n, out, size - taps + 1, same)."""
        taps = kernel.shape[-1]
        rows = kernel.permute(3, 2, 0, 1).flatten(0, 2)  # (u t out, filters)
        columns = images.permute(0, 3, 1, 2).contiguous()  # (n, s, filters, r)
        ctx.save_for_backward(rows, columns)
        ctx.sizes = len(kernel), taps, size
        side, inner = images.shape[-1], size - taps + 1
        bands = _bands(side, size, taps, images)
        result = images.new_empty(len(images), inner, len(kernel), inner)  # (n, y, out, x)
        mixed, wide = images.new_empty(side, len(rows), side), images.new_empty(taps * len(kernel) * side, inner)
        for one, into in zip(columns, result):
            for values, place in zip(one, mixed):
                torch.mm(rows, values, out=place)
            flat = mixed.view(side * taps, -1)  # (s u, t out r)
            for band in bands:
                wide[:, band.lines] = flat[band.pairs].T @ band.weights.T
            turned = wide.view(taps, -1, side, inner).permute(2, 0, 1, 3).reshape(side * taps, -1)  # (r t, out x)
            for band in bands:
                torch.mm(band.weights, turned[band.pairs], out=into[band.lines].flatten(1))
        return result.transpose(1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        """The same products transposed, in the opposite order."""
        rows, columns = ctx.saved_tensors
        out, taps, size = ctx.sizes
        side = columns.shape[-1]
        bands = _bands(side, size, taps, rows)
        of_columns = torch.empty_like(columns)
        of_rows = torch.zeros_like(rows, dtype=torch.promote_types(rows.dtype, torch.float32))  # a sum of very many
        for one, into, values in zip(gradient.transpose(1, 2).contiguous(), of_columns, columns):
            mixed = _lowered(one, bands, out, taps, side)
            for number in range(side):
                torch.mm(rows.T, mixed[number], out=into[number])
                of_rows += mixed[number] @ values[number].T
        of_kernel = of_rows.to(rows).unflatten(0, (taps, taps, out)).permute(2, 3, 1, 0)
        return of_columns.permute(0, 2, 3, 1), of_kernel, None


def _lowered(gradient: Tensor, bands: list[_Band], out: int, taps: int, side: int) -> Tensor:
    """The gradient (y, out, x) of one image, brought down to the columns s of the input: (s, u t out, r)."""
    turned = gradient.new_zeros(side * taps, out * gradient.shape[-1])  # (r t, out x)
    for band in bands:
        turned[band.pairs].addmm_(band.weights.T, gradient[band.lines].flatten(1))
    wide = turned.view(side, taps, out, -1).permute(1, 2, 0, 3).flatten(0, 2)  # (t out r, x)
    mixed = gradient.new_zeros(side * taps, len(wide))  # (s u, t out r)
    for band in bands:
        mixed[band.pairs].addmm_(band.weights.T, wide[:, band.lines].T)
    return mixed.view(side, -1, side)
