"""Presets: every number of a simulated dataset, read from a YAML file with sources and confidence, and checked; names of entries hold units."""

import hashlib
import json
import math
import warnings
from dataclasses import asdict, dataclass, fields
from importlib.resources import files
from pathlib import Path

import yaml

from figures_pkg.data.units import wavelength_angstrom


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
    """Diffuse scattering: a radial profile and a halo of the direct beam, see `figures_pkg.twin.detector`."""

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
    """Several walls and the domains between them, see `figures_pkg.twin.domains`."""

    core_fraction_yx: tuple[float, float] | None  # of a vortex; without it the walls run from top to bottom
    course_fraction_yx: tuple[tuple[tuple[float, float], ...], ...]  # per wall: away from the core, or downward
    first_state: int
    steps: tuple[int, ...]
    inclination_deg: tuple[float, ...]
    roughness_nm: float
    roughness_length_nm: float


@dataclass(frozen=True)
class WallStructure:
    """What is assumed of walls, see `figures_pkg.twin.domains.WallProfile`. The defaults hold where a preset leaves it out."""

    width_factor: float = 1.0  # of the widths that the Landau theory gives
    screening_nm: float = 1.0  # over which the polar mode of a charged wall turns over
    strain: float = 0.0  # of c in the middle of a head-to-head wall; tail-to-tail walls have the opposite

    def __post_init__(self):
        if self.width_factor <= 0 or self.screening_nm < 0 or abs(self.strain) > 0.02:
            raise ValueError("a wall has a positive width factor, a screening length of zero or more and a strain within 0.02; got "
                             f"{self.width_factor:g}, {self.screening_nm:g} nm, {self.strain:g}")


@dataclass(frozen=True)
class Terrace:
    """An abrupt step of the thickness along a straight line."""

    height_nm: float  # thicker on the right by this much; the mean stays
    centre_fraction_yx: tuple[float, float]
    lean_deg: float


@dataclass(frozen=True)
class Coating:
    """A carbon layer at the bottom and markers on it, see `figures_pkg.twin.specimen.coating_maps`."""

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


@dataclass(frozen=True)
class Preset:
    """All parts of a preset and its sizes, ``{name: (scan_y, scan_x)}``."""

    name: str
    title: str
    beam: Beam
    pattern: Pattern
    detector: Detector
    background: Background
    specimen: Specimen
    scan: Scan
    sizes: dict[str, tuple[int, int]]
    wall: Wall | None = None  # one straight wall, or
    texture: Texture | None = None  # several walls; with neither, +P everywhere
    wall_structure: WallStructure | None = None
    terrace: Terrace | None = None
    coating: Coating | None = None
    walls: str = "mixture"  # patterns of +P and -P added up, or "supercell": with what the walls make different

    def scan_shape(self, size: str) -> tuple[int, int]:
        """Positions (scan_y, scan_x) of a size; unknown sizes raise with the known ones."""
        if size not in self.sizes:
            raise ValueError(f"preset {self.name!r} has no size {size!r}; it comes in {', '.join(self.sizes)}")
        return self.sizes[size]

    def fingerprint(self, *others: str) -> str:
        """Sixteen hexadecimal digits that change with any number of the preset, and with `others`."""
        text = json.dumps([asdict(self), *others], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


OPTIONAL = {"wall": Wall, "texture": Texture, "wall_structure": WallStructure, "terrace": Terrace, "coating": Coating}
PARTS = {field.name: field.type for field in fields(Preset) if field.name not in ("name", "title", "sizes", "walls", *OPTIONAL)}


def known_presets() -> list[str]:
    """Names of the presets that come with the package."""
    return sorted(path.name.removesuffix(".yaml") for path in (files(__package__) / "presets").iterdir() if path.name.endswith(".yaml"))


def load_preset(name: str | Path) -> Preset:
    """Read a preset of the package by its name, or your own by the path of its YAML file; what is wrong with either is a `ValueError`."""
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise ValueError(f"no preset file at {path}; give the path of a YAML file, or one of {', '.join(known_presets())}")
        return parse_preset(path.stem, path.read_text(encoding="utf-8"))
    if name not in known_presets():
        raise ValueError(f"no preset {name!r}; known are {', '.join(known_presets())}, or give the path of a YAML file like theirs")
    return parse_preset(name, _packaged_text(name))


def parse_preset(name: str, text: str) -> Preset:
    """Turn a YAML text into a checked preset; after ``base: ds1`` it holds only what differs, and ``wall: null`` removes a part."""
    content = _with_base(name, yaml.safe_load(text))
    walls = content.setdefault("walls", "mixture")
    kinds = PARTS | {key: kind for key, kind in OPTIONAL.items() if content.setdefault(key, None) is not None}
    _require_keys(f"preset {name!r}", content, {"title", "sizes", "walls", *PARTS, *OPTIONAL})
    parts = {}
    for key, kind in kinds.items():
        _require_keys(f"preset {name!r}, {key}", content[key], {field.name for field in fields(kind)})
        parts[key] = kind(**{entry: _frozen(value) for entry, value in content[key].items()})
    sizes = {size: tuple(entry["scan"]) for size, entry in content["sizes"].items()}
    preset = Preset(name=name, title=content["title"], sizes=sizes, walls=walls, **parts)
    _check_values(preset)
    return preset


def _with_base(name: str, content: dict) -> dict:
    """The content laid over that of the preset it is based on, part by part and entry by entry."""
    if not isinstance(content, dict) or "base" not in content:
        return content
    base = content["base"]
    if base not in known_presets() or base == name:
        raise ValueError(f"preset {name!r}: base is {base!r}; choose another preset of the package: {', '.join(known_presets())}")
    merged = _with_base(base, yaml.safe_load(_packaged_text(base)))
    for key, value in content.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merged[key] | value if both else value
    del merged["base"]
    return merged


def _packaged_text(name: str) -> str:
    return (files(__package__) / "presets" / f"{name}.yaml").read_text(encoding="utf-8")


def _frozen(value):
    return tuple(_frozen(entry) for entry in value) if isinstance(value, list) else value


def _require_keys(where: str, content, expected: set[str]) -> None:
    if not isinstance(content, dict):
        raise ValueError(f"{where}: expected a mapping with {', '.join(sorted(expected))}, got {content!r}")
    missing, unknown = sorted(expected - set(content)), sorted(set(content) - expected)
    if missing or unknown:
        raise ValueError(f"{where}: missing {missing or 'nothing'}, unknown {unknown or 'nothing'}; see presets/ds1.yaml for every entry")


def _check_values(preset: Preset) -> None:
    if preset.walls not in ("mixture", "supercell"):
        raise ValueError(f"walls of preset {preset.name!r} is {preset.walls!r}; say mixture or supercell")
    if preset.wall and preset.texture:
        raise ValueError(f"preset {preset.name!r} has a wall and a texture; set one of them to null")
    if preset.wall and preset.wall.plus_side not in ("left", "right"):
        raise ValueError(f"wall.plus_side of preset {preset.name!r} is {preset.wall.plus_side!r}; say left or right")
    radius, counts = preset.background.radius_inv_angstrom, preset.background.counts
    if len(radius) != len(counts) or list(radius) != sorted(set(radius)) or min(counts) <= 0:
        raise ValueError(f"background of preset {preset.name!r}: radius_inv_angstrom must rise and counts be positive, one for each radius")
    if not 0 <= preset.detector.bragg_share <= 1:
        raise ValueError(f"detector.bragg_share of preset {preset.name!r} is {preset.detector.bragg_share}; it is a share between 0 and 1")
    if texture := preset.texture:
        if not len(texture.course_fraction_yx) == len(texture.steps) == len(texture.inclination_deg) > 0:
            raise ValueError(f"texture of preset {preset.name!r}: course_fraction_yx, steps and inclination_deg need one entry for each wall")
        if set(texture.steps) - {-1, 1} or texture.first_state not in range(6):
            raise ValueError(f"texture of preset {preset.name!r}: steps are 1 or -1, of 60 degrees each, and first_state is 0 to 5; got "
                             f"{texture.steps}, {texture.first_state}")
        if texture.core_fraction_yx and sum(texture.steps) % 6:
            raise ValueError(f"texture of preset {preset.name!r}: the steps around the core add up to {sum(texture.steps)}; walls that end there need "
                             "a multiple of 6, six steps of the same sign for a vortex")
    positive = {f"beam.{name}": getattr(preset.beam, name) for name in ("energy_kev", "electrons_per_pattern", "convergence_mrad")}
    positive |= {"thinnest place of the specimen (nm)": preset.specimen.thickness_nm - abs(preset.specimen.wedge_nm) / 2}
    for name, value in positive.items():
        if not value > 0:
            raise ValueError(f"preset {preset.name!r}: {name} is {value:g}; expected a positive number")
    spacing_px = min(math.hypot(*preset.pattern.g002_row_col), math.hypot(*preset.pattern.g010_row_col))
    limit = 500 * spacing_px * preset.pattern.scale_inv_angstrom * wavelength_angstrom(preset.beam.energy_kev)
    if preset.beam.convergence_mrad > limit:
        warnings.warn(f"preset {preset.name!r}: discs of {preset.beam.convergence_mrad:g} mrad overlap; they touch from a convergence of "
                      f"{limit:.2f} mrad (half angle)", stacklevel=2)
