"""The specimen under the scan: thickness and tilts, drift and shift of the pattern, and what lies beside the crystal.

Everything is a function of the place in nm, so that a coarse and a fine scan of a preset see the same specimen. Sums of
plane waves with random directions and phases give smooth fields of any resolution from a few hundred numbers.

Beside the crystal an overview has an amorphous carbon layer along the edge with platinum markers, in the simplest terms that
look right: carbon shows the direct beam, weakened, and the diffuse background of the foil, without reflections or rings; a
marker weakens the whole pattern.
"""

import math
from dataclasses import dataclass

import numpy as np

from figures_pkg.twin.presets import Coating, Preset, Scan, Specimen, Terrace

WAVES = 96  # enough for a field that looks Gaussian, few enough to evaluate on 256 x 256 positions at once
REFERENCE_NODES = 65  # fields are scaled to their range on this grid over the field of view

COATING_DESCRIPTION = {
    "crystal_share": ("1", "share of the beam that crosses the crystal; the rest crosses the carbon layer"),
    "transmission": ("1", "factor on the whole pattern, below 1 on a marker"),
}


@dataclass(frozen=True)
class SmoothField:
    """Random field of zero mean and unit variance whose correlation falls as ``exp(-d^2 / (2 length^2))``."""

    wave_y: np.ndarray
    wave_x: np.ndarray
    phase: np.ndarray

    @classmethod
    def draw(cls, length_nm: float, rng: np.random.Generator) -> "SmoothField":
        """Draw a field with the given correlation length."""
        wave_y, wave_x = rng.normal(scale=1 / length_nm, size=(2, WAVES))
        return cls(wave_y, wave_x, rng.uniform(0, 2 * math.pi, WAVES))

    def __call__(self, y_nm, x_nm) -> np.ndarray:
        """Value at places in nm; `y_nm` and `x_nm` broadcast."""
        y_nm, x_nm = np.broadcast_arrays(y_nm, x_nm)
        total = np.zeros(y_nm.shape)
        for wave_y, wave_x, phase in zip(self.wave_y, self.wave_x, self.phase):
            total += np.cos(wave_y * y_nm + wave_x * x_nm + phase)
        return total * math.sqrt(2 / WAVES)


@dataclass(frozen=True)
class BentField:
    """A plane plus a smooth random field, scaled to a mean and a range over the field of view."""

    mean: float
    extent: float  # largest minus smallest value over the field of view
    direction_deg: float  # the plane rises this way, from +x (right) towards +y (down)
    ramp_share: float
    smooth: SmoothField
    field_nm: tuple[float, float]

    def __call__(self, y_nm, x_nm) -> np.ndarray:
        """Value at places in nm."""
        grid = np.meshgrid(*(np.linspace(0, length, REFERENCE_NODES) for length in self.field_nm), indexing="ij")
        ramp, smooth = self._ramp(*grid), self.smooth(*grid)
        steepness, height = self.ramp_share / np.ptp(ramp), (1 - self.ramp_share) / np.ptp(smooth)
        reference, value = steepness * ramp + height * smooth, steepness * self._ramp(y_nm, x_nm) + height * self.smooth(y_nm, x_nm)
        return self.mean + self.extent * (value - reference.mean()) / np.ptp(reference)

    def _ramp(self, y_nm, x_nm):
        angle = math.radians(self.direction_deg)
        return np.sin(angle) * y_nm + np.cos(angle) * x_nm


def specimen_fields(specimen: Specimen, seed: int) -> dict[str, BentField]:
    """Thickness (nm) and tilts (mrad) of a specimen as functions of the place; the same seed gives the same specimen."""
    rows = {
        "thickness_nm": (specimen.thickness_nm, specimen.wedge_nm, specimen.wedge_direction_deg),
        "tilt_b_mrad": (specimen.tilt_b_mrad, specimen.bend_mrad, specimen.bend_b_direction_deg),
        "tilt_c_mrad": (specimen.tilt_c_mrad, specimen.bend_mrad, specimen.bend_c_direction_deg),
    }
    streams = np.random.default_rng([seed, 1]).spawn(len(rows))
    return {
        name: BentField(*row, specimen.ramp_share, SmoothField.draw(specimen.correlation_nm, rng), specimen.field_nm)
        for (name, row), rng in zip(rows.items(), streams)
    }


def terrace_nm(terrace: Terrace, field_nm: tuple[float, float], y_nm, x_nm) -> np.ndarray:
    """What an abrupt step adds to the thickness: half its height on the right of its line, minus half on the left."""
    centre_y, centre_x = (f * n for f, n in zip(terrace.centre_fraction_yx, field_nm))
    lean = math.radians(terrace.lean_deg)
    right = math.cos(lean) * (x_nm - centre_x) + math.sin(lean) * (y_nm - centre_y)
    return np.where(right >= 0, 0.5, -0.5) * terrace.height_nm


def nominal_positions(preset: Preset, scan_shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Where the scan generator puts the beam: coordinates (scan_y, scan_x) in nm along either axis, starting at 0."""
    return tuple(np.arange(n) * (length / n) for n, length in zip(scan_shape, preset.specimen.field_nm))


def drifted_positions(preset: Preset, scan_shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Where the beam is on the drifting specimen, (y, x) in nm; the scan runs row by row, the drift starts at zero and settles exponentially."""
    y_nm, x_nm = np.meshgrid(*nominal_positions(preset, scan_shape), indexing="ij")
    progress, rate = _time(scan_shape), preset.scan.drift_settling
    if rate:
        progress = np.expm1(-rate * progress) / np.expm1(-rate)
    return tuple(nominal + total * progress for nominal, total in zip((y_nm, x_nm), preset.scan.drift_nm_yx))


def pattern_shifts(scan: Scan, scan_shape: tuple[int, int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Shift of each pattern on the detector, (row, col) in px: residual descan, slow drift and jitter."""
    rng = np.random.default_rng([seed, 2])
    place = np.meshgrid(*[(np.arange(n) + 0.5) / n * 2 - 1 for n in scan_shape], indexing="ij")
    time = _time(scan_shape) - 0.5
    shifts = []
    for descan_deg, drift_sign in ((75.0, 1.0), (-20.0, -1.0)):  # the row shift follows mostly y, the column shift mostly x
        angle = math.radians(descan_deg)
        descan = scan.descan_px * (math.sin(angle) * place[0] + math.cos(angle) * place[1])
        jitter = scan.jitter_px * rng.standard_normal(scan_shape)
        shifts.append(descan + drift_sign * scan.descan_drift_px * time + jitter)
    return tuple(shifts)


def _time(scan_shape):
    """Time of each position as a fraction of the scan, row after row."""
    return (np.arange(scan_shape[0] * scan_shape[1]) / (scan_shape[0] * scan_shape[1])).reshape(scan_shape)


def coating_maps(coating: Coating, field_nm: tuple[float, float], y_nm, x_nm) -> dict[str, np.ndarray]:
    """Share of crystal and transmission at places of the specimen; the carbon begins at its edge and goes on downward."""
    below = (y_nm - coating.edge_fraction_y * field_nm[0]) / coating.edge_nm
    on_marker = np.zeros(np.shape(y_nm), bool)
    for row, col in coating.marker_fraction_yx:
        apart = np.stack([y_nm - row * field_nm[0], x_nm - col * field_nm[1]])
        on_marker |= (2 * np.abs(apart) <= np.reshape(coating.marker_nm_yx, (2, *[1] * np.ndim(y_nm)))).all(axis=0)
    return {"crystal_share": 0.5 - 0.5 * np.clip(2 * below, -1, 1), "transmission": np.where(on_marker, coating.marker_transmission, 1.0)}
