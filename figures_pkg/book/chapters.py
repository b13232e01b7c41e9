"""Which notebooks there are, and which scans, artefacts and code they and the claims use; nothing heavy is imported until a scan is looked for."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from figures_pkg.code import Code
from figures_pkg.record.fetch import locate
from figures_pkg.record.manifest import load_manifest, read_yaml
from figures_pkg.workspace import artefact_path, artefacts_folder, check_source, fields_of, load_profile, read_front_matter, replacing, repository, scans_of

NOTEBOOKS = repository() / "notebooks"
CHAPTERS = sorted(path.stem for path in NOTEBOOKS.glob("*.md"))


def chapter_path(chapter: str) -> Path:
    """The text notebook of a chapter; a ValueError lists those there are."""
    path = NOTEBOOKS / f"{chapter}.md"
    if not path.is_file():
        raise ValueError(f"no chapter is called {chapter!r}; there are: {', '.join(CHAPTERS)}")
    return path


def companion(chapter: str) -> dict:
    """What the front matter of a chapter's notebook says under ``companion``: which data, scans and artefacts it reads."""
    return read_front_matter(chapter_path(chapter)).get("companion", {})


def source_of(chapter: str, data: str) -> str:
    """The source that a chapter reads when a book is made from ``data``: its own where its front matter names one."""
    return companion(chapter).get("data", data)


def datasets_of(chapter: str, data: str, profile: str, must_exist: bool = False) -> list[str]:
    """Paths of the scans that a chapter reads, as its front matter names them under ``companion: datasets``.

    Scans under ``twin`` always come from the twin; ``fields`` names one whose other random fields are read too, where the profile scores any.
    A missing scan of the twin is an error on demand, a missing file of the record always.
    """
    check_source(data)
    wanted = companion(chapter)
    scans = [(name, wanted.get("data", data)) for name in wanted.get("datasets", [])]
    fields = fields_of(wanted["fields"], profile) if "fields" in wanted else []
    scans += [(name, "twin") for name in (*wanted.get("twin", []), *fields)]
    return [str(locate(name, source, profile, must_exist)) for name, source in scans]


def artefacts_of(chapter: str, data: str, profile: str) -> list[str]:
    """Paths of what must be made before a chapter runs, under ``companion: artefacts``; what only measured scans need stands under ``measured``."""
    wanted = companion(chapter)
    data = wanted.get("data", data)
    return _artefact_paths([*wanted.get("artefacts", []), *(wanted.get("measured", []) if data != "twin" else [])], data, profile)


def _artefact_paths(names: list[str], data: str, profile: str) -> list[str]:
    """Paths by name; the text ``{recipe}`` in one stands for the recipe of the profile."""
    recipe = load_profile(profile)["recipe"]
    return [str(artefact_path(name.replace("{recipe}", recipe), data, profile)) for name in names]


def executed_path(chapter: str, data: str, profile: str) -> Path:
    """Where the executed copy of a chapter is kept; a chapter that always reads the twin has one for both books."""
    return artefacts_folder(profile) / "notebooks" / source_of(chapter, data) / f"{chapter}.ipynb"


def dataset_pattern() -> str:
    """Regular expression of the names of scans, with ``-field3`` for another random field; the workflow takes names of files apart with it."""
    presets = [path.stem for path in (repository() / "figures_pkg" / "twin" / "presets").glob("*.yaml")]
    names = sorted({*presets, *load_manifest().datasets}, key=lambda name: (-len(name), name))
    return rf"(?:{'|'.join(map(re.escape, names))})(?:-field[1-9]\d*)?"


def claims_inputs(data: str, profile: str) -> list[str]:
    """Paths of the scans that the cases of ``claims.yaml`` name (the twin's with all random fields), and of its ``artefacts`` or ``record_artefacts``."""
    content = read_yaml(repository() / "claims.yaml")
    named = {case.get("dataset") for row in content["rows"] for key in ("cases", "record") for case in row.get(key, [])}
    known = scans_of(profile) if data == "twin" else load_manifest().datasets
    scans = [str(locate(name, data, profile, must_exist=False)) for name in known if name.partition("-field")[0] in named]
    return scans + _artefact_paths(content["artefacts" if data == "twin" else "record_artefacts"], data, profile)


def measures() -> list[str]:
    """Dotted names of the functions that the rows of ``claims.yaml`` are measured by."""
    return sorted({row["measure"] for row in read_yaml(repository() / "claims.yaml")["rows"] if "measure" in row})


def fingerprint_files(code: Code, parts: Iterable[str], profile: str) -> list[str]:
    """Write the fingerprint of each part of the code to a file of its own, as old as the part's last change that counts; returns the paths.

    The first one of a part takes the time of its source, so that older results are compared with that. Several processes may write at once.
    """
    paths = []
    for part in parts:
        path, text = artefacts_folder(profile) / "code" / f"{part.replace('::', '/')}.sha256", code.fingerprint(part) + "\n"
        known = path.read_text(encoding="utf-8") if path.is_file() else None
        if known != text:
            with replacing(path) as temporary:
                temporary.write_text(text, encoding="utf-8")
                if known is None:
                    source = (code.root / part.partition("::")[0]).stat()
                    os.utime(temporary, ns=(source.st_atime_ns, source.st_mtime_ns))
        paths.append(str(path))
    return paths
