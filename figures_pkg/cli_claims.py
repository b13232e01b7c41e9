"""The command that holds the claims of the paper against what a profile has made."""

from pathlib import Path

NAME = "claims/claims.json"


def add_claims_command(commands) -> None:
    """Add claims to the commands of the program."""
    claims = commands.add_parser("claims", help="evaluate the claims of the paper on what a profile has made")
    claims.add_argument("--profile", default="laptop", help="smoke, laptop or paper")
    claims.add_argument("--data", default="twin", choices=("twin", "zenodo"))
    claims.add_argument("--out", type=Path, help="the .json to write; by default among the profile's artefacts")
    claims.add_argument("--check", action="store_true", help="evaluate nothing; fail when a verdict of FILE differs from its row in claims.yaml")
    claims.set_defaults(run=_claims)


def _claims(options) -> None:
    from figures_pkg.book.dependencies import installed_code
    from figures_pkg.claims.rows import load_claims
    from figures_pkg.claims.run import changed_verdicts, evaluate_claims, read_verdicts, verdict_counts
    from figures_pkg.passports.catalogue import figure_names
    from figures_pkg.workspace import artefact_path

    rows = load_claims(figures=figure_names())
    out = options.out or artefact_path(NAME, options.data, options.profile)
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
    if options.check and (changed := changed_verdicts(rows, found)):
        raise RuntimeError("\n".join(["verdicts differ from claims.yaml; look why, then change the row:", *changed]))
