"""Which commit of the checkout is running, and whether its files were edited since."""

import subprocess
from pathlib import Path


def commit() -> str:
    """Hash of the checkout's commit; empty outside one or without git."""
    return _git("rev-parse", "HEAD") or ""


def tree_state() -> str:
    """``"clean"``, ``"edited"`` when tracked files differ from the commit, ``"unknown"`` outside a checkout or without git."""
    changed = _git("status", "--porcelain", "--untracked-files=no")
    return "unknown" if changed is None else "edited" if changed else "clean"


def _git(*words: str) -> str | None:
    """What git says of the folder of the package; None when it fails or is not there."""
    try:
        done = subprocess.run(["git", "-C", str(Path(__file__).parent), *words], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
