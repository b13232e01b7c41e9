"""Zenodo asked politely: what a record holds, and the bytes of its files, over connections that break and servers that want patience."""

import ipaddress
import json
import logging
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from tqdm import tqdm

import figures_pkg

from .manifest import Record

log = logging.getLogger(__name__)

API_VARIABLE = "FIGURES_PKG_ZENODO_API"
DEFAULT_API = "https://zenodo.org/api"
# Zenodo answers 403 to clients without a name of their own; "identity" keeps byte offsets meaningful.
HEADERS = {"User-Agent": f"figures_pkg/{figures_pkg.__version__} (+https://doi.org/10.1038/s41524-024-01265-y)", "Accept-Encoding": "identity"}
TEMPORARY = {408, 425, 429, 500, 502, 503, 504}
BROKEN = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError, urllib3.exceptions.HTTPError)
CONNECT_S, SILENCE_S = 10.0, 60.0  # a connection that sends nothing for so long counts as broken
TRIES = 5  # attempts in a row without one new byte
PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0  # after the first failure, doubled with each
LONGEST_RETRY_AFTER_S = 600.0  # a server that asks for more is an error, not a hanging program
CHUNK_BYTES = 1 << 20  # most that one read takes, and what one write to the disk gathers

Answer = TypeVar("Answer")


class RemoteError(OSError):
    """The record's server did not give what was asked for; the message says what it gave."""


class TemporaryError(RemoteError):
    """What was asked for may come later: after `wait_s` where the server said so."""

    def __init__(self, problem: str, wait_s: float | None = None):
        super().__init__(problem)
        self.wait_s = wait_s


@dataclass(frozen=True)
class RemoteFile:
    """One file as its record describes it."""

    name: str
    size: int  # bytes
    checksum: str  # "md5:..."
    url: str


def check_url(url: str) -> str:
    """`url`, if it may be asked: https anywhere, plain http only on this computer; a `RemoteError` otherwise."""
    parts = urlsplit(url)
    if not parts.hostname or not (parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname))):
        raise RemoteError(f"{url!r} is refused: use https; plain http is accepted for loopback hosts only")
    return url


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def api() -> str:
    """Address of the Zenodo API: FIGURES_PKG_ZENODO_API, else the public one; checked."""
    return check_url(os.environ.get(API_VARIABLE, "").rstrip("/") or DEFAULT_API)


class _GuardedAdapter(HTTPAdapter):
    """Checks every hop of a redirect, and never asks a proxy for this computer."""

    def send(self, request, **options):
        if _is_loopback(urlsplit(check_url(request.url)).hostname):
            options["proxies"] = {}
        return super().send(request, **options)


def _get(url: str, **headers: str) -> requests.Response:
    """One answer with its body not yet read, to be closed by the caller; an error status raises, `TemporaryError` where waiting can help."""
    session = requests.Session()
    for prefix in ("https://", "http://"):
        session.mount(prefix, _GuardedAdapter())
    response = session.get(check_url(url), headers=HEADERS | headers, stream=True, timeout=(CONNECT_S, SILENCE_S))
    if response.status_code < 400:
        return response
    with response:
        words = _words(response.raw.read(2000))
        problem = f"answered {response.status_code} {response.reason}" + (f": {words}" if words else "")
    if response.status_code not in TEMPORARY:
        raise RemoteError(f"{response.url} {problem}; check the record and file name in data_manifest.yaml")
    try:
        wait_s = urllib3.Retry().get_retry_after(response.raw)  # None without the header; a number of seconds or a date
    except urllib3.exceptions.InvalidHeader:
        wait_s = None
    if wait_s is not None and wait_s > LONGEST_RETRY_AFTER_S:
        raise RemoteError(f"{response.url} {problem}; it asks to wait {wait_s:.0f} s, try again then")
    raise TemporaryError(problem, wait_s)


def _words(body: bytes) -> str:
    """The beginning of an answer for a message, without HTML tags."""
    return re.sub(r"<[^>]*>|\s+", " ", body.decode("utf-8", "replace")).strip()[:200]


def _patiently(url: str, attempt: Callable[[], Answer], progress: Callable[[], int] = lambda: 0) -> Answer:
    """What an attempt returns, repeated after growing pauses until `TRIES` of them in a row have made no progress, in bytes."""
    failures, furthest = 0, progress()
    while True:
        try:
            return attempt()
        except requests.exceptions.SSLError as error:
            raise RemoteError(f"{url}: no trusted connection: {error}") from error
        except (TemporaryError, *BROKEN) as error:
            problem, wait_s = f"{url}: {error}", getattr(error, "wait_s", None)
        except requests.RequestException as error:
            raise RemoteError(f"{url}: {error}") from error
        failures = 0 if progress() > furthest else failures + 1
        furthest = max(furthest, progress())
        if failures >= TRIES:
            raise RemoteError(f"{problem}; gave up after {failures} attempts, try again later: a download goes on from there")
        if wait_s is None:
            wait_s = min(PAUSE_S * 2 ** max(failures - 1, 0), LONGEST_PAUSE_S)
        log.warning("%s; asking again in %.3g s", problem, wait_s)
        time.sleep(wait_s)


def resolve(record: Record) -> dict[str, RemoteFile]:
    """
    The files that a record holds, by exact name; its number must be that of one version, not the "all versions" one.

    A `RemoteError` if the record does not answer, answers for another record, or in a form that is not understood.
    """
    url = f"{api()}/records/{quote(record.record, safe='')}"

    def answer() -> bytes:
        """The record's description."""
        with _get(url, Accept="application/json") as response:
            return response.content

    body = _patiently(url, answer)
    try:
        described = json.loads(body)
        number, licence = str(described.get("id", record.record)), (described.get("metadata") or {}).get("license")
        files = [_remote_file(item, record) for item in described["files"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RemoteError(f"{url} does not describe a record in a form that is understood ({error!r}): {_words(body)}") from error
    if number != record.record:
        raise RemoteError(f"{url} answered for record {number}; name the version itself in data_manifest.yaml")
    licence = licence.get("id") if isinstance(licence, dict) else licence
    if isinstance(licence, str) and licence.lower() != record.licence.lower():
        log.warning("record %s states the licence %s, the manifest %s", record.record, licence, record.licence)
    return {file.name: file for file in files}


def _remote_file(item: dict, record: Record) -> RemoteFile:
    """
    Read one description.

    The record has come in two shapes: ``key, size, checksum "md5:...", links.self`` today and before October 2023,
    ``filename, filesize, checksum "..."`` without a usable link during that month.
    """
    if "key" in item:
        name, size, url = item["key"], item["size"], item["links"]["self"]
    else:
        name, size = item["filename"], item["filesize"]
        url = f"{api().removesuffix('/api')}/records/{record.record}/files/{quote(name, safe='')}?download=1"
    digits = item["checksum"].removeprefix("md5:")
    if not re.fullmatch(r"[0-9a-f]{32}", digits) or not isinstance(size, int) or size < 0:
        raise ValueError(f"{name!r} has the size {size!r} and the checksum {digits!r}; expected bytes and md5")
    return RemoteFile(name, size, f"md5:{digits}", check_url(url))


def received(part: Path) -> int:
    """Bytes of a file that are here."""
    return part.stat().st_size if part.exists() else 0


def download(url: str, part: Path, size: int, label: str, progress: bool | None = None) -> None:
    """
    Gather the bytes of a file in `part` until it has `size` bytes; what an earlier call or process has brought is not asked for again.

    A broken connection is followed by a ``Range`` request for the rest, and a server that ignores ``Range`` makes it start over. `label` is
    what the bar on stderr calls the file; without `progress` it is drawn on a terminal only.
    """

    def transfer() -> None:
        """Append what one request delivers; the whole file where the server ignores ``Range``."""
        start = received(part)
        with _get(url, **({"Range": f"bytes={start}-"} if start else {})) as response:
            stated = response.headers.get("Content-Range", "")
            if response.status_code != 206:
                start = 0
            elif not re.fullmatch(rf"bytes {start}-\d+/({size}|\*)", stated):
                raise RemoteError(
                    f"{response.url} answered {stated or None!r} when asked for the bytes from {start} on of {size}; "
                    "the file on the record is not the one that was pinned"
                )
            with open(part, "ab" if start else "wb", buffering=CHUNK_BYTES) as stream:
                bar.update(start - bar.n)
                while chunk := response.raw.read1(CHUNK_BYTES):  # whatever has arrived, so that a break loses nothing
                    stream.write(chunk)
                    bar.update(len(chunk))
                    if stream.tell() > size:
                        raise RemoteError(f"{url} sends more than the {size} bytes that its record states")
        if received(part) < size:
            raise TemporaryError(f"ended after {received(part)} of {size} bytes")

    with tqdm(total=size, desc=label, unit="B", unit_scale=True, disable=None if progress is None else not progress) as bar:
        if received(part) < size:
            _patiently(url, transfer, lambda: received(part))
