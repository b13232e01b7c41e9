"""Domains and the walls between them: where walls run, how the beam sees them, how phase and polarization turn in them.

A wall is a surface that cuts through the foil at an angle to the beam. Seen along the beam, the share of the foil above and
below it changes over ``thickness * tan(inclination)``; this share, blurred by the probe, is the weight with which the patterns
of +P and -P are added. A beam that passes through one domain and then the other gives a pattern that no such sum reaches;
what a wall itself adds comes from `figures_pkg.twin.walls`.

The courses of a texture's walls are traced from a picture, not relaxed. The walls of a real crystal are pinned where they were
at the transition; the minimum of the Landau energy would straighten them. The order parameter decides what lies between:
neighbours differ by one step of 60 degrees, hence in the sign of P, and the steps around a core add up to a whole turn.

The bound charge of a wall follows from its direction: sigma = 2 P cos(angle between c and the normal that points out of the
+P domain), positive where the polarizations point at each other (head-to-head), negative where they point apart (tail-to-tail). Around a core
opposite walls carry the same charge; what alternates is the mirror variant (`step` below).

What is assumed of a wall's structure, with its confidence as in the presets (A read, B inferred with a model, C plausible):

===============  ======================  ==========================================================================
half width       0.257 nm along c, B     Landau theory, coefficients of YMnO3 (Artyukhin et al. 2014); stiffness and
                 0.149 nm across c, B    barrier give it. Charged walls are known to differ in width (Smabraten et
                                         al. 2018), by how much was not found: both have the same here.
screening        1 nm, C                 over which the polar mode of a charged wall turns over. Bound charge
                                         0.11 C/m2 wants 0.7 e/nm2; 1 to 5 nm would be as plausible.
strain           0, C                    of c at a charged wall; no number was found, beyond 0.002 is unlikely.
step             +1 or -1, C             the phase turns by +60 or -60 degrees out of +P: mirror variants, which
                                         exist side by side in a crystal with vortices.
===============  ======================  ==========================================================================

The potential is that of neutral atoms. The electrostatic potential of the bound charge and of what screens it is not in it.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.spatial import cKDTree
from scipy.special import erf, ndtr

from figures_pkg.twin.presets import Preset, Texture
from figures_pkg.twin.specimen import SmoothField

STATES = 6  # of the trimerization: domains 0 to 5, at 0, 60, ... 300 degrees
HALF_WIDTH_C_NM, HALF_WIDTH_AB_NM = 0.257, 0.149  # of the phase across a charged and a neutral wall; far below a scan step
NEUTRAL_BELOW = 0.26  # cosine of 75 degrees: walls within 15 degrees of the direction of c count as neutral
POINT_SPACING_NM = 0.1  # between the points that stand for a wall
FWHM_PER_SIGMA = 2 * math.sqrt(2 * math.log(2))

# What a pattern depends on besides the state of its position, in the order of the columns that the renderer takes.
WALL_COLUMNS = ("wall_distance_nm", "wall_inclination_deg", "wall_charge", "wall_step", "wall_normal_b")


def wall_phase_deg(distance_nm, half_width_nm: float) -> np.ndarray:
    """Phase across a wall, 0 to 60 degrees: ``(2/3) arctan exp(x / half width)``, exact where Q does not dip."""
    return np.degrees(2 / 3 * np.arctan(np.exp(np.clip(np.asarray(distance_nm) / half_width_nm, -60, 60))))


def projected_width_nm(thickness_nm, inclination_deg) -> np.ndarray:
    """Width over which an inclined wall is seen along the beam, ``thickness * tan(inclination)``."""
    return np.asarray(thickness_nm) * np.tan(np.radians(inclination_deg))


def polarization_weight(distance_nm, width_nm, probe_fwhm_nm: float) -> np.ndarray:
    """Weight of +P minus weight of -P in the pattern of a position, from -1 to +1.

    A linear ramp over the projected width (nm; zero for a wall seen edge-on), folded with a Gaussian probe; the distance (nm) from the middle of
    the wall is positive in the +P domain. With F the antiderivative of the normal distribution function, the fold is
    ``sigma/width * (F((d + width/2)/sigma) - F((d - width/2)/sigma))``.
    """
    sigma = probe_fwhm_nm / FWHM_PER_SIGMA
    half = np.maximum(np.asarray(width_nm), 1e-3 * sigma) / (2 * sigma)
    d = np.asarray(distance_nm) / sigma
    plus = (normal_antiderivative(d + half) - normal_antiderivative(d - half)) / (2 * half)
    return np.clip(2 * plus - 1, -1.0, 1.0)


def normal_antiderivative(z):
    """Integral of the normal distribution function from minus infinity to `z`: a ramp, blurred."""
    return z * ndtr(z) + np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)


def polar_axis(preset: Preset) -> np.ndarray:
    """Direction of +c, the polarization of +P, on the scan: unit vector (y, x), y downward."""
    row, col = np.array(preset.pattern.g002_row_col) / np.linalg.norm(preset.pattern.g002_row_col)
    turn = math.radians(preset.scan.scan_rotation_deg)  # clockwise in the picture, as rows grow downward
    return np.array([row * math.cos(turn) + col * math.sin(turn), col * math.cos(turn) - row * math.sin(turn)])


def wall_type(charge) -> np.ndarray:
    """+1 head-to-head, -1 tail-to-tail, 0 neutral, from the bound charge in units of 2 P."""
    charge = np.asarray(charge)
    return np.where(np.abs(charge) < NEUTRAL_BELOW, 0, np.sign(charge)).astype(np.int8)


def domain_maps(preset: Preset, seed: int, y_nm, x_nm, thickness_nm) -> dict[str, np.ndarray]:
    """Domains and walls at places of the specimen: the maps from `polarization` to `wall_normal_b` of `figures_pkg.twin.dataset`.

    Without walls the polarization is +1, the distance infinite, and what describes a wall zero. Close to several walls the weights multiply.
    """
    if preset.texture:
        near = TracedWalls.draw(preset.texture, preset.specimen.field_nm, seed).near(y_nm, x_nm, polar_axis(preset))
    elif preset.wall:
        near = _near_straight_wall(preset, seed, y_nm, x_nm)
    else:
        zeros = np.zeros(np.shape(y_nm))
        near = NearWalls(zeros.astype(int), np.full((1, *zeros.shape), np.inf), np.zeros(1), zeros, zeros, zeros)
    nearest, sign = near.distances.argmin(axis=0), np.where(near.state % 2 == 0, 1, -1)
    distance = np.take_along_axis(near.distances, nearest[None], axis=0)[0]
    weight = np.ones(distance.shape)
    for apart, inclination in zip(near.distances, near.inclination_deg):
        within = np.minimum(apart, 1e3)  # farther than any wall is wide; infinity has no fold
        weight = weight * polarization_weight(within, projected_width_nm(thickness_nm, abs(inclination)), preset.beam.probe_fwhm_nm)
    inclination = near.inclination_deg[nearest]
    phase = 60.0 * near.state + near.step * wall_phase_deg(-distance, HALF_WIDTH_AB_NM)
    return {
        "polarization": sign * weight,
        "domain": sign.astype(np.int8),
        "domain_state": near.state.astype(np.int8),
        "phase_deg": np.mod(np.round(phase, 3), 360.0),  # rounded, or domain 0 would be at 360 as often as at 0
        "wall_distance_nm": sign * distance,
        "wall_width_nm": projected_width_nm(thickness_nm, np.abs(inclination)),
        "wall_inclination_deg": inclination,
        "wall_charge": near.charge,
        "wall_type": wall_type(near.charge),
        "wall_step": (sign * near.step).astype(np.int8),
        "wall_normal_b": near.normal_b,
    }


@dataclass(frozen=True)
class NearWalls:
    """State and surroundings of places; the first axis of `distances` counts the walls."""

    state: np.ndarray  # domain 0 to 5
    distances: np.ndarray  # (walls, ...) nm, not negative
    inclination_deg: np.ndarray  # (walls,)
    step: np.ndarray  # of the phase across the nearest wall, seen from the place, -1 or 1
    charge: np.ndarray  # of the nearest wall at the point nearest to the place, -1 to 1
    normal_b: np.ndarray  # of its normal out of +P, the component along b*


@dataclass(frozen=True)
class TracedWalls:
    """Walls of a texture, each as a function: the angle over the distance from the core, or x over y.

    Walls count clockwise around the core, or from left to right. Domain i lies after wall i around a core (and before
    wall i + 1); in a row of walls it lies before wall i.
    """

    texture: Texture
    field_nm: tuple[float, float]
    polar: bool  # whether the walls run out of a core
    origin_nm: np.ndarray  # the core, or (0, 0)
    smooth_courses: tuple[PchipInterpolator, ...]
    roughness: tuple[SmoothField, ...]

    @classmethod
    def draw(cls, texture: Texture, field_nm: tuple[float, float], seed: int) -> "TracedWalls":
        """Lay smooth courses through the given places, and draw their random part."""
        polar, origin = texture.core_fraction_yx is not None, np.multiply(texture.core_fraction_yx or (0.0, 0.0), field_nm)
        places = [np.multiply(course, field_nm) - origin for course in texture.course_fraction_yx]
        courses = []
        for y, x in (place.T for place in places):
            along, across = (np.hypot(y, x), np.unwrap(np.arctan2(y, x))) if polar else (y, x)
            if len(along) < 2 or (np.diff(along) <= 0).any():
                raise ValueError("the course of a wall needs two or more places, each farther from the core, or from the top, than the one before")
            courses.append(PchipInterpolator(along, across))
        streams = np.random.default_rng([seed, 3]).spawn(len(courses))
        roughness = [SmoothField.draw(texture.roughness_length_nm, rng) for rng in streams]
        return cls(texture, field_nm, polar, origin, tuple(courses), tuple(roughness))

    def across(self, wall: int, along_nm) -> np.ndarray:
        """Course of a wall: angle (radians, clockwise from +x) at a distance from the core, or x (nm) at y."""
        along = np.asarray(along_nm, float)
        course = self.smooth_courses[wall]
        within = np.clip(along, course.x[0], course.x[-1])
        aside = self.texture.roughness_nm * self.roughness[wall](along, 0.0)
        if not self.polar:  # beyond its last place a wall runs on as it ends; around a core, straight away from it
            return course(within) + course(within, 1) * (along - within) + aside
        near_core = -np.expm1(-((along / self.texture.roughness_length_nm) ** 2))
        return course(within) + aside * near_core / np.maximum(along, POINT_SPACING_NM)

    def points(self, wall: int) -> tuple[np.ndarray, np.ndarray]:
        """Points (n, 2) in nm along a wall, well beyond the field, and there the unit normals towards the next domain."""
        beyond = 0.2 * max(self.field_nm)
        start, end = (0.0, math.hypot(*self.field_nm)) if self.polar else (-beyond, self.field_nm[0] + beyond)
        along = np.arange(start, end, POINT_SPACING_NM)
        across = self.across(wall, along)
        places = np.stack([along * np.sin(across), along * np.cos(across)] if self.polar else [along, across], axis=1)
        tangent = np.gradient(places, axis=0)
        normal = np.stack([tangent[:, 1], -tangent[:, 0]], axis=1) / np.linalg.norm(tangent, axis=1, keepdims=True)
        return places + self.origin_nm, normal if self.polar else -normal

    def sector(self, y_nm, x_nm) -> np.ndarray:
        """Number of the domain in the order of the walls."""
        walls = range(len(self.smooth_courses))
        if not self.polar:
            return sum((x_nm >= self.across(wall, y_nm)).astype(int) for wall in walls)
        y, x = y_nm - self.origin_nm[0], x_nm - self.origin_nm[1]
        distance, angle = np.hypot(y, x), np.arctan2(y, x)
        first = self.across(0, distance)
        turned = [np.mod(self.across(wall, distance) - first, 2 * np.pi) for wall in walls[1:]]
        return sum((np.mod(angle - first, 2 * np.pi) >= limit).astype(int) for limit in turned)

    def near(self, y_nm, x_nm, c_axis) -> NearWalls:
        """State, and the walls around each place; `c_axis` is the direction (y, x) of the polarization of +P."""
        sector, count = self.sector(y_nm, x_nm), len(self.smooth_courses)
        later = self.texture.steps[1:] if self.polar else self.texture.steps
        states = np.mod(self.texture.first_state + np.concatenate([[0], np.cumsum(later)]), STATES).astype(int)  # domain 0 to 5 of each sector
        places = np.stack([y_nm, x_nm], axis=-1)
        distances, charges, normals_b = np.empty((3, count, *sector.shape))
        for wall in range(count):
            points, normals = self.points(wall)
            distances[wall], index = cKDTree(points).query(places)
            behind = states[wall - 1 if self.polar else wall]  # the domain that the normal leaves
            outward = normals[index] * (1 if behind % 2 == 0 else -1)
            charges[wall], normals_b[wall] = outward @ c_axis, outward @ _across(c_axis)
        nearest = distances.argmin(axis=0)
        beyond = nearest == (sector if self.polar else sector - 1)  # the place lies after its nearest wall
        step = np.array(self.texture.steps)[nearest] * np.where(beyond, -1, 1)
        charge, normal_b = (np.take_along_axis(values, nearest[None], axis=0)[0] for values in (charges, normals_b))
        return NearWalls(states[sector], distances, np.array(self.texture.inclination_deg), step, charge, normal_b)


def _across(c_axis) -> np.ndarray:
    """Direction of b* on the scan, a quarter turn clockwise from c; the distortion of the pattern is left out."""
    return np.array([c_axis[1], -c_axis[0]])


def _near_straight_wall(preset: Preset, seed: int, y_nm, x_nm) -> NearWalls:
    """The one wall of a preset between domain 0 (+P) and domain 1 (-P), a line that leans, bows and wanders; normal and charge leave the bow out."""
    wall, field_nm = preset.wall, preset.specimen.field_nm
    half_height, lean, side = field_nm[0] / 2, math.radians(wall.lean_deg), 1 if wall.plus_side == "left" else -1
    y, x = (np.asarray(place) - f * n for place, f, n in zip((y_nm, x_nm), wall.centre_fraction_yx, field_nm))
    right = math.cos(lean) * x + math.sin(lean) * y
    along = (math.cos(lean) * y - math.sin(lean) * x) / half_height
    roughness = SmoothField.draw(wall.roughness_length_nm, np.random.default_rng([seed, 3]))
    course = wall.sag_nm * (1 - along**2) + wall.roughness_nm * roughness(along * half_height, 0.0)
    distance, outward = (right - course) * -side, np.array([math.sin(lean), math.cos(lean)]) * side
    charge, normal_b = float(outward @ polar_axis(preset)), float(outward @ _across(polar_axis(preset)))
    state = np.where(distance >= 0, 0, 1)
    flat = [np.full(state.shape, value) for value in (charge, normal_b)]
    return NearWalls(state, np.abs(distance)[None], np.array([wall.inclination_deg]), np.where(state == 0, 1, -1), *flat)


@dataclass(frozen=True)
class WallProfile:
    """Assumptions about a wall, see the table in the head of this module."""

    half_width_nm: float = HALF_WIDTH_C_NM  # of the phase; 10 to 90 % of the change lie within about 4 of them
    screening_nm: float = 1.0  # half width of a charged wall's polar mode, no less than that of the phase; zero: as the phase
    strain: float = 0.0  # of c in the middle of a head-to-head wall, Gaussian over `screening_nm`; tail-to-tail walls have the opposite
    step: int = 1  # turn of the phase in units of 60 degrees, out of the +P domain: 1 or -1

    def phase_deg(self, distance_nm) -> np.ndarray:
        """Phase at a distance from the wall, positive in the +P domain, where it goes to zero."""
        return self.step * wall_phase_deg(-np.asarray(distance_nm), self.half_width_nm)

    def polar(self, distance_nm, charge: float) -> np.ndarray:
        """Amplitude of the polar mode, from -1 to 1; `charge` (-1 to 1) blends the widths of neutral and charged walls."""
        slaved = np.cos(np.radians(3 * self.phase_deg(distance_nm)))
        if not self.screening_nm:
            return slaved
        screened = np.tanh(np.asarray(distance_nm) / max(self.screening_nm, self.half_width_nm))
        return slaved + abs(charge) * (screened - slaved)

    def shift_nm(self, distance_nm, charge: float) -> np.ndarray:
        """Displacement along c that the strain has added on the way from the middle of the wall."""
        width = max(self.screening_nm, self.half_width_nm)
        return self.strain * charge * width * np.sqrt(np.pi) / 2 * erf(np.asarray(distance_nm) / width)


def default_profile(charge: float, step: int = 1, width_factor: float = 1.0, screening_nm: float = 1.0, strain: float = 0.0) -> WallProfile:
    """The profile of a wall with bound charge `charge` in units of 2 P (1 head-to-head, -1 tail-to-tail), as assumed or as told."""
    squared = charge**2 * HALF_WIDTH_C_NM**2 + (1 - charge**2) * HALF_WIDTH_AB_NM**2
    return WallProfile(width_factor * float(np.sqrt(squared)), screening_nm, strain, step)
