"""The published network as plain functions of its state dict, and files as the published code writes them; for tests only."""

import torch
import torch.nn.functional as F

POOLS, SCALES = (4, 2), (2, 4)


def convolve(images, weights, name):
    """A 3 x 3 convolution with zero padding."""
    return F.conv2d(images, weights[name + ".weight"], weights[name + ".bias"], padding=1)


def normalise(images, weights, name):
    """One mean and variance per plane, weight and bias per pixel, written out."""
    centred = images - images.mean((2, 3), keepdim=True)
    scaled = centred / torch.sqrt(centred.square().mean((2, 3), keepdim=True) + 1e-5)
    return scaled * weights[name + ".weight"] + weights[name + ".bias"]


def conv_block(images, weights, name):
    """Three convolutions, normalisation, ReLU, plus the input."""
    out = images
    for k in (1, 2, 3):
        out = convolve(out, weights, f"{name}.cov1d_{k}")
    return images + normalise(out, weights, name + ".norm_3").clamp(min=0)


def identity_block(images, weights, name):
    """One convolution, normalisation, ReLU."""
    return normalise(convolve(images, weights, name + ".cov1d_1"), weights, name + ".norm_1").clamp(min=0)


def encode(patterns, weights):
    """Patterns (n, height, width) to what leaves the ReLU behind the dense layer."""
    out = convolve(patterns[:, None], weights, "enc.cov2d")
    for level, pool in enumerate(POOLS):
        out = conv_block(out, weights, f"enc.block_layer.{3 * level}")
        out = identity_block(out, weights, f"enc.block_layer.{3 * level + 1}")
        out = F.max_pool2d(out, pool)
    flat = convolve(out, weights, "enc.cov2d_1").flatten(1)
    return (flat @ weights["enc.dense.weight"].T + weights["enc.dense.bias"]).clamp(min=0)


def decode(embedding, weights):
    """Activations to patterns (n, height, width); no ReLU at the end."""
    flat = embedding @ weights["dec.dense.weight"].T + weights["dec.dense.bias"]
    side = round(flat.shape[1] ** 0.5)
    out = convolve(flat.reshape(-1, 1, side, side), weights, "dec.cov2d")
    for level, scale in enumerate((1, *SCALES)):
        out = out if level == 0 else F.interpolate(out, scale_factor=scale, mode="bilinear", align_corners=True)
        out = conv_block(out, weights, f"dec.block_layer.{3 * level}")
        out = identity_block(out, weights, f"dec.block_layer.{3 * level + 1}")
    return convolve(out, weights, "dec.cov2d_1")[:, 0]


def content(net, **extra) -> dict:
    """The dict that the published training saves after an epoch."""
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-5)
    sum(p.square().sum() for p in net.parameters()).backward()
    optimizer.step()
    return {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 376, "encoder": net.enc.state_dict(),
            "decoder": net.dec.state_dict(), **extra}
