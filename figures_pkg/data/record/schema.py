"""Checks that the entries of a data manifest must pass before anything is built from them."""

import re
from pathlib import PurePosixPath

import yaml

CHECKSUM_LENGTH = {"md5": 32, "sha256": 64}
ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")  # no leading dot: hidden names belong to the fetcher
WINDOWS_DEVICES = {"con", "prn", "aux", "nul"} | {f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10)}
RESERVED_LOCAL = {"data_lock.yaml"}  # written into the data folder by us


class ManifestError(ValueError):
    """A data manifest or a data lock breaks a rule; the message names the entry, the value and the rule."""


class _StrictLoader(yaml.SafeLoader):
    """YAML's safe loader, but a key that is given twice is an error and not the last one's victory."""

    def construct_mapping(self, node, deep=False):
        """Build one mapping after checking that its keys differ."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = sorted({str(key) for key in keys if keys.count(key) > 1})
        if twice:
            raise ManifestError(f"line {node.start_mark.line + 1}: {', '.join(twice)} is given twice; keep one")
        return super().construct_mapping(node, deep)


def read_yaml(path):
    """
    Read one YAML file that must hold a mapping.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Returns
    -------
    dict
        Its content.

    Raises
    ------
    ManifestError
        If the text is not YAML, gives a key twice, or is no mapping.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)
    except (yaml.YAMLError, UnicodeDecodeError, ManifestError) as error:
        raise ManifestError(f"{path} cannot be read as YAML: {error}") from error
    if not isinstance(content, dict):
        raise ManifestError(f"{path} holds {type(content).__name__}, expected a mapping at the top level")
    return content


def check_keys(entry, required, optional, where):
    """Raise unless the mapping `entry` has all `required` keys and no others than these and the `optional` ones."""
    check_type(entry, dict, where)
    missing = sorted(set(required) - set(entry))
    unknown = sorted(map(str, set(entry) - set(required) - set(optional)))
    if missing:
        raise ManifestError(f"{where}: missing {', '.join(missing)}; every entry must state it")
    if unknown:
        raise ManifestError(f"{where}: unknown {', '.join(unknown)}; known are {', '.join([*required, *optional])}")


def check_type(value, kind, where):
    """Return `value` if it is of the YAML type `kind` (dict or list), else raise."""
    if not isinstance(value, kind):
        expected = {dict: "a mapping", list: "a list"}[kind]
        raise ManifestError(f"{where}: expected {expected}, got {value!r}")
    return value


def check_text(value, where):
    """Return `value` if it is text with something in it, else raise; YAML turns unquoted numbers into numbers."""
    if not isinstance(value, str) or not value.strip():
        raise ManifestError(f"{where}: expected text, got {value!r}; quote it in the YAML file")
    return value


def check_choice(value, choices, where):
    """Return `value` if it is one of `choices`, else raise with the list."""
    if not isinstance(value, str) or value not in choices:
        raise ManifestError(f"{where}: got {value!r}, expected one of {', '.join(choices)}")
    return value


def check_id(value, where):
    """Return `value` if it is a usable id: small letters and digits joined by single hyphens, no device name."""
    if not isinstance(value, str) or not ID.fullmatch(value) or value in WINDOWS_DEVICES:
        raise ManifestError(f"{where}: {value!r} is no usable id; use a-z and 0-9, joined by single hyphens")
    return value


def check_local(value, where):
    """
    Return `value` if it is a path inside the data folder that every operating system accepts.

    Windows sets the rules: no colon, blank or backslash, no trailing dot, no device names such as ``aux.pkl``.
    Names that begin with a dot are kept for the fetcher's own files.

    Parameters
    ----------
    value : str
        The path with forward slashes.
    where : str
        What the path belongs to, for the message.

    Returns
    -------
    str
        The same path.

    Raises
    ------
    ManifestError
        If the path is absolute, climbs out of the folder, or breaks a rule.
    """
    parts = check_text(value, where).split("/")
    safe = all(PART.fullmatch(part) and not part.endswith(".") for part in parts)
    device = any(part.split(".")[0].lower() in WINDOWS_DEVICES for part in parts)
    if not safe or device or value.lower() in RESERVED_LOCAL:
        raise ManifestError(
            f"{where}: {value!r} is no safe local name; use a relative path of A-Z a-z 0-9 . _ - whose parts "
            "neither begin nor end with a dot and are no Windows device names"
        )
    return value


def check_locals_apart(names):
    """Raise if two local names are one file on a disk that ignores case, or if one is a folder of another."""
    seen = {}
    for name in names:
        if name.lower() in seen:
            raise ManifestError(f"local {name!r} and {seen[name.lower()]!r} are the same file where case is ignored")
        seen[name.lower()] = name
    for name in names:
        for folder in PurePosixPath(name.lower()).parents:
            if str(folder) in seen:
                raise ManifestError(f"local {seen[str(folder)]!r} is a file and also the folder of {name!r}")


def check_checksum(value, where):
    """Return `value` if it reads ``md5:`` and 32 or ``sha256:`` and 64 small hexadecimal digits, else raise."""
    algorithm, _, digits = value.partition(":") if isinstance(value, str) else ("", "", "")
    if not re.fullmatch(r"[0-9a-f]+", digits) or CHECKSUM_LENGTH.get(algorithm) != len(digits):
        raise ManifestError(f"{where}: {value!r} is no checksum; expected md5:<32 hex> or sha256:<64 hex>")
    return value


def check_size(value, where):
    """Return `value` if it is a number of bytes above zero, else raise."""
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise ManifestError(f"{where}: got {value!r}, expected a number of bytes above zero")
    return value


def check_bracket(value, where):
    """Return `value` as (least, most) bytes if it is a pair of sizes in ascending order, else raise."""
    if not isinstance(value, list) or len(value) != 2:
        raise ManifestError(f"{where}: got {value!r}, expected [least, most] in bytes")
    least, most = (check_size(bound, where) for bound in value)
    if least > most:
        raise ManifestError(f"{where}: {least} is above {most}; write the smaller size first")
    return least, most
