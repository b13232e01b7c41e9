"""The linear head of the encoder as one 9 x 9 convolution, exactly.

The stem and the three convolutions of the first block have nothing nonlinear between them. Away from the border they are
one convolution from the pattern to all filters, 42 times cheaper at the paper's 128 filters than the three it replaces.
Zero padding between the convolutions makes the outermost three lines different; those are computed by the convolutions
themselves, on strips of six lines.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

RING = 3  # lines along each border that feel the zeros between the convolutions: one per convolution of the block
STRIP = 2 * RING  # lines of the stem's output that those depend on
SIDES = (1, 0), (0, 1)  # lines of zeros above and below a strip: outside of the image only
FORMS = ("auto", "plain", "collapsed")
LEAST_FILTERS, LEAST_SIDE = 16, 64  # measured on a CPU: below either, the strips cost what the collapse saves

Convolutions = tuple[nn.Conv2d, ...]


def apply_stem(stem: nn.Conv2d, convolutions: Convolutions, images: Tensor, form: str = "auto") -> tuple[Tensor, Tensor]:
    """
    The stem, and the three convolutions of the first block on top of it.

    Parameters
    ----------
    stem
        From one channel to all filters.
    convolutions
        The three of the first block.
    images
        (n, 1, height, width).
    form
        "plain" applies them one after the other, "collapsed" as one convolution and a border, "auto" chooses the faster.
        Values and gradients are the same but for rounding.

    Returns
    -------
    start, convolved
        (n, filters, height, width) each: the output of the stem, and of the third convolution.

    Raises
    ------
    ValueError
        For another form, or images too small to have a border of their own.
    """
    if form not in FORMS:
        raise ValueError(f"stem_form={form!r}; expected one of {', '.join(FORMS)}")
    if form == "collapsed" or (form == "auto" and pays(stem.out_channels, min(images.shape[2:]))):
        return collapsed(stem, convolutions, images)
    return plain(stem, convolutions, images)


def pays(filters: int, side: int) -> bool:
    """Whether the collapsed form is the faster one, for images of ``side`` px."""
    return filters >= LEAST_FILTERS and side >= LEAST_SIDE


def plain(stem: nn.Conv2d, convolutions: Convolutions, images: Tensor) -> tuple[Tensor, Tensor]:
    """Stem and convolutions one after the other; see :func:`apply_stem`."""
    start = convolved = stem(images)
    for convolution in convolutions:
        convolved = convolution(convolved)
    return start, convolved


def collapsed(stem: nn.Conv2d, convolutions: Convolutions, images: Tensor) -> tuple[Tensor, Tensor]:
    """Stem and convolutions as one, with the border put around it; see :func:`apply_stem`."""
    if min(images.shape[2:]) <= STRIP:
        raise ValueError(f"images of {tuple(images.shape[2:])} px are too small for the collapsed stem; use stem_form='plain'")
    start = stem(images)
    kernel, bias = compose(stem, convolutions)
    inner = F.conv2d(images, kernel, bias, padding=kernel.shape[-1] // 2 - RING)  # (n, filters, height - 6, width - 6)
    return with_border(inner, start, convolutions)


def compose(stem: nn.Conv2d, convolutions: Convolutions) -> tuple[Tensor, Tensor]:
    """
    Kernel (filters, 1, 9, 9) and bias (filters,) of the convolution that equals all four away from the border.

    Composed anew at every call, since the weights change at every step; differentiable; the cost does not depend on the
    number of images. Kept in the precision of the weights, whatever autocast says.
    """
    kernel, bias = stem.weight, stem.bias
    with torch.autocast(kernel.device.type, enabled=False):
        for convolution in convolutions:
            outer = convolution.weight  # (filters, filters, 3, 3)
            kernel = F.conv2d(kernel.transpose(0, 1), outer.flip(2, 3), padding=2).transpose(0, 1)  # 3 -> 5 -> 7 -> 9 px
            bias = outer.sum((2, 3)) @ bias + convolution.bias
    return kernel, bias


def with_border(inner: Tensor, start: Tensor, convolutions: Convolutions) -> tuple[Tensor, Tensor]:
    """``start`` itself, and ``inner`` framed by the outermost three lines on each side, computed from the stem's output."""
    by_hand = start.device.type == "cpu"  # elsewhere the compiler does as well
    start, *strips = _Strips.apply(start) if by_hand else (start, *_slices(start, STRIP))
    top, bottom = (_edge(strip, convolutions, zeros) for strip, zeros in zip(strips[:2], SIDES))  # (n, filters, 3, width)
    left, right = (_edge(strip.transpose(2, 3), convolutions, zeros, turned=True) for strip, zeros in zip(strips[2:], SIDES))
    left, right = (edge[..., RING:-RING].transpose(2, 3) for edge in (left, right))  # the corners belong to top and bottom
    if by_hand:
        return start, _Framed.apply(inner, top, bottom, left, right)
    return start, torch.cat([top, torch.cat([left, inner, right], dim=3), bottom], dim=2)


class _Strips(torch.autograd.Function):
    """
    Images, and the strips of them along top, bottom, left and right.

    The gradient is put together in one place; four slices would each make an image of zeros around theirs.
    """

    @staticmethod
    def forward(ctx, start: Tensor) -> tuple[Tensor, ...]:
        """Images (n, filters, height, width) and four strips."""
        return start.view_as(start), *(strip.clone() for strip in _slices(start, STRIP))

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor, *of_strips: Tensor) -> Tensor:
        """Added up from the last strip to the first."""
        total = gradient.clone()
        for place, values in reversed(list(zip(_slices(total, STRIP), of_strips))):
            place += values
        return total


class _Framed(torch.autograd.Function):
    """The middle of images with their border put around it, without a copy on the way."""

    @staticmethod
    def forward(ctx, inner: Tensor, *border: Tensor) -> Tensor:
        """The middle, then top, bottom, left and right; the latter two without corners."""
        result = inner.new_empty(*inner.shape[:2], *(side + 2 * RING for side in inner.shape[2:]))
        for place, values in zip(_parts(result), (inner, *border)):
            place.copy_(values)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, ...]:
        """Each gets its part."""
        return tuple(_parts(gradient))


def _slices(images: Tensor, lines: int) -> tuple[Tensor, ...]:
    """Lines along top, bottom, left and right of images."""
    return images[:, :, :lines], images[:, :, -lines:], images[..., :lines], images[..., -lines:]


def _parts(images: Tensor) -> tuple[Tensor, ...]:
    """Images without overlap: their middle, the ring's top and bottom, and what is left of its left and right."""
    top, bottom, left, right = _slices(images, RING)
    return images[:, :, RING:-RING, RING:-RING], top, bottom, left[:, :, RING:-RING], right[:, :, RING:-RING]


def _edge(strip: Tensor, convolutions: Convolutions, zeros: tuple[int, int], turned: bool = False) -> Tensor:
    """Lines along one border: ``strip`` loses a line per convolution on its inner side, and sees ``zeros`` (above, below)."""
    for convolution in convolutions:
        weight = convolution.weight.transpose(2, 3) if turned else convolution.weight
        strip = F.conv2d(F.pad(strip, (0, 0, *zeros)), weight, convolution.bias, padding=(0, 1))
    return strip
