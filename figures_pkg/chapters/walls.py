"""What the chapter on walls alone needs: distances from every mixture, stored tables, and inclined walls computed twice.

The renderer takes depth stacks for inclined walls, which are cheap and serve every inclination. They leave out that a wave scattered in one column arrives
in the next: at 9 mrad it moves aside by half a nanometre in 60 nm. The supercell whose wall moves with depth and the columns that know nothing of each
other use the same slices, waves and atoms, so that nothing else differs.
"""

from dataclasses import asdict

import numpy as np

from figures_pkg.crystal.structure import structure
from figures_pkg.twin.domains import FWHM_PER_SIGMA, default_profile
from figures_pkg.twin.wall_scattering import REACH, Cone, Supercell, cone_step_mrad, probe_discs, stack_intensities
from figures_pkg.twin.walls import EdgeSettings, EdgeTable, build_edge, depth_weights
from figures_pkg.workspace import stored_arrays

DEPTH_STEP = 2  # periods between the depths of a stack: finer than the renderer's, which is not judged here
CELL_NM = 18.0  # shortest supercell


def chi2_per_electron(first, second, background) -> np.ndarray:
    """
    Squared difference of discs (..., n) over expected noise, summed over discs; all are fractions of the beam.

    Times the number of electrons, it is the squared significance of the difference.
    """
    first, second = np.asarray(first, float), np.asarray(second, float)
    return ((first - second) ** 2 / (np.clip((first + second) / 2, 0, None) + background)).sum(axis=-1)


def best_mixture(pattern, plus, minus, background) -> tuple[float, float]:
    """Share of +P in the mixture nearest to a pattern, and the chi2 per electron that is left."""
    shares = np.linspace(0, 1, 501)
    left = chi2_per_electron(pattern, shares[:, None] * plus + (1 - shares[:, None]) * minus, background)
    return float(shares[left.argmin()]), float(left.min())


def inclined_supercell(kind: str, inclination_deg: float) -> Supercell:
    """A supercell of at least 18 nm whose walls lean; the polar mode follows the phase, as it does in a stack."""
    profile = default_profile(1.0 if kind == "charged" else 0.0, screening_nm=0.0)
    shortest = Supercell(kind, 4, profile)
    return Supercell(kind, int(np.ceil(4 * CELL_NM / shortest.length_nm)), profile, inclination_deg)


def by_supercell(cell: Supercell, tilt_mrad, convergence_mrad: float, periods: int, hkl, distances_nm) -> np.ndarray:
    """
    Discs (x, n), fractions of the beam, of a probe across the wall of a supercell with +P below it, at distances (nm) positive in +P.

    The wall is head-to-head, or neutral with its normal along +b*; distances count from it at mid thickness. The tilt is along b* and c.
    """
    place, side = list(cell.walls_nm().values())[1]
    cone = _cone(cell, tilt_mrad, convergence_mrad)
    return probe_discs(cell, cone, [periods], hkl, place + side * np.asarray(distances_nm))[0, 0, 0]


def by_stacks(cell: Supercell, tilt_mrad, convergence_mrad: float, probe_fwhm_nm: float, periods: int, hkl, distances_nm) -> tuple:
    """The same discs (x, n) from depth stacks under a Gaussian probe, as the renderer takes them, and those (n,) of +P and -P alone."""
    if not cell.inclination_deg > 0:
        given = f"{cell.inclination_deg:g} degrees"
        raise ValueError(f"stacks need an inclination above zero, got {given}; an upright wall has no depth, use by_supercell")
    slope, period_nm = np.tan(np.radians(cell.inclination_deg)), structure()["a_angstrom"] / 10
    half_depth = cell.profile.half_width_nm / slope / period_nm
    reach = DEPTH_STEP * np.ceil(REACH * half_depth / DEPTH_STEP)
    depths = np.arange(-reach, periods + reach + DEPTH_STEP, DEPTH_STEP)
    cone = _cone(cell, tilt_mrad, convergence_mrad)
    along, normal = np.meshgrid(cone.along_mrad, cone.normal_mrad, indexing="ij")
    shares = cone.weights(0, 0) ** 2  # of each wave in the beam
    inside = shares > 0
    pair = (normal, along) if cell.axis == 0 else (along, normal)  # along b* and c
    tilts, weights = np.stack([each[inside] for each in pair], axis=-1), shares[inside]
    stacks = stack_intensities(-1, cell.profile.step, depths, [periods], tilts, hkl, half_depth)[:, 0]
    stacks = np.tensordot(weights, stacks, axes=1)
    spread = probe_fwhm_nm / FWHM_PER_SIGMA / slope / period_nm
    middles = periods / 2 - np.asarray(distances_nm) / slope / period_nm
    seen = []
    for middle in middles:
        shares = depth_weights(middle, spread, depths[0], DEPTH_STEP, len(depths))
        beyond = stacks[-1] if middle > depths.mean() else stacks[0]  # columns that the wall has not reached or has left are domains
        seen.append(shares @ stacks[1:-1] + (1 - shares.sum()) * beyond)
    return np.array(seen), stacks[0], stacks[-1]


def _cone(cell: Supercell, tilt_mrad, convergence_mrad: float) -> Cone:
    """Waves of one orientation on the reciprocal grid of the cell."""
    tilt = (tilt_mrad[cell.axis], tilt_mrad[1 - cell.axis])
    return Cone.around(tilt, 0.0, convergence_mrad, cone_step_mrad(cell))


def edge_table(path, settings: EdgeSettings) -> EdgeTable:
    """The table of upright walls stored at `path` (.npz), built and stored when it is missing or comes from other settings or other code."""
    stored = stored_arrays(path, build_edge, [asdict(settings), structure()], lambda: vars(build_edge(settings)))
    return EdgeTable(**stored | {"names": tuple(map(str, stored["names"]))})
