"""Let the workflow make what is stale."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from figures_pkg.workspace import available_cores
from figures_pkg.workspace import repository


def make(profile: str, data: str, cores: int | None = None, targets: Sequence[str] = ()) -> None:
    """
    Run the Snakefile of the repository.

    Parameters
    ----------
    profile, data
        Name of a profile, and ``"twin"`` or ``"zenodo"``.
    cores
        Processors to use; all that this process may use by default.
    targets
        Files to make; the whole book by default.

    Raises
    ------
    RuntimeError
        If something could not be made.
    """
    words = ["--cores", str(cores or available_cores()), "--config", f"profile={profile}", f"data={data}"]
    # No solver is started to choose among a few jobs, and the list is not gone through each second: that took a tenth of a core.
    words += ["--scheduler", "greedy", "--max-jobs-per-timespan", "100/5s"]
    words += ["--force-use-threads"]  # jobs are commands of their own; a second Snakemake around each would read the workflow again
    words += ["--directory", str(repository()), "--snakefile", str(repository() / "Snakefile"), "--quiet", "rules", "--", *targets]
    if subprocess.run([sys.executable, "-m", "snakemake", *words], check=False).returncode:
        raise RuntimeError(f"{', '.join(targets) or 'the book'} was not made; the first error above says why")
