"""The judge of a rehearsal: what was found in a stand-in, held against the truth that it was made from.

Only the judge reads the truth. It asks what a reader of the paper's figures relies on: is the sign of P right, are the domains right away from the
walls, and do Figs. 1, 2 and 4 say with the domains found what they would say with the true ones?
"""

from dataclasses import dataclass
from pathlib import Path

import nbformat
import numpy as np
import xarray as xr

from figures_pkg.data.axes import Axes
from figures_pkg.data.scan import open_scan
from figures_pkg.evaluate import area_under_curve, domain_split, known_domains
from figures_pkg.imaging import Annulus, Box, Disc, Lattice, along_and_across, asymmetry, descan_planes, refine_lattice, remove_descan, summarise
from figures_pkg.imaging.difference import aligned_means, pair_ratio, pearson_map, reflection_table
from figures_pkg.plotting.maps import barred

CLEAR_NM = 20.0
LEAST_RIGHT = 0.99
TIE = 0.005  # of an AUC: detectors so close to the best are as good
ORDERS = (2, -2, 4, -4, 6, -6)


@dataclass(frozen=True)
class Images:
    """What Figs. 1, 2 and 4 take from a scan before any domain is known; the centre of mass along c in 1/Å."""

    scan: xr.DataArray
    lattice: Lattice
    radius_px: float
    com_along_c: np.ndarray
    detectors: dict[str, np.ndarray]


@dataclass(frozen=True)
class Told:
    """What the figures say with one map of the domains."""

    step: float  # of the COM along c, +P less −P, 10⁻³ 1/Å
    error: float
    separations: dict[str, float]  # of each detector, the larger of AUC and 1 − AUC
    ratio: float  # 004 and its opposite over 002 and its opposite, in the share of 1 − r

    @property
    def best(self) -> str:
        """The detector that separates the domains best."""
        return max(self.separations, key=self.separations.get)


def images_of(scan: xr.DataArray, guess: Lattice, radius_px: float, boxes: dict[str, Box] | None = None) -> Images:
    """Lattice, centre of mass without descan, and virtual images of a scan: discs on 00l, a ring, and boxes."""
    raw = summarise(scan, com=True)
    lattice = refine_lattice(raw.mean_pattern.values, guess, radius_px)
    along_c, _ = along_and_across(remove_descan(raw, descan_planes(scan, lattice, radius_px)), lattice.g002)
    discs = {f"00{order}": Disc(tuple(lattice.position(0, order)), 1.1 * radius_px) for order in ORDERS}
    ring = Annulus(lattice.centre, 1.5 * radius_px, 3.5 * np.hypot(*lattice.g002))
    masks = discs | {"ring": ring} | (boxes or {})
    views = summarise(scan, detectors=masks, com=False, mean=False)
    detectors = {name: views[name].values for name in masks}
    detectors |= {f"A(00{order})": asymmetry(detectors[f"00{order}"], detectors[f"00-{order}"]) for order in (2, 4, 6)}
    return Images(scan, lattice, radius_px, along_c.values, detectors)


def told_by(images: Images, domain: np.ndarray) -> Told:
    """What Figs. 1, 2 and 4 say with a map of the domains: +1, −1, and 0 where none is known."""
    plus, minus = domain > 0, domain < 0
    block = max(2, round(60 / float(images.scan.scan_x[1] - images.scan.scan_x[0])))
    split = domain_split(1e3 * images.com_along_c, domain, order=4, block=block)
    aucs = {name: area_under_curve(image, plus, minus) for name, image in images.detectors.items()}
    aligned, lattices = aligned_means(images.scan, {"+P": plus, "-P": minus}, images.lattice, images.radius_px)
    delta = pearson_map(aligned["+P"], aligned["-P"])
    ratio = pair_ratio(reflection_table(delta, lattices["+P"], images.radius_px))
    return Told(split.step, split.error, {name: max(auc, 1 - auc) for name, auc in aucs.items()}, ratio)


def verdicts(found: xr.Dataset, truth: xr.Dataset, images: Images, notebooks: Path | None = None) -> dict[str, tuple[str, bool]]:
    """Each question with its answer in words, and whether that is good enough; with the folder of executed chapters also what Figs. 1, 2 and 4 print."""
    clear, agreement, known = np.abs(truth.wall_distance_nm.values) > CLEAR_NM, found.attrs["agreement"], bool(found.attrs["sign_known"])
    true = np.where(clear, truth.domain.values, 0).astype(int)
    said, so = told_by(images, known_domains(found, CLEAR_NM)), told_by(images, true)
    right = float((found.domain.values == true)[clear].mean())  # unknown counts as wrong
    answers = {
        "sign of P": ("known" if known else "said to be unknown", known),
        "domains right, 20 nm from walls": (f"{100 * right:.2f} %", right >= LEAST_RIGHT),
        "both maps agree": (f"{100 * agreement:.2f} %", agreement >= LEAST_RIGHT - 0.09),
    } | _compared("", said.step, said.error, max(said.error, so.error), said.best, said.ratio, so)
    if notebooks:
        first, second, fourth = (glued(notebooks / f"{chapter}.ipynb") for chapter in ("fig-1cd", "fig-2", "fig-4"))
        best = {barred(name): name for name in so.separations}[first["vdf-best"].strip("'")]
        step, error = float(second["com-step"]), float(second["com-step-error"])
        answers |= _compared("printed: ", step, error, error, best, float(fourth["delta-ratio-scan"]), so)
    return answers


def _compared(kind: str, step: float, error: float, allowed: float, best: str, ratio: float, so: Told) -> dict[str, tuple[str, bool]]:
    """COM step, best detector and ratio of the reflections against what the figures say with the true domains."""
    nearly = so.separations[best] >= so.separations[so.best] - TIE
    return {
        f"{kind}COM step (10⁻³ 1/Å)": (f"{step:.2f} ± {error:.2f}, true domains {so.step:.2f} ± {so.error:.2f}", abs(step - so.step) <= allowed),
        f"{kind}best detector": (f"{best}, true domains {so.best} ({so.separations[so.best]:.3f})", nearly),
        f"{kind}004 over 002": (f"{ratio:.2f}, true domains {so.ratio:.2f}", (ratio > 1) == (so.ratio > 1)),
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


def lattice_for(truth: xr.Dataset) -> tuple[Lattice, float]:
    """The lattice that a manifest would give for a stand-in, and the radius of its discs."""
    origin, g002, g010 = (tuple(map(float, truth.attrs[name])) for name in ("origin_row_col", "g002_row_col", "g010_row_col"))
    return Lattice(origin, g002, g010), float(truth.attrs["disc_radius_px"])


def opened(path: Path, truth: xr.Dataset, lattice: Lattice) -> xr.DataArray:
    """A stand-in with the axes that a manifest gives, not the nominal ones of the file."""
    step = float(truth.scan_y[1] - truth.scan_y[0])
    return open_scan(path, axes=Axes(step, 0.009555, lattice.centre, 200.0))


def table(name: str, answers: dict[str, tuple[str, bool]]) -> str:
    """The answers as lines."""
    return "\n".join([name, *(f"  {'ok   ' if good else 'WRONG'} {question:33} {answer}" for question, (answer, good) in answers.items())])
