"""The command line: thin calls into the rooms."""

import argparse
import logging
import sys
import warnings
from contextlib import nullcontext
from pathlib import Path

import figures_pkg
from figures_pkg.workspace import SOURCES, artefact_path, book_folder, check_target, load_profile, replacing, repository

SIZES = ("smoke", "laptop", "paper")
SCAN = "the path of a scan, or ds1, … as in the manifest"
AXES = {"scan_step_nm": "NM", "det_scale_inv_angstrom": "1/Å", "origin_row_col": "px", "beam_energy_kev": "KEV"}
NETWORK = {"pattern": "side of the patterns in px, binned down to it", "filters": "of every convolution inside",
           "pools": "side of each pooling, one for each level", "channels": "of the embedding"}  # fmt: skip
WIDEST_DISC_MRAD = 2.0  # a library reaches so far beyond the tilts asked for; the discs of ErMnO3 overlap beyond


def main(words: list[str] | None = None) -> int:
    """
    Run one command: words without the program's name, those of ``sys.argv`` by default.

    The exit status is 0, or 1 after an error, which is one line on stderr (``--debug`` shows the traceback); 75 after an accident, where the same
    command may well succeed: too little memory, a kernel that died.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    warnings.formatwarning = lambda message, *_, **__: f"figures_pkg: warning: {message}\n"
    parser = argparse.ArgumentParser(prog="figures_pkg", description="Scans, their analysis, and the book: each command with --help.")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.add_argument("--version", action="version", version=f"figures_pkg {figures_pkg.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_data_commands(commands)
    _add_simulation_commands(commands)
    _add_model_commands(commands)
    _add_matching_commands(commands)
    _add_book_commands(commands)
    options = parser.parse_args(words)
    try:
        options.run(options)
    except KeyboardInterrupt:
        print("figures_pkg: interrupted; call the same command again", file=sys.stderr)
        return 130
    except (ValueError, KeyError, OSError, RuntimeError, MemoryError) as error:
        if options.debug:
            raise
        full = isinstance(error, MemoryError)
        print(f"figures_pkg: {'out of memory: ' if full else ''}{error}", file=sys.stderr)
        return 75 if full else getattr(error, "exit_status", 1)  # TRY_AGAIN of figures_pkg.book.jobs
    return 0


def _add_dataset_options(command) -> None:
    command.add_argument("--source", choices=SOURCES, default="twin", help="of a dataset given by name")
    command.add_argument("--profile", choices=SIZES, default="laptop", help="which size of the twin")


def _add_overwrite(command, what: str = "replace an existing file") -> None:
    command.add_argument("--overwrite", action="store_true", help=what)


def _opened_scan(name: str, options):
    """A dataset by its name, with the source and profile asked for, or a scan by its path."""
    from figures_pkg.data import open_dataset, open_scan

    return open_scan(name) if Path(name).suffix else open_dataset(name, options.source, options.profile)


def _add_data_commands(commands) -> None:
    """Data: fetch, convert, inspect."""
    fetch = commands.add_parser("fetch", help="download files of the record that the manifest lists")
    fetch.set_defaults(run=_fetch)
    fetch.add_argument("ids", nargs="*", metavar="ID", help="files or whole records of data_manifest.yaml, or pictures; without one they are listed")
    fetch.add_argument("--verify", choices=("stamp", "full"), default="stamp", help="full: hash files again that are already there")
    fetch.add_argument("--refresh", action="store_true", help="ask the record again for its checksums")

    convert = commands.add_parser("convert", help="stream a scan into a zarr store whose chunks hold whole patterns")
    convert.set_defaults(run=_convert)
    convert.add_argument("scan", type=Path, help=".hspy, .mib, .npy or .zarr")
    convert.add_argument("out", type=Path, help="the .zarr to write; an interrupted conversion goes on")
    _add_overwrite(convert, "replace an existing store")
    convert.add_argument("--orientation", choices=("lab", "camera"), default="lab", help="rows as in the lab's .hspy or as in a .mib")
    convert.add_argument("--scan-shape", type=int, nargs=2, metavar=("ROWS", "COLUMNS"), help="where the file does not say")
    for name, unit in AXES.items():
        pair = {"nargs": 2, "metavar": ("ROW", "COLUMN")} if name == "origin_row_col" else {"metavar": unit}
        convert.add_argument("--" + name.replace("_", "-"), type=float, help="replaces what the file says", **pair)

    inspect = commands.add_parser("inspect", help="the first look at a scan: what the file says against what is expected of it")
    inspect.set_defaults(run=_inspect)
    inspect.add_argument("scan", metavar="SCAN", help=SCAN)
    _add_dataset_options(inspect)
    inspect.add_argument("--expect", metavar="DATASET", help="entry of the manifest to compare a path with; by default the one of its name")
    inspect.add_argument("--scan-shape", type=int, nargs=2, metavar=("ROWS", "COLUMNS"), help="where the file does not say; 1 1 for a single pattern")
    inspect.add_argument("--json", type=Path, metavar="FILE", help="write the findings here as well")


def _fetch(options) -> None:
    from figures_pkg.data import fetch, load_manifest
    from figures_pkg.record.pictures import fetch_pictures, load_pictures

    if not options.ids:
        for entry in load_manifest().datasets.values():
            least, most = (size / 1e9 for size in entry.expected_bytes.value)
            print(f"{entry.id:12} {least:5.2f} to {most:.2f} GB  {entry.role:10} {entry.remote}")
        print(f"{'pictures':12} {len(load_pictures())} outputs of the authors' public notebooks")
        return
    ids = [id for id in options.ids if id != "pictures"]
    files = fetch(ids, rehash=options.verify == "full", refresh=options.refresh) if ids else []
    for path in files + (fetch_pictures() if "pictures" in options.ids else []):
        print(path)


def _convert(options) -> None:
    from figures_pkg.data import convert

    axes = {name: getattr(options, name) for name in AXES if getattr(options, name) is not None}
    how = {"scan_shape": tuple(options.scan_shape)} if options.scan_shape else {}
    print(convert(options.scan, options.out, orientation=options.orientation, axes=axes, overwrite=options.overwrite, **how))


def _inspect(options) -> None:
    from figures_pkg.inspect.findings import ScanContradicts
    from figures_pkg.inspect.first_look import inspect_dataset, inspect_scan

    if Path(options.scan).suffix:
        look = inspect_scan(options.scan, options.expect, scan_shape=tuple(options.scan_shape) if options.scan_shape else None, progress=True)
    else:
        look = inspect_dataset(options.scan, options.source, options.profile, progress=True)
    if options.json:
        with replacing(options.json) as temporary:
            temporary.write_text(look.json(), encoding="utf-8")
    print(look.text(), flush=True)
    if look.contradictions:
        raise ScanContradicts(look.contradictions[0])


def _add_simulation_commands(commands) -> None:
    """Simulation: twin, simulate."""
    twin = commands.add_parser("twin", help="simulate a scan with known truth")
    twin.set_defaults(run=_twin)
    twin.add_argument("preset", help="e.g. ds1")
    twin.add_argument("--size", choices=SIZES, default="laptop")
    twin.add_argument("--seed", type=int, default=0)
    twin.add_argument("--out", type=Path, required=True, help="the .hspy to write; its truth goes beside it")
    twin.add_argument("--libraries", type=Path, metavar="FOLDER", help="keeps the simulated library, for other scans that need the same one")
    _add_overwrite(twin)

    simulate = commands.add_parser("simulate", help="table of reflection intensities of one domain, by thickness")
    simulate.set_defaults(run=_simulate)
    simulate.add_argument("--state", choices=("+P", "-P"), required=True, help="+P is up-up-down; write --state=-P")
    simulate.add_argument("--thickness-nm", type=_numbers, required=True, metavar="T[,T…]")
    simulate.add_argument("--tilt-mrad", type=_numbers, default=[0.0, 0.0], metavar="B,C", help="along b* and c")
    simulate.add_argument("--cif", type=Path, help="another structure of the same type; ErMnO3 by default")
    simulate.add_argument("--engine", choices=("library", "abtem"), default="library", help="ours, or abTEM's multislice")
    simulate.add_argument("--thermal", choices=("none", "average", "phonons"), default="average")
    simulate.add_argument("--configurations", type=int, default=8, help="of frozen phonons")
    simulate.add_argument("--seed", type=int, default=0, help="of frozen phonons")
    simulate.add_argument("--out", type=Path, required=True, help="the .csv to write")


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number or several separated by commas, such as 10,20,75") from error


def _twin(options) -> None:
    from figures_pkg.twin import make_dataset

    print(make_dataset(options.preset, size=options.size, seed=options.seed, out=options.out, libraries=options.libraries,
                       overwrite=options.overwrite))  # fmt: skip


def _simulate(options) -> None:
    from figures_pkg.diffraction.simulate import simulate, write_table

    table = simulate(options.state, options.thickness_nm, tuple(options.tilt_mrad), crystal=options.cif, engine=options.engine, thermal=options.thermal,
                     configurations=options.configurations, seed=options.seed)  # fmt: skip
    print(write_table(table, options.out))


def _add_model_commands(commands) -> None:
    """Networks: train, embed, score."""
    score = commands.add_parser("score", help="score all methods on a simulated scan against its truth")
    score.set_defaults(run=_score)
    score.add_argument("scan", metavar="DATASET", help="ds1, ds1-field2, … of the profile, or the path of a .hspy with its truth beside it")
    score.add_argument("--recipe", help="that the autoencoder is trained by; by default the profile's")
    score.add_argument("--seeds", type=int, nargs="+", help="of the methods that depend on one; by default as many as the profile says")
    score.add_argument("--embedding", action="append", default=[], metavar="NAME=FILE", help="maps of a network made elsewhere, netCDF")
    score.add_argument("--profile", choices=SIZES, default="laptop", help="which size of the twin")
    score.add_argument("--out", type=Path, required=True, help="the .csv to write")

    train = commands.add_parser("train", help="train the autoencoder on a scan; an interrupted training goes on")
    train.set_defaults(run=_train)
    train.add_argument("--recipe", help="e.g. domains, vortex, walls (the paper's), laptop; by default the profile's")
    for name, words in NETWORK.items():
        train.add_argument(f"--{name}", type=int, nargs="+" if name == "pools" else None, metavar="N", help=f"{words}; by default the recipe's")
    train.add_argument("--seed", type=int, default=0, help="of the first weights and the order of the patterns")
    train.add_argument("--out", type=Path, required=True, help="the .safetensors to write; a file of this name in .stop ends it early")
    train.add_argument("--start", type=Path, metavar="MODEL", help="a trained .safetensors to start from")
    train.add_argument("--micro-batch", type=int, metavar="N", help="patterns in memory at once; the result stays the same")
    train.add_argument("--accelerator", default="auto", help="cpu, cuda or auto")
    train.add_argument("--devices", type=int, default=1, help="per node")
    train.add_argument("--nodes", type=int, default=1)

    embed = commands.add_parser("embed", help="write the embedding of a scan by a trained network")
    embed.set_defaults(run=_embed)
    embed.add_argument("model", help="a .safetensors of ours, a .pkl of the record, or the name of one in the manifest, e.g. ca-ds1")
    embed.add_argument("--out", type=Path, required=True, help="the .nc to write")
    embed.add_argument("--grid", type=int, metavar="N", help="on a processor, N x N evenly spaced positions at most; a GPU takes all")
    for command in (train, embed):
        command.add_argument("--data", required=True, metavar="DATASET", help="ds1, … as in the manifest, or the path of a scan")
        _add_dataset_options(command)
        _add_overwrite(command, "replace an existing file, or the state of another training")


def _train(options) -> None:
    from figures_pkg.model import load_checkpoint
    from figures_pkg.model.recipes import recipe_called, with_network_sizes
    from figures_pkg.model.train import make_fabric, save_trained, train

    recipe = recipe_called(options.recipe or load_profile(options.profile)["recipe"])
    if sizes := {name: value for name in NETWORK if (value := getattr(options, name)) is not None}:
        recipe = with_network_sizes(recipe, **sizes)
    out = check_target(options.out, ".safetensors", options.overwrite)
    start = load_checkpoint(options.start) if options.start else None
    fabric = make_fabric(recipe, options.accelerator, options.devices, options.nodes)
    trained = train(_opened_scan(options.data, options), recipe, out, fabric=fabric, seed=options.seed, start=start, micro_batch=options.micro_batch,
                    overwrite=options.overwrite)  # fmt: skip
    if fabric.is_global_zero:
        print(save_trained(trained, out, overwrite=True))


def _embed(options) -> None:
    import torch

    from figures_pkg.model import embed, load_checkpoint
    from figures_pkg.model.embed import keep_freed_memory, save_embedding
    from figures_pkg.model.released import position_grid, released_attributes, released_network

    out = check_target(options.out, ".nc", options.overwrite)
    net = load_checkpoint(options.model) if Path(options.model).suffix else released_network(options.model)
    keep_freed_memory()
    released = net.about.get("format") == "published"
    device = "cuda" if released and torch.cuda.is_available() else "cpu"
    scan = position_grid(_opened_scan(options.data, options), options.grid if device == "cpu" else None)
    maps = embed(net, scan, progress=True, device=device)
    print(save_embedding(maps.assign_attrs(released_attributes(net, scan) if released else {}), out, overwrite=True))


def _score(options) -> None:
    from figures_pkg.evaluate.leaderboard import score_file
    from figures_pkg.record.fetch import locate

    profile = load_profile(options.profile)
    scan = Path(options.scan) if Path(options.scan).suffix else locate(options.scan, "twin", options.profile)
    seeds = options.seeds or range(profile["scored"].get(options.scan, 1))
    if unclear := [text for text in options.embedding if "=" not in text]:
        raise ValueError(f"--embedding {unclear[0]}: expected NAME=FILE")
    print(score_file(scan, options.out, options.recipe or profile["recipe"], seeds, dict(text.split("=", 1) for text in options.embedding)))


def _add_matching_commands(commands) -> None:
    """Matching and looking: domains, match, explore."""
    domains = commands.add_parser("domains", help="the map of the domains that figures of a scan without truth use, with its sign and evidence")
    domains.set_defaults(run=_domains)
    domains.add_argument("scan", metavar="DATASET", help="ds1 or ds2, as in the manifest")
    domains.add_argument("--out", type=Path, required=True, metavar="DOMAINS.nc", help="the netCDF file to write")
    domains.add_argument("--source", choices=SOURCES, default="zenodo", help="the authors' scan, or the twin as if it had no truth")
    domains.add_argument("--profile", choices=SIZES, default="laptop", help="fineness of the library, and which size of the twin")

    match = commands.add_parser("match", help="polarization, thickness and tilts of every pattern, by comparison with a library")
    match.set_defaults(run=_match)
    match.add_argument("scan", metavar="SCAN", help=SCAN)
    match.add_argument("--out", type=Path, required=True, metavar="MAPS.nc", help="the netCDF file to write")
    match.add_argument("--structure", type=Path, metavar="CIF", help="another crystal than ErMnO3; needs --zone")
    match.add_argument("--zone", type=int, nargs=3, metavar=("U", "V", "W"), help="direction of the beam in the cell of the CIF")
    match.add_argument("--thickness-nm", type=float, nargs=2, default=(30.0, 100.0), metavar=("LEAST", "MOST"))
    match.add_argument("--tilt-mrad", type=float, nargs=2, default=(5.0, 8.5), metavar=("B", "C"), help="largest tilts to look for")
    match.add_argument("--library", type=Path, metavar="FILE.npz", help="keep the library here, or take it from here")
    match.add_argument("--threads", type=int, help="all processors by default")
    match.add_argument("--cluster", metavar="ADDRESS", help="of a running dask scheduler, such as tcp://node1:8786, whose workers do the work")

    explore = commands.add_parser("explore", help="a page to look through a scan: its patterns, virtual detectors and maps")
    explore.set_defaults(run=_explore)
    explore.add_argument("scan", metavar="SCAN", help=SCAN)
    explore.add_argument("--out", type=Path, required=True, metavar="PAGE.html",
                         help="the page to write, with its data beside it; or a .js, then the data alone")  # fmt: skip
    explore.add_argument("--embedding", type=Path, metavar="FILE.nc", help="channels to choose from, written by embed")
    for command in (match, explore):
        _add_dataset_options(command)
    for command in (domains, match, explore):
        _add_overwrite(command)


def _domains(options) -> None:
    from figures_pkg.data import load_manifest, open_dataset
    from figures_pkg.evaluate.known import matched_domains, matching_library, write_domains
    from figures_pkg.imaging import expected_lattice

    check_target(options.out, ".nc", options.overwrite)
    scan = open_dataset(options.scan, options.source, options.profile)
    expected, _ = expected_lattice(load_manifest()[options.scan], scan)
    known = matched_domains(scan, matching_library(options.profile), expected)
    print(write_domains(known, options.out, overwrite=True))
    print(known.attrs["sign"])


def _match(options) -> None:
    from figures_pkg.crystal.zone import zone_crystal
    from figures_pkg.diffraction import LibrarySettings, build_library, load_or_build
    from figures_pkg.imaging.lattice_search import Zone
    from figures_pkg.matching import match, prepare

    check_target(options.out, ".nc", options.overwrite)
    if (options.structure is None) != (options.zone is None):
        raise ValueError("--structure and --zone go together: the CIF, and the direction of the beam in its cell such as --zone 1 0 0")
    low, high = options.thickness_nm
    if not (0 < low < high and min(options.tilt_mrad) > 0):
        raise ValueError(f"--thickness-nm {low:g} {high:g} and --tilt-mrad {options.tilt_mrad}: expected a least and a larger largest "
                         "thickness, and positive tilts")  # fmt: skip
    zone = zone_crystal(options.structure, tuple(options.zone)) if options.structure else None
    scan = _opened_scan(options.scan, options)
    crystal, given = (zone.crystal, {}) if zone else (None, {"period_step": 4})
    given |= {"energy_kev": scan.attrs.get("beam_energy_kev", 200.0), "g_max_inv_angstrom": 1.1}
    settings = LibrarySettings.covering((low, high), *(tilt + WIDEST_DISC_MRAD for tilt in options.tilt_mrad), crystal, **given)
    library = load_or_build(options.library, settings, crystal=crystal) if options.library else build_library(settings, crystal=crystal)
    with _cluster(options.cluster):
        maps = match(scan, prepare(scan, library, Zone.of_library(library, zone.name) if zone else None), options.threads)
    with replacing(options.out) as temporary:
        maps.to_netcdf(temporary, engine="h5netcdf")
    print(options.out)


def _cluster(address: str | None):
    """A client of a running dask scheduler, or nothing."""
    if address is None:
        return nullcontext()
    try:
        from distributed import Client
    except ImportError:
        raise RuntimeError("--cluster needs dask.distributed: pip install distributed") from None
    return Client(address, timeout="30s")


def _explore(options) -> None:
    from figures_pkg.interactive.explorer_page import explore

    if options.out.suffix not in (".html", ".js"):
        raise ValueError(f"--out is {str(options.out)!r}; give a name that ends in .html for a page, or in .js for its data alone")
    out = check_target(options.out, options.out.suffix, options.overwrite)
    print(explore(_opened_scan(options.scan, options), options.scan, out, options.source, options.profile, options.embedding))


def _add_book_commands(commands) -> None:
    """The book: claims, notebook, render, book, doctor, figures, prepare, pdf, course, release."""
    claims = commands.add_parser("claims", help="evaluate the claims of the paper on what a profile has made")
    claims.set_defaults(run=_claims)
    claims.add_argument("--out", type=Path, help="the .json to write; by default among the profile's artefacts")
    claims.add_argument("--check", action="store_true", help="evaluate nothing; fail when a verdict in the .json differs from the one that claims.yaml states")
    notebook = commands.add_parser("notebook", help="execute one chapter's notebook")
    notebook.set_defaults(run=_notebook)
    notebook.add_argument("chapter")
    render = commands.add_parser("render", help="render the executed notebooks into HTML")
    render.set_defaults(run=_render)
    render.add_argument("--clean", action="store_true", help="every page, not only those that have changed")
    book = commands.add_parser("book", help="make whatever is stale, from the scan to the pages")
    book.set_defaults(run=_book)
    doctor = commands.add_parser("doctor", help="what this machine has, what a build of each profile needs, and what is missing")
    doctor.set_defaults(run=_doctor)
    prepare = commands.add_parser("prepare", help="make the scans and artefacts that chapters read, without running them")
    prepare.set_defaults(run=_prepare)
    prepare.add_argument("chapters", nargs="+", metavar="CHAPTER")
    book.add_argument("--anyway", action="store_true", help="also where memory or disk will not do; see doctor")
    for command in (book, prepare):
        command.add_argument("--cores", type=int, help="by default all that this process may use and the memory has room for")
    figures = commands.add_parser("figures", help="list the published figures; --check holds their numbers against the stored ones")
    figures.set_defaults(run=_figures)
    what = figures.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="say which array of which figure changed, and by how much")
    what.add_argument("--update", action="store_true", help="write the stored numbers anew from the figures of this profile")
    figures.add_argument("--profile", default="smoke", help="smoke, laptop or paper; references are kept of smoke")
    figures.add_argument("--data", default="twin", choices=SOURCES, help="references are kept of the twin")
    for command in (claims, notebook, render, book, prepare):
        command.add_argument("--profile", default="laptop", help="smoke, laptop or paper")
        command.add_argument("--data", default="twin", choices=SOURCES)

    pdf = commands.add_parser("pdf", help="the built book as one PDF, printed by Chromium")
    pdf.set_defaults(run=_pdf)
    pdf.add_argument("--profile", default="laptop", help="smoke, laptop or paper")
    pdf.add_argument("--out", type=Path, metavar="FILE.pdf", help="book/_build/pdf/companion.pdf by default")
    course = commands.add_parser("course", help="notebooks for students and teachers, in one archive")
    course.set_defaults(run=_course)
    course.add_argument("--profile", default="smoke", help="smoke, laptop or paper")
    course.add_argument("--out", type=Path, metavar="FILE.zip", help="dist/companion-VERSION-course.zip by default")
    release = commands.add_parser("release", help="gather pages, PDF and notebooks of the built book, with checksums")
    release.set_defaults(run=_release)
    release.add_argument("--out", type=Path, metavar="FOLDER", help="dist by default")


def _claims(options) -> None:
    from figures_pkg.claims.rows import load_claims
    from figures_pkg.claims.run import changed_verdicts, evaluate_claims, read_verdicts, verdict_counts
    from figures_pkg.code import installed_code
    from figures_pkg.provenance.figures import figure_names

    rows = load_claims(figures=figure_names())
    out = options.out or artefact_path("claims/claims.json", options.data, options.profile)
    if not options.check:
        code = installed_code()
        command = code.behind_command("claims")
        evaluate_claims(rows, options.profile, options.data, out, lambda measure: code.digest({*command, *code.behind(measure)}))
        print(out)
    found = read_verdicts(out)
    print(", ".join(f"{number} {name}" for name, number in verdict_counts(found).items()))
    if options.check:
        open_rows = sum(options.profile not in row.verdict and not row.not_tested for row in rows)
        print(f"{open_rows} rows of claims.yaml state no verdict for {options.profile}")
        if changed := changed_verdicts(rows, found):
            raise RuntimeError("\n".join(["verdicts differ from claims.yaml; look why, then change the row:", *changed]))


def _notebook(options) -> None:
    from figures_pkg.book.execute import make_chapter

    print(make_chapter(options.chapter, options.data, options.profile))


def _render(options) -> None:
    from figures_pkg.book.build import render_book

    print(f"open {render_book(options.data, options.profile, options.clean)}")


def _book(options) -> None:
    from figures_pkg.book.build import make_book

    print(f"open {make_book(options.data, options.profile, options.cores, options.anyway)}")


def _doctor(options) -> None:
    from figures_pkg.book.machine import report

    print("\n".join(report()))


def _prepare(options) -> None:
    from figures_pkg.book.build import prepare

    print("\n".join(prepare(options.chapters, options.data, options.profile, options.cores)) or f"{', '.join(options.chapters)}: nothing to prepare")


def _figures(options) -> None:
    from figures_pkg.book.gallery import check_references, figure_states, update_references

    if (options.check or options.update) and options.data != "twin":
        raise ValueError("references are kept of the twin's figures only; leave --data out")
    if options.update:
        print(update_references(options.profile))
        return
    if options.check and (changes := check_references(options.profile)):
        print(*changes, sep="\n")
        figures = sorted({change.figure for change in changes})
        raise RuntimeError(f"{len(changes)} numbers changed behind {', '.join(figures)}; if they should have, call the command "
                           "again with --update, and say why where the change is committed")  # fmt: skip
    for line in figure_states(options.data, options.profile):
        print(line)


def _pdf(options) -> None:
    from figures_pkg.book.pdf import PDF, cover_lines, make_pdf

    print(make_pdf(book_folder(), options.out or book_folder() / PDF, cover_lines(book_folder(), options.profile)))


def _course(options) -> None:
    from figures_pkg.book.release import STEM, write_course

    print(write_course(options.out or repository() / "dist" / f"{STEM}-course.zip", book_folder() / "_toc.yml", options.profile))


def _release(options) -> None:
    from figures_pkg.book.pdf import PDF
    from figures_pkg.book.release import STEM, write_release

    print(*write_release(options.out or repository() / "dist", STEM, book_folder(), book_folder() / PDF), sep="\n")
