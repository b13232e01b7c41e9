"""The parts of a preset: what arrives, what it crosses, how it is recorded. Units are in the names, sources in the YAML files."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Beam:
    """What arrives at the specimen at each position."""

    energy_kev: float
    electrons_per_pattern: float
    convergence_mrad: float
    probe_fwhm_nm: float


@dataclass(frozen=True)
class Pattern:
    """Where the lattice lies on the detector; (row, col) pixels, rows downward."""

    shape: tuple[int, int]
    origin_row_col: tuple[float, float]
    g002_row_col: tuple[float, float]
    g010_row_col: tuple[float, float]
    scale_inv_angstrom: float
    camera_length_cm: float


@dataclass(frozen=True)
class Detector:
    """How electrons become counts."""

    counts_per_electron: float
    bragg_share: float
    psf_sigma_px: float
    counter_bits: int
    dead_pixels: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Background:
    """Diffuse scattering: a radial profile and a halo of the direct beam, see `figures_pkg.twin.instrument.background`."""

    radius_inv_angstrom: tuple[float, ...]
    counts: tuple[float, ...]
    halo_counts: float
    halo_sigma_inv_angstrom: float
    follows_tilt: float
    thickness_exponent: float
    width_exponent: float


@dataclass(frozen=True)
class Specimen:
    """Thickness and orientation over the field."""

    field_nm: tuple[float, float]
    thickness_nm: float
    wedge_nm: float
    wedge_direction_deg: float
    tilt_b_mrad: float
    tilt_c_mrad: float
    bend_mrad: float
    bend_b_direction_deg: float
    bend_c_direction_deg: float
    ramp_share: float
    correlation_nm: float


@dataclass(frozen=True)
class Wall:
    """Course and inclination of the domain wall."""

    centre_fraction_yx: tuple[float, float]
    lean_deg: float
    inclination_deg: float
    sag_nm: float
    roughness_nm: float
    roughness_length_nm: float
    plus_side: str


@dataclass(frozen=True)
class Texture:
    """Several walls and the domains between them, see `figures_pkg.twin.specimen.texture`."""

    core_fraction_yx: tuple[float, float] | None  # of a vortex; without it the walls run from top to bottom
    course_fraction_yx: tuple[tuple[tuple[float, float], ...], ...]  # per wall: away from the core, or downward
    first_state: int
    steps: tuple[int, ...]
    inclination_deg: tuple[float, ...]
    roughness_nm: float
    roughness_length_nm: float


@dataclass(frozen=True)
class WallStructure:
    """What is assumed of walls, see `figures_pkg.twin.walls.profile`, whose defaults hold where a preset leaves it out."""

    width_factor: float  # of the widths that the Landau theory gives
    screening_nm: float  # over which the polar mode of a charged wall turns over
    strain: float  # of c in the middle of a head-to-head wall; tail-to-tail walls have the opposite


@dataclass(frozen=True)
class Terrace:
    """An abrupt step of the thickness along a straight line."""

    height_nm: float  # thicker on the right by this much; the mean stays
    centre_fraction_yx: tuple[float, float]
    lean_deg: float


@dataclass(frozen=True)
class Coating:
    """A carbon layer at the bottom and markers on it, see `figures_pkg.twin.specimen.coating`."""

    edge_fraction_y: float
    edge_nm: float
    carbon_direct_beam: float  # share of the beam that is left in the direct disc
    carbon_diffuse: float  # counts of the background over those of the foil
    marker_fraction_yx: tuple[tuple[float, float], ...]
    marker_nm_yx: tuple[float, float]
    marker_transmission: float


@dataclass(frozen=True)
class Scan:
    """What the microscope does to the scan: drift of the specimen, wandering of the pattern."""

    scan_rotation_deg: float
    drift_nm_yx: tuple[float, float]
    drift_settling: float
    descan_px: float
    descan_drift_px: float
    jitter_px: float
