"""The command line: thin calls into the rooms."""

import argparse
import logging
import sys
import warnings
from pathlib import Path

from figures_pkg.cli_claims import add_claims_command
from figures_pkg.cli_explore import add_explore_command
from figures_pkg.cli_figures import add_figures_command
from figures_pkg.cli_inspect import add_inspect_command
from figures_pkg.cli_matching import add_matching_command
from figures_pkg.cli_model import SIZES, add_model_commands
from figures_pkg.cli_publish import add_publish_commands

AXES = {"scan_step_nm": "NM", "det_scale_inv_angstrom": "1/Å", "origin_row_col": "px", "beam_energy_kev": "KEV"}


def main(words: list[str] | None = None) -> int:
    """
    Run one command.

    Parameters
    ----------
    words
        The command line without the program's name; taken from ``sys.argv`` by default.

    Returns
    -------
    int
        Exit status: 0, or 1 after an error, which is one line on stderr (``--debug`` shows the traceback).
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    warnings.formatwarning = _one_line
    options = _parser().parse_args(words)
    try:
        options.run(options)
    except KeyboardInterrupt:
        print("figures_pkg: interrupted; call the same command again", file=sys.stderr)
        return 130
    except (ValueError, KeyError, OSError, RuntimeError) as error:
        if options.debug:
            raise
        print(f"figures_pkg: {error}", file=sys.stderr)
        return 1
    return 0


def _one_line(message, *_, **__) -> str:
    """A warning as one line on stderr, without the place in the code."""
    return f"figures_pkg: warning: {message}\n"


def _parser() -> argparse.ArgumentParser:
    """All commands with their options."""
    parser = argparse.ArgumentParser(prog="figures_pkg", description=__doc__)
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_data_commands(commands)
    add_inspect_command(commands)
    _add_simulation_commands(commands)
    add_model_commands(commands)
    add_matching_command(commands)
    add_claims_command(commands)
    add_explore_command(commands)
    _add_book_commands(commands)
    add_figures_command(commands)
    add_publish_commands(commands)
    return parser


def _add_data_commands(commands) -> None:
    """fetch, convert."""
    fetch = commands.add_parser("fetch", help="download files of the record that the manifest lists")
    fetch.add_argument("ids", nargs="*", metavar="ID", help="files or whole records of data_manifest.yaml; without one they are listed")
    fetch.add_argument("--verify", choices=("stamp", "full"), default="stamp", help="full: hash files again that are already there")
    fetch.add_argument("--refresh", action="store_true", help="ask the record again for its checksums")
    fetch.set_defaults(run=_fetch)

    convert = commands.add_parser("convert", help="stream a scan into a zarr store whose chunks hold whole patterns")
    convert.add_argument("scan", type=Path, help=".hspy, .mib, .npy or .zarr")
    convert.add_argument("out", type=Path, help="the .zarr to write; an interrupted conversion goes on")
    convert.add_argument("--overwrite", action="store_true", help="replace an existing store")
    convert.add_argument("--orientation", choices=("lab", "camera"), default="lab", help="rows as in the lab's .hspy or as in a .mib")
    convert.add_argument("--scan-shape", type=int, nargs=2, metavar=("ROWS", "COLUMNS"), help="where the file does not say")
    for name, unit in AXES.items():
        pair = {"nargs": 2, "metavar": ("ROW", "COLUMN")} if name == "origin_row_col" else {"metavar": unit}
        convert.add_argument("--" + name.replace("_", "-"), type=float, help="replaces what the file says", **pair)
    convert.set_defaults(run=_convert)


def _add_simulation_commands(commands) -> None:
    """twin, simulate."""
    twin = commands.add_parser("twin", help="simulate a scan with known truth")
    twin.add_argument("preset", help="e.g. ds1")
    twin.add_argument("--size", choices=SIZES, default="laptop")
    twin.add_argument("--seed", type=int, default=0)
    twin.add_argument("--out", type=Path, required=True, help="the .hspy to write; its truth goes beside it")
    twin.add_argument("--overwrite", action="store_true", help="replace an existing file")
    twin.set_defaults(run=_twin)

    simulate = commands.add_parser("simulate", help="table of reflection intensities of one domain, by thickness")
    simulate.add_argument("--state", choices=("+P", "-P"), required=True, help="+P is up-up-down; write --state=-P")
    simulate.add_argument("--thickness-nm", type=_numbers, required=True, metavar="T[,T…]")
    simulate.add_argument("--tilt-mrad", type=_numbers, default=[0.0, 0.0], metavar="B,C", help="along b* and c")
    simulate.add_argument("--cif", type=Path, help="another structure of the same type; ErMnO3 by default")
    simulate.add_argument("--engine", choices=("library", "abtem"), default="library", help="ours, or abTEM's multislice")
    simulate.add_argument("--thermal", choices=("none", "average", "phonons"), default="average")
    simulate.add_argument("--configurations", type=int, default=8, help="of frozen phonons")
    simulate.add_argument("--seed", type=int, default=0, help="of frozen phonons")
    simulate.add_argument("--out", type=Path, required=True, help="the .csv to write")
    simulate.set_defaults(run=_simulate)


def _numbers(text: str) -> list[float]:
    """Numbers separated by commas."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number or several separated by commas, such as 10,20,75") from error


def _add_book_commands(commands) -> None:
    """notebook, render, book."""
    notebook = commands.add_parser("notebook", help="execute one chapter's notebook")
    notebook.add_argument("chapter")
    notebook.set_defaults(run=_notebook)
    render = commands.add_parser("render", help="render the executed notebooks into HTML")
    render.set_defaults(run=_render)
    book = commands.add_parser("book", help="make whatever is stale, from the scan to the pages")
    book.add_argument("--cores", type=int, help="all that this process may use by default")
    book.set_defaults(run=_book)
    for command in (notebook, render, book):
        command.add_argument("--profile", default="laptop", help="smoke, laptop or paper")
        command.add_argument("--data", default="twin", choices=("twin", "zenodo"))


def _fetch(options) -> None:
    from figures_pkg.data import fetch, load_manifest

    if not options.ids:
        for entry in load_manifest().datasets.values():
            least, most = (size / 1e9 for size in entry.expected_bytes.value)
            print(f"{entry.id:12} {least:5.2f} to {most:.2f} GB  {entry.role:10} {entry.remote}")
        return
    for path in fetch(options.ids, verify=options.verify, refresh=options.refresh):
        print(path)


def _convert(options) -> None:
    from figures_pkg.data import convert

    axes = {name: getattr(options, name) for name in AXES if getattr(options, name) is not None}
    how = {"scan_shape": tuple(options.scan_shape)} if options.scan_shape else {}
    print(convert(options.scan, options.out, orientation=options.orientation, axes=axes, overwrite=options.overwrite, **how))


def _twin(options) -> None:
    from figures_pkg.twin import make_dataset

    print(make_dataset(options.preset, size=options.size, seed=options.seed, out=options.out, overwrite=options.overwrite))


def _simulate(options) -> None:
    from figures_pkg.diffraction.simulate import simulate, write_table

    how = {"crystal": options.cif, "engine": options.engine, "thermal": options.thermal}
    how |= {"configurations": options.configurations, "seed": options.seed}
    print(write_table(simulate(options.state, options.thickness_nm, tuple(options.tilt_mrad), **how), options.out))


def _notebook(options) -> None:
    from figures_pkg.book.seal import make_chapter

    print(make_chapter(options.chapter, options.data, options.profile))


def _render(options) -> None:
    from figures_pkg import book
    from figures_pkg.book.gallery import add_figures, add_landing, notice_of, shown_figures
    from figures_pkg.book.seal import executed_path
    from figures_pkg.workspace import book_folder

    notebooks = [executed_path(chapter, options.data, options.profile) for chapter in book.CHAPTERS]
    shown, shipped = shown_figures(options.data, options.profile), book.shipped_files(options.data, options.profile)

    def prepare(folder: Path) -> None:
        add_figures(folder, shown)
        add_landing(folder, options.data)

    index = book.render(book_folder(), notebooks, prepare, notice_of(shown))
    book.ship(index.parent, shipped)
    print(f"open {index}")


def _book(options) -> None:
    from figures_pkg import book

    book.load_profile(options.profile)
    for chapter in book.CHAPTERS:
        book.datasets_of(chapter, options.data, options.profile)
    book.make(options.profile, options.data, options.cores)
