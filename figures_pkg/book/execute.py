"""Execute a text notebook with a profile's parameters through papermill."""

import os
from pathlib import Path

import jupytext
import nbformat
import papermill
from papermill.exceptions import PapermillExecutionError


class FailedCell(RuntimeError):
    """A cell of a notebook raised; the copy with the traceback is kept beside the place of the good one."""


def execute(source: Path, target: Path, parameters: dict) -> Path:
    """
    Run a notebook and write the executed copy; after a failure the previous copy is untouched.

    The values used are written into the notebook's own ``parameters`` cell, so that the page shows what ran.

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
    running = target.with_name(f".{target.stem}.running.ipynb")
    jupytext.write(_with_parameters(source, parameters), plain)
    try:
        papermill.execute_notebook(
            str(plain), str(running), kernel_name="python3", cwd=str(source.parent), progress_bar=True, log_output=False
        )
    except PapermillExecutionError as error:
        kept = target.with_name(f"{target.stem}.failed.ipynb")
        os.replace(running, kept)
        raise FailedCell(
            f"{source.name}, cell {error.cell_index}: {error.ename}: {error.evalue}. The whole traceback is in {kept}"
        ) from error
    finally:
        plain.unlink(missing_ok=True)
    _publish(running, target)
    return target


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


def _publish(running: Path, target: Path) -> None:
    """Drop what differs from run to run, then rename into place."""
    notebook = nbformat.read(running, as_version=4)
    notebook.metadata.pop("papermill", None)
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
    nbformat.write(notebook, running)
    os.replace(running, target)
