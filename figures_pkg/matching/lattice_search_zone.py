"""What a zone axis lets us expect on the detector: the net of its reflections, up to scale and rotation."""

from dataclasses import dataclass

import numpy as np

from figures_pkg.twin.diffraction.library import Library
from figures_pkg.twin.structure.crystal import structure

SCALE_TOLERANCE = 0.10  # of a pixel's stated size
SAME = 0.005  # distortions that differ by less are called equal; then the expected orientation decides
WEAKEST = 1e-4  # of the incident beam; a reflection that never gets brighter takes no part in the net


@dataclass(frozen=True)
class Zone:
    """
    The plane net of the reflections of a zone axis, in 1/Å.

    Components are (g_b, g_c): along b to the right and along c upward in an undistorted, unrotated pattern as it is drawn
    on a screen. For ErMnO3 along [100] they are those along b* and c*.

    Attributes
    ----------
    basis
        Two short vectors whose whole multiples and sums reach every reflection that occurs, shape (2, 2), one per row.
    g010, g002
        Lengths of 010 and 002 of the cell that numbers the reflections 0kl, whether or not they occur.
    name
        For messages.
    """

    basis: tuple
    g010: float
    g002: float
    name: str = "the zone axis"

    @classmethod
    def of(cls, first: float, second: float, angle_deg: float = 90.0, name: str = "the zone axis", second_order: int = 1) -> "Zone":
        """
        A net from two lengths in 1/Å and the angle between them.

        Parameters
        ----------
        first, second
            Lengths of two basis vectors; the first points along b, the second lies `angle_deg` anticlockwise of it.
        second_order
            The l of the second vector: 1 for 001, 2 where the odd 00l are extinct.

        Raises
        ------
        ValueError
            For lengths that are not positive, or an angle outside 20 to 160 degrees.
        """
        if not (first > 0 and second > 0 and 20 <= angle_deg <= 160):
            raise ValueError(
                f"a net needs two positive lengths and 20 to 160 degrees between them, got {first}, {second} and {angle_deg}"
            )
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
        """
        The net of the reflections that a library holds and that reach 1e-4 of the beam somewhere in it.

        Raises
        ------
        ValueError
            If they all lie on one line.
        """
        seen = library.coefficients.max(axis=(0, 1, 2)) > WEAKEST
        vectors = np.stack([library.g_b, library.g_c], axis=1)[seen]
        index, order = library.hkl[:, 1:], [np.flatnonzero(library.hkl[:, axis])[0] for axis in (1, 2)]
        g010 = abs(library.g_b[order[0]] / index[order[0], 0])
        return cls(_shortest_basis(vectors, name), float(g010), float(2 * abs(library.g_c[order[1]] / index[order[1], 1])), name)

    @property
    def matrix(self) -> np.ndarray:
        """The basis as columns of (row, col), rows downward, shape (2, 2), in 1/Å: what the screen shows at scale 1."""
        g_b, g_c = np.array(self.basis).T
        return np.array([-g_c, g_b])


def describe(matrix: np.ndarray) -> str:
    """Lengths, ratio and angle of two column vectors, in words."""
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


def _shortest_basis(vectors, name):
    """Shortest vector, and the shortest one that is not along it, as nested tuples; anticlockwise."""
    lengths = np.linalg.norm(vectors, axis=1)
    ordered = vectors[np.argsort(lengths)][int(lengths.min() < 1e-9) :]
    first = ordered[0]
    across = np.abs(ordered[:, 0] * first[1] - ordered[:, 1] * first[0]) > 1e-6 * (first @ first)
    if not across.any():
        raise ValueError(f"all reflections of {name} lie on one line; build the library with a larger g_max_inv_angstrom")
    second = ordered[across][0]
    if first[0] * second[1] - first[1] * second[0] < 0:
        second = -second
    return tuple(map(float, first)), tuple(map(float, second))


def _integer_matrices(largest):
    """All 2 x 2 matrices of whole numbers up to 3 with a determinant from 1 to `largest` in size, shape (n, 2, 2)."""
    entries = np.arange(-3, 4)
    matrices = np.stack(np.meshgrid(*[entries] * 4, indexing="ij"), axis=-1).reshape(-1, 2, 2)
    size = np.abs(np.rint(np.linalg.det(matrices)))
    return matrices[(size >= 1) & (size <= largest)].astype(float)


def best_match(net, zone, scale, up):
    """The map from (row, col) in 1/Å to px with the least distortion, and that distortion; infinite if none fits."""
    coarser = _integer_matrices(4 if scale else 1)  # of the net that was found, in terms of the zone's
    maps = net @ np.linalg.inv(coarser) @ np.linalg.inv(zone.matrix)
    strain = np.linalg.svd(maps, compute_uv=False)
    off = strain[:, 0] / strain[:, 1] - 1
    off[np.linalg.det(maps) < 0] = np.inf
    if scale:
        off[np.abs(scale * np.sqrt(strain.prod(axis=1)) - 1) > SCALE_TOLERANCE] = np.inf
    upward = -maps[:, :, 0] @ (np.array(up) / np.linalg.norm(up)) / np.linalg.norm(maps[:, :, 0], axis=1)
    best = np.where(off <= off.min() + SAME, upward, -2).argmax()
    return maps[best], off[best]
