"""What the claims are evaluated on, for the workflow; nothing heavy is imported here, since the workflow asks often."""

from __future__ import annotations

from figures_pkg.workspace import artefact_path, repository
from figures_pkg.data.datasets import locate
from figures_pkg.workspace import load_profile, scans_of
from figures_pkg.record.manifest import load_manifest
from figures_pkg.record.manifest import read_yaml


def claims_inputs(data: str, profile: str) -> list[str]:
    """
    Paths of the scans that the cases of ``claims.yaml`` name, and of its ``artefacts`` or ``record_artefacts``.

    Parameters
    ----------
    data
        ``"twin"``, with all random fields of the profile; or ``"zenodo"``, without scans that are on no record.
    profile
        Name of a profile.
    """
    content = read_yaml(repository() / "claims.yaml")
    named = {case.get("dataset") for row in content["rows"] for key in ("cases", "record") for case in row.get(key, [])}
    known = scans_of(profile) if data == "twin" else load_manifest().datasets
    scans = [str(locate(name, data, profile, must_exist=False)) for name in known if name.partition("-field")[0] in named]
    recipe = load_profile(profile)["recipe"]
    files = [name.replace("{recipe}", recipe) for name in content["artefacts" if data == "twin" else "record_artefacts"]]
    return scans + [str(artefact_path(name, data, profile)) for name in files]


def measures() -> list[str]:
    """Dotted names of the functions that the rows of ``claims.yaml`` are measured by."""
    return sorted({row["measure"] for row in read_yaml(repository() / "claims.yaml")["rows"] if "measure" in row})
