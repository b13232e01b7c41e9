"""What the chapter on scores alone needs: which methods in which order, their middle and their worst, and who is fooled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from figures_pkg.evaluate.leaderboard import values_of
from figures_pkg.evaluate.walls import CLEAR_AUC, CLEAR_GAIN

# Family -> methods, in the order of the page. What is scored but not listed here comes last.
FAMILIES = {
    "single reflections": ("VDF 00l", "A(004)", "COM along c"),
    "linear methods": ("PCA", "PCA6+ICA", "PCA8+ICA", "NMF", "k-means", "Gaussian mixture", "edge map", "step components"),
    "networks": ("CA", "CA, rotated", "β-VAE", "β-VAE, rotated"),
    "control": ("untrained", "untrained, rotated"),
}
WITHOUT_DOMAINS = ("null", "null-step")
# Scan -> which walls are told apart there; "control-plain" has the walls of "control" without a structure.
WALL_TESTS = {"control": "charge", "control-plain": "charge", "control-inclined": "inclination", "ds2": "charge"}


def methods_in_order(table: pd.DataFrame) -> list[str]:
    """Methods of a table as the page shows them; gathering the features is no method."""
    listed = [name for names in FAMILIES.values() for name in names]
    others = [name for name in table.method.unique() if name not in (*listed, "features")]
    return [name for name in (*listed, *others) if (table.method == name).any()]


def middle_of(table: pd.DataFrame, column: str, method: str, picked_by: str = "rule", scans: Sequence[str] | None = None) -> float:
    """The middle one of :func:`values_of`; nan without any."""
    values = values_of(table, column, method, picked_by, scans)
    return float(np.median(values)) if values.size else float("nan")


def worst_of(table: pd.DataFrame, column: str, method: str, picked_by: str = "rule", scans: Sequence[str] | None = None) -> float:
    """The smallest one of :func:`values_of`; nan without any."""
    return float(min(values_of(table, column, method, picked_by, scans), default=np.nan))


def with_domains(table: pd.DataFrame) -> list[str]:
    """Scans of a table that have domains."""
    return [scan for scan in table.scan.unique() if scan not in WITHOUT_DOMAINS]


def summary(table: pd.DataFrame, scans: Sequence[str]) -> pd.DataFrame:
    """
    One row for each method: middle and worst over scans, fields and seeds.

    Parameters
    ----------
    table
        From :func:`figures_pkg.evaluate.leaderboard.read_scores`.
    scans
        Those to take together.

    Returns
    -------
    pandas.DataFrame
        Columns "domains" and "walls" (AUC by rule, "middle / worst"), "domains by truth", "vortex" (share in the right domain),
        "bend in it" and "thickness in it" (share of the channel's variance in per cent, middle), "CPU s" (middle).
    """
    rows = {}
    for method in methods_in_order(table):
        row = {"domains": _two(values_of(table, "domain_auc", method, scans=scans))}
        row["domains by truth"] = _two(values_of(table, "domain_auc", method, "truth", scans))
        row["walls"] = _two(values_of(table, "wall_auc", method, scans=scans))
        row["vortex"] = _two(values_of(table, "vortex_accuracy", method, scans=scans))
        for name, column in (("bend in it", "leak_bend"), ("thickness in it", "leak_thickness")):
            row[name] = _middle(100 * values_of(table, column, method, scans=scans), "{:.0f} %")
        row["CPU s"] = _middle(values_of(table, "cpu_s", method, scans=scans), "{:.1f}")
        rows[method] = row
    return pd.DataFrame(rows).T


def claims_of_domains(table: pd.DataFrame, limit: float = 0.5) -> pd.DataFrame:
    """
    Who speaks of domains where: the channel chosen by rule has an evidence of ``limit`` or more.

    Returns
    -------
    pandas.DataFrame
        By method: "right" (share of the scans with domains of which it speaks rightly, with an AUC above 0.95), "false" (share
        of the scans without domains, smooth ones, of which it speaks), "step" (the same for the abrupt thickness step).
    """
    rows = {}
    for method in methods_in_order(table):
        one = table[(table.method == method) & (table.picked_by == "rule")]
        speaks, auc = one.evidence >= limit, one.domain_auc
        known = ~one.scan.isin(WITHOUT_DOMAINS)
        rows[method] = {"right": (speaks & (auc > 0.95))[known].mean(), "false": speaks[one.scan == "null"].mean(),
                        "step": speaks[one.scan == "null-step"].mean()}
    return pd.DataFrame(rows).T


def wall_tests(table: pd.DataFrame) -> pd.DataFrame:
    """
    Which methods tell two kinds of walls apart, by a probe on all their channels (see :mod:`figures_pkg.evaluate.walls`).

    Returns
    -------
    pandas.DataFrame
        One row for each scan of ``WALL_TESTS`` and method that was tested there: "scan", "method", "at_wall" (AUC of the
        probe, middle over seeds), "placebo" (the largest AUC without a wall), "plain" (AUC of the same walls without structure,
        in "control" only) and "told_apart": above 0.9 and by 0.05 above both.
    """
    rows = []
    for scan, kind in WALL_TESTS.items():
        for method in methods_in_order(table):
            at_wall, placebo = (middle_of(table, f"{kind}_{what}", method, "truth", [scan]) for what in ("probe", "placebo"))
            plain = middle_of(table, "charge_probe", method, "truth", ["control-plain"]) if scan == "control" else np.nan
            known = np.fmax(np.fmax(placebo, plain), CLEAR_AUC - CLEAR_GAIN)
            rows.append({"scan": scan, "method": method, "at_wall": at_wall, "placebo": placebo, "plain": plain,
                         "told_apart": at_wall > known + CLEAR_GAIN})
    return pd.DataFrame(rows).dropna(subset=["at_wall"])


def compared(first: float, second: float, margin: float = 0.01) -> str:
    """
    "more than", "less than" or "as much as", words for two scores that a page must not decide before it has them.

    Examples
    --------
    >>> compared(0.99, 0.9), compared(0.995, 1.0)
    ('more than', 'as much as')
    """
    if not (np.isfinite(first) and np.isfinite(second)):
        return "not comparable with"
    return "as much as" if abs(first - second) <= margin else "more than" if first > second else "less than"


def _two(values: np.ndarray) -> str:
    """Middle and worst, or nothing."""
    return f"{np.median(values):.3f} / {values.min():.3f}" if values.size else ""


def _middle(values: np.ndarray, form: str) -> str:
    """The middle value, or nothing."""
    return form.format(np.median(values)) if values.size else ""


def confusion_image(ax: Axes, matrix: pd.DataFrame) -> AxesImage:
    """Draw a matrix of positions by true state (rows) and state given (columns; −1 is "none") in per cent of each true state."""
    share = 100 * matrix.div(matrix.sum(axis=1), axis=0)
    drawn = ax.imshow(share.values, cmap="Blues", vmin=0, vmax=100, origin="upper")
    for row, column in np.ndindex(share.shape):
        value = share.values[row, column]
        ax.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=8, color="white" if value > 60 else "0.25")
    ax.set(xticks=range(share.shape[1]), yticks=range(share.shape[0]), xlabel="domain given", ylabel="true domain")
    ax.set_xticklabels(["none" if state == -1 else str(state) for state in share.columns])
    ax.set_yticklabels([str(state) for state in share.index])
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    return drawn
