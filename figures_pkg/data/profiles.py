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
        by unless told otherwise; ``released_grid``, positions a side at which the authors' networks are applied on a processor, None
        for all; ``scored``, number of seeds by scan on which all methods are scored.

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


def scans_of(profile: str) -> list[str]:
    """Scans of the twin that a profile has for the claims: those of the paper's figures, and those on which methods are scored."""
    return list(dict.fromkeys(["ds1", "ds2", "overview", *load_profile(profile)["scored"]]))


def fields_of(dataset: str, profile: str) -> list[str]:
    """Scans of the twin that a profile has of the same specimen with other random fields, such as ``ds1-field2`` of ``ds1``."""
    return [name for name in load_profile(profile)["scored"] if name.startswith(f"{dataset}-field")]
