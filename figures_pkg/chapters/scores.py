"""What the chapter on scores alone needs: which methods in which order, their middle and their worst, and who is fooled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

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


def summary(table: pd.DataFrame, scans: Sequence[str]) -> pd.DataFrame:
    """
    One row for each method over some scans: AUC of domains (by rule, by truth) and walls, and vortex, as "middle / worst".

    "bend in it" and "thickness in it" are the middle share of the channel's variance, "CPU s" the middle time.
    """
    rows = {}
    for method in methods_in_order(table):
        row = {"domains": _two(values_of(table, "domain_auc", method, scans=scans))}
        row["domains by truth"] = _two(values_of(table, "domain_auc", method, "truth", scans))
        row["walls"] = _two(values_of(table, "wall_auc", method, scans=scans))
        row["vortex"] = _two(values_of(table, "vortex_accuracy", method, scans=scans))
        for name, column, form in (("bend in it", "leak_bend", "{:.0%}"), ("thickness in it", "leak_thickness", "{:.0%}"), ("CPU s", "cpu_s", "{:.1f}")):
            values = values_of(table, column, method, scans=scans)
            row[name] = form.format(np.median(values)).replace("%", " %") if values.size else ""
        rows[method] = row
    return pd.DataFrame(rows).T


def claims_of_domains(table: pd.DataFrame) -> pd.DataFrame:
    """
    Who speaks of domains where, that is, the channel chosen by rule has an evidence of one half or more; shares of scans by method.

    "right" is that of scans with domains, with an AUC above 0.95, "false" that of smooth scans without, "step" that of the abrupt thickness step.
    """
    rows = {}
    for method in methods_in_order(table):
        one = table[(table.method == method) & (table.picked_by == "rule")]
        speaks, auc = one.evidence >= 0.5, one.domain_auc
        known = ~one.scan.isin(WITHOUT_DOMAINS)
        rows[method] = {"right": (speaks & (auc > 0.95))[known].mean(), "false": speaks[one.scan == "null"].mean(),
                        "step": speaks[one.scan == "null-step"].mean()}
    return pd.DataFrame(rows).T


def wall_tests(table: pd.DataFrame) -> pd.DataFrame:
    """
    Which methods tell two kinds of walls apart, by a probe on all their channels, a row for each scan of ``WALL_TESTS`` and method.

    "at_wall" is the AUC of the probe (middle over seeds), "placebo" the largest AUC without a wall, "plain" the AUC of the same walls without
    structure (in "control" only), "told_apart" whether it is above 0.9 and by 0.05 above both.
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
    """"more than", "less than" or "as much as": words for two scores that a page must not decide before it has them."""
    if not (np.isfinite(first) and np.isfinite(second)):
        return "not comparable with"
    return "as much as" if abs(first - second) <= margin else "more than" if first > second else "less than"


def _two(values: np.ndarray) -> str:
    return f"{np.median(values):.3f} / {values.min():.3f}" if values.size else ""
