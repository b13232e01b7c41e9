"""A 3 x 3 convolution with a quarter of the multiplications, exactly: Winograd's minimal filtering F(4 x 4, 3 x 3).

Sixteen neighbouring results of a 3 x 3 kernel need 144 products one by one. Seen as values of polynomials at six points per
axis they need 36: a few additions turn the 6 x 6 pixels that the results depend on, the kernel, and the products back (Lavin
and Gray 2016, arXiv:1509.09308). The sums over filters become 36 products of matrices, which is what a processor does best.
Gradients take the same way. The points 0, ±1/√2, ±√2 and infinity keep the rounding at twice that of the plain form; with
0, ±1, ±2, as in the paper, it would be four times as much.

Tiles are turned in bands of lines, so that they stay in the processor's cache between the three steps.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numba import njit
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .threads import FAST, shared

TILE, POINTS = 4, 36  # px of a tile's result along an axis; products for a tile
BAND = 256  # tiles turned at once: fewer make small products, more leave the cache
PAD = 16  # numbers between lines of turned tiles, which would else compete for the same places in the cache
NEAR, FAR = 0.5**0.5, 2**0.5  # the points are 0, ±NEAR, ±FAR and infinity
FACTORS = NEAR**2, FAR**2, NEAR**2 + FAR**2, NEAR, FAR, NEAR**3, FAR**3  # of pixels and products on the way
LEAST_FILTERS, LEAST_SIDE = 128, 128  # measured on a CPU: below either, turning costs what the products save


def convolve(convolution: nn.Conv2d, images: Tensor) -> Tensor:
    """
    A convolution of the network, in this form where it is the faster one.

    Parameters
    ----------
    convolution
        3 x 3 with zeros outside the image.
    images
        (n, inputs, height, width).

    Returns
    -------
    Tensor
        (n, outputs, height, width); values and gradients are the same in both forms but for rounding.
    """
    if isinstance(images, Tensor) and pays(convolution.weight) and min(images.shape[2:]) >= LEAST_SIDE:  # torch.fx has stand-ins
        return minimal(images, convolution.weight, convolution.bias)
    return convolution(images)


def pays(weight: Tensor) -> bool:
    """Whether large images are convolved faster in this form: on a CPU, with many filters, in 32 or 64 bits."""
    large = min(weight.shape[:2]) >= LEAST_FILTERS
    return large and weight.device.type == "cpu" and not torch.is_autocast_enabled("cpu")


def minimal(images: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """
    A 3 x 3 convolution with zeros outside the image, by minimal filtering.

    Parameters
    ----------
    images
        (n, inputs, height, width) on a CPU, in 32 or 64 bits.
    weight, bias
        (outputs, inputs, 3, 3) and (outputs,), in the precision of the images.

    Returns
    -------
    Tensor
        (n, outputs, height, width).
    """
    return _Minimal.apply(images, weight, bias)


class _Minimal(torch.autograd.Function):
    """The convolution with its gradients; what is kept for them is what a plain convolution keeps."""

    @staticmethod
    def forward(ctx, images: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """See :func:`minimal`."""
        ctx.save_for_backward(images, weight)
        return _convolved(images, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor]:
        """For the images one more convolution, with the kernels turned round; for the kernels products of turned tiles."""
        images, weight = ctx.saved_tensors
        gradient, of_images, of_weight = gradient.contiguous(), None, None
        if ctx.needs_input_grad[0]:
            of_images = _convolved(gradient, weight.flip(2, 3).transpose(0, 1), gradient.new_zeros(weight.shape[1]))
        if ctx.needs_input_grad[1]:
            of_weight = _gradient_of_kernels(images, gradient)
        return of_images, of_weight, gradient.sum((0, 2, 3))


def _convolved(images: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Tiles turned, multiplied with the turned kernels, and turned back, band by band."""
    factors = _factors(weight)
    kernels = (_kernel_turn(weight) @ weight.reshape(-1, 9).T).unflatten(1, weight.shape[:2])  # (36, outputs, inputs)
    result = images.new_empty(len(images), len(weight), *images.shape[2:])
    tiles, products = _room(images, weight.shape[1]), _room(images, len(weight))
    with shared() as share:
        for one, into in zip(images.contiguous(), result):
            for top, rows, used in _bands(images):
                share(_turn_pixels, len(one), one, top, rows, factors, tiles)
                torch.bmm(kernels, tiles[..., :used], out=products[..., :used])
                share(_turn_back, len(into), products, top, rows, factors, bias, into)
    return result


def _gradient_of_kernels(images: Tensor, gradient: Tensor) -> Tensor:
    """Gradient (outputs, inputs, 3, 3) of the kernels, from images (n, inputs, ...) and the gradient (n, outputs, ...)."""
    factors, outputs, inputs = _factors(images), gradient.shape[1], images.shape[1]
    tiles, slopes, found = _room(images, inputs), _room(images, outputs), images.new_zeros(POINTS, outputs, inputs)
    with shared() as share:
        for one, of_one in zip(images.contiguous(), gradient):
            for top, rows, used in _bands(images):
                share(_turn_pixels, inputs, one, top, rows, factors, tiles)
                share(_turn_slopes, outputs, of_one, top, rows, factors, slopes)
                found.baddbmm_(slopes[..., :used], tiles[..., :used].transpose(1, 2))
    return (found.flatten(1).T @ _kernel_turn(images)).unflatten(0, (outputs, inputs)).unflatten(2, (3, 3))


def _bands(images: Tensor) -> Iterator[tuple[int, int, int]]:
    """First row of tiles, rows and tiles of each band."""
    down, across = (-(-side // TILE) for side in images.shape[2:])
    most = max(1, BAND // across)
    for top in range(0, down, most):
        rows = min(most, down - top)
        yield top, rows, rows * across


def _room(images: Tensor, filters: int) -> Tensor:
    """Space (36, filters, tiles) for the turned tiles of a band, and some more tiles."""
    return images.new_empty(POINTS, filters, max(used for _, _, used in _bands(images)) + PAD)


def _factors(like: Tensor) -> np.ndarray:
    """FACTORS in the precision of a tensor, as the compiled loops take them."""
    return torch.tensor(FACTORS, dtype=like.dtype).numpy()


def _kernel_turn(like: Tensor) -> Tensor:
    """What turns the 9 numbers of a kernel into 36."""
    values = [[1, 0, 0]]  # of 1, x and x² at the points, over the product of the distances to the other points
    for point, other in ((NEAR, FAR), (FAR, NEAR)):
        scale = 2 * point**2 * (point**2 - other**2)
        values += [[sign**power * point**power / scale for power in range(3)] for sign in (1, -1)]
    axis = np.array([*values, [0, 0, 1]])
    return torch.from_numpy(np.kron(axis, axis)).to(like)


@njit(nogil=True, cache=True, fastmath=FAST)
def _pixels(d0, d1, d2, d3, d4, d5, factors):
    """Six pixels along an axis at the six points."""
    near2, far2, both, near, far = factors[0], factors[1], factors[2], factors[3], factors[4]
    even, odd = d4 - far2 * d2, near * (d3 - far2 * d1)
    even_far, odd_far = d4 - near2 * d2, far * (d3 - near2 * d1)
    return d0 - both * d2 + d4, even + odd, even - odd, even_far + odd_far, even_far - odd_far, d1 - both * d3 + d5


@njit(nogil=True, cache=True, fastmath=FAST)
def _results(m0, m1, m2, m3, m4, m5, factors):
    """Four results along an axis from the products at the six points."""
    near2, far2, _, near, far, near3, far3 = factors
    even, odd, even_far, odd_far = m1 + m2, m1 - m2, m3 + m4, m3 - m4
    return m0 + even + even_far, near * odd + far * odd_far, near2 * even + far2 * even_far, near3 * odd + far3 * odd_far + m5


@njit(nogil=True, cache=True, fastmath=FAST)
def _slopes(g0, g1, g2, g3, factors):
    """The gradient of four results brought to the products at the six points: :func:`_results` transposed."""
    near2, far2, _, near, far, near3, far3 = factors
    even, odd = g0 + near2 * g2, near * g1 + near3 * g3
    even_far, odd_far = g0 + far2 * g2, far * g1 + far3 * g3
    return g0, even + odd, even - odd, even_far + odd_far, even_far - odd_far, g3


@njit(nogil=True, cache=True, fastmath=FAST)
def _take(image, first_line, left, lines):
    """Lines of an image, of which the first column lands at ``left``; zeros outside."""
    height, width = image.shape
    lines[:] = 0
    for number in range(len(lines)):
        if 0 <= first_line + number < height:
            lines[number, left:left + width] = image[first_line + number]


@njit(nogil=True, cache=True, fastmath=FAST)
def _turn_pixels(first, last, image, top, rows, factors, turned):
    """Pixels (filters, height, width) of some rows of tiles to (36, filters, tiles)."""
    across = (image.shape[2] + 3) // 4
    lines = np.empty((6, 4 * across + 2), image.dtype)
    l0, l1, l2, l3, l4, l5 = lines[0], lines[1], lines[2], lines[3], lines[4], lines[5]
    for c in range(first, last):
        for row in range(rows):
            _take(image[c], 4 * (top + row) - 1, 1, lines)
            for x in range(4 * across + 2):
                l0[x], l1[x], l2[x], l3[x], l4[x], l5[x] = _pixels(l0[x], l1[x], l2[x], l3[x], l4[x], l5[x], factors)
            for i in range(6):
                line, into = lines[i], turned[6 * i:6 * i + 6, c, row * across:(row + 1) * across]
                o0, o1, o2, o3, o4, o5 = into[0], into[1], into[2], into[3], into[4], into[5]
                for t in range(across):
                    d = line[4 * t:4 * t + 6]
                    o0[t], o1[t], o2[t], o3[t], o4[t], o5[t] = _pixels(d[0], d[1], d[2], d[3], d[4], d[5], factors)


@njit(nogil=True, cache=True, fastmath=FAST)
def _turn_slopes(first, last, gradient, top, rows, factors, turned):
    """The gradient (filters, height, width) of some rows of tiles to (36, filters, tiles)."""
    across = (gradient.shape[2] + 3) // 4
    lines = np.empty((6, 4 * across), gradient.dtype)
    l0, l1, l2, l3, l4, l5 = lines[0], lines[1], lines[2], lines[3], lines[4], lines[5]
    for c in range(first, last):
        for row in range(rows):
            _take(gradient[c], 4 * (top + row), 0, lines[:4])
            for x in range(4 * across):
                l0[x], l1[x], l2[x], l3[x], l4[x], l5[x] = _slopes(l0[x], l1[x], l2[x], l3[x], factors)
            for i in range(6):
                line, into = lines[i], turned[6 * i:6 * i + 6, c, row * across:(row + 1) * across]
                o0, o1, o2, o3, o4, o5 = into[0], into[1], into[2], into[3], into[4], into[5]
                for t in range(across):
                    g = line[4 * t:4 * t + 4]
                    o0[t], o1[t], o2[t], o3[t], o4[t], o5[t] = _slopes(g[0], g[1], g[2], g[3], factors)


@njit(nogil=True, cache=True, fastmath=FAST)
def _turn_back(first, last, products, top, rows, factors, bias, image):
    """Products (36, filters, tiles) to some rows of tiles of the result (filters, height, width)."""
    height, width = image.shape[1:]
    across = (width + 3) // 4
    lines = np.empty((6, 4 * across), image.dtype)
    l0, l1, l2, l3, l4, l5 = lines[0], lines[1], lines[2], lines[3], lines[4], lines[5]
    for c in range(first, last):
        for row in range(rows):
            for i in range(6):
                line, of = lines[i], products[6 * i:6 * i + 6, c, row * across:(row + 1) * across]
                m0, m1, m2, m3, m4, m5 = of[0], of[1], of[2], of[3], of[4], of[5]
                for t in range(across):
                    r0, r1, r2, r3 = _results(m0[t], m1[t], m2[t], m3[t], m4[t], m5[t], factors)
                    line[4 * t], line[4 * t + 1], line[4 * t + 2], line[4 * t + 3] = r0, r1, r2, r3
            for x in range(4 * across):
                l0[x], l1[x], l2[x], l3[x] = _results(l0[x], l1[x], l2[x], l3[x], l4[x], l5[x], factors)
            for y in range(4 * (top + row), min(4 * (top + row) + 4, height)):
                image[c, y] = lines[y - 4 * (top + row), :width] + bias[c]
