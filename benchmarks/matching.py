"""Matching beside two peers on the same discs: scipy's least squares pattern by pattern, and templates by normalised correlation.

    python benchmarks/matching.py [--side 16]

The scan is simulated from another model than the library's (`figures_pkg.chapters.matching_robustness`). Disc sums are computed once and not
timed, since all three start from them. Processor time of one thread; compilation is left out.
"""

import argparse
import time

import numpy as np
from scipy.optimize import least_squares

from figures_pkg.chapters.matching_robustness import disturbed_scan, other_library
from figures_pkg.diffraction import LibrarySettings, build_library
from figures_pkg.matching import disc_sums, match_scores, prepare
from figures_pkg.matching.disc_library import coarse_starts
from figures_pkg.matching.fit import predict
from figures_pkg.matching.matcher import weights_of
from figures_pkg.twin.patterns import Example

NAMES = ("tilt_b_mrad", "tilt_c_mrad", "thickness_nm")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=16, help="positions along each side of the scan")
    side = parser.parse_args().side
    library = build_library(LibrarySettings.covering([48, 64], 3.0, 3.0, slices=2, period_step=4, g_max_inv_angstrom=1.1), progress=False)
    example = Example(positions=(side, side), thickness_nm=(52, 60), bend_mrad=1.6, convergence_mrad=1.0, frame_px=192,
                      pixel_inv_angstrom=0.0115, electrons=5e5, bragg_share=0.2)
    scan, truth = disturbed_scan(other_library((51.5, 60.5), 1.9), example)
    matcher = prepare(scan, library)
    sums, variances = disc_sums(scan.values.reshape(-1, *scan.shape[2:]), matcher.plan)
    known = {name: truth[name].values.ravel() for name in truth}
    matcher.fit(sums[:4], variances[:4])  # compiles
    print(f"{len(sums)} patterns, {len(matcher.plan)} discs, library of {np.prod(matcher.library.nodes)} nodes for each polarization\n")
    print("| | patterns/s | wrong (%) | thickness rms (nm) | tilts rms (mrad) |\n| --- | --- | --- | --- | --- |")
    for name, method in (("figures_pkg", matcher.fit), ("scipy", lambda *discs: by_scipy(matcher, *discs)),
                         ("templates", lambda *discs: by_templates(matcher, *discs))):
        began = time.process_time()
        found = method(sums, variances)
        rate = len(sums) / (time.process_time() - began)
        found = {"chi2": np.ones(len(sums)), "poor_fit": np.zeros(len(sums)), "log_likelihood_ratio": np.ones(len(sums))} | found
        found = {f"{each}_error": np.ones(len(sums)) for each in NAMES} | found
        score = match_scores(found, known, np.ones(len(sums), bool))
        rms = [score[f"{each} rms"] for each in NAMES]
        print(f"| {name} | {rate:.0f} | {100 * score['wrong']:.1f} | {rms[2]:.2f} | {rms[0]:.3f}, {rms[1]:.3f} |", flush=True)


def by_templates(matcher, sums, variances) -> dict:
    """The node of the library whose square roots of discs correlate best, as template matching has it; no fit."""
    templates = np.sqrt(np.clip(matcher.templates, 0, None)).reshape(-1, sums.shape[1])
    templates = templates - templates.mean(axis=1, keepdims=True)
    templates /= np.linalg.norm(templates, axis=1, keepdims=True)
    seen = np.sqrt(np.clip(sums, 0, None)).astype(np.float32)
    best = ((seen - seen.mean(axis=1, keepdims=True)) @ templates.T).argmax(axis=1)
    state, *nodes = np.unravel_index(best, matcher.templates.shape[:4])
    values = matcher.library.start + matcher.library.step * np.stack(nodes, axis=1)
    return dict(zip(NAMES, values.T)) | {"polarization": 1 - 2 * state}


def by_scipy(matcher, sums, variances) -> dict:
    """scipy's least squares from the same starts for both polarizations, the slopes by differences."""
    _, weights = weights_of(sums, variances, matcher.systematic)
    starts, library, rows = coarse_starts(matcher.templates, sums, weights, 1), matcher.library, []
    last, out = library.nodes - 1.0, np.empty((4, sums.shape[1]), np.float32)
    for data, weight, start in zip(sums, weights, starts):

        def residuals(place, state):
            predict(library.coefficients[state], place, out)
            model, seen = np.sqrt(weight) * out[0], np.sqrt(weight) * data
            return seen - model * (model @ seen) / (model @ model)

        fits = [least_squares(residuals, np.clip(start[state, 0], 1e-3, last - 1e-3), bounds=(np.zeros(3), last), args=(state,), diff_step=1e-3)
                for state in (0, 1)]
        better = int(fits[1].cost < fits[0].cost)
        rows.append([*(library.start + library.step * fits[better].x), 1 - 2 * better])
    return dict(zip((*NAMES, "polarization"), np.array(rows).T))


if __name__ == "__main__":
    main()
