"""What the chapter on the twin alone needs: Landau theory, what a preset assumes, and where several walls meet."""

import re
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
import xarray as xr
import yaml
from scipy.fft import dctn, fftn, idctn, ifftn
from scipy.optimize import minimize_scalar

from figures_pkg.twin.domains import FWHM_PER_SIGMA, TracedWalls, polar_axis
from figures_pkg.twin.presets import Preset, WallStructure
from figures_pkg.twin.walls import reach_nm


@dataclass(frozen=True)
class Landau:
    """
    Landau theory of the hexagonal manganites: trimerization Q and phase Phi, and the polarization P that follows them.

    Free energy per 30-atom cell (Artyukhin, Delaney, Spaldin, Mostovoy, Nat. Mater. 13, 42 (2014), doi 10.1038/nmat3786)::

        f = a/2 Q^2 + b/4 Q^4 + Q^6/6 (c + c' cos 6 Phi) - g Q^3 P cos 3 Phi + g'/2 Q^2 P^2 + a_P/2 P^2
            + sum_i s_i/2 ((d_i Q)^2 + Q^2 (d_i Phi)^2)

    Six minima, Phi = 0, 60, ... 300 degrees, have P = +P0, -P0, +P0, ...: every wall between neighbours in phase turns P
    over. A gradient energy of P is left out. The published one is negative in the plane, which needs a term of fourth order
    to make sense; without it P takes the value that minimises f at the local Q and Phi. Nor is there an electrostatic energy:
    a charged wall costs as little here as a neutral one.

    Coefficients for YMnO3; amplitudes in Angstrom for the whole cell, lengths in Angstrom, energies in eV per cell.
    Recalled from the table of the paper above and not read again (confidence C). Their minimum lies within 8 % of the
    amplitudes that a refined structure has, which supports them (B).
    """

    a: float = -2.626  # eV/A^2
    b: float = 3.375  # eV/A^4
    c: float = 0.117  # eV/A^6
    c_prime: float = 0.108  # eV/A^6, positive: with the coupling to P it decides which phases are minima
    a_p: float = 0.866  # eV/A^2, positive: P exists only because Q pulls it along (improper ferroelectric)
    g: float = 1.945  # eV/A^4
    g_prime: float = 9.931  # eV/A^4
    stiffness_ab: float = 5.14  # eV, for changes within the ab plane
    stiffness_c: float = 15.40  # eV, for changes along c

    def polarization(self, order) -> np.ndarray:
        """P (Angstrom) that minimises f: ``g Q^3 cos 3 Phi / (a_P + g' Q^2)``; `order` is ``Q exp(i Phi)``."""
        order = np.asarray(order)
        return self.g * (order**3).real / (self.a_p + self.g_prime * np.abs(order) ** 2)

    def local_energy(self, order) -> np.ndarray:
        """Energy (eV per cell) of a uniform state, with P at its minimum."""
        order = np.asarray(order)
        square, coupled = np.abs(order) ** 2, (order**3).real
        trimer = self.a / 2 * square + self.b / 4 * square**2 + self.c / 6 * square**3 + self.c_prime / 6 * (order**6).real
        return trimer - 0.5 * self.g * coupled * self.polarization(order)

    def slope(self, order) -> np.ndarray:
        """Derivative of `local_energy` with respect to the real part plus i times that with respect to the imaginary part."""
        square, conjugate, p = np.abs(order) ** 2, np.conj(order), self.polarization(order)
        trimer = (self.a + self.b * square + self.c * square**2) * order + self.c_prime * conjugate**5
        return trimer - 3 * self.g * p * conjugate**2 + self.g_prime * p**2 * order

    def uniform(self) -> tuple[float, float]:
        """Q0 and P0 (Angstrom) of a domain."""
        q0 = minimize_scalar(lambda q: float(self.local_energy(complex(q))), bounds=(0.1, 2.0), method="bounded", options={"xatol": 1e-9}).x
        return float(q0), float(self.polarization(complex(q0)))


def relax(order, spacing, stiffness, landau: Landau = Landau(), *, steps: int = 1000, rate: float = 0.08, boundary: str = "periodic") -> np.ndarray:
    """
    Follow the gradient of the energy downhill from ``Q exp(i Phi)`` (Å), semi-implicitly: the gradient term exactly, the rest explicitly.

    Spacing (Å) and stiffness (eV) are given along each of one to three axes; ``rate`` (1/eV) is stable up to 0.1 for Q below 1.2 Å. The boundary is
    "periodic", or "mirror", which keeps the derivative across the edge at zero; a field with a single vortex needs it.
    """
    if boundary not in ("periodic", "mirror"):
        raise ValueError(f"boundary is {boundary!r}; say periodic or mirror")
    periodic, order = boundary == "periodic", np.array(order, dtype=complex)
    turns = [np.fft.fftfreq(n) if periodic else np.arange(n) / (2 * n) for n in order.shape]
    waves = [s * (2 * np.pi * each / d) ** 2 for each, d, s in zip(turns, spacing, stiffness, strict=True)]
    resistance = sum(np.meshgrid(*waves, indexing="ij"))  # the energy that each wave costs
    forward, backward = (fftn, ifftn) if periodic else (_each_part(dctn), _each_part(idctn))
    for _ in range(steps):
        order = backward(forward(order - rate * landau.slope(order)) / (1 + rate * resistance))
    return order


def checkerboard_start(shape: tuple[int, int], amplitude: float) -> np.ndarray:
    """Two vortices and two antivortices on a periodic grid, a quarter and three quarters along each axis."""
    rows, cols = (2 * np.pi * (np.arange(n) / n - 0.25) for n in shape)
    return amplitude * np.exp(1j * np.arctan2(np.sin(rows)[:, None], np.sin(cols)[None, :]))


def windings(phase, *, periodic: bool = True) -> np.ndarray:
    """
    How often the phase (ny, nx) in radians turns around the plaquette between nodes ``[i, j]`` and ``[i + 1, j + 1]``.

    +1 where it grows from +x (right) towards +y (down), -1 for an antivortex. A grid that is not periodic has one row and one column less of them.
    """
    phase = np.asarray(phase)
    right, down = ((np.roll(phase, -1, axis) - phase + np.pi) % (2 * np.pi) - np.pi for axis in (1, 0))
    turns = np.rint((right + np.roll(down, -1, 1) - np.roll(right, -1, 0) - down) / (2 * np.pi)).astype(int)
    return turns if periodic else turns[:-1, :-1]


def _each_part(transform):
    return lambda field: transform(field.real, type=2) + 1j * transform(field.imag, type=2)


ENTRY = re.compile(r"^  (?P<entry>\w+):.*?#\s*(?P<comment>.*)$")
LETTER = re.compile(r"(?:^|;\s*)(?P<letter>[ABC])(?=$|[\s,])")
MEANING = {
    "A": "read in the paper, in a calibration table or in a published picture",
    "B": "inferred from these with a model",
    "C": "plausible, chosen by us",
}


def assumptions(name: str) -> list[dict]:
    """Every number in the file of a preset, in its order, with its confidence (a letter of ``MEANING``) and its reason."""
    text = (files("figures_pkg.twin") / "presets" / f"{name}.yaml").read_text(encoding="utf-8")
    values, part, rows = yaml.safe_load(text), "", []
    for line in text.splitlines():
        heading = re.match(r"^(\w+):", line)
        part = heading[1] if heading else part
        match = ENTRY.match(line)
        if match and part != "sizes":
            entry, comment = match["entry"], match["comment"]
            letter = LETTER.search(comment)
            if letter is None:
                raise ValueError(f"preset {name!r}: the comment of {entry} is {comment!r}; end it with '; A', '; B' or '; C'")
            reason = (comment[: letter.start()] + comment[letter.end() :]).strip(" ;,")
            rows.append({"part": part, "entry": entry, "value": values[part][entry], "confidence": letter["letter"], "reason": reason})
    return rows


def walls_in_reach(preset: Preset, truth: xr.Dataset) -> xr.DataArray:
    """
    How many walls are in reach (:func:`figures_pkg.twin.walls.reach_nm`) of each position of a scan from a preset with a texture, int8 (scan_y, scan_x).

    Where it is two or more, all but the nearest only set the shares of +P and -P.
    """
    if preset.texture is None:
        raise ValueError(f"preset {preset.name!r} has no texture, so no two walls meet; give one like ds2")
    walls = TracedWalls.draw(preset.texture, preset.specimen.field_nm, int(truth.attrs["seed"]))
    near = walls.near(truth.specimen_y_nm.values, truth.specimen_x_nm.values, polar_axis(preset))
    structure, sigma_nm = preset.wall_structure or WallStructure(), preset.beam.probe_fwhm_nm / FWHM_PER_SIGMA
    reaches = [reach_nm(truth.thickness_nm.values, angle, sigma_nm, structure.width_factor) for angle in near.inclination_deg]
    count = (near.distances < np.array(reaches)).sum(axis=0).astype(np.int8)
    return truth.wall_distance_nm.copy(data=count).rename("walls_in_reach").assign_attrs(units="1", long_name="walls in reach")
