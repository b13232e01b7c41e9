"""
Measures of claims on what networks find: channels, rotated channels, their scores over seeds and fields, and the decoder.

On the twin they are held against its truth, on measured scans against the matched domains; see :meth:`figures_pkg.claims.made.Made.known`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from figures_pkg.twin import load_preset

from .made import COARSEST_NM, METHODS, Made, NotMade
from figures_pkg.evaluate.edges import TooCoarse, sign_changes
from figures_pkg.evaluate.matching import correlations
from figures_pkg.evaluate.naming import at_positions, domain_channel, pick_channels, reference_maps, sparsity
from figures_pkg.evaluate.quantiles import mean_patterns, quantile_patterns
from figures_pkg.evaluate.score_tables import values_of
from figures_pkg.evaluate.sweep import agreement, end_difference, sweep_patterns
from figures_pkg.evaluate.truth_scores import charge_auc, interior, wall_auc
from figures_pkg.evaluate.wall_contrast import CLEAR_AUC, CLEAR_GAIN, charge_labels, wall_contrast

ONLY_KNOWN = {"vortex_accuracy": "which of six states a domain has"}  # column of the scores -> what it needs
PICKED = ("truth", "rule")  # the channel that does best against what is known of the scan, or one chosen without it


def score(made: Made, dataset: str, method: str, column: str, picked_by: str = "rule") -> list[float]:
    """One score of a method on a scan, over all fields and seeds that were scored."""
    return _found(values_of(_scores(made, dataset), column, method, picked_by, [dataset]), _reason(made, dataset, column, method))


def gain(made: Made, dataset: str, method: str, over: str, column: str, picked_by: str = "rule") -> list[float]:
    """How much more one method scores than another, on the same field and with the same seed."""
    values = paired_gain(_scores(made, dataset), dataset, method, over, column, picked_by)
    return _found(values, _reason(made, dataset, column, method, over))


def paired_gain(table: pd.DataFrame, scan: str, method: str, over: str, column: str, picked_by: str) -> np.ndarray:
    """Differences of two methods in a table of scores, one for each field and seed that both have."""
    chosen = table[(table.scan == scan) & (table.picked_by == picked_by)]
    wide = chosen[chosen.method.isin([method, over])].pivot_table(column, ["field_seed", "method_seed"], "method")
    if not {method, over} <= set(wide.columns):
        return np.zeros(0)
    return (wide[method] - wide[over]).dropna().to_numpy(float)


def leaks(made: Made, dataset: str, method: str, picked_by: str = "rule") -> list[float]:
    """Share of the variance of a domain channel that bend and thickness explain beyond the domains, in %; the larger of the two."""
    pair = [score(made, dataset, method, f"leak_{name}", picked_by) for name in ("bend", "thickness")]
    return [100 * float(value) for value in np.max(pair, axis=0)]


def probe_margin(made: Made, dataset: str, method: str, kind: str = "charge") -> list[float]:
    """
    By how much a linear probe on all channels tells two kinds of walls apart better than it has to.

    Its AUC on the walls less the largest of 0.9, the AUC on every placebo line plus 0.05, and in `control` the AUC for the same
    walls without a structure of their own plus 0.05.
    """
    if made.data != "twin":
        raise NotMade("it needs the same walls without a structure of their own, which only simulated scans have")
    rows = made.scores[(made.scores.scan == dataset) & (made.scores.method == method) & (made.scores.picked_by == "truth")]
    bars = [rows[f"{kind}_placebo"].to_numpy(float) + CLEAR_GAIN, np.full(len(rows), CLEAR_AUC)]
    if dataset == "control":
        plain = values_of(made.scores, f"{kind}_probe", method, "truth", ["control-plain"])
        bars.append(np.full(len(rows), np.median(plain) + CLEAR_GAIN if plain.size else np.nan))
    margins = rows[f"{kind}_probe"].to_numpy(float) - np.fmax.reduce(bars)
    return _found(margins[np.isfinite(margins)], _reason(made, dataset, f"{kind}_probe", method))


def walls_told_apart(made: Made, dataset: str, recipe: str) -> float:
    """As :func:`probe_margin`, for head-to-head against tail-to-tail walls in the channels of one network."""
    truth = made.truth(dataset)
    found = wall_contrast(made.embedding(dataset, recipe), truth, charge_labels(truth))
    return float(found.at_wall - np.fmax(found.worst_placebo + CLEAR_GAIN, CLEAR_AUC))


def charge_pair(made: Made, dataset: str, recipe: str) -> float:
    """AUC of head-to-head against tail-to-tail walls of the two channels that differ most between them, the lesser of the two."""
    maps = made.embedding(dataset, recipe)
    known = _walls_at(made.known(dataset), maps)
    kinds = reference_maps(known)
    alike = correlations(maps.values, (kinds["head-to-head"] - kinds["tail-to-tail"])[None])[:, 0]
    return min(charge_auc(maps.values[place], known) for place in (alike.argmax(), alike.argmin()))


def best_wall_channel(made: Made, dataset: str, recipe: str | None = None) -> float:
    """AUC of positions on a wall against those far from walls, of the single channel that has most."""
    maps = made.embedding(dataset, recipe)
    known = _walls_at(made.known(dataset), maps)
    return max(wall_auc(image, known) for image in maps.values)


def quantile_agreement(made: Made, dataset: str, recipe: str | None = None) -> float:
    """Correlation of the difference between both 5 % ends of the domain channel with that between the domains."""
    maps = made.embedding(dataset, recipe)
    scan, known = (at_positions(whole, maps) for whole in (made.scan(dataset), made.known(dataset)))
    ends = quantile_patterns(scan, domain_channel(maps, known).expand_dims("channel")).isel(channel=0)
    return agreement(ends.difference, domain_difference(scan, known))[0]


def domain_difference(scan: xr.DataArray, known: xr.Dataset) -> xr.DataArray:
    """Mean pattern of +P less that of −P, away from walls, in counts (det_y, det_x)."""
    inside = interior(known)
    (plus,), (minus,) = mean_patterns(scan, np.stack([inside > 0, inside < 0])[:, None])
    return plus - minus


def drawn_agreement(made: Made, dataset: str, how: str = "alone", recipe: str | None = None) -> float:
    """Correlation of the change that the decoder draws, from the low to the high end of the domain channel, with the measured one."""
    maps = made.embedding(dataset, recipe)
    scan, known = (at_positions(whole, maps) for whole in (made.scan(dataset), made.known(dataset)))
    (channel,), _ = pick_channels(maps, [known.polarization.values.astype(float)])
    swept = sweep_patterns(made.network(dataset, recipe), scan, maps, maps[int(channel.channel)])
    return agreement(end_difference(swept[how]), end_difference(swept.measured))[0]


def alternations(made: Made, dataset: str, radius_nm: float = 70.0, recipe: str | None = None) -> int:
    """How often the rotated domain channel changes its sign on a circle around the vortex core, where the published maps show it."""
    texture = load_preset(dataset.partition("-field")[0]).texture
    image = domain_channel(made.embedding(dataset, recipe), made.known(dataset))
    centre = np.array(texture.core_fraction_yx) * image.shape
    step = abs(float(image.scan_x[1] - image.scan_x[0]))
    return sign_changes(image.values, tuple(centre), radius_nm / step)


def channel_use(made: Made, dataset: str, recipe: str | None = None, key: str = "zero") -> float:
    """One of the numbers of :func:`figures_pkg.evaluate.naming.sparsity`; the shares in %."""
    found = sparsity(made.embedding(dataset, recipe))[key]
    return 100 * found if key in ("zero", "negative") else found


def zeros_beyond(made: Made, dataset: str, recipe: str | None, other: str) -> float:
    """Share of activations that are zero in the embedding of one network less that of another, in percentage points."""
    return channel_use(made, dataset, recipe) - channel_use(made, dataset, other)


def _scores(made: Made, dataset: str) -> pd.DataFrame:
    """The table of scores; a scan that is on no record has none there."""
    if made.data != "twin":
        made.scan(dataset)
    return made.scores


def _reason(made: Made, dataset: str, column: str, *methods: str) -> str:
    """Why there is no score."""
    if made.data == "twin":
        verb = "are not both" if len(methods) > 1 else "is not"
        return f"{' and '.join(methods)} {verb} scored on {dataset} in this profile"
    for name in (method.removesuffix(", rotated") for method in methods):
        if name not in METHODS:
            return f"{name} is scored on simulated scans only"
        try:
            made.embedding(dataset, METHODS[name])
        except NotMade as error:
            return str(error)
    if column in ONLY_KNOWN:
        return f"{ONLY_KNOWN[column]} is known of simulated scans only"
    if column.startswith("leak"):
        return f"the patterns of {dataset} do not fit the library, so its bend and thickness are not known"
    return f"the authors' networks were applied to {dataset} at positions too far apart for walls"


def _walls_at(known: xr.Dataset, maps: xr.DataArray) -> xr.Dataset:
    """What is known at the positions of an embedding, unless these are too far apart for walls."""
    step = abs(float(maps.scan_x[1] - maps.scan_x[0]))
    if step > COARSEST_NM:
        raise TooCoarse(f"the network was applied at positions {step:.0f} nm apart; {COARSEST_NM:g} nm are needed for walls")
    return at_positions(known, maps)


def _found(values, otherwise: str) -> list[float]:
    """Values as a list; without any the claim is not tested."""
    if not len(values):
        raise NotMade(otherwise)
    return [float(value) for value in values]
