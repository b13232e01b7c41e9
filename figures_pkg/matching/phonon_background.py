"""The diffuse background that frozen phonons leave between the reflections, with its Kikuchi lines and bands, on a detector.

Speckle makes frozen phonons dear: a background without visible grain takes minutes. So the result is a file of the package, made by
:func:`make_table`: ErMnO3 of 52 to 60 nm along [100], for beams along the axis and tilted by up to 1.1 mrad. Around the zone
axis all these beams give the same background within the grain, so it is one picture, which moves with the crystal.
"""

from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
from scipy.ndimage import convolve, map_coordinates, shift

from figures_pkg.workspace import replacing
from figures_pkg.imaging import wavelength_angstrom
from figures_pkg.twin.instrument.detector import PatternGeometry
from figures_pkg.twin.structure.crystal import ermno3

from .phonons import PhononSettings, diffuse_beams

TILTS_MRAD = tuple((b, c) for b in (0.0, 0.8) for c in (-0.8, 0.0, 0.8))
SETTINGS = PhononSettings(tilts_mrad=TILTS_MRAD, periods=(85, 92, 98), pools=15)
MARGIN_PX = 12  # around the frame, for shifts


def make_table(path: str | Path, settings: PhononSettings = SETTINGS, progress: bool = True) -> None:
    """Compute the file that comes with the package, about four minutes of a processor; see :func:`read_table`."""
    write_table(path, *diffuse_beams(ermno3(+1), settings, progress), settings)


def write_table(path: str | Path, beams: np.ndarray, g_b: np.ndarray, g_c: np.ndarray, settings: PhononSettings) -> None:
    """Average what :func:`figures_pkg.matching.phonons.diffuse_beams` gave around the zone axis, and write it in 255 steps."""
    step = 1e-3 / wavelength_angstrom(settings.energy_kev) / np.array([g_b[1] - g_b[0], g_c[1] - g_c[0]])
    moved = [shift(each.mean(axis=0), step * tilt, order=1, mode="nearest") for each, tilt in zip(beams, np.array(settings.tilts_mrad))]
    picture = np.mean(moved, axis=0)
    picture = (picture + picture[::-1]) / 2  # the mirror plane holds the beam and c
    with replacing(Path(path)) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, picture=np.round(255 * picture / picture.max()).astype(np.uint8), largest=picture.max(), g_b=g_b, g_c=g_c)


def read_table() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """
    The packaged background of +P.

    Returns
    -------
    picture : array, shape (n_b, n_c)
        Fractions of the incident beam in each beam of a supercell of four cells by four.
    g_b, g_c : arrays
        From the zone axis, 1/Å.
    """
    with as_file(files(__package__) / "phonon_background.npz") as path, np.load(path) as stored:
        return stored["picture"] * (stored["largest"] / 255), stored["g_b"], stored["g_c"]


@dataclass(frozen=True)
class PhononBackground:
    """
    The background of both domains on the pixels of a detector, around the zone axis.

    Attributes
    ----------
    frames
        Of +P and -P (keys 1 and -1), fractions of the incident beam per pixel, shape (det_y + margins, det_x + margins).
    middle
        Pixel (row, col) on which the zone axis lies in them.
    shape
        Of the detector.
    """

    frames: dict[int, np.ndarray]
    middle: np.ndarray
    shape: tuple[int, int]

    @classmethod
    def of(cls, geometry: PatternGeometry, convergence_mrad: float, energy_kev: float = 200.0) -> "PhononBackground":
        """
        Lay the packaged table on a detector.

        Parameters
        ----------
        geometry
            Lattice on the detector.
        convergence_mrad
            Half angle of the beam's cone, over which directions are averaged.
        energy_kev
            Of the table: 200.
        """
        picture, g_b, g_c = read_table()
        per_pixel = picture / (abs(np.linalg.det(geometry.matrix)) * (g_b[1] - g_b[0]) * (g_c[1] - g_c[0]))
        disc = _disc(convergence_mrad * 1e-3 / wavelength_angstrom(energy_kev) * geometry.px_per_inv_angstrom)
        middle = geometry.origin + MARGIN_PX
        away = np.indices(np.add(geometry.shape, 2 * MARGIN_PX)) - middle[:, None, None]
        from_zone = np.einsum("gp,pyx->gyx", np.linalg.inv(geometry.matrix), away)
        frames = {}
        for sign in (1, -1):  # -P is +P turned by half a turn
            at = [(sign * g - axis[0]) / (axis[1] - axis[0]) for g, axis in zip(from_zone, (g_b, g_c))]
            frames[sign] = convolve(map_coordinates(per_pixel, at, order=1, mode="nearest"), disc, mode="nearest")
        return cls(frames, middle, tuple(geometry.shape))

    def at(self, polarization: float, zone_px: np.ndarray) -> np.ndarray:
        """Fractions of the beam per pixel (det_y, det_x) where the zone axis lies at (row, col) of the detector."""
        frame = self.frames[1 if polarization > 0 else -1]
        return shift(frame, zone_px - self.middle, order=1, mode="nearest")[: self.shape[0], : self.shape[1]]


def _disc(radius_px):
    """Equal weights over a disc, odd and square."""
    line = np.arange(-np.ceil(radius_px), np.ceil(radius_px) + 1)
    disc = (np.hypot(line[:, None], line) <= radius_px).astype(float)
    return disc / disc.sum()
