"""What a preset assumes and with which confidence, read from the comments of its YAML file."""

import re
from importlib.resources import files

import yaml

from figures_pkg.twin.presets import known_presets

ENTRY = re.compile(r"^  (?P<entry>\w+):.*?#\s*(?P<comment>.*)$")
LETTER = re.compile(r"(?:^|;\s*)(?P<letter>[ABC])(?=$|[\s,])")
MEANING = {
    "A": "read in the paper, in a calibration table or in a published picture",
    "B": "inferred from these with a model",
    "C": "plausible, chosen by us",
}


def assumptions(name: str) -> list[dict]:
    """
    Every number of a preset with its confidence and its reason.

    Parameters
    ----------
    name : str
        A preset of the package. One that is based on another lists only what differs.

    Returns
    -------
    rows : list of dict
        ``part``, ``entry``, ``value``, ``confidence`` (a letter of `MEANING`) and ``reason``, in the order of the file.

    Raises
    ------
    ValueError
        For an unknown preset, and for an entry whose comment gives no letter.
    """
    if name not in known_presets():
        raise ValueError(f"no preset {name!r} in the package; there are {', '.join(known_presets())}")
    text = (files("figures_pkg.twin") / "presets" / f"{name}.yaml").read_text(encoding="utf-8")
    values, part, rows = yaml.safe_load(text), "", []
    for line in text.splitlines():
        heading = re.match(r"^(\w+):", line)
        part = heading[1] if heading else part
        found = ENTRY.match(line)
        if found and part != "sizes":
            rows.append({"part": part, "entry": found["entry"], "value": values[part][found["entry"]], **_judged(name, found)})
    return rows


def _judged(name: str, found: re.Match) -> dict[str, str]:
    """The letter of a comment, and the comment without it."""
    letter = LETTER.search(found["comment"])
    if letter is None:
        raise ValueError(
            f"preset {name!r}: the comment of {found['entry']} is {found['comment']!r}; end it with '; A', '; B' or '; C'"
        )
    reason = found["comment"][: letter.start()] + found["comment"][letter.end() :]
    return {"confidence": letter["letter"], "reason": reason.strip(" ;,")}
