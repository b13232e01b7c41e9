"""Running one chapter: its cells for the scan at hand, papermill, and the passports of its figures completed with what they were made of."""

from __future__ import annotations

import os
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import jupytext
import nbformat

from figures_pkg.code import installed_code
from figures_pkg.provenance.figures import PassportError, figures_folder, memory, model_facts, paper_figures, read_passport, sha256, write_passport
from figures_pkg.record.manifest import MANIFEST_VARIABLE, manifest_of
from figures_pkg.workspace import load_profile, replacing, repository

from .chapters import artefacts_of, chapter_path, datasets_of, executed_path, fingerprint_files, source_of
from .jobs import NEXT, TRY_AGAIN
from .template import waiting_kernel

KERNEL_START_S = 600  # on a busy machine a kernel may take minutes to start; papermill gives up after 60 s
TRUTH, MEASURED = "truth", "measured"
CARD = """```{{figure}} ../_static/{picture}.svg
:name: {name}
:alt: A card that says: {words}
:class: not-shown

{words}, since {reason}{title}. {elsewhere}
```"""
WORDS = {
    TRUTH: ("not-known", "Not known for measured scans", "this figure needs the truth at each position, which only a simulated scan has",
            "The book on the twin shows it."),
    MEASURED: ("not-simulated", "Drawn for measured scans only", "this figure shows what the authors' networks make of the authors' scans",
               "The book on the record shows it."),
}


class FailedCell(RuntimeError):
    """A cell of a notebook raised; the copy with the traceback is kept beside the place of the good one."""


class LostKernel(RuntimeError):
    """A notebook's kernel did not start or died; that is no fault of a cell, and the workflow tries once more."""

    exit_status = TRY_AGAIN


def execute(source: Path, target: Path, parameters: dict) -> Path:
    """Run a text notebook and write the executed copy; after a failure the previous copy is untouched.

    The values are written into the notebook's own ``parameters`` cell, which must set each name. Cells of the other kind of scan are left out
    (:func:`for_source`). FailedCell if one raises, with the kept copy; LostKernel if the kernel does not start within ten minutes, or dies.
    """
    import papermill
    from papermill.exceptions import PapermillExecutionError
    from traitlets.config import Config

    notebook = jupytext.read(source)
    _set_parameters(notebook, source, parameters)
    target.parent.mkdir(parents=True, exist_ok=True)
    plain, kept = target.with_name(f".{target.stem}.source.ipynb"), target.with_name(f"{target.stem}.failed.ipynb")
    jupytext.write(for_source(notebook, parameters.get("data", "twin") == "twin"), plain)
    how = {"kernel_name": "python3", "cwd": str(source.parent), "log_output": False, "start_timeout": KERNEL_START_S}
    sockets = tempfile.TemporaryDirectory()  # of this kernel alone: two that start at once else choose the same free port or file, and one never answers
    if os.name == "posix":
        how["config"] = Config({"KernelManager": {"transport": "ipc", "ip": f"{sockets.name}/kernel"}})
    try:
        with replacing(target) as running:
            try:
                papermill.execute_notebook(str(plain), str(running), progress_bar=sys.stderr.isatty(), **how, **waiting_kernel())
            except PapermillExecutionError as error:
                os.replace(running, kept)
                raise FailedCell(f"{source.name}, cell {error.cell_index}: {error.ename}: {error.evalue}. The whole traceback is in {kept}") from error
            except RuntimeError as error:  # of Jupyter's client; an error in a cell is the one above
                raise LostKernel(f"{source.name}: the kernel did not start, or died, perhaps out of memory ({error}){NEXT}") from error
            done = nbformat.read(running, as_version=4)
            for each in (done, *done.cells):  # what differs from run to run
                each.metadata.pop("papermill", None)
                each.metadata.pop("execution", None)
            nbformat.write(done, running)
    finally:
        plain.unlink(missing_ok=True)
        sockets.cleanup()
    return target


def _set_parameters(notebook: nbformat.NotebookNode, source: Path, parameters: dict) -> None:
    """Write values into a notebook's ``parameters`` cell."""
    cells = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    if len(cells) != 1:
        raise ValueError(f"{source} has {len(cells)} cells tagged 'parameters'; a chapter needs exactly one")
    lines = cells[0].source.splitlines()
    for name, value in parameters.items():
        places = [i for i, line in enumerate(lines) if line.split("=")[0].strip() == name]
        if not places:
            raise ValueError(f"{source} sets no parameter {name!r}; its parameters cell reads: {cells[0].source!r}")
        _, sign, comment = lines[places[0]].partition("#")
        lines[places[0]] = f"{name} = {value!r}" + (f"  {sign}{comment}" if sign else "")
    cells[0].source = "\n".join(lines)


def for_source(notebook: nbformat.NotebookNode, truth_known: bool) -> nbformat.NotebookNode:
    """The notebook, changed in place, without the cells tagged ``truth`` or ``measured``, whichever the book's scans do not have.

    A figure that is left out leaves a card with its label, so that numbers and references are the same in both books. What a cell's metadata say
    under ``measured`` replaces caption and alternative text for a measured scan.
    """
    absent, kept = MEASURED if truth_known else TRUTH, []
    for cell in notebook.cells:
        words, shown = cell.metadata.pop(MEASURED, {}), cell.metadata.get("mystnb", {})
        figure = shown.get("figure", {})
        if "caption" in words and not truth_known:
            figure["caption"] = words["caption"]
        if "alt" in words and not truth_known:
            shown["image"]["alt"] = words["alt"]
        if absent not in cell.metadata.get("tags", []):
            kept.append(cell)
        elif name := figure.get("name"):
            picture, words, reason, elsewhere = WORDS[absent]
            title = figure.get("caption", "").split(". ")[0].removeprefix("Left: ").rstrip(".")
            text = CARD.format(picture=picture, name=name, words=words, reason=reason, title=f": {title}" if title else "", elsewhere=elsewhere)
            kept.append(nbformat.v4.new_markdown_cell(text, **({"id": cell["id"]} if "id" in cell else {})))
    notebook.cells = kept
    return notebook


def make_chapter(chapter: str, data: str, profile: str) -> Path:
    """Execute a chapter's notebook from a source in a profile, complete the passports of its figures, and return the executed notebook.

    The checksums are taken before the run: what changes meanwhile makes a figure out of date. So are the fingerprints that the workflow compares.
    FailedCell if a cell raises, PassportError if an announced figure was not published in this run.
    """
    data = source_of(chapter, data)
    announced = [name for name, figure in paper_figures(data=data).items() if figure.chapter == chapter]
    datasets_of(chapter, data, profile, must_exist=True)
    made_of, start = checksums_of(chapter, data, profile), datetime.now(UTC).replace(microsecond=0)
    code = installed_code()
    fingerprint_files(code, code.behind_notebook(f"notebooks/{chapter}.md"), profile)
    parameters = load_profile(profile)["parameters"] | {"data": data}
    os.environ[MANIFEST_VARIABLE] = str(manifest_of(data))  # for the kernel: another record's says nothing of the twin
    done = execute(chapter_path(chapter), executed_path(chapter, data, profile), parameters)
    if announced:
        artefacts = [model_facts(Path(path), profile) for path in artefacts_of(chapter, data, profile)]
        complete_passports(figures_folder(profile, data), chapter, announced, start, {"artefacts": artefacts, "inputs": made_of})
    return done


def complete_passports(folder: Path, chapter: str, announced: list[str], start: datetime, facts: dict) -> None:
    """Add facts to the passports that a chapter has written since ``start``, and remove those of figures that it no longer announces."""
    for path in folder.glob("*.json"):
        passport = read_passport(path, f"figures_pkg notebook {chapter}")
        if passport["chapter"] == chapter and path.stem not in announced:
            for file in folder.glob(f"{path.stem}.*"):
                file.unlink()
    for name in announced:
        passport = read_passport(folder / f"{name}.json", f"figures_pkg notebook {chapter}")
        if datetime.fromisoformat(passport["made"]) < start:
            raise PassportError(f"{chapter}.md announces the figure {name!r} but did not publish it in this run; call publish in its cell")
        write_passport(folder / f"{name}.json", passport | facts)


def checksums_of(chapter: str, data: str, profile: str) -> dict[str, str]:
    """Checksums by name of all inputs of the workflow's rule for a notebook: SHA-256 of files, empty for absent ones, and fingerprints of code."""
    source, code, known = f"notebooks/{chapter}.md", installed_code(), memory(profile)
    files = {name: repository() / name for name in (source, f"notebooks/profiles/{profile}.yaml", "constraints.txt")}
    files |= {"data_manifest.yaml": manifest_of(source_of(chapter, data))}
    files |= {f"scan {Path(path).name}": Path(path) for path in datasets_of(chapter, data, profile)}
    files |= {f"artefact {Path(path).name}": Path(path) for path in artefacts_of(chapter, data, profile)}
    checksums = {name: sha256(path, known) if path.exists() else "" for name, path in files.items()}
    return checksums | {part: code.fingerprint(part) for part in code.behind_notebook(source)}
