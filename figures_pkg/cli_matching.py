"""The commands that match every pattern of a scan to a library, and that map its domains: thin calls into `matching` and `evaluate`."""

from pathlib import Path

from figures_pkg.cli_model import SIZES, opened_scan

WIDEST_DISC_MRAD = 2.0  # a library reaches so far beyond the tilts asked for; the discs of ErMnO3 overlap beyond


def add_matching_command(commands) -> None:
    """Add match and domains to the commands of the program."""
    domains = commands.add_parser("domains", help="the map of the domains that figures of a scan without truth use, with its sign and evidence")
    domains.add_argument("scan", metavar="DATASET", help="ds1 or ds2, as in the manifest")
    domains.add_argument("--out", type=Path, required=True, metavar="DOMAINS.nc", help="the netCDF file to write")
    domains.add_argument("--source", choices=("twin", "zenodo"), default="zenodo", help="the authors' scan, or the twin as if it had no truth")
    domains.add_argument("--profile", choices=SIZES, default="laptop", help="fineness of the library, and which size of the twin")
    domains.add_argument("--overwrite", action="store_true", help="replace an existing file")
    domains.set_defaults(run=_domains)

    match = commands.add_parser("match", help="polarization, thickness and tilts of every pattern, by comparison with a library")
    match.add_argument("scan", metavar="SCAN", help="the path of a scan, or ds1, … as in the manifest")
    match.add_argument("--out", type=Path, required=True, metavar="MAPS.nc", help="the netCDF file to write")
    match.add_argument("--structure", type=Path, metavar="CIF", help="another crystal than ErMnO3; needs --zone")
    match.add_argument("--zone", type=int, nargs=3, metavar=("U", "V", "W"), help="direction of the beam in the cell of the CIF")
    match.add_argument("--thickness-nm", type=float, nargs=2, default=(30.0, 100.0), metavar=("LEAST", "MOST"))
    match.add_argument("--tilt-mrad", type=float, nargs=2, default=(5.0, 8.5), metavar=("B", "C"), help="largest tilts to look for")
    match.add_argument("--library", type=Path, metavar="FILE.npz", help="keep the library here, or take it from here")
    match.add_argument("--threads", type=int, help="all processors by default")
    match.add_argument("--source", choices=("twin", "zenodo"), default="twin", help="of a dataset given by name")
    match.add_argument("--profile", choices=SIZES, default="laptop", help="which size of the twin")
    match.add_argument("--overwrite", action="store_true", help="replace an existing file")
    match.set_defaults(run=_match)


def _domains(options) -> None:
    from figures_pkg.data import load_manifest
    from figures_pkg.data.datasets import open_dataset
    from figures_pkg.workspace import check_target
    from figures_pkg.evaluate.known import matched_domains, matching_library, write_domains
    from figures_pkg.imaging import expected_lattice

    check_target(options.out, ".nc", options.overwrite)
    scan = open_dataset(options.scan, options.source, options.profile)
    expected, _ = expected_lattice(load_manifest()[options.scan], scan)
    known = matched_domains(scan, matching_library(options.profile), expected)
    print(write_domains(known, options.out, overwrite=True))
    print(known.attrs["sign"])


def _match(options) -> None:
    from figures_pkg.workspace import replacing
    from figures_pkg.matching import match, prepare

    _check(options)
    scan = opened_scan(options.scan, options)
    library, net = _library(options, scan.attrs.get("beam_energy_kev", 200.0))
    maps = match(scan, prepare(scan, library, net), options.threads)
    with replacing(options.out) as temporary:
        maps.to_netcdf(temporary, engine="h5netcdf")
    print(options.out)


def _check(options) -> None:
    """Refuse what could not end well, before any work is done."""
    from figures_pkg.workspace import check_target

    check_target(options.out, ".nc", options.overwrite)
    if (options.structure is None) != (options.zone is None):
        raise ValueError("--structure and --zone go together: the CIF, and the direction of the beam in its cell such as --zone 1 0 0")
    low, high = options.thickness_nm
    if not (0 < low < high and min(options.tilt_mrad) > 0):
        raise ValueError(f"--thickness-nm {low:g} {high:g} and --tilt-mrad {options.tilt_mrad}: expected a least and a larger largest "
                         "thickness, and positive tilts")


def _library(options, energy_kev):
    """The library to match with, and the net of its zone axis (None for ErMnO3)."""
    thickness, tilts = tuple(options.thickness_nm), [tilt + WIDEST_DISC_MRAD for tilt in options.tilt_mrad]
    from figures_pkg.diffraction import LibrarySettings, build_library, load_or_build

    zone, given = None, {"energy_kev": energy_kev, "g_max_inv_angstrom": 1.1}
    if options.structure is None:
        settings = LibrarySettings.covering(thickness, *tilts, period_step=4, **given)
    else:
        from figures_pkg.crystal.zone import zone_crystal

        zone = zone_crystal(options.structure, tuple(options.zone))
        settings = LibrarySettings.covering(thickness, *tilts, zone.crystal, **given)
    crystal = zone.crystal if zone else None
    library = load_or_build(options.library, settings, crystal=crystal) if options.library else build_library(settings, crystal=crystal)
    if zone is None:
        return library, None
    from figures_pkg.imaging.lattice_search import Zone

    return library, Zone.of_library(library, zone.name)
