"""The command for the first look at a scan: a thin call into `inspect`."""

from pathlib import Path

from figures_pkg.cli_model import SIZES


def add_inspect_command(commands) -> None:
    """Add inspect to the commands of the program."""
    inspect = commands.add_parser("inspect", help="the first look at a scan: what the file says against what is expected of it")
    inspect.add_argument("scan", metavar="SCAN", help="the path of a scan, or ds1, … as in the manifest")
    inspect.add_argument("--source", choices=("twin", "zenodo"), default="twin", help="of a dataset given by name")
    inspect.add_argument("--profile", choices=SIZES, default="laptop", help="which size of the twin")
    inspect.add_argument("--expect", metavar="DATASET", help="entry of the manifest to compare a path with; by default the one of its name")
    inspect.add_argument("--scan-shape", type=int, nargs=2, metavar=("ROWS", "COLUMNS"), help="where the file does not say; 1 1 for a single pattern")
    inspect.add_argument("--json", type=Path, metavar="FILE", help="write the findings here as well")
    inspect.set_defaults(run=_inspect)


def _inspect(options) -> None:
    from figures_pkg.workspace import replacing
    from figures_pkg.inspect import ScanContradicts, inspect_dataset, inspect_scan

    if Path(options.scan).suffix:
        shape = tuple(options.scan_shape) if options.scan_shape else None
        look = inspect_scan(options.scan, options.expect, scan_shape=shape, progress=True)
    else:
        look = inspect_dataset(options.scan, options.source, options.profile, progress=True)
    if options.json:
        with replacing(options.json) as temporary:
            temporary.write_text(look.json(), encoding="utf-8")
    print(look.text(), flush=True)
    if look.contradictions:
        raise ScanContradicts(look.contradictions[0])
