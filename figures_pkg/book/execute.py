"""Running one chapter: its cells for the scan at hand, papermill, and the passports of its figures completed with what they were made of."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import jupytext
import nbformat
import papermill
from papermill.exceptions import PapermillExecutionError

from figures_pkg.provenance.figures import paper_figures
from figures_pkg.provenance.passports import PassportError, read_passport
from figures_pkg.provenance.writer import figures_folder, memory, model_facts, sha256, write_passport
from figures_pkg.record.manifest import MANIFEST_VARIABLE, manifest_of
from figures_pkg.workspace import load_profile, replacing, repository

from .chapters import artefacts_of, chapter_path, datasets_of, executed_path, source_of
from .dependencies import installed_code
from .jobs import NEXT, TRY_AGAIN

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
    """
    Run a text notebook and write the executed copy; after a failure the previous copy is untouched.

    The values used are written into the notebook's own ``parameters`` cell, so that the page shows what ran. Cells that belong to the other kind of
    scan are left out, see :func:`for_source`.

    Parameters
    ----------
    source
        A text notebook that jupytext can read, with a cell tagged ``parameters``.
    target
        The executed ``.ipynb`` to write.
    parameters
        Values for names that the ``parameters`` cell sets; other names are an error.

    Raises
    ------
    FailedCell
        If a cell raises; names the notebook, the error and the kept copy.
    LostKernel
        If the kernel does not start within ten minutes, or dies.
    """
    source, target = Path(source), Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    plain = target.with_name(f".{target.stem}.source.ipynb")
    jupytext.write(for_source(_with_parameters(source, parameters), parameters.get("data", "twin") == "twin"), plain)
    try:
        with replacing(target) as running:
            _run(plain, running, source, target.with_name(f"{target.stem}.failed.ipynb"))
    finally:
        plain.unlink(missing_ok=True)
    return target


def _run(plain: Path, running: Path, source: Path, kept: Path) -> None:
    how = {"kernel_name": "python3", "cwd": str(source.parent), "log_output": False, "start_timeout": KERNEL_START_S}
    try:
        papermill.execute_notebook(str(plain), str(running), progress_bar=sys.stderr.isatty(), **how)
    except PapermillExecutionError as error:
        os.replace(running, kept)
        raise FailedCell(
            f"{source.name}, cell {error.cell_index}: {error.ename}: {error.evalue}. The whole traceback is in {kept}"
        ) from error
    except RuntimeError as error:  # of Jupyter's client; an error in a cell is the one above
        raise LostKernel(f"{source.name}: the kernel did not start, or died, perhaps out of memory ({error}){NEXT}") from error
    _forget_times(running)


def _with_parameters(source: Path, parameters: dict) -> nbformat.NotebookNode:
    """Read a notebook and write values into its ``parameters`` cell."""
    notebook = jupytext.read(source)
    cells = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    if len(cells) != 1:
        raise ValueError(f"{source} has {len(cells)} cells tagged 'parameters'; a chapter needs exactly one")
    lines = cells[0].source.splitlines()
    for name, value in parameters.items():
        places = [i for i, line in enumerate(lines) if line.split("=")[0].strip() == name]
        if not places:
            raise ValueError(f"{source} sets no parameter {name!r}; its parameters cell reads: {cells[0].source!r}")
        comment = "  #" + lines[places[0]].split("#", 1)[1] if "#" in lines[places[0]] else ""
        lines[places[0]] = f"{name} = {value!r}{comment}"
    cells[0].source = "\n".join(lines)
    return notebook


def _forget_times(path: Path) -> None:
    """Drop what differs from run to run."""
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata.pop("papermill", None)
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
    nbformat.write(notebook, path)


def for_source(notebook: nbformat.NotebookNode, truth_known: bool) -> nbformat.NotebookNode:
    """
    The notebook, changed in place, without the cells that belong to the other kind of scan.

    A cell tagged ``truth`` says or shows what only a simulated scan can tell; one tagged ``measured`` what is said of the authors' scan alone. The
    other book leaves them out. A figure that is left out leaves a card with its label, so that numbers and references are the same in both books.
    Where a figure of both books needs other words for a measured scan, they stand in the metadata of its cell, as ``measured: {caption: …, alt: …}``.
    """
    absent = MEASURED if truth_known else TRUTH
    kept = []
    for cell in notebook.cells:
        _reword(cell, truth_known)
        if absent not in cell.metadata.get("tags", []):
            kept.append(cell)
        elif name := (figure := cell.metadata.get("mystnb", {}).get("figure", {})).get("name"):
            kept.append(_card(name, figure.get("caption", ""), absent, cell.get("id")))
    notebook.cells = kept
    return notebook


def _reword(cell: nbformat.NotebookNode, truth_known: bool) -> None:
    words, shown = cell.metadata.pop(MEASURED, {}), cell.metadata.get("mystnb", {})
    if truth_known:
        return
    if "caption" in words:
        shown["figure"]["caption"] = words["caption"]
    if "alt" in words:
        shown["image"]["alt"] = words["alt"]


def _card(name: str, caption: str, absent: str, identity: str | None) -> nbformat.NotebookNode:
    """A numbered figure that says what is not drawn, in the first sentence of its caption, and why."""
    picture, words, reason, elsewhere = WORDS[absent]
    title = caption.split(". ")[0].removeprefix("Left: ").rstrip(".")
    text = CARD.format(picture=picture, name=name, words=words, reason=reason, title=f": {title}" if title else "", elsewhere=elsewhere)
    return nbformat.v4.new_markdown_cell(text, **({"id": identity} if identity else {}))


def make_chapter(chapter: str, data: str, profile: str) -> Path:
    """
    Execute a chapter's notebook from a source in a profile, complete the passports of its figures, and return the executed notebook.

    The checksums are taken before the run: what changes meanwhile makes a figure out of date. So are the fingerprints that the workflow compares
    times with, so that it takes a chapter executed by hand for what it is.

    Raises
    ------
    FailedCell
        If a cell raises.
    PassportError
        If a figure that the notebook announces was not published in this run.
    """
    data = source_of(chapter, data)
    announced = [name for name, figure in paper_figures(data=data).items() if figure.chapter == chapter]
    datasets_of(chapter, data, profile, must_exist=True)
    made_of, start = checksums_of(chapter, data, profile), datetime.now(UTC).replace(microsecond=0)
    code = installed_code()
    code.fingerprint_files(code.behind_notebook(chapter_path(chapter)), profile)
    parameters = load_profile(profile)["parameters"] | {"data": data}
    with _manifest_for_kernel(data):
        done = execute(chapter_path(chapter), executed_path(chapter, data, profile), parameters)
    if announced:
        artefacts = [model_facts(Path(path), profile) for path in artefacts_of(chapter, data, profile)]
        complete_passports(figures_folder(profile, data), chapter, announced, start, {"artefacts": artefacts, "inputs": made_of})
    return done


@contextmanager
def _manifest_for_kernel(data: str):
    """Within the block, kernels that start read the manifest of a source: another record's says nothing of the twin."""
    before = os.environ.get(MANIFEST_VARIABLE)
    os.environ[MANIFEST_VARIABLE] = str(manifest_of(data))
    try:
        yield
    finally:
        if before is None:
            del os.environ[MANIFEST_VARIABLE]
        else:
            os.environ[MANIFEST_VARIABLE] = before


def complete_passports(folder: Path, chapter: str, announced: list[str], start: datetime, facts: dict) -> None:
    """
    Add facts to the passports in a folder that a chapter has just written, and remove those of figures that it no longer makes.

    Parameters
    ----------
    announced
        Ids of the figures that the chapter's notebook publishes.
    start
        When the run began; a passport from before was not written by it.
    """
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
    """
    Checksums of everything that the workflow's rule for a notebook takes as input.

    Parameters
    ----------
    chapter, data, profile
        As for :func:`figures_pkg.book.chapters.datasets_of`.

    Returns
    -------
    dict
        Name -> SHA-256 of a file, empty for one that is not there; of code its fingerprint (:mod:`figures_pkg.book.dependencies`). Files of
        the repository are named by their path in it, scans and artefacts by what they are.
    """
    source, code, known = f"notebooks/{chapter}.md", installed_code(), memory(profile)
    files = {name: repository() / name for name in (source, f"notebooks/profiles/{profile}.yaml", "constraints.txt")}
    files |= {"data_manifest.yaml": manifest_of(source_of(chapter, data))}
    files |= {f"scan {Path(path).name}": Path(path) for path in datasets_of(chapter, data, profile)}
    files |= {f"artefact {Path(path).name}": Path(path) for path in artefacts_of(chapter, data, profile)}
    checksums = {name: sha256(path, known) if path.exists() else "" for name, path in files.items()}
    return checksums | {part: code.fingerprint(part) for part in code.behind_notebook(source)}
