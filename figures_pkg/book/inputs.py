"""What the pages of a chapter are made of, as checksums: source, modules, profile, pins, scans and artefacts."""

from pathlib import Path

from figures_pkg.workspace import repository
from figures_pkg.record.manifest import manifest_of
from figures_pkg.passports.checksums import sha256
from figures_pkg.passports.facts import memory

from .chapters import artefacts_of, datasets_of, source_of
from .dependencies import modules_behind_notebook

PINS = ("constraints.txt",)


def inputs_of(chapter: str, data: str, profile: str) -> dict[str, Path]:
    """
    Everything that the workflow's rule for a notebook takes as input.

    Parameters
    ----------
    chapter, data, profile
        As for :func:`figures_pkg.book.datasets_of`.

    Returns
    -------
    dict
        Name -> path. Files of the repository are named by their path in it, scans and artefacts by what they are.
    """
    source = f"notebooks/{chapter}.md"
    names = [source, f"notebooks/profiles/{profile}.yaml", *PINS, *modules_behind_notebook(source)]
    found = {name: repository() / name for name in names} | {"data_manifest.yaml": manifest_of(source_of(chapter, data))}
    found |= {f"scan {Path(path).name}": Path(path) for path in datasets_of(chapter, data, profile)}
    return found | {f"artefact {Path(path).name}": Path(path) for path in artefacts_of(chapter, data, profile)}


def checksums_of(chapter: str, data: str, profile: str) -> dict[str, str]:
    """Name -> SHA-256 of each input of a chapter; the empty text for one that is not there."""
    known = memory(profile)
    return {name: sha256(path, known) if path.exists() else "" for name, path in inputs_of(chapter, data, profile).items()}
