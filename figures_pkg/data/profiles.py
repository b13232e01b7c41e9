"""What a profile sets: one YAML file for each, beside the notebooks."""

import yaml

from .locate import repository


def load_profile(profile: str) -> dict:
    """
    Read a profile.

    Returns
    -------
    dict
        ``parameters`` for the notebooks; ``twin_size``, the size of the twin's scans; ``recipe``, what a network is trained
        by unless told otherwise; ``scored``, number of seeds by scan on which all methods are scored.

    Raises
    ------
    ValueError
        If there is no such profile; the message lists those there are.
    """
    path = repository() / "notebooks" / "profiles" / f"{profile}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.yaml")))
        raise ValueError(f"no profile is called {profile!r}; there are: {known}")
    return yaml.safe_load(path.read_text(encoding="utf-8"))
