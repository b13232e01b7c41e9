"""The states of the specimens of DS1 and DS2 that agree with everything measured on the published pictures at once.

    python benchmarks/fit_twin.py [ds1] [ds2] [--write]

Many thicknesses, tilts and walls fit, so the answer is a set. With ``--write`` it goes to ``fit_twin.csv`` beside this file.

**Patterns.** The discs of both domains are drawn with the preset's optics, the measured background is added, and the mean of ln(1 + counts) is
drawn and read back as the published picture was. The boxes of DS1 hold 1.25 times the counts that the picture suggests. Both meet at one
scale of counts if the counts of a disc's pixel scatter over the scan by exp(±0.7): this lowers mean logarithms, not means.

**Misfit.** The model is wrong by more than the pictures are noisy: its structure is interpolated, and one state stands for a field of many.
Roots of disc sums share one error, such that the best state has chi² equal to its degrees of freedom. The boxes count with their own errors and
the model's. Admissible is a chi² within 1.3 of the least: 6 units more, or 90 % for three parameters.

**Wall.** Depth stacks give both boxes of DS1 across an inclined wall; the halo of the direct beam darkens with it. None comes down to the
scatter of the profiles, 0.01, so the walls within 1.3 of the least deviation are marked.
"""

import argparse
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.polynomial.hermite_e import hermegauss
from scipy.ndimage import gaussian_filter1d
from scipy.sparse import csr_matrix
from scipy.stats import poisson

from figures_pkg.data.published import box_image_numbers, mean_pattern_numbers
from figures_pkg.diffraction import Library, LibrarySettings, build_library, disc_means
from figures_pkg.diffraction.library import rows_of
from figures_pkg.imaging import Lattice
from figures_pkg.imaging.difference import pearson_map
from figures_pkg.imaging.lattice import as_drawn
from figures_pkg.record import load_manifest
from figures_pkg.twin import load_preset
from figures_pkg.twin.presets import Preset
from figures_pkg.twin.render import Renderer
from figures_pkg.twin.walls import across_wall, build_columns
from figures_pkg.workspace import replacing

# The first and the last thickness in nm, tilt along b* and tilt along c in mrad.
RANGES = {"ds1": ((56, 86), (-1.0, 3.0), (-6.0, -2.0)), "ds2": ((44, 64), (-3.0, 0.0), (-3.5, -0.5))}
STEPS = np.array([1.0, 0.5, 0.25])  # of the fine grid; the coarse one has twice as much in thickness and tilt along c
SCATTER = 0.7  # standard deviation of ln(counts) of a disc's pixel over the scan
WITHIN = 1.3  # of the least misfit
MEAN_ERROR, CONTRAST_ERROR = 0.10, 0.05  # of the model: of the counts in a box's disc, and of the contrast between the domains
SCALES = np.linspace(0.5, 1.6, 45)  # of the counts, in units of the preset's
INCLINATIONS_DEG, HALF_DEPTHS = np.arange(10, 31, 1.0), (0.05, 1.0, 2.0)  # the latter in periods of 0.611 nm
PROFILE_BLUR_NM = 2.0  # of the published profiles: pixels of 3.1 nm, and the traced course of the wall
COUNTS = np.concatenate([np.arange(0, 60, 0.125), np.geomspace(60, 4000, 200)])  # at which mean logarithms are tabulated


@dataclass(frozen=True)
class Measured:
    """Sums of discs (n,) in the picture of the mean logarithm; of both boxes (2,) the counts per pixel, and the contrast of two domains."""

    sums: np.ndarray
    means: np.ndarray
    means_error: np.ndarray
    contrast: np.ndarray
    contrast_error: np.ndarray

    @classmethod
    def of(cls, dataset: str) -> "Measured":
        """As stored with their sources."""
        boxes = [box_image_numbers(dataset)[box] for box in ("box1", "box2")]
        names = ("mean", "error", "contrast", "contrast_error")
        return cls(np.array(list(mean_pattern_numbers(dataset)["disc_sums"].values())), *(np.array([box[name] for box in boxes]) for name in names))


def mean_logarithms() -> np.ndarray:
    """Mean of ln(1 + n) of Poisson counts with the means `COUNTS`."""
    near = [np.arange(max(0, int(mean - 12 * mean**0.5 - 12)), int(mean + 12 * mean**0.5 + 14)) for mean in COUNTS]
    return np.array([poisson.pmf(n, mean) @ np.log1p(n) for n, mean in zip(near, COUNTS)])


class PatternModel:
    """Discs, boxes and the picture of the mean logarithm for states of one scan."""

    def __init__(self, preset: Preset, library: Library):
        self.preset, self.library, self.table = preset, library, mean_logarithms()
        mixture, specimen = replace(preset, walls="mixture"), preset.specimen
        self.renderer = Renderer(replace(mixture, detector=replace(preset.detector, bragg_share=1.0)), library)  # discs only
        optics = Renderer(mixture, library).optics
        self.scale = optics.bragg_counts  # counts of the whole beam in the preset
        here = np.array(preset.pattern.origin_row_col), specimen.thickness_nm, np.array([specimen.tilt_b_mrad, specimen.tilt_c_mrad])
        self.background, self.halo = (np.zeros(preset.pattern.shape, np.float32) for _ in range(2))
        optics.diffuse.add_to(self.background, *here)
        replace(optics.diffuse, profile=0 * optics.diffuse.profile).add_to(self.halo, *here)
        entry, numbers = load_manifest()[preset.name], mean_pattern_numbers(preset.name)
        self.lattice = Lattice(*(tuple(entry.axes[f"{name}_row_col_px"].value) for name in ("origin", "g002", "g010")))
        self.sums_of = disc_operator(preset.pattern.shape, self.lattice, numbers["disc_sums"], numbers["disc_px"])
        boxes = [entry.boxes[name].value for name in ("box1", "box2")]
        self.boxes = [np.s_[box["rows"][0] : box["rows"][1], box["cols"][0] : box["cols"][1]] for box in boxes]
        self.box_rows = [rows_of(library.hkl)[tuple(box["reflection"])] for box in boxes]

    def discs(self, state) -> np.ndarray:
        """Discs of +P and -P (2, h, w) at a thickness and two tilts, as fractions of the beam."""
        rows = [[sign, *state, 0.0, 0.0] for sign in (1.0, -1.0)]
        return self.renderer.expected(np.array(rows)) / np.float32(self.renderer.optics.bragg_counts)

    def in_boxes(self, pattern) -> np.ndarray:
        """Mean per pixel of both boxes, (..., 2)."""
        return np.stack([pattern[..., *box].mean(axis=(-2, -1)) for box in self.boxes], axis=-1)

    def picture_sums(self, discs, scale: float) -> np.ndarray:
        """Sums of the discs in the picture of the mean logarithm, (n,), when the whole beam has `scale` counts."""
        mean, (nodes, weights) = 0, hermegauss(3)
        for node, weight in zip(nodes, weights / weights.sum()):
            factor = np.float32(scale * np.exp(SCATTER * node - SCATTER**2 / 2))
            for domain in discs:
                mean = mean + weight / len(discs) * np.interp(factor * domain + self.background, COUNTS, self.table)
        return self.sums_of @ as_drawn(mean).ravel()

    def predict(self, state) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Disc sums (s, n), means (s, 2) and domain contrasts (s, 2) over `SCALES`; sums are parabolas through three scales."""
        discs, nodes = self.discs(state), (0.0, 0.7, 1.3)
        values = np.stack([self.picture_sums(discs, node * self.scale) for node in nodes])
        shares = np.stack([np.prod([(SCALES - b) / (a - b) for b in nodes if b != a], axis=0) for a in nodes], axis=1)
        both = SCALES[:, None, None] * self.scale * self.in_boxes(discs) + self.in_boxes(self.background)
        means = both.mean(axis=1)
        return shares @ values, means, (both[:, 0] - both[:, 1]) / means

    def known_by(self, state, scale: float) -> dict[str, float]:
        """What verdicts turn on: 004 over 002 (share in 1 - r of the pairs), and the centre of mass of +P less that of -P along c, 1e-3/Å."""
        patterns = self.discs(state) * np.float32(scale * self.scale) + self.background
        share, radius = pearson_map(*patterns), mean_pattern_numbers(self.preset.name)["disc_px"]
        pair = [disc_operator(share.shape, self.lattice, [(0, l), (0, -l)], radius, level=False) @ share.ravel() for l in (4, 2)]
        means = [disc_means(self.library, sign, *state, self.preset.beam.convergence_mrad) for sign in (1, -1)]
        moment = float((means[0] - means[1]) @ self.library.g_c) * scale * self.scale / patterns.mean(axis=0).sum()
        return {"ratio_004_002": float(pair[0].sum() / pair[1].sum()), "com_split": 1e3 * float(moment)}


def disc_operator(shape, lattice: Lattice, indices, radius_px: float, level: bool = True) -> csr_matrix:
    """Matrix (n, pixels) whose product with a picture is `figures_pkg.imaging.lattice.disc_counts`; plain sums without `level`."""
    rows, cols = np.indices(shape)
    found = []
    for k, l in indices:
        row, col = lattice.position(k, l)
        distance = np.hypot(rows - row, cols - col)
        inside, ring = distance < radius_px, (distance > 8) & (distance < 10)
        found.append((inside - level * ring * (inside.sum() / ring.sum())).ravel())
    return csr_matrix(np.array(found, float))


def chi_squared(predicted, measured: Measured, root_error: float, background) -> tuple[np.ndarray, np.ndarray, int]:
    """Over the scales of a state: chi² (s,), the sum of squares of roots alone (s,), and which domain is +P: 1 the first, -1 the second."""
    sums, means, contrast = predicted
    roots = ((np.sqrt(np.maximum(sums, 0)) - np.sqrt(measured.sums)) ** 2).sum(axis=1)
    error = np.hypot(measured.means_error, MEAN_ERROR * (measured.means - background))
    boxes = (((means - measured.means) / error) ** 2).sum(axis=1)
    spread = np.hypot(measured.contrast_error, CONTRAST_ERROR)
    domains = [(((contrast - sign * measured.contrast) / spread) ** 2).sum(axis=1) for sign in (1, -1)]
    sign = 1 if domains[0].min() <= domains[1].min() else -1
    return roots / root_error**2 + boxes + np.minimum(*domains), roots, sign


def fit_patterns(model: PatternModel, measured: Measured, ranges) -> pd.DataFrame:
    """Admissible thicknesses and tilts, best first, on a fine grid around what is near on a coarse one."""
    low, high = np.array(ranges, float).T
    coarse = product(*(np.arange(a, b + 1e-6, step).tolist() for a, b, step in zip(low, high, STEPS * (2, 1, 2))))
    seen = {state: model.predict(state) for state in coarse}
    background = model.in_boxes(model.background)

    def evaluate() -> pd.DataFrame:
        """A table of all states so far; the error of a root follows from the best of them."""
        least = min(chi_squared(each, measured, 1.0, background)[1].min() for each in seen.values())
        rows = []
        for state, each in seen.items():
            chi2, roots, sign = chi_squared(each, measured, (least / (len(measured.sums) - 4)) ** 0.5, background)
            best = chi2.argmin()
            rows.append([*state, sign, chi2[best], roots[best] / measured.sums.sum(), SCALES[best], *each[1][best], *each[2][best]])
        columns = ["thickness_nm", "tilt_b_mrad", "tilt_c_mrad", "plus_side", "chi2", "residual", "scale", "box1", "box2", "contrast1", "contrast2"]
        return pd.DataFrame(rows, columns=columns).sort_values("chi2")

    table = evaluate()
    near = table[table.chi2 < 2 * table.chi2.min()].iloc[:, :3].values
    around = (near[:, None] + np.array(list(product((-1, 0, 1), (0,), (-1, 0, 1)))) * STEPS).reshape(-1, 3)
    inside = around[((around >= low) & (around <= high)).all(axis=1)]
    seen |= {state: model.predict(state) for state in set(map(tuple, inside.tolist())) - set(seen)}
    table = evaluate()
    return table[table.chi2 <= WITHIN * table.chi2.min()].reset_index(drop=True)


def wall_columns(model: PatternModel, states: np.ndarray, half_depths=HALF_DEPTHS) -> dict:
    """Depth stacks over the states (n, 3), by mirror variant and half width along the beam."""
    g = np.stack([model.library.g_b, model.library.g_c], axis=1)[model.box_rows]
    low, high = (extreme(states[:, [1, 2, 0]], axis=0) for extreme in (np.min, np.max))
    convergence = model.preset.beam.convergence_mrad
    return {(turn, half): build_columns(g, low, high, convergence, turn, half_depth=half) for turn in (1, -1) for half in half_depths}


def wall_profiles(model: PatternModel, state, scale: float, columns, trials, distance_nm) -> list[np.ndarray]:
    """Both boxes across a wall over their values far from it, (x, 2), for trials of the domain that the beam meets first (±1) and an inclination.

    Inclinations in degrees; distances (x,) in nm, positive in +P, on a uniform grid.
    """
    thickness, tilt_b, tilt_c = state
    plus, minus = (disc_means(model.library, sign, *state, model.preset.beam.convergence_mrad)[model.box_rows] for sign in (1, -1))
    share, halo = 2 * model.in_boxes(model.discs(state)).mean(axis=0) / (plus + minus), model.in_boxes(model.halo) * [1, 0]
    counts, rest = scale * model.scale * share + 2 * halo / (plus + minus), model.in_boxes(model.background) - halo
    both, curves, step = columns.at(np.array([tilt_b, tilt_c, thickness])), [], distance_nm[1] - distance_nm[0]
    ramp = np.clip((np.asarray(distance_nm)[:, None] + 10) / 20, 0, 1)
    for top, inclination in trials:
        differences = np.broadcast_to(both[0 if top > 0 else 1], (len(distance_nm), *both.shape[1:]))
        slope = top * np.tan(np.radians(inclination))
        discs = across_wall(plus, minus, distance_nm, thickness, model.preset.beam.probe_fwhm_nm, slope, differences, columns.first_depth)
        boxes = gaussian_filter1d(counts * discs + rest, PROFILE_BLUR_NM / step, axis=0, mode="nearest")
        curves.append(boxes / (boxes[0] * (1 - ramp) + boxes[-1] * ramp))
    return curves


def fit_wall(model: PatternModel, row, columns: dict, distance_nm, profiles) -> list[dict]:
    """The best inclination for each variant, order and width at one state: rms deviations from measured profiles (x, 2) over their far values."""
    state, fine = (row.thickness_nm, row.tilt_b_mrad, row.tilt_c_mrad), np.arange(-70, 70.1, 0.5)
    found = []
    for (turn, half), stacks in columns.items():
        for top in (1, -1):
            rows, trials = [], [(top, inclination) for inclination in INCLINATIONS_DEG]
            for (_, inclination), curves in zip(trials, wall_profiles(model, state, row.scale, stacks, trials, fine)):
                for shift in np.arange(-3, 3.1, 1.0):  # the published course may be off
                    off = np.stack([np.interp(distance_nm + shift, fine, curve) for curve in curves.T], axis=1) - profiles
                    rms = np.sqrt((off**2).mean(axis=0))
                    rows.append((np.hypot(*rms), inclination, *rms, curves[:, 0].min()))
            best = dict(zip(("wall_rms", "inclination_deg", "wall_rms1", "wall_rms2", "wall_least1"), map(float, min(rows))))
            found.append({"variant": turn, "first": "+P" if top > 0 else "-P", "half_depth": half} | best)
    return found


def fit(dataset: str) -> pd.DataFrame:
    """All admissible states of a scan; those of DS1 with their best wall, and with all admissible ones."""
    preset, ranges = load_preset(dataset), RANGES[dataset]
    ends = [np.array(axis) + np.array([-1, 1]) * preset.beam.convergence_mrad for axis in ranges[1:]]
    library = build_library(LibrarySettings.covering(ranges[0], *ends, g_max_inv_angstrom=1.2), threads=1, progress=False)
    model = PatternModel(preset, library)
    table = fit_patterns(model, Measured.of(dataset), ranges)
    extra = [model.known_by(tuple(row[:3]), row[6]) for row in table.values]
    table = pd.concat([table, pd.DataFrame(extra)], axis=1)
    wall = box_image_numbers(dataset).get("wall")
    if wall is not None:
        columns = wall_columns(model, table.values[:, :3])
        walls = [pd.DataFrame(fit_wall(model, row, columns, wall["distance_nm"], wall["profiles"])).assign(state=row.Index) for row in table.itertuples()]
        walls = pd.concat(walls).assign(wall_admissible=lambda all_walls: all_walls.wall_rms <= WITHIN * all_walls.wall_rms.min())
        best = walls.groupby("state").wall_rms.transform("min") == walls.wall_rms
        table = table.merge(walls[best | walls.wall_admissible], left_index=True, right_on="state").drop(columns="state")
    table.insert(0, "scan", dataset)
    return table.sort_values("chi2", kind="stable")


def main() -> None:
    """Fit, print the best, and store the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scans", nargs="*", default=["ds1", "ds2"], help="ds1, ds2 or both")
    parser.add_argument("--write", action="store_true", help="store the table beside this file")
    arguments = parser.parse_args()
    table = pd.concat([fit(scan) for scan in arguments.scans], ignore_index=True).round(4)
    print(table.to_string())
    if arguments.write:
        with replacing(Path(__file__).with_suffix(".csv")) as path:
            table.to_csv(path, index=False)


if __name__ == "__main__":
    main()
