"""One set of channels against the truth: the row with its channels picked by the truth, and the row without it."""

from __future__ import annotations

import numpy as np
import xarray as xr

from .channel_choice import choose_channel
from .truth_scores import boundary, charge_auc, confusion, domain_auc, domain_regions, domain_scores, interior, wall_auc
from .wall_contrast import charge_labels, inclination_labels, wall_contrast


def score_maps(maps: xr.DataArray, truth: xr.Dataset) -> list[dict]:
    """
    Scores of one set of channels: a row with the channels picked by the truth, and one without it.

    Parameters
    ----------
    maps
        (channel, scan_y, scan_x).
    truth
        Of the same scan.

    Returns
    -------
    list of dict
        ``picked_by`` is "truth", the optimistic row: for each of domains, walls and wall charge the best channel, for walls
        also the gradient of the best domain channel; or "rule": the domain channel by
        :func:`figures_pkg.evaluate.channel_choice.choose_channel`, and walls as the gradient of that channel. Then the
        scores of :func:`figures_pkg.evaluate.truth_scores.domain_scores` for the domain channel, ``wall_auc``,
        ``charge_auc`` (head-to-head against tail-to-tail), ``vortex_accuracy`` (share of positions in the right one of six
        domains, nan without a vortex), and ``evidence``, the plateau score of the channel chosen by rule. In a scan without
        domains the channel "picked by the truth" is that of the rule, and scores against domains are nan.
    """
    chosen, evidence = choose_channel(maps)
    two = (interior(truth) < 0).any() and (interior(truth) > 0).any()
    best = int(np.argmax([domain_auc(image, truth) for image in maps.values])) if two else chosen
    walls = {"wall_auc": wall_auc, "charge_auc": charge_auc}
    offered = [*maps.values, boundary(maps.values[best])]
    picked = {"picked_by": "truth"} | domain_scores(maps.values[best], truth)
    picked |= {key: max(score(image, truth) for image in offered) for key, score in walls.items()}
    gradient = boundary(maps.values[chosen])
    free = {"picked_by": "rule"} | domain_scores(maps.values[chosen], truth)
    free |= {key: score(gradient, truth) for key, score in walls.items()}
    for row, channel in ((picked, best), (free, chosen)):
        row |= {"vortex_accuracy": _vortex_accuracy(maps.values[channel], truth), "evidence": evidence}
    return [picked, free]


def wall_rows(maps: xr.DataArray, truth: xr.Dataset) -> dict[str, float]:
    """
    Whether kinds of walls are told apart by more than where they stand, see :mod:`figures_pkg.evaluate.wall_contrast`.

    Returns
    -------
    dict
        ``charge_probe`` and ``charge_placebo`` for head-to-head against tail-to-tail, ``inclination_probe`` and
        ``inclination_placebo`` for inclined against upright walls; nan where a scan has not both kinds.
    """
    row = {}
    for name, labels in (("charge", charge_labels(truth)), ("inclination", inclination_labels(truth))):
        contrast = wall_contrast(maps, truth, labels)
        row |= {f"{name}_probe": contrast.at_wall, f"{name}_placebo": contrast.worst_placebo}
    return row


def _vortex_accuracy(image: np.ndarray, truth: xr.Dataset) -> float:
    """Share of the interior that lies in the right one of six domains; nan where there are fewer."""
    if len(np.unique(truth.domain_state)) < 6:
        return float("nan")
    return confusion(domain_regions(image), truth)[1]
