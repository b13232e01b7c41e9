"""The command that lists the published figures and holds their numbers against the stored ones: a thin call into `passports`."""

from pathlib import Path


def add_figures_command(commands) -> None:
    """Add figures to the commands of the program."""
    figures = commands.add_parser("figures", help="list the published figures; --check holds their numbers against the stored ones")
    what = figures.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="say which array of which figure changed, and by how much")
    what.add_argument("--update", action="store_true", help="write the stored numbers anew from the figures of this profile")
    figures.add_argument("--profile", default="smoke", help="smoke, laptop or paper; references are kept of smoke")
    figures.add_argument("--data", default="twin", choices=("twin", "zenodo"), help="references are kept of the twin")
    figures.set_defaults(run=_figures)


def _figures(options) -> None:
    from figures_pkg.book.gallery import shown_figures
    from figures_pkg.passports.regression import check_figures, load_tolerances, references_folder, summaries_of, write_references

    if (options.check or options.update) and options.data != "twin":
        raise ValueError("references are kept of the twin's figures only; leave --data out")
    shown = shown_figures(options.data, options.profile)
    kept = {name: each.kept for name, each in shown.items()}
    stale = [name for name, each in shown.items() if each.changed]
    if stale and (options.check or options.update):
        raise RuntimeError(f"{', '.join(stale)}: made from other text, code or data than there is now, so their numbers say nothing of it; "
                           f"make them again with `figures_pkg book --profile {options.profile}`")  # fmt: skip
    if options.update:
        rules = load_tolerances()
        write_references(options.profile, {name: summaries_of(each, rules) for name, each in kept.items()})
        print(f"{len(kept)} references written to {_near(references_folder(options.profile))}")
        return
    if options.check:
        changes = check_figures(kept, options.profile)
        if changes:
            print(*changes, sep="\n")
            figures = sorted({change.figure for change in changes})
            raise RuntimeError(f"{len(changes)} numbers changed behind {', '.join(figures)}; if they should have, call the command "
                               "again with --update, and say why where the change is committed")  # fmt: skip
    for name, each in shown.items():
        state = f"out of date: {', '.join(each.changed[:3])}" if each.changed else "up to date"
        print(f"{name:10} {each.kept.figure.panel:14} {each.kept.figure.chapter:12} {state}")


def _near(path: Path) -> Path:
    """A path as seen from here, where it lies below."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
