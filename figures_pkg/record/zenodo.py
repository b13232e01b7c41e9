"""What a Zenodo record holds: one question to its API, in either of the two shapes that it has answered with."""

import json
import logging
import os
import re
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from .download import BROKEN, Patience, RemoteError, check_url, get
from .manifest import Record

log = logging.getLogger(__name__)

API_VARIABLE = "FIGURES_PKG_ZENODO_API"
DEFAULT_API = "https://zenodo.org/api"


@dataclass(frozen=True)
class RemoteFile:
    """One file as its record describes it."""

    name: str
    size: int  # bytes
    checksum: str  # "md5:..."
    url: str


def api() -> str:
    """Address of the Zenodo API: FIGURES_PKG_ZENODO_API, else the public one; checked."""
    return check_url(os.environ.get(API_VARIABLE, "").rstrip("/") or DEFAULT_API)


def serves(url: str) -> bool:
    """Whether a file's address is at the host that `api` names; a pin may come from another one."""
    return urlsplit(url).netloc == urlsplit(api()).netloc


def resolve(record: Record, patience: Patience = Patience()) -> dict[str, RemoteFile]:
    """
    Ask a record which files it holds.

    Parameters
    ----------
    record
        Its number must be that of one version, not the "all versions" one.
    patience
        Waiting times.

    Returns
    -------
    dict
        The files by exact remote name.

    Raises
    ------
    RemoteError
        If the record does not answer, answers for another record, or in a form that is not understood.
    """
    url = f"{api()}/records/{quote(record.record, safe='')}"
    with get(url, patience, Accept="application/json") as response:
        try:
            answer = json.loads(response.content)
        except (ValueError, *BROKEN) as error:
            kind = response.headers.get("Content-Type", "an unnamed type")
            raise RemoteError(f"{url} answered {response.status_code} with {kind}, expected JSON: {error}") from error
    if not isinstance(answer, dict):
        raise RemoteError(f"{url} answered a JSON {type(answer).__name__}, expected an object that describes a record")
    if str(answer.get("id", record.record)) != record.record:
        raise RemoteError(f"{url} answered for record {answer['id']}; name the version itself in data_manifest.yaml")
    items = answer.get("files")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise RemoteError(f"{url} lists no files; it says {json.dumps(answer)[:200]}")
    _compare_licence(answer.get("metadata"), record)
    files = [_remote_file(item, record, url) for item in items]
    return {file.name: file for file in files}


def _remote_file(item: dict, record: Record, url: str) -> RemoteFile:
    """
    Read one description.

    The record has come in two shapes: ``key, size, checksum "md5:...", links.self`` today and before October 2023,
    ``filename, filesize, checksum "..."`` without a usable link during that month.
    """
    try:
        if "key" in item:
            name, size, link = item["key"], item["size"], item["links"]["self"]
        else:
            name, size = item["filename"], item["filesize"]
            link = f"{api().removesuffix('/api')}/records/{record.record}/files/{quote(name, safe='')}?download=1"
        digits = item["checksum"].removeprefix("md5:")
    except (KeyError, TypeError, AttributeError) as error:
        raise RemoteError(f"{url} describes a file as {json.dumps(item)[:200]}, which is not understood") from error
    if not re.fullmatch(r"[0-9a-f]{32}", digits) or not isinstance(size, int) or size < 0:
        raise RemoteError(f"{url} gives {name!r} the size {size!r} and the checksum {digits!r}; expected bytes and md5")
    return RemoteFile(name, size, f"md5:{digits}", check_url(link))


def _compare_licence(metadata, record: Record) -> None:
    """Warn if the record states another licence than the paper."""
    stated = metadata.get("license") if isinstance(metadata, dict) else None
    stated = stated.get("id") if isinstance(stated, dict) else stated
    if isinstance(stated, str) and stated.lower() != record.licence.lower():
        log.warning("record %s states the licence %s, the manifest %s", record.record, stated, record.licence)
