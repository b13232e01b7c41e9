"""The lattice in a mean pattern, found without a guess: net, direct beam, disc radius, then a fit to the rims of the discs."""

from dataclasses import dataclass

import numpy as np

from figures_pkg.imaging import Lattice, refine_lattice

from .lattice_search_blind import cleaned, find_net, place_net
from .lattice_search_discs import direct_beam, disc_radius
from .lattice_search_zone import Zone, best_match, describe

WIDTHS = (64, 32, 16, 8)  # shares of the frame over which changes count as background; discs are smaller, unknown by how much
LEAST_CLEARNESS = 2.5  # of a net over the scatter of the autocorrelation; noise stays below 2


@dataclass(frozen=True)
class FoundLattice:
    """
    A lattice, and how well it describes the pattern.

    Attributes
    ----------
    lattice
        Centre, 002 and 010 in px, rows downward.
    matrix
        Px per 1/Å, shape (2, 2): (row, col) of a vector is ``matrix @ (g_b, g_c)``, counted from the centre.
    radius_px
        Radius of the discs, where their counts fall most.
    rms_px
        Weighted scatter of the discs about the lattice.
    n_discs
        Discs whose rims took part in the fit.
    distortion
        Longest over shortest axis of the ellipse that a circle in reciprocal space becomes, less one.
    rotation_deg
        From image up to +c, anticlockwise on the screen.
    scale_inv_angstrom
        Mean size of a pixel, if the lengths of the zone are right.
    second_brightest
        Counts of the brightest other disc over those of the disc taken for the direct beam; near 1 the choice is doubtful.
    """

    lattice: Lattice
    matrix: np.ndarray
    radius_px: float
    rms_px: float
    n_discs: int
    distortion: float
    rotation_deg: float
    scale_inv_angstrom: float
    second_brightest: float


def find_lattice(
    mean_pattern: np.ndarray,
    zone: Zone | None = None,
    *,
    scale_inv_angstrom: float | None = None,
    up: tuple[float, float] = (-1.0, 0.0),
    centre: tuple[float, float] | None = None,
    radius_px: float | None = None,
    max_distortion: float = 0.05,
) -> FoundLattice:
    """
    Find the reflections of a zone axis in a mean pattern and fit their lattice.

    What geometry cannot tell. A net looks the same after half a turn, so +c and −c are equally good: the one nearer to `up` is
    taken, which should be the recorded orientation. Seen from behind, the net of a rectangle also looks the same: the screen is
    taken to show the pattern unmirrored, with c a quarter turn anticlockwise from b. The direct beam is the brightest disc, those
    near the middle of the frame preferred, or the disc nearest to `centre`.

    Parameters
    ----------
    mean_pattern
        Counts, shape (det_y, det_x), rows downward. Single dead and hot pixels are mended.
    zone
        The net to expect; ErMnO3 along [100] by default.
    scale_inv_angstrom
        Size of a pixel if it is known to 10 %. Then the net is also found when whole rows of it are too weak to see.
    up
        (row, col) of the direction near which +c is expected; image up by default.
    centre
        (row, col) near the direct beam.
    radius_px
        Radius of the discs, if known; else it is measured.
    max_distortion
        Largest ellipticity that still counts as this zone axis.

    Returns
    -------
    FoundLattice

    Raises
    ------
    ValueError
        When no lattice is found, when it belongs to another zone axis, or when its discs overlap.

    Notes
    -----
    Discs are located by their rims (:func:`figures_pkg.imaging.refine_lattice`), because a tilted crystal fills them unevenly. The
    radius given there is that of the discs; the circle that seeks the rims is found by it.
    """
    zone = zone or Zone.ermno3()
    counts = _checked(mean_pattern)
    net, linear = _matched_net(counts, zone, scale_inv_angstrom, up, max_distortion)
    _refuse_overlap(radius_px, net)
    basis = linear @ zone.matrix
    beam, second = direct_beam(counts, place_net(counts, basis), basis, centre)
    rough = radius_px or disc_radius(counts, beam, basis)
    _refuse_overlap(rough, basis)
    fitted = _fitted(counts, Lattice(tuple(beam), tuple(basis[:, 1]), tuple(basis[:, 0])), rough)
    basis = np.stack([fitted.g010, fitted.g002], axis=1)
    radius = radius_px or disc_radius(counts, np.array(fitted.centre), basis)
    return _result(fitted, basis @ np.linalg.inv(zone.matrix), zone, radius, second)


def _checked(mean_pattern):
    """The pattern mended; refused when it is no picture or empty."""
    pattern = np.asarray(mean_pattern)
    if pattern.ndim != 2 or min(pattern.shape) < 32:
        raise ValueError(
            f"a mean pattern has two axes of at least 32 px, got shape {pattern.shape}; average the scan over its positions"
        )
    counts = cleaned(pattern)
    if np.ptp(counts) == 0:
        raise ValueError(f"all pixels of the pattern hold {counts.flat[0]:g}; there is nothing to find")
    return counts


def _matched_net(counts, zone, scale, up, limit):
    """The net and the map from 1/Å to px that turns the zone's net into it; the clearest net that fits."""
    found = [find_net(counts, min(counts.shape) / width) for width in WIDTHS]
    found = sorted([(net, clear) for net, clear in found if clear > LEAST_CLEARNESS], key=lambda pair: -pair[1])
    if not found:
        raise ValueError(
            f"no lattice found in the pattern of {counts.shape[0]} x {counts.shape[1]} px: its autocorrelation has no clear net of "
            "peaks. Discs may overlap (use a smaller convergence angle), the counts may be too few (average more positions), or "
            "the crystal may be far from a zone axis; look at the logarithm of the pattern"
        )
    matches = [(net, *best_match(net, zone, scale, up)) for net, _ in found]
    for net, linear, off in matches:
        if off <= limit:
            return net, linear
    net, _, off = matches[0]
    size = f" at {1 / scale:.4g} px per 1/Å" if scale else ""
    raise ValueError(
        f"the discs form a net with {describe(net)} px; {zone.name} has {describe(zone.matrix)} 1/Å{size}. The closest match is "
        f"distorted by {100 * off:.0f} % (limit {100 * limit:.0f} %): another zone axis or crystal, or a wrong pixel size; give "
        "the right zone or scale"
    )


def _refuse_overlap(radius, basis):
    """Refuse discs that are larger than half the spacing of the net."""
    spacing = np.linalg.norm(basis, axis=0).min()
    if radius is not None and radius > 0.5 * spacing:
        raise ValueError(
            f"the discs overlap: their radius is {radius:.1f} px and the lattice spacing {spacing:.1f} px. Intensities of single "
            "discs cannot be told apart then; record with a smaller convergence angle"
        )


def _fitted(counts, guess, radius):
    """The lattice fitted to the rims; refused when they do not lie on it."""
    spacing = min(np.hypot(*guess.g002), np.hypot(*guess.g010))
    try:
        radius = max(radius, 2.0)
        fitted = refine_lattice(counts, guess, radius, rounds=2, reach_px=min(0.7 * radius, 2.5), widest_px=1.75)
    except ValueError as error:
        raise ValueError(f"no lattice found: a net with a spacing of {spacing:.1f} px was, but {error}") from error
    if fitted.rms_px > 0.12 * spacing:
        raise ValueError(
            f"no lattice found: {fitted.n_discs} discs scatter by {fitted.rms_px:.1f} px about a net with a spacing of "
            f"{spacing:.1f} px; average more positions, or give the radius of the discs"
        )
    return fitted


def _result(fitted, screen, zone, radius, second):
    """Everything that is told about a fitted lattice; `screen` maps (row, col) in 1/Å to px."""
    matrix = screen @ np.array([[0, -1], [1, 0]])  # from (g_b, g_c)
    left, strain, right = np.linalg.svd(screen)
    row, col = (left @ right) @ (-1, 0)
    g010, g002 = matrix[:, 0] * zone.g010, matrix[:, 1] * zone.g002
    lattice = Lattice(fitted.centre, tuple(map(float, g002)), tuple(map(float, g010)), fitted.rms_px, fitted.n_discs)
    turn, scale = np.degrees(np.arctan2(-col, -row)), 1 / np.sqrt(strain.prod())
    numbers = (float(strain[0] / strain[1] - 1), float(turn), float(scale), second)
    return FoundLattice(lattice, matrix, radius, fitted.rms_px, fitted.n_discs, *numbers)
