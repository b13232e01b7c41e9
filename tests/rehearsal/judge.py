"""The judge of a rehearsal: what was found in a stand-in, held against the truth that it was made from.

Only the judge reads the truth. It asks what a reader of the paper's figures relies on: is the sign of P right, are the domains right away from the
walls, and do Figs. 1, 2 and 4 print of DS1 what they would say with the true ones?
"""

from dataclasses import dataclass
from pathlib import Path

import nbformat
import numpy as np
import xarray as xr

from figures_pkg.evaluate import area_under_curve, domain_split, known_domains
from figures_pkg.imaging import Annulus, Box, Disc, Lattice, along_and_across, asymmetry, descan_planes, refine_lattice, remove_descan, summarise
from figures_pkg.imaging.difference import aligned_means, pair_ratio, pearson_map, reflection_table
from figures_pkg.plotting.maps import barred
from figures_pkg.record import load_manifest

CLEAR_NM = 20.0
LEAST_RIGHT = 0.99
TIE = 0.005  # of an AUC: detectors so close to the best are as good
ORDERS = (2, -2, 4, -4, 6, -6)


@dataclass(frozen=True)
class Told:
    step: float  # of the COM along c, +P less −P, 10⁻³ 1/Å
    error: float
    separations: dict[str, float]  # of each detector, the larger of AUC and 1 − AUC
    ratio: float  # 004 and its opposite over 002 and its opposite, in the share of 1 − r


def told_by_truth(scan: xr.DataArray, truth: xr.Dataset) -> Told:
    """What Figs. 1, 2 and 4 say of DS1 with the true domains."""
    guess, radius_px = Lattice(*(tuple(truth.attrs[name]) for name in ("origin_row_col", "g002_row_col", "g010_row_col"))), truth.attrs["disc_radius_px"]
    boxes = {name: Box(fact.value["rows"], fact.value["cols"]) for name, fact in load_manifest()["ds1"].boxes.items()}
    domain = known_domains(truth, CLEAR_NM)
    raw = summarise(scan, com=True)
    lattice = refine_lattice(raw.mean_pattern.values, guess, radius_px)
    along_c, _ = along_and_across(remove_descan(raw, descan_planes(scan, lattice, radius_px)), lattice.g002)
    split = domain_split(1e3 * along_c.values, domain, order=4, block=max(2, round(60 / float(scan.scan_x[1] - scan.scan_x[0]))))
    discs = {f"00{order}": Disc(tuple(lattice.position(0, order)), 1.1 * radius_px) for order in ORDERS}
    masks = discs | {"ring": Annulus(lattice.centre, 1.5 * radius_px, 3.5 * np.hypot(*lattice.g002))} | boxes
    views = summarise(scan, detectors=masks, com=False, mean=False)
    detectors = {name: views[name].values for name in masks}
    detectors |= {f"A(00{order})": asymmetry(detectors[f"00{order}"], detectors[f"00-{order}"]) for order in (2, 4, 6)}
    plus, minus = domain > 0, domain < 0
    aucs = {name: area_under_curve(image, plus, minus) for name, image in detectors.items()}
    aligned, lattices = aligned_means(scan, {"+P": plus, "-P": minus}, lattice, radius_px)
    ratio = pair_ratio(reflection_table(pearson_map(aligned["+P"], aligned["-P"]), lattices["+P"], radius_px))
    return Told(split.step, split.error, {name: max(auc, 1 - auc) for name, auc in aucs.items()}, ratio)


def domain_verdicts(found: xr.Dataset, truth: xr.Dataset) -> dict[str, tuple[str, bool]]:
    """Each question about the domains with its answer in words, and whether that is good enough."""
    agreement, known = found.attrs["agreement"], bool(found.attrs["sign_known"])
    true = known_domains(truth, CLEAR_NM)
    right = float((found.domain.values == true)[true != 0].mean())  # unknown counts as wrong
    return {
        "sign of P": ("known" if known else "said to be unknown", known),
        "domains right, 20 nm from walls": (f"{100 * right:.2f} %", right >= LEAST_RIGHT),
        "both maps agree": (f"{100 * agreement:.2f} %", agreement >= LEAST_RIGHT - 0.09),
    }


def printed_verdicts(notebooks: Path, scan: xr.DataArray, truth: xr.Dataset) -> dict[str, tuple[str, bool]]:
    """What Figs. 1, 2 and 4 print, in a folder of executed chapters, against what they would say with the true domains."""
    so = told_by_truth(scan, truth)
    first, second, fourth = (glued(notebooks / f"{chapter}.ipynb") for chapter in ("fig-1cd", "fig-2", "fig-4"))
    best, truly_best = {barred(name): name for name in so.separations}[first["vdf-best"].strip("'")], max(so.separations, key=so.separations.get)
    step, error, ratio = float(second["com-step"]), float(second["com-step-error"]), float(fourth["delta-ratio-scan"])
    nearly = so.separations[best] >= so.separations[truly_best] - TIE
    return {
        "COM step (10⁻³ 1/Å)": (f"{step:.2f} ± {error:.2f}, true domains {so.step:.2f} ± {so.error:.2f}", abs(step - so.step) <= error),
        "best detector": (f"{best}, true domains {truly_best} ({so.separations[truly_best]:.3f})", nearly),
        "004 over 002": (f"{ratio:.2f}, true domains {so.ratio:.2f}", (ratio > 1) == (so.ratio > 1)),
    }


def glued(notebook: Path) -> dict[str, str]:
    """Name -> text of each value that an executed chapter keeps for its sentences."""
    found = {}
    for cell in nbformat.read(notebook, as_version=4).cells:
        for output in cell.get("outputs", []):
            name = output.get("metadata", {}).get("scrapbook", {}).get("name")
            if name:
                found[name] = next(text for kind, text in output.data.items() if kind.endswith("text/plain"))
    return found


def table(name: str, answers: dict[str, tuple[str, bool]]) -> str:
    return "\n".join([name, *(f"  {'ok   ' if good else 'WRONG'} {question:33} {answer}" for question, (answer, good) in answers.items())])
