"""What the pages of a chapter are made of, as checksums: source, code, profile, pins, scans and artefacts."""

from pathlib import Path

from figures_pkg.workspace import repository
from figures_pkg.record.manifest import manifest_of
from figures_pkg.passports.checksums import sha256
from figures_pkg.passports.facts import memory

from .chapters import artefacts_of, datasets_of, source_of
from .dependencies import installed_code

PINS = ("constraints.txt",)


def checksums_of(chapter: str, data: str, profile: str) -> dict[str, str]:
    """
    Checksums of everything that the workflow's rule for a notebook takes as input.

    Parameters
    ----------
    chapter, data, profile
        As for :func:`figures_pkg.book.datasets_of`.

    Returns
    -------
    dict
        Name -> SHA-256 of a file, empty for one that is not there; of code its fingerprint (:mod:`figures_pkg.book.dependencies`). Files of
        the repository are named by their path in it, scans and artefacts by what they are.
    """
    source, code, known = f"notebooks/{chapter}.md", installed_code(), memory(profile)
    files = {name: repository() / name for name in (source, f"notebooks/profiles/{profile}.yaml", *PINS)}
    files |= {"data_manifest.yaml": manifest_of(source_of(chapter, data))}
    files |= {f"scan {Path(path).name}": Path(path) for path in datasets_of(chapter, data, profile)}
    files |= {f"artefact {Path(path).name}": Path(path) for path in artefacts_of(chapter, data, profile)}
    checksums = {name: sha256(path, known) if path.exists() else "" for name, path in files.items()}
    return checksums | {part: code.fingerprint(part) for part in code.behind_notebook(source)}
