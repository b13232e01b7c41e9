"""LayerNorm, ReLU, and the sum or the pool behind them in one visit to each image, exactly.

Every filter's image is normalised for itself and is small enough for the processor's cache, while all of them together are
not. PyTorch takes them through memory once for each operation; here an image is read, finished, and left. For the gradient
the mean and width of each image are kept, and no output of the ReLU.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numba import njit
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .threads import FAST, shared

LEAST_FILTERS, LEAST_SIDE = 128, 128  # measured on a CPU: smaller layers stay in the cache by themselves


def pays(images: Tensor) -> bool:
    """Whether what follows a convolution is faster image by image: on a CPU, where images are large, in 32 or 64 bits."""
    if not isinstance(images, Tensor) or images.device.type != "cpu":  # torch.fx reads a network with stand-ins for tensors
        return False
    large = images.shape[1] >= LEAST_FILTERS and min(images.shape[2:]) >= LEAST_SIDE
    return large and not torch.is_autocast_enabled("cpu")


def finished(norm: nn.LayerNorm, images: Tensor, start: Tensor | None = None) -> Tensor:
    """
    ReLU of the normalised images, plus ``start``.

    Parameters
    ----------
    norm
        Over (height, width).
    images
        (n, filters, height, width) on a CPU. They are given up: without gradients the result takes their place in memory.
    start
        What is added at last, of the same shape; None adds nothing.

    Returns
    -------
    Tensor
        Of the shape of ``images``.
    """
    return _Finished.apply(images, norm.weight, norm.bias, start, norm.eps, torch.is_grad_enabled())


def pooled(norm: nn.LayerNorm, images: Tensor, size: int) -> Tensor:
    """
    The largest values in squares of ``size`` px of the ReLU of the normalised images.

    Parameters
    ----------
    norm
        Over (height, width).
    images
        (n, filters, height, width) on a CPU; ``size`` divides height and width.
    size
        Side of a square in px.

    Returns
    -------
    Tensor
        (n, filters, height / size, width / size). What is not the first largest in its square gets no gradient.
    """
    return _Pooled.apply(images, norm.weight, norm.bias, size, norm.eps)


class _Finished(torch.autograd.Function):
    """See :func:`finished`."""

    @staticmethod
    def forward(ctx, images: Tensor, weight: Tensor, bias: Tensor, start: Tensor | None, eps: float, kept: bool) -> Tensor:
        """Keeps the images, and mean and inverse width of each."""
        images = images.contiguous()
        result, moments = torch.empty_like(images) if kept else images, images.new_empty(images.shape[0] * images.shape[1], 2)
        added = images[:0] if start is None else start.contiguous()
        with shared() as share:
            share(_finish, len(moments), _flat(images), weight, bias, eps, _flat(added), moments, _flat(result))
        ctx.save_for_backward(images, weight, bias, moments)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient of ``start`` is the gradient itself."""
        return *_gradients(_finish_back, ctx.saved_tensors, gradient), gradient if ctx.needs_input_grad[3] else None, None, None


class _Pooled(torch.autograd.Function):
    """See :func:`pooled`."""

    @staticmethod
    def forward(ctx, images: Tensor, weight: Tensor, bias: Tensor, size: int, eps: float) -> Tensor:
        """Keeps the images, and mean and inverse width of each."""
        images = images.contiguous()
        result = images.new_empty(*images.shape[:2], *(side // size for side in images.shape[2:]))
        moments = images.new_empty(images.shape[0] * images.shape[1], 2)
        with shared() as share:
            share(_pool, len(moments), _flat(images), weight, bias, eps, size, moments, _flat(result))
        ctx.save_for_backward(images, weight, bias, moments)
        ctx.size = size
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """The places of the largest values are found anew."""
        return *_gradients(_pool_back, ctx.saved_tensors, gradient, ctx.size), None, None


def _gradients(kernel: Callable, saved: tuple[Tensor, ...], gradient: Tensor, *sizes: int) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of images, weight and bias by one of the kernels below."""
    images, weight, bias, moments = saved
    of_images = torch.empty_like(images)
    with shared() as share:
        parts = share(kernel, len(moments), _flat(gradient.contiguous()), _flat(images), weight, bias, *sizes, moments, _flat(of_images))
    of_weight, of_bias = torch.from_numpy(sum(parts))
    return of_images, of_weight, of_bias


def _flat(images: Tensor) -> Tensor:
    """(n, filters, height, width) to (n * filters, height, width)."""
    return images.flatten(0, 1)


@njit(nogil=True, cache=True, fastmath=FAST)
def _measure(image, eps):
    """Mean and inverse width of an image; lines are summed in its own precision, their sums in 64 bits."""
    total = 0.0
    for line in image:
        part = image.dtype.type(0)
        for x in range(len(line)):
            part += line[x]
        total += part
    mean = image.dtype.type(total / image.size)
    total = 0.0
    for line in image:
        part = image.dtype.type(0)
        for x in range(len(line)):
            part += (line[x] - mean) * (line[x] - mean)
        total += part
    return mean, image.dtype.type(1 / np.sqrt(total / image.size + eps))


@njit(nogil=True, cache=True, fastmath=FAST)
def _finish(first, last, images, weight, bias, eps, start, moments, result):
    """Images (planes, height, width) to results of the same shape."""
    for p in range(first, last):
        mean, scale = _measure(images[p], eps)
        moments[p, 0], moments[p, 1] = mean, scale
        for y in range(images.shape[1]):
            line, w, b, into = images[p, y], weight[y], bias[y], result[p, y]
            for x in range(len(line)):
                value = (line[x] - mean) * scale * w[x] + b[x]
                into[x] = 0 if value <= 0 else value
            if len(start):
                skip = start[p, y]
                for x in range(len(line)):
                    into[x] += skip[x]


@njit(nogil=True, cache=True, fastmath=FAST)
def _finish_back(first, last, gradient, images, weight, bias, moments, of_images):
    """Gradient of the images; returns that of weight and bias, (2, height, width), from these images."""
    of_norm = np.zeros((2, *weight.shape), weight.dtype)
    for p in range(first, last):
        mean, scale = moments[p]
        level, slope = 0.0, 0.0
        for y in range(images.shape[1]):
            line, w, b, of_w, of_b = images[p, y], weight[y], bias[y], of_norm[0, y], of_norm[1, y]
            g, into = gradient[p, y], of_images[p, y]
            one, two = weight.dtype.type(0), weight.dtype.type(0)
            for x in range(len(line)):
                standard = (line[x] - mean) * scale
                passed = weight.dtype.type(0) if standard * w[x] + b[x] <= 0 else g[x]
                of_w[x] += passed * standard
                of_b[x] += passed
                passed *= w[x]
                one += passed
                two += passed * standard
                into[x] = passed
            level, slope = level + one, slope + two
        _centre(images[p], mean, scale, level, slope, of_images[p])
    return of_norm


@njit(nogil=True, cache=True, fastmath=FAST)
def _centre(image, mean, scale, level, slope, gradient):
    """What mean and width of an image take from the gradient (in place), given its sum and its product with the image."""
    level, slope = image.dtype.type(level / image.size), image.dtype.type(slope / image.size)
    for y in range(len(image)):
        line, into = image[y], gradient[y]
        for x in range(len(line)):
            into[x] = scale * (into[x] - level - (line[x] - mean) * scale * slope)


@njit(nogil=True, cache=True, fastmath=FAST)
def _pool(first, last, images, weight, bias, eps, size, moments, result):
    """Images (planes, height, width) to results (planes, height / size, width / size)."""
    largest = np.empty(images.shape[2], images.dtype)
    for p in range(first, last):
        mean, scale = _measure(images[p], eps)
        moments[p, 0], moments[p, 1] = mean, scale
        for row in range(result.shape[1]):
            largest[:] = 0
            for y in range(row * size, (row + 1) * size):
                line, w, b = images[p, y], weight[y], bias[y]
                for x in range(len(line)):
                    value = (line[x] - mean) * scale * w[x] + b[x]
                    largest[x] = largest[x] if value <= largest[x] else value
            for column in range(result.shape[2]):
                best = largest[column * size]
                for x in range(column * size + 1, (column + 1) * size):
                    best = best if largest[x] <= best else largest[x]
                result[p, row, column] = best


@njit(nogil=True, cache=True, fastmath=FAST)
def _pool_back(first, last, gradient, images, weight, bias, size, moments, of_images):
    """Gradient of the images; returns that of weight and bias, (2, height, width), from these images."""
    of_norm = np.zeros((2, *weight.shape), weight.dtype)
    of_images[first:last] = 0
    for p in range(first, last):
        mean, scale = moments[p]
        level, slope = 0.0, 0.0
        for row in range(gradient.shape[1]):
            for column in range(gradient.shape[2]):
                best, at_y, at_x = weight.dtype.type(0), -1, -1
                for y in range(row * size, (row + 1) * size):
                    for x in range(column * size, (column + 1) * size):
                        value = (images[p, y, x] - mean) * scale * weight[y, x] + bias[y, x]
                        if value > best:
                            best, at_y, at_x = value, y, x
                if at_y >= 0:
                    standard, passed = (images[p, at_y, at_x] - mean) * scale, gradient[p, row, column]
                    of_norm[0, at_y, at_x] += passed * standard
                    of_norm[1, at_y, at_x] += passed
                    passed *= weight[at_y, at_x]
                    of_images[p, at_y, at_x] = passed
                    level, slope = level + passed, slope + passed * standard
        _centre(images[p], mean, scale, level, slope, of_images[p])
    return of_norm
