"""
Networks as the authors released them, on a measured scan: at which positions, and whether patterns enter them as in their training.

A network fed with patterns upside down, or under another transform than in its training, still gives an embedding, but its loss is then no longer
the one in the name of the released file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
import xarray as xr

from figures_pkg.data.axes import SCAN_DIMS
from figures_pkg.record.fetch import ensure
from figures_pkg.record.manifest import Dataset, load_manifest

from .autoencoder import Autoencoder, BetaVAE, count_parameters
from .checkpoint import PublishedFileError, load_checkpoint
from .embed import batch_size, check_patterns
from .transform import InputTransform

CHECKED_SIDE = 5  # the reconstruction is measured at 5 x 5 positions, which tells it to a hundredth; each takes a second, four times
CONSTANT_WITHOUT_L1 = 0.5  # what the published code adds to the loss where the L1 term is exactly zero, as for the β-VAE
LEAST_RATIO, MOST_RATIO, FAR_RATIO = 0.5, 1.1, 2.0  # loss over the one in the file's name, which holds regularisers: from, to, and what cannot be
CLEAR_ERRORS = 3  # standard errors of the loss beyond which another way is better or worse
VERDICTS = {  # of the reconstruction, whatever is drawn from the network
    "agrees": "The reconstruction agrees with the training: patterns enter the network as they did there.",
    "open": "The reconstruction cannot tell whether patterns enter the network as in its training: take its maps and scores with care.",
    "fails": "Warning: the reconstruction fails. Patterns here are unlike those of the training, so maps and scores say nothing of the paper's network.",
}
WHOSE = {"record": "those of the authors, trained on these scans", "rehearsal": "small stand-ins of this rehearsal for those of the authors"}
WAYS = {  # how patterns (n, rows, columns) of counts enter the network: what is done to them, and the stabiliser
    "as used": (lambda counts: counts, "log"),
    "upside down": (lambda counts: counts[:, ::-1], "log"),
    "half turn": (lambda counts: counts[:, ::-1, ::-1], "log"),
    "square root": (lambda counts: counts, "anscombe"),
}


def position_grid(scan: xr.DataArray, most: int | None) -> xr.DataArray:
    """
    A scan at every n-th position along both sides, the smallest n that leaves at most ``most`` a side; None keeps them all.

    The positions lie in the middle of what n leaves over and keep their coordinates in nm.
    """
    if most is None:
        return scan
    if most < 1:
        raise ValueError(f"a grid of {most} positions a side; give at least 1")
    apart = max(-(-scan.sizes[dim] // most) for dim in SCAN_DIMS)
    return scan.isel({dim: slice((scan.sizes[dim] - 1) % apart // 2, None, apart) for dim in SCAN_DIMS})


def released_network(id: str) -> Autoencoder:
    """
    A network of the record that is on this computer, by its name in the manifest, for instance ``"ca-ds1"``; nothing is downloaded.

    A file that is not here is a MissingDataset; a damaged one, or another number of parameters than the manifest's, a PublishedFileError.
    """
    entry = load_manifest()[id]
    if entry.role != "checkpoint":
        raise ValueError(f"{id} is a scan; give one of the record's networks, or a file")
    path = ensure(id)
    net = load_checkpoint(path)
    found, expected = count_parameters(net), entry.container["parameters"].value
    if found != expected:
        raise PublishedFileError(f"{path} holds a network with {found:,} parameters, the manifest expects {expected:,} of {id}: it is "
                                 f"another network. Compare it with the record by `figures_pkg fetch {id} --refresh`")  # fmt: skip
    net.about |= {"id": id, "file": entry.remote} | training_loss(entry, isinstance(net, BetaVAE))
    return net


def training_loss(entry: Dataset, variational: bool) -> dict[str, float]:
    """
    ``training_loss`` at the end of a training, from the name of the file on the record; empty for a name without one.

    It includes the regularisers, which are small beside it; the constant 0.5 that the published code adds for a β-VAE is taken off.
    """
    named = re.search(r"trainloss[_:](\d+\.\d+)", entry.remote)
    return {"training_loss": float(named[1]) - CONSTANT_WITHOUT_L1 * variational} if named else {}


def released_attributes(net: Autoencoder, scan: xr.DataArray) -> dict[str, float | str]:
    """
    What is stored with the embedding of a scan by a released network: which file it is, the loss in its name, and four losses.

    They say how well the network draws patterns that enter it as they are, turned over, and under another transform, at 5 × 5 positions of a scan of
    counts. ``loss_as_used`` is the mean squared error of ln(1 + N) over pixels and patterns, ``loss_error`` its standard error over the patterns;
    ``loss_upside_down`` and ``loss_half_turn`` are the same with the detector turned over; ``loss_square_root`` is the error of 2√(N + 3/8) with this
    as input, scaled to the variance of ln(1 + N); ``loss_positions`` counts the patterns. A β-VAE draws from a random embedding, as in its training.
    """
    check_patterns(net, scan, InputTransform("log"))
    counts = position_grid(scan, CHECKED_SIDE).values.reshape(-1, *scan.shape[2:])
    losses: dict[str, float] = {"loss_positions": len(counts)}
    spread = float(InputTransform("log").apply(counts).var())
    for way, (turned, stabiliser) in WAYS.items():
        values = InputTransform(stabiliser).apply(np.ascontiguousarray(turned(counts)))
        errors = pattern_errors(net, values) * spread / float(values.var())
        losses[_attribute(way)] = float(errors.mean())
        if way == "as used":
            losses["loss_error"] = float(errors.std(ddof=1) / np.sqrt(len(errors))) if len(errors) > 1 else 0.0
    names = {"id": "weights_id", "file": "weights_file", "sha256": "weights_sha256", "training_loss": "training_loss"}
    return {name: net.about[key] for key, name in names.items() if key in net.about} | losses


def pattern_errors(net: Autoencoder, values: np.ndarray, seed: int = 0) -> np.ndarray:
    """Mean squared error of the reconstruction of each pattern, float64 (n,), for input (n, height, width) float32."""
    device, rng, errors = next(net.parameters()).device, torch.Generator().manual_seed(seed), []
    with torch.inference_mode():
        for part in torch.from_numpy(values).split(batch_size(net, device)):
            part = part.to(device)
            noise = torch.randn(len(part), net.config.channels, generator=rng).to(device)
            drawn = net(part, noise)[0] if isinstance(net, BetaVAE) else net(part)[0]
            errors.append((drawn.float() - part).square().mean((1, 2)).cpu())
    return torch.cat(errors).double().numpy()


def losses_table(embeddings: Mapping[str, xr.DataArray]) -> pd.DataFrame:
    """The losses of released networks; a row for each embedding, which carries :func:`released_attributes`, under its name."""
    rows = {name: {"in the file's name": maps.attrs.get("training_loss")} | {way: maps.attrs[_attribute(way)] for way in WAYS}
            for name, maps in embeddings.items()}  # fmt: skip
    return pd.DataFrame(rows).T.astype(float)


def losses_words(maps: xr.DataArray) -> str:
    """
    Whether patterns enter a released network as in its training, as part of a sentence; for an embedding with :func:`released_attributes`.

    For instance "a loss of 0.1400 ± 0.0020, the smallest of the four, 2.8 % above the 0.1362 in the name of the file".
    """
    gap, other, best = _gap(maps)
    rank = "the smallest of the four" if gap < 0 else "not told from" if gap == 0 else "not the smallest of the four:"
    words = f"a loss of {maps.attrs['loss_as_used']:.4f} ± {maps.attrs['loss_error']:.4f}, {rank}" + (f" {best:.4f} for {other}" if gap >= 0 else "")
    named = maps.attrs.get("training_loss")
    if named is None:
        return words
    ratio = maps.attrs["loss_as_used"] / named
    if ratio > FAR_RATIO:
        return f"{words}, {ratio:.{int(ratio < 10)}f} times the {named:.4f} in the name of the file"
    return f"{words}, {abs(100 * (ratio - 1)):.1f} % {'above' if ratio >= 1 else 'below'} the {named:.4f} in the name of the file"


def losses_verdict(maps: xr.DataArray) -> str:
    """
    One of ``VERDICTS`` for an embedding with :func:`released_attributes`.

    It "agrees" if the loss of patterns as used is the smallest by three errors, and from half of the one in the file's name to a tenth above;
    it "fails" if another way is better by three errors, or the loss is twice the named one. All else is "open".
    """
    gap, named = _gap(maps)[0], maps.attrs.get("training_loss")
    ratio = maps.attrs["loss_as_used"] / named if named else 1.0
    if gap > 0 or ratio > FAR_RATIO:
        return "fails"
    return "agrees" if gap < 0 and LEAST_RATIO <= ratio <= MOST_RATIO else "open"


def _gap(maps: xr.DataArray) -> tuple[float, str, float]:
    """How far the loss of patterns as used lies above (below: negative) the least of the other ways, 0 within its errors; that way, and its loss."""
    losses = {way: float(maps.attrs[_attribute(way)]) for way in WAYS}
    used = losses.pop("as used")
    other = min(losses, key=losses.__getitem__)
    gap = used - losses[other]
    return gap if abs(gap) > CLEAR_ERRORS * maps.attrs["loss_error"] else 0.0, other, losses[other]


def _attribute(way: str) -> str:
    return f"loss_{way.replace(' ', '_')}"


def positions_words(maps: xr.DataArray, scan: xr.DataArray) -> str:
    """Which positions of a scan an embedding (…, scan_y, scan_x) covers, in words: all of them, or a grid from :func:`position_grid`."""
    (rows, columns), (high, wide) = maps.shape[-2:], scan.shape[:2]
    return "all positions" if (rows, columns) == (high, wide) else f"{rows} × {columns} of the {high} × {wide} positions, evenly spaced"
