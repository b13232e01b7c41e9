"""What a pattern depends on: asymmetry of 00l, order of the reflections by their change with P, other crystals, other cones.

Everything here is a function of whole discs along [100]. The asymmetry A(00l) = (I(00l) - I(00-l)) / (I(00l) + I(00-l)) is
that of the stated domain; without tilt, that of the other domain is its negative.
"""

from dataclasses import replace

import numpy as np

from figures_pkg.twin.diffraction.library import Library, library_stack
from figures_pkg.twin.diffraction.library_settings import LibrarySettings, reflections
from figures_pkg.twin.diffraction.multislice import propagate
from figures_pkg.twin.diffraction.patterns import cone_tilts
from figures_pkg.twin.structure.crystal import Crystal
from figures_pkg.twin.structure.displacements import mirror_displacements


def pair_index(hkl, order: int) -> list[int]:
    """Rows of 00l and 00-l in a table of reflections, shape (n, 3); raises when the table lacks one."""
    rows = {tuple(row): index for index, row in enumerate(np.asarray(hkl).tolist())}
    try:
        return [rows[0, 0, order], rows[0, 0, -order]]
    except KeyError as error:
        raise ValueError(f"reflection {error} is not among the {len(rows)} given; raise g_max_inv_angstrom") from error


def asymmetry(intensities, hkl, order: int) -> np.ndarray:
    """
    A(00l) = (I(00l) - I(00-l)) / (I(00l) + I(00-l)).

    Parameters
    ----------
    intensities
        Shape (..., n).
    hkl
        Shape (n, 3).
    order
        The even l.

    Returns
    -------
    array, shape (...)
        From -1 to 1; positive when 00l is the brighter one. Small negative values, which a spline may leave, count as zero.
    """
    up, down = (np.maximum(intensities[..., row], 1e-9).astype(float) for row in pair_index(hkl, order))
    return (up - down) / (up + down)


def difference_shares(library: Library, thickness_nm, tilt_b_mrad, tilt_c_mrad, convergence_mrad: float) -> np.ndarray:
    """
    Share of each disc in one minus the correlation of the patterns of +P and -P, point by point of the discs.

    This is Δ(+P, -P) as the share of each pixel in 1 - r (:mod:`figures_pkg.imaging.delta`), summed over a disc, for a frame
    that is empty between the discs and so large that its mean can be neglected:
    sum over the disc of (I₊ / |I₊| - I₋ / |I₋|)² / 2, with |I| the root of the sum of squares over the whole pattern.

    Parameters
    ----------
    library
        Of plane waves; must reach a disc's radius beyond the tilts.
    thickness_nm, tilt_b_mrad, tilt_c_mrad
        Broadcast to a common shape (...,).
    convergence_mrad
        Half angle of the cone.

    Returns
    -------
    array, shape (..., n)
        Not negative, in the order of ``library.hkl``; the sum over the last axis is 1 - r.
    """
    plus2, minus2, product = 0.0, 0.0, 0.0
    for b, c in cone_tilts(convergence_mrad):
        plus, minus = (library.intensities(sign, thickness_nm, tilt_b_mrad + b, tilt_c_mrad + c) for sign in (1, -1))
        plus2, minus2, product = plus2 + plus**2, minus2 + minus**2, product + plus * minus
    norms = [values.sum(axis=-1, keepdims=True) for values in (plus2, minus2)]
    return np.maximum(plus2 / norms[0] + minus2 / norms[1] - 2 * product / np.sqrt(norms[0] * norms[1]), 0) / 2


def pair_ratio(shares, hkl, first: int = 4, second: int = 2) -> np.ndarray:
    """How much more the pair 00l, 00-l of order `first` contributes than that of `second`, shape (...); above 1 it leads."""
    pairs = [np.asarray(shares)[..., pair_index(hkl, order)].sum(axis=-1) for order in (first, second)]
    return pairs[0] / np.maximum(pairs[1], np.finfo(np.float32).tiny)


def pair_rank(shares, hkl, order: int) -> np.ndarray:
    """Rank among all reflections of the better of 00l and 00-l, shape (...); 1 for the largest share."""
    best = np.asarray(shares)[..., pair_index(hkl, order)].max(axis=-1, keepdims=True)
    return 1 + np.count_nonzero(shares > best, axis=-1)


def scale_vibrations(crystal: Crystal, factor: float) -> Crystal:
    """The crystal with all mean squared displacements (Debye-Waller factors B = 8 pi² U) multiplied by a factor >= 0."""
    if not factor >= 0:
        raise ValueError(f"the factor of the vibrations is {factor}; expected zero or more")
    return replace(crystal, u_iso=crystal.u_iso * factor)


def scale_displacements(crystal: Crystal, factor: float) -> Crystal:
    """
    The crystal with its polar distortion multiplied by a factor: 1 as it is, 0 non-polar, -1 the other domain.

    Buckling, tilts of the bipyramids and polar shift grow together; every atom moves along the straight line between its
    places in the two domains.

    Parameters
    ----------
    crystal
        With a layer of Mn at height 0.
    factor
        From -1.2 to 1.2; beyond, atoms come too close for the model to mean anything.

    Returns
    -------
    Crystal

    Raises
    ------
    ValueError
        For a factor outside that range.
    """
    if not abs(factor) <= 1.2:
        raise ValueError(f"the factor of the displacements is {factor}; expected -1.2 to 1.2")
    return replace(crystal, positions_angstrom=crystal.positions_angstrom + (factor - 1) * mirror_displacements(crystal))


def crystal_series(crystal: Crystal, settings: LibrarySettings, convergence_mrad: float, across: int = 9):
    """
    Intensities of one crystal over thickness at zero tilt, averaged over a cone.

    Parameters
    ----------
    crystal
        Symmetric about the plane of the beam and c, as all domains of ErMnO3 are.
    settings
        Thicknesses, slices and grid; its tilts do not matter.
    convergence_mrad
        Half angle of the cone.
    across
        Plane waves over the diameter of the cone.

    Returns
    -------
    hkl : array, shape (n, 3)
    thickness_nm : array, shape (t,)
    intensities : array, shape (t, n)
        Fractions of the incident beam.
    """
    hkl = reflections(crystal.cell_angstrom, settings.g_max_inv_angstrom)[0]
    tilts = cone_tilts(convergence_mrad, across)
    half = tilts[tilts[:, 0] > -1e-9]  # the mirror plane gives the other half
    weight = np.where(half[:, 0] > 1e-9, 1.0, 0.5)
    periods = settings.periods
    waves = propagate(library_stack(settings, crystal), half, periods.tolist(), hkl[:, 1:] * (2, 1))
    mean = np.tensordot(weight / weight.sum(), waves, axes=1)
    rows = {tuple(row): index for index, row in enumerate(hkl.tolist())}
    mirrored = mean[:, [rows[tuple(row)] for row in (hkl * (1, -1, 1)).tolist()]]
    return hkl, periods * crystal.cell_angstrom[0] / 10, (mean + mirrored) / 2
