"""Execute a text notebook with a profile's parameters through papermill."""

import os
from pathlib import Path

import jupytext
import nbformat
import papermill
from papermill.exceptions import PapermillExecutionError

from figures_pkg.workspace import replacing

from .conditional import for_source


KERNEL_START_S = 600  # on a busy machine a kernel may take minutes to start; papermill gives up after 60 s


class FailedCell(RuntimeError):
    """A cell of a notebook raised; the copy with the traceback is kept beside the place of the good one."""


def execute(source: Path, target: Path, parameters: dict) -> Path:
    """
    Run a notebook and write the executed copy; after a failure the previous copy is untouched.

    The values used are written into the notebook's own ``parameters`` cell, so that the page shows what ran. Cells that belong to the
    other kind of scan are left out, see :mod:`figures_pkg.book.conditional`.

    Parameters
    ----------
    source
        A text notebook that jupytext can read, with a cell tagged ``parameters``.
    target
        The executed ``.ipynb`` to write.
    parameters
        Values for names that the ``parameters`` cell sets; other names are an error.

    Returns
    -------
    Path
        ``target``.

    Raises
    ------
    FailedCell
        If a cell raises; names the notebook, the error and the kept copy.
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
    """Execute one notebook into another; after a failure what has run is kept under a name of its own."""
    how = {"kernel_name": "python3", "cwd": str(source.parent), "progress_bar": True, "log_output": False, "start_timeout": KERNEL_START_S}
    try:
        papermill.execute_notebook(str(plain), str(running), **how)
    except PapermillExecutionError as error:
        os.replace(running, kept)
        raise FailedCell(
            f"{source.name}, cell {error.cell_index}: {error.ename}: {error.evalue}. The whole traceback is in {kept}"
        ) from error
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
