"""Domains and walls over the field of a scan: one straight wall, several walls, or the six walls of a vortex.

The courses of a texture's walls are given, traced from a picture, not relaxed. The walls of a real crystal are pinned
where they were at the transition; the minimum of the Landau energy would straighten them. The order parameter decides
what lies between: neighbours differ by one step of 60 degrees, hence in the sign of P, and the steps around a core add up to
a whole turn. `figures_pkg.twin.specimen.landau` is the check that such a texture holds together, in the tests.

The bound charge of a wall follows from its direction: sigma = 2 P cos(angle between c and the normal that points out of
the +P domain). It is positive where the polarizations point at each other (head-to-head) and negative where they
point apart (tail-to-tail). The polarization told here is a share of +P less one of -P in the pattern, whatever the type of
the wall; what the wall itself adds comes from `figures_pkg.twin.walls`.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.spatial import cKDTree

from figures_pkg.twin.specimen.domains import WallSurface, polarization_weight, projected_width_nm
from figures_pkg.twin.specimen.fields import SmoothField
from figures_pkg.twin.specimen.landau import STATES, wall_phase_deg
from figures_pkg.twin.preset_parts import Texture
from figures_pkg.twin.presets import Preset

WALL_HALF_WIDTH_NM = 0.149  # of the phase across a neutral wall, `Landau` with Q fixed; far below a scan step
NEUTRAL_BELOW = 0.26  # cosine of 75 degrees: walls within 15 degrees of the direction of c count as neutral
POINT_SPACING_NM = 0.1  # between the points that stand for a wall


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
    """Domains and walls at places of the specimen.

    Parameters
    ----------
    preset : Preset
        With a wall, a texture, or neither (+P everywhere).
    seed : int
        Draws the random part of the walls' courses.
    y_nm, x_nm, thickness_nm : arrays of equal shape

    Returns
    -------
    maps : dict
        ``polarization``, ``domain``, ``domain_state``, ``phase_deg``, ``wall_distance_nm``, ``wall_width_nm``,
        ``wall_inclination_deg``, ``wall_charge``, ``wall_type``, each of that shape; see `figures_pkg.twin.truth`.
        Without walls the distance is infinite and what describes a wall is zero.
    """
    if preset.texture:
        near = TracedWalls.draw(preset.texture, preset.specimen.field_nm, seed).near(y_nm, x_nm, polar_axis(preset))
    elif preset.wall:
        near = _near_straight_wall(preset, seed, y_nm, x_nm)
    else:
        near = _without_walls(np.shape(y_nm))
    return _described(near, thickness_nm, preset.beam.probe_fwhm_nm)


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
    origin_nm: np.ndarray  # the core, or (0, 0)
    smooth_courses: tuple[PchipInterpolator, ...]
    roughness: tuple[SmoothField, ...]

    @classmethod
    def draw(cls, texture: Texture, field_nm: tuple[float, float], seed: int) -> "TracedWalls":
        """Draw the random part of the courses."""
        origin = np.multiply(texture.core_fraction_yx or (0.0, 0.0), field_nm)
        places = [np.multiply(course, field_nm) - origin for course in texture.course_fraction_yx]
        courses = [_course(*place.T, polar=texture.core_fraction_yx is not None) for place in places]
        streams = np.random.default_rng([seed, 3]).spawn(len(courses))
        roughness = [SmoothField.draw(texture.roughness_length_nm, rng) for rng in streams]
        return cls(texture, field_nm, origin, tuple(courses), tuple(roughness))

    @property
    def polar(self) -> bool:
        """Whether the walls run out of a core."""
        return self.texture.core_fraction_yx is not None

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

    def states(self) -> np.ndarray:
        """Domain 0 to 5 of each sector."""
        later = self.texture.steps[1:] if self.polar else self.texture.steps
        return np.mod(self.texture.first_state + np.concatenate([[0], np.cumsum(later)]), STATES).astype(int)

    def near(self, y_nm, x_nm, c_axis) -> NearWalls:
        """State, and the walls around each place; `c_axis` is the direction (y, x) of the polarization of +P."""
        sector, states, count = self.sector(y_nm, x_nm), self.states(), len(self.smooth_courses)
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


def _course(y_nm, x_nm, *, polar: bool) -> PchipInterpolator:
    """Smooth course through the given places, relative to the core where there is one."""
    along, across = (np.hypot(y_nm, x_nm), np.unwrap(np.arctan2(y_nm, x_nm))) if polar else (y_nm, x_nm)
    if len(along) < 2 or (np.diff(along) <= 0).any():
        raise ValueError("the course of a wall needs two or more places, each farther from the core, or from the top, than the one before")
    return PchipInterpolator(along, across)


def _near_straight_wall(preset: Preset, seed: int, y_nm, x_nm) -> NearWalls:
    """The straight wall of a preset between domain 0 (+P) and domain 1 (-P); its bow is left out of the charge."""
    wall = preset.wall
    distance = WallSurface.draw(wall, preset.specimen.field_nm, seed).distance(y_nm, x_nm)
    lean = math.radians(wall.lean_deg)
    right = np.array([math.sin(lean), math.cos(lean)])
    outward = right * (1 if wall.plus_side == "left" else -1)
    charge, normal_b = float(outward @ polar_axis(preset)), float(outward @ _across(polar_axis(preset)))
    state = np.where(distance >= 0, 0, 1)
    flat = [np.full(state.shape, value) for value in (charge, normal_b)]
    return NearWalls(state, np.abs(distance)[None], np.array([wall.inclination_deg]), np.where(state == 0, 1, -1), *flat)


def _without_walls(shape) -> NearWalls:
    zeros = np.zeros(shape)
    return NearWalls(zeros.astype(int), np.full((1, *shape), np.inf), np.zeros(1), zeros, zeros, zeros)


def _described(near: NearWalls, thickness_nm, probe_fwhm_nm: float) -> dict[str, np.ndarray]:
    """Maps of the truth. Close to several walls the weights multiply: each alone takes P to zero, and so do all at a core."""
    nearest, sign = near.distances.argmin(axis=0), np.where(near.state % 2 == 0, 1, -1)
    distance = np.take_along_axis(near.distances, nearest[None], axis=0)[0]
    weight = np.ones(distance.shape)
    for apart, inclination in zip(near.distances, near.inclination_deg):
        within = np.minimum(apart, 1e3)  # farther than any wall is wide; infinity has no fold
        weight = weight * polarization_weight(within, projected_width_nm(thickness_nm, abs(inclination)), probe_fwhm_nm)
    inclination = near.inclination_deg[nearest]
    phase = 60.0 * near.state + near.step * wall_phase_deg(-distance, WALL_HALF_WIDTH_NM)
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
