"""Which notebooks there are, and which scans and artefacts they and the claims read; no matplotlib, torch or papermill is imported for it."""

from __future__ import annotations

import re
from pathlib import Path

from figures_pkg.data.datasets import locate
from figures_pkg.record.manifest import load_manifest, read_yaml
from figures_pkg.workspace import SOURCES, artefact_path, artefacts_folder, fields_of, load_profile, read_front_matter, repository, scans_of

NOTEBOOKS = repository() / "notebooks"
CHAPTERS = sorted(path.stem for path in NOTEBOOKS.glob("*.md"))


def chapter_path(chapter: str) -> Path:
    """
    The text notebook of a chapter.

    Raises
    ------
    ValueError
        If there is no such chapter; the message lists those there are.
    """
    path = NOTEBOOKS / f"{chapter}.md"
    if not path.is_file():
        raise ValueError(f"no chapter is called {chapter!r}; there are: {', '.join(CHAPTERS)}")
    return path


def front_matter(chapter: str) -> dict:
    """Read the YAML block that opens a chapter's notebook."""
    return read_front_matter(chapter_path(chapter))


def datasets_of(chapter: str, data: str, profile: str, must_exist: bool = False) -> list[str]:
    """
    Paths of the scans that a chapter reads, as its front matter names them under ``companion: datasets``.

    A chapter that never reads the record says ``companion: data: twin`` there; it is executed once for both books. Scans under
    ``companion: twin`` are on no record and always come from the twin. ``companion: fields`` names a scan of the twin whose other random
    fields are read too, where the profile has any of them scored.

    Parameters
    ----------
    chapter
        Name of a notebook without its suffix.
    data
        ``"twin"`` or ``"zenodo"``.
    profile
        Name of a profile; decides where the twin's scans lie.
    must_exist
        Whether a missing scan of the twin is an error; a missing file of the record always is.
    """
    if data not in SOURCES:
        raise ValueError(f"data is {data!r}; it must be one of {', '.join(SOURCES)}")
    wanted = front_matter(chapter).get("companion", {})
    scans = [(name, wanted.get("data", data)) for name in wanted.get("datasets", [])]
    fields = fields_of(wanted["fields"], profile) if "fields" in wanted else []
    scans += [(name, "twin") for name in (*wanted.get("twin", []), *fields)]
    return [str(locate(name, source, profile, must_exist)) for name, source in scans]


def artefacts_of(chapter: str, data: str, profile: str) -> list[str]:
    """
    Paths of what must be made before a chapter runs, trained models and scores for instance: ``companion: artefacts``.

    The workflow holds a rule for each kind; the arguments are those of :func:`datasets_of`, and ``companion: data`` counts
    here too. The text ``{recipe}`` in a name stands for the recipe of the profile. What is read of measured scans alone stands under
    ``companion: measured``: maps of domains, in place of a truth, and embeddings by the authors' networks.
    """
    wanted = front_matter(chapter).get("companion", {})
    data = wanted.get("data", data)
    recipe = load_profile(profile)["recipe"]
    names = [*wanted.get("artefacts", []), *(wanted.get("measured", []) if data != "twin" else [])]
    return [str(artefact_path(name.replace("{recipe}", recipe), data, profile)) for name in names]


def source_of(chapter: str, data: str) -> str:
    """The source that a chapter reads when a book is made from ``data``: its own where its front matter names one."""
    return front_matter(chapter).get("companion", {}).get("data", data)


def executed_path(chapter: str, data: str, profile: str) -> Path:
    """Where the executed copy of a chapter is kept; a chapter that always reads the twin has one for both books."""
    return artefacts_folder(profile) / "notebooks" / source_of(chapter, data) / f"{chapter}.ipynb"


def dataset_pattern() -> str:
    """
    Regular expression of the names of scans: the twin's presets and the record's, with ``-field3`` for another random field.

    The workflow takes names of files apart with it, where recipes have dashes in their names as well.

    Examples
    --------
    >>> import re
    >>> re.fullmatch(f"({dataset_pattern()})-(.+)", "ds1-field2-small-walls").groups()
    ('ds1-field2', 'small-walls')
    """
    presets = [path.stem for path in (repository() / "figures_pkg" / "twin" / "presets").glob("*.yaml")]
    names = sorted({*presets, *load_manifest().datasets}, key=len, reverse=True)
    return rf"(?:{'|'.join(map(re.escape, names))})(?:-field[1-9]\d*)?"


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
