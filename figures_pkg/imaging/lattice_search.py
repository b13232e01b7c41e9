"""The lattice in a mean pattern, found without a guess: net, direct beam, disc radius, then a fit to the rims of the discs.

What a zone axis lets us expect is a net of reflections, up to scale and rotation (:class:`Zone`). The net on the detector comes
from the autocorrelation: every pair of discs that a lattice vector joins adds to it at that vector, so missing discs, noise and
the place of the direct beam do not matter. The pattern enters as the logarithm of its counts without slow changes, so that weak
discs far out count as much as the direct beam, and the autocorrelation is zero on average: a net that is too fine then
collects valleys, one that is too coarse misses peaks, and the right one has the largest sum. Its harmonics give its place.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import scipy.fft
from scipy.ndimage import gaussian_filter, map_coordinates, maximum_filter, median_filter

from figures_pkg.crystal.structure import structure
from figures_pkg.data.axes import pair
from figures_pkg.diffraction.library import Library

from .lattice import Lattice, refine_lattice

SCALE_TOLERANCE = 0.10  # of a pixel's stated size
LARGEST_DISTORTION = 0.05  # ellipticity that still counts as the expected zone axis
SAME = 0.005  # distortions that differ by less are called equal; then the expected orientation decides
WEAKEST = 1e-4  # of the incident beam; a reflection that never gets brighter takes no part in the net
BRIGHTEST = 12  # discs that the radius is measured on
STRONGEST, SHORTEST = 8, 12  # so many peaks of either kind are tried as basis vectors, all pairs of them
ORDERS = np.array([(i, j) for i in range(-6, 7) for j in range(-6, 7) if (i, j) > (0, 0)])  # half of the net; it is even
WIDTHS = (64, 32, 16, 8)  # shares of the frame over which changes count as background; discs are smaller, unknown by how much
LEAST_CLEARNESS = 2.5  # of a net over the scatter of the autocorrelation; noise stays below 2


@dataclass(frozen=True)
class Zone:
    """The plane net of the reflections of a zone axis, in 1/Å.

    Components are (g_b, g_c): along b to the right and along c upward in an undistorted, unrotated pattern as it is drawn
    on a screen. For ErMnO3 along [100] they are those along b* and c*. ``basis`` are two short vectors, one per row, whose whole multiples
    and sums reach every reflection that occurs; ``g010`` and ``g002`` are lengths in the cell that numbers the reflections 0kl, whether or
    not they occur; ``name`` is for messages.
    """

    basis: tuple
    g010: float
    g002: float
    name: str = "the zone axis"

    @classmethod
    def of(cls, first: float, second: float, angle_deg: float = 90.0, name: str = "the zone axis", second_order: int = 1) -> "Zone":
        """A net from two lengths in 1/Å, the first along b, and the angle to the second, anticlockwise; that is 001, or 00l with l ``second_order``."""
        if not (first > 0 and second > 0 and 20 <= angle_deg <= 160):
            raise ValueError(f"a net needs two positive lengths and 20 to 160 degrees between them, got {first}, {second} and {angle_deg}")
        turn = np.radians(angle_deg)
        across, height = float(second * np.cos(turn)), float(second * np.sin(turn))
        return cls(((first, 0.0), (across, height)), first, 2 * height / second_order, name)

    @classmethod
    def ermno3(cls) -> "Zone":
        """ErMnO3 along [100]: 010 and 002."""
        table = structure()
        return cls.of(2 / (3**0.5 * table["a_angstrom"]), 2 / table["c_angstrom"], name="ErMnO3 [100]", second_order=2)

    @classmethod
    def of_library(cls, library: Library, name: str = "the zone axis") -> "Zone":
        """The net of the reflections that a library holds and that reach 1e-4 of the beam somewhere in it; a ValueError if they all lie on one line."""
        seen = library.coefficients.max(axis=(0, 1, 2)) > WEAKEST
        vectors = np.stack([library.g_b, library.g_c], axis=1)[seen]
        lengths = np.linalg.norm(vectors, axis=1)
        ordered = vectors[np.argsort(lengths)][int(lengths.min() < 1e-9):]
        first = ordered[0]
        across = np.abs(ordered[:, 0] * first[1] - ordered[:, 1] * first[0]) > 1e-6 * (first @ first)
        if not across.any():
            raise ValueError(f"all reflections of {name} lie on one line; build the library with a larger g_max_inv_angstrom")
        second = ordered[across][0]
        if first[0] * second[1] - first[1] * second[0] < 0:
            second = -second
        k, l = (np.flatnonzero(library.hkl[:, axis])[0] for axis in (1, 2))
        g010, g002 = abs(library.g_b[k] / library.hkl[k, 1]), 2 * abs(library.g_c[l] / library.hkl[l, 2])
        return cls((pair(first), pair(second)), float(g010), float(g002), name)

    @property
    def matrix(self) -> np.ndarray:
        """The basis as columns of (row, col), rows downward, shape (2, 2), in 1/Å: what the screen shows at scale 1."""
        g_b, g_c = np.array(self.basis).T
        return np.array([-g_c, g_b])


def _described(matrix) -> str:
    lengths = np.linalg.norm(matrix, axis=0)
    angle = np.degrees(np.arccos(np.clip(matrix[:, 0] @ matrix[:, 1] / lengths.prod(), -1, 1)))
    return f"lengths {lengths[0]:.4g} and {lengths[1]:.4g} (ratio {lengths.max() / lengths.min():.3f}) at {angle:.1f} degrees"


def reduced(matrix: np.ndarray) -> np.ndarray:
    """The two shortest vectors of the net that the columns span, the shorter one first (Lagrange and Gauss)."""
    first, second = sorted(np.array(matrix, float).T, key=np.linalg.norm)
    while True:
        second = second - np.round(second @ first / (first @ first)) * first
        if second @ second >= first @ first - 1e-12:
            return np.stack([first, second], axis=1)
        first, second = second, first


def _best_match(net, zone, scale, up):
    """The map from (row, col) in 1/Å to px with the least distortion, and that distortion; infinite if none fits."""
    matrices = np.stack(np.meshgrid(*[np.arange(-3, 4)] * 4, indexing="ij"), axis=-1).reshape(-1, 2, 2)
    size = np.abs(np.rint(np.linalg.det(matrices)))
    coarser = matrices[(size >= 1) & (size <= (4 if scale else 1))].astype(float)  # of the net that was found, in terms of the zone's
    maps = net @ np.linalg.inv(coarser) @ np.linalg.inv(zone.matrix)
    strain = np.linalg.svd(maps, compute_uv=False)
    off = strain[:, 0] / strain[:, 1] - 1
    off[np.linalg.det(maps) < 0] = np.inf
    if scale:
        off[np.abs(scale * np.sqrt(strain.prod(axis=1)) - 1) > SCALE_TOLERANCE] = np.inf
    upward = -maps[:, :, 0] @ (np.array(up) / np.linalg.norm(up)) / np.linalg.norm(maps[:, :, 0], axis=1)
    best = np.where(off <= off.min() + SAME, upward, -2).argmax()
    return maps[best], off[best]


def _cleaned(mean_pattern) -> np.ndarray:
    """Counts with dead, hot and undefined pixels replaced by the median of their neighbours; refused when there is no picture."""
    pattern = np.asarray(mean_pattern)
    if pattern.ndim != 2 or min(pattern.shape) < 32:
        raise ValueError(f"a mean pattern has two axes of at least 32 px, got shape {pattern.shape}; average the scan over its positions")
    counts = np.nan_to_num(pattern.astype(float), nan=0.0, posinf=0.0, neginf=0.0).clip(0)
    middle = median_filter(counts, 3)
    away = np.log1p(counts) - np.log1p(middle)
    noise = 1.4826 * np.median(np.abs(away))
    counts = np.where(np.abs(away) > max(8 * noise, 0.3), middle, counts)
    if np.ptp(counts) == 0:
        raise ValueError(f"all pixels of the pattern hold {counts.flat[0]:g}; there is nothing to find")
    return counts


def _contrast(counts, wide_px) -> np.ndarray:
    """Logarithm of the counts without what changes over `wide_px` and more, cut off at four standard deviations."""
    logarithm = np.log1p(counts)
    signal = gaussian_filter(logarithm, 1.0) - gaussian_filter(logarithm, wide_px)
    return np.clip(signal, *(np.array([-4, 4]) * signal.std()))


def _find_net(counts, wide_px) -> tuple[np.ndarray, float]:
    """The two shortest vectors of the net, columns (row, col) in px, zero without two peaks, and how clear the eight nearest points of it are."""
    image = _contrast(counts, wide_px)
    correlation = _autocorrelation(image)
    peaks = _peaks(correlation)
    candidates = peaks[:STRONGEST] + sorted(peaks[STRONGEST:40], key=np.linalg.norm)[:SHORTEST]
    pairs = [np.stack(pair, axis=1) for pair in combinations(candidates, 2)]
    bases = [reduced(pair) for pair in pairs if abs(np.linalg.det(pair)) > 0.25 * np.linalg.norm(pair, axis=0).prod()]  # over 15 degrees apart
    if not bases:
        return np.zeros((2, 2)), 0.0
    best = max(bases, key=lambda basis: _on_net(correlation, basis).sum())
    best = reduced(_polished(peaks, best))
    near = np.abs(ORDERS).max(axis=1) == 1
    return best, float(_on_net(correlation, best, ORDERS[near]).mean() / correlation.std())


def _place_net(counts, basis) -> np.ndarray:
    """A point (row, col) of the net near the middle of the frame, from the phases of the pattern's first harmonics; the rims mend it later."""
    image = _contrast(counts, np.linalg.norm(basis, axis=0).min() / 2)
    middle = (np.array(counts.shape) - 1) / 2
    away = np.moveaxis(np.indices(counts.shape), 0, -1) - middle
    u = away @ np.linalg.inv(basis).T
    window = np.outer(*(np.hanning(n + 2)[1:-1] for n in counts.shape))
    phases = [np.angle(np.sum(image * window * np.exp(2j * np.pi * u[..., axis]))) for axis in (0, 1)]
    return middle + basis @ (np.array(phases) / (2 * np.pi))


def _autocorrelation(image):
    """Autocorrelation of a windowed image over that of the window, zero shift in the middle, zero where too little overlaps."""
    window = np.outer(*(np.hanning(n + 2)[1:-1] for n in image.shape))
    weighted = (image - np.average(image, weights=window)) * window
    shape = [scipy.fft.next_fast_len(2 * n) for n in image.shape]
    parts = [np.fft.irfft2(np.abs(np.fft.rfft2(part, shape)) ** 2, shape) for part in (weighted, window)]
    raw, overlap = (np.fft.fftshift(part) for part in parts)
    enough = overlap > 0.05 * overlap.max()
    result = np.where(enough, raw / np.where(enough, overlap, 1), 0)
    return result / result.max()


def _peaks(correlation):
    """Vectors from the middle to the local maxima of one half of the map, strongest first, to a fraction of a pixel."""
    middle = np.array(correlation.shape) // 2
    smooth = gaussian_filter(correlation, 1.0)
    noise = 1.4826 * np.median(np.abs(smooth[smooth != 0]))
    found = np.argwhere((smooth == maximum_filter(smooth, 5)) & (smooth > 2 * noise))
    found = found[(found > 0).all(axis=1) & (found < np.array(smooth.shape) - 1).all(axis=1)]
    found = found[[tuple(place) > tuple(middle) for place in found]] if len(found) else found.reshape(0, 2)
    heights = smooth[tuple(found.T)]
    order = np.argsort(-heights)[:80]
    return [place - middle + _summit(smooth, place) for place in found[order]]


def _summit(image, place):
    """Where a parabola through a pixel and its neighbours has its top, for each axis, counted from the pixel."""
    shift = []
    for step in ((1, 0), (0, 1)):
        before, here, after = (image[tuple(place + sign * np.array(step))] for sign in (-1, 0, 1))
        curve = before - 2 * here + after
        shift.append(0.5 * (before - after) / curve if curve < 0 else 0.0)
    return np.clip(shift, -0.5, 0.5)


def _on_net(correlation, basis, orders=ORDERS):
    """The autocorrelation at the points of a net, shape (n,); zero outside the map."""
    places = (np.array(correlation.shape) // 2)[:, None] + basis @ orders.T
    return map_coordinates(correlation, places, order=1, mode="constant")


def _polished(peaks, basis):
    """The basis that fits all peaks close to its net, by least squares; farther peaks join as the basis gets better."""
    vectors = np.array(peaks)
    for orders in (1.5, 3.0, 6.0):
        index = np.round(vectors @ np.linalg.inv(basis).T)
        away = np.linalg.norm(vectors - index @ basis.T, axis=1)
        near = (away < 0.15 * np.linalg.norm(basis, axis=0).min()) & (np.abs(index).max(axis=1) <= orders) & index.any(axis=1)
        if np.linalg.matrix_rank(index[near]) == 2:
            basis = np.linalg.lstsq(index[near], vectors[near], rcond=None)[0].T
    return basis


def _steepest_radius(counts, beam, basis) -> float:
    """Radius in px at which the counts fall most, on average over the brightest discs, each of them counted alike.
    A blur of standard deviation s makes a disc of radius r seem smaller by about s² / 2r: by 3 % in the twin of DS1, by 6 % in that of DS2.
    """
    spacing = np.linalg.norm(basis, axis=0).min()
    radii = np.arange(0.5, 0.95 * spacing, 0.25)
    nodes = _nodes(counts.shape, beam, basis, 0.95 * spacing)
    nodes = nodes[np.argsort(_at(counts, nodes))[-BRIGHTEST:]]
    phi = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    circle = radii[:, None, None] * np.stack([np.sin(phi), np.cos(phi)], axis=-1)
    profiles = _at(counts, nodes[:, None, None] + circle).mean(axis=2)
    profile = (profiles / profiles.max(axis=1, keepdims=True)).mean(axis=0)
    fall = profile[:-8] - profile[8:]  # over 2 px
    best = int(fall.argmax())
    before, here, after = fall[[max(best - 1, 0), best, min(best + 1, len(fall) - 1)]]
    curve = before - 2 * here + after
    return float(radii[best + 4] + (0.125 * (before - after) / curve if curve < 0 else 0.0))


def _direct_beam(counts, anywhere, basis):
    """(row, col) of the direct beam, and the brightness of the next disc relative to it."""
    nodes = _nodes(counts.shape, anywhere, basis, 2)
    around = np.array([(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)])
    brightness = _at(counts, nodes[:, None] + around).mean(axis=1)
    away = np.linalg.norm(nodes - (np.array(counts.shape) - 1) / 2, axis=1)
    best = (brightness * np.exp(-0.5 * (away / (min(counts.shape) / 4)) ** 2)).argmax()
    return nodes[best], float(np.delete(brightness, best).max() / max(brightness[best], 1e-9))


def _nodes(shape, beam, basis, margin):
    """Places of the net at least `margin` px inside the frame, shape (n, 2)."""
    orders = np.arange(-40, 41)
    index = np.stack(np.meshgrid(orders, orders, indexing="ij"), axis=-1).reshape(-1, 2)
    places = beam + index @ basis.T
    return places[((places >= margin) & (places <= np.array(shape) - 1 - margin)).all(axis=1)]


def _at(image, places):
    return map_coordinates(image, np.moveaxis(places, -1, 0), order=1, mode="nearest")


@dataclass(frozen=True)
class FoundLattice:
    """A lattice, and how well it describes the pattern."""

    lattice: Lattice  #: centre, 002 and 010 in px, rows downward
    matrix: np.ndarray  #: px per 1/Å, shape (2, 2): (row, col) of a vector is ``matrix @ (g_b, g_c)``, counted from the centre
    radius_px: float  #: of the discs, where their counts fall most
    rms_px: float  #: weighted scatter of the discs about the lattice
    n_discs: int  #: how many took part in the fit
    distortion: float  #: longest over shortest axis of the ellipse that a circle in reciprocal space becomes, less one
    rotation_deg: float  #: from image up to +c, anticlockwise on the screen
    scale_inv_angstrom: float  #: mean size of a pixel, if the lengths of the zone are right
    second_brightest: float  #: counts of the brightest other disc over those of the direct beam; near 1 the choice is doubtful


def find_lattice(mean_pattern: np.ndarray, zone: Zone | None = None, *, scale_inv_angstrom: float | None = None,
                 up: tuple[float, float] = (-1.0, 0.0), radius_px: float | None = None) -> FoundLattice:
    """Find the reflections of a zone axis in a mean pattern and fit their lattice to the rims of the discs.

    What geometry cannot tell. A net looks the same after half a turn, so +c and −c are equally good: the one nearer to `up` is
    taken, which should be the recorded orientation. Seen from behind, the net of a rectangle also looks the same: the screen is
    taken to show the pattern unmirrored, with c a quarter turn anticlockwise from b. The direct beam is the brightest disc, those
    near the middle of the frame preferred. No lattice, that of another zone axis, and overlapping discs are a ValueError.

    Parameters
    ----------
    mean_pattern, zone
        Counts, shape (det_y, det_x), rows downward, single bad pixels are mended; the net to expect, ErMnO3 along [100] by default.
    scale_inv_angstrom
        Size of a pixel if it is known to 10 %. Then the net is also found when whole rows of it are too weak to see.
    up, radius_px
        (row, col) of the direction near which +c is expected, image up by default; radius of the discs, if known, else it is measured.
    """
    zone = zone or Zone.ermno3()
    counts = _cleaned(mean_pattern)
    net, linear = _matched_net(counts, zone, scale_inv_angstrom, up)
    _refuse_overlap(radius_px, net)
    basis = linear @ zone.matrix
    beam, second_brightest = _direct_beam(counts, _place_net(counts, basis), basis)
    rough = radius_px or _steepest_radius(counts, beam, basis)
    _refuse_overlap(rough, basis)
    guess = Lattice(tuple(beam), tuple(basis[:, 1]), tuple(basis[:, 0]))
    spacing = min(np.hypot(*guess.g002), np.hypot(*guess.g010))
    rough = max(rough, 2.0)
    try:
        fitted = refine_lattice(counts, guess, rough, rounds=2, reach_px=min(0.7 * rough, 2.5), widest_px=1.75)
    except ValueError as error:
        raise ValueError(f"no lattice found: a net with a spacing of {spacing:.1f} px was, but {error}") from error
    if fitted.rms_px > 0.12 * spacing:
        raise ValueError(f"no lattice found: {fitted.n_discs} discs scatter by {fitted.rms_px:.1f} px about a net with a spacing of "
                         f"{spacing:.1f} px; average more positions, or give the radius of the discs")
    basis = np.stack([fitted.g010, fitted.g002], axis=1)
    radius = radius_px or _steepest_radius(counts, np.array(fitted.centre), basis)
    screen = basis @ np.linalg.inv(zone.matrix)  # from (row, col) in 1/Å to px
    matrix = screen @ np.array([[0, -1], [1, 0]])  # from (g_b, g_c)
    left, strain, right = np.linalg.svd(screen)
    row, col = (left @ right) @ (-1, 0)
    g010, g002 = matrix[:, 0] * zone.g010, matrix[:, 1] * zone.g002
    lattice = Lattice(fitted.centre, pair(g002), pair(g010), fitted.rms_px, fitted.n_discs)
    return FoundLattice(lattice, matrix, radius, fitted.rms_px, fitted.n_discs, distortion=float(strain[0] / strain[1] - 1),
                        rotation_deg=float(np.degrees(np.arctan2(-col, -row))), scale_inv_angstrom=float(1 / np.sqrt(strain.prod())),
                        second_brightest=second_brightest)


def _matched_net(counts, zone, scale, up):
    """The net and the map from 1/Å to px that turns the zone's net into it; the clearest net that fits."""
    found = [_find_net(counts, min(counts.shape) / width) for width in WIDTHS]
    found = sorted([(net, clear) for net, clear in found if clear > LEAST_CLEARNESS], key=lambda pair: -pair[1])
    if not found:
        raise ValueError(f"no lattice found in the pattern of {counts.shape[0]} x {counts.shape[1]} px: its autocorrelation has no clear net of "
                         "peaks. Discs may overlap (use a smaller convergence angle), the counts may be too few (average more positions), or "
                         "the crystal may be far from a zone axis; look at the logarithm of the pattern")
    matches = [(net, *_best_match(net, zone, scale, up)) for net, _ in found]
    for net, linear, off in matches:
        if off <= LARGEST_DISTORTION:
            return net, linear
    net, _, off = matches[0]
    size = f" at {1 / scale:.4g} px per 1/Å" if scale else ""
    raise ValueError(f"the discs form a net with {_described(net)} px; {zone.name} has {_described(zone.matrix)} 1/Å{size}. The closest match is "
                     f"distorted by {100 * off:.0f} % (limit {100 * LARGEST_DISTORTION:.0f} %): another zone axis or crystal, or a wrong pixel size; "
                     "give the right zone or scale")


def _refuse_overlap(radius, basis):
    """Refuse discs that are larger than half the spacing of the net."""
    spacing = np.linalg.norm(basis, axis=0).min()
    if radius is not None and radius > 0.5 * spacing:
        raise ValueError(f"the discs overlap: their radius is {radius:.1f} px and the lattice spacing {spacing:.1f} px. Intensities of single "
                         "discs cannot be told apart then; record with a smaller convergence angle")
