"""The published form of network, losses and step, written anew from its description: what the paper's training computes, in its way.

The network is 32-bit, images and filters in PyTorch's default layout, every convolution for itself. The losses are loops over
vectors, and all of them run at every step, also where their weight is 0.
"""

import torch
import torch.nn.functional as F

SHORTEST = 1e-8


class PublishedForm(torch.nn.Module):
    """The network as plain operations on the tensors of ours, so that both hold the same weights."""

    def __init__(self, net):
        super().__init__()
        self.weights = torch.nn.ParameterDict({name.replace(".", "/"): p.detach().clone() for name, p in net.named_parameters()})
        self.pools, self.scales, self.side = net.config.pools, net.config.pools[::-1], net.config.bottleneck_side

    def tensors(self, name):
        """Weight and bias of a layer."""
        return [self.weights[f"{name}.{kind}".replace(".", "/")] for kind in ("weight", "bias")]

    def convolve(self, images, name):
        """A 3 x 3 convolution with zero padding."""
        return F.conv2d(images, *self.tensors(name), padding=1)

    def normalise(self, images, name):
        """Layer normalisation over each plane."""
        return F.layer_norm(images, images.shape[2:], *self.tensors(name))

    def pair(self, images, half, number):
        """The block with a skip around its three convolutions, and the one without."""
        out, block = images, f"{half}.block_layer.{number}"
        for k in (1, 2, 3):
            out = self.convolve(out, f"{block}.cov1d_{k}")
        out = F.relu(self.normalise(out, block + ".norm_3")) + images
        block = f"{half}.block_layer.{number + 1}"
        return F.relu(self.normalise(self.convolve(out, block + ".cov1d_1"), block + ".norm_1"))

    def encode(self, patterns):
        """Patterns (n, height, width) to activations (n, channels)."""
        out = self.convolve(patterns.unsqueeze(1), "enc.cov2d")
        for level, pool in enumerate(self.pools):
            out = F.max_pool2d(self.pair(out, "enc", 3 * level), pool)
        return F.relu(F.linear(self.convolve(out, "enc.cov2d_1").flatten(1), *self.tensors("enc.dense")))

    def decode(self, embedding):
        """Activations to patterns."""
        out = F.linear(embedding, *self.tensors("dec.dense")).reshape(-1, 1, self.side, self.side)
        out = self.pair(self.convolve(out, "dec.cov2d"), "dec", 0)
        for level, scale in enumerate(self.scales, start=1):
            out = F.interpolate(out, scale_factor=scale, mode="bilinear", align_corners=True)
            out = self.pair(out, "dec", 3 * level)
        return self.convolve(out, "dec.cov2d_1").squeeze(1)

    def forward(self, patterns):
        """Reconstruction and embedding."""
        embedding = self.encode(patterns)
        return self.decode(embedding), embedding


def similarity(z, weight):
    """Vector by vector: cosines with all vectors whose sum is not 0, added one by one, minus 1."""
    kept, total = z[[i for i in range(len(z)) if z[i].sum() != 0]], 0.0
    for vector in kept:
        total = total + sum(F.cosine_similarity(vector[None], kept, eps=SHORTEST)) - 1  # Python's sum: an operation for each pair
    return weight * total / (2 * len(z))


def divergence(z, weight):
    """Vector by vector: absolute differences between all components that are not 0."""
    total = 0.0
    for vector in z:
        active = vector[vector != 0]
        total = total + (active[:, None] - active).abs().sum()
    return weight * total / (2 * len(z))


def l1(z, weight):
    """Sum of absolute activations over the batch size; 0.5 in place of 0."""
    value = weight * torch.linalg.vector_norm(z, 1) / len(z)
    return 0.5 if value == 0 else value


def losses(z, weights):
    """What is added to the squared error, with the divergence subtracted."""
    return l1(z, weights.l1) + similarity(z, weights.similarity) - divergence(z, weights.divergence)


def step(net, optimizer, patterns, weights):
    """One update; the loss before it."""
    optimizer.zero_grad()
    reconstruction, z = net(patterns)
    loss = F.mse_loss(reconstruction, patterns) + losses(z, weights)
    loss.backward()
    optimizer.step()
    return loss.item()
