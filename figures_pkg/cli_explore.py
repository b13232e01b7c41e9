"""The command that packs a scan for the explorer: a thin call into `plotting`."""

from pathlib import Path

from figures_pkg.cli_model import SIZES, opened_scan


def add_explore_command(commands) -> None:
    """Add explore to the commands of the program."""
    explore = commands.add_parser("explore", help="a page to look through a scan: its patterns, virtual detectors and maps")
    explore.add_argument("scan", metavar="SCAN", help="the path of a scan, or ds1, … as in the manifest")
    explore.add_argument("--out", type=Path, required=True, metavar="PAGE.html",
                         help="the page to write, with its data beside it; or a .js, then the data alone")  # fmt: skip
    explore.add_argument("--embedding", type=Path, metavar="FILE.nc", help="channels to choose from, written by embed")
    explore.add_argument("--source", choices=("twin", "zenodo"), default="twin", help="of a dataset given by name")
    explore.add_argument("--profile", choices=SIZES, default="laptop", help="which size of the twin")
    explore.add_argument("--overwrite", action="store_true", help="replace an existing file")
    explore.set_defaults(run=_explore)


def _explore(options) -> None:
    from figures_pkg.interactive.explorer import write_page
    from figures_pkg.interactive.explorer_data import pack
    from figures_pkg.interactive.explorer_file import write_script
    from figures_pkg.plotting.style import SOURCE_WORDS

    _check(options.out, options.overwrite)
    scan = opened_scan(options.scan, options)
    lattice, radius_px = _lattice(options.scan, scan)
    title = f"{options.scan if lattice else Path(options.scan).name}, {SOURCE_WORDS[scan.source]}"
    packed = pack(scan, _layers(scan, lattice, radius_px, _known(scan, lattice, options), options.embedding), {"source": scan.source, "title": title}, lattice, radius_px)
    page = options.out.suffix == ".html"
    print(write_page(packed, options.out, title) if page else write_script(packed, options.out))


def _check(out: Path, overwrite: bool) -> None:
    """Refuse a name before any work is done."""
    if out.suffix not in (".html", ".js"):
        raise ValueError(f"--out is {str(out)!r}; give a name that ends in .html for a page, or in .js for its data alone")
    if out.exists() and not overwrite:
        raise FileExistsError(f"{out} exists; give another name, or --overwrite to replace it")


def _lattice(name: str, scan):
    """The lattice fitted to the mean pattern and the radius of a disc, for a scan of the manifest; else None and 0."""
    from figures_pkg.data import load_manifest
    from figures_pkg.imaging import expected_lattice, refine_lattice, summarise

    if Path(name).suffix:
        return None, 0.0
    guess, radius_px = expected_lattice(load_manifest()[name.partition("-field")[0]], scan)
    return refine_lattice(summarise(scan, com=False).mean_pattern.values, guess, radius_px), radius_px


def _known(scan, lattice, options):
    """The truth beside a simulated scan, the matched domains of one of the record where they were made, or None."""
    from figures_pkg.workspace import artefact_path
    from figures_pkg.evaluate.known import known_maps
    from figures_pkg.evaluate.walls import walls_by_course
    from figures_pkg.twin.truth import read_truth, truth_path

    if scan.source == "twin":
        return read_truth(scan.path) if truth_path(scan.path).exists() else None
    of_record = Path(options.scan).suffix == "" and options.source == "zenodo"
    if of_record and artefact_path(f"domains/{options.scan}.nc", options.source, options.profile).is_file():
        return walls_by_course(known_maps(scan, options.scan, options.source, options.profile), lattice.g002)
    return None


def _layers(scan, lattice, radius_px, known, embedding: Path | None) -> list:
    """All maps that there are for a scan."""
    from figures_pkg.interactive.explorer_maps import com_layers, known_layers, network_layers

    layers = com_layers(scan, lattice, radius_px) + known_layers(known)
    if embedding is None:
        return layers
    from figures_pkg.evaluate.channels import domain_channel, name_channels, open_embedding

    maps = open_embedding(embedding)
    return layers + network_layers(maps, domain_channel(maps, known), name_channels(maps, known))
