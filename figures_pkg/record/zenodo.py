"""Zenodo asked politely: what a record holds, and the bytes of its files, over connections that break and servers that want patience."""

import json
import logging
import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from tqdm import tqdm

import figures_pkg

from .manifest import Record

log = logging.getLogger(__name__)

API_VARIABLE = "FIGURES_PKG_ZENODO_API"
# Zenodo answers 403 to clients without a name of their own; "identity" keeps byte offsets meaningful.
HEADERS = {"User-Agent": f"figures_pkg/{figures_pkg.__version__} (+https://doi.org/10.1038/s41524-024-01265-y)", "Accept-Encoding": "identity"}
LOOPBACK = re.compile(r"localhost|127(\.\d+){3}|::1")
TEMPORARY = {408, 425, 429, 500, 502, 503, 504}
BROKEN = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError, urllib3.exceptions.HTTPError)
CONNECT_S, SILENCE_S = 10.0, 60.0  # a connection that sends nothing for so long counts as broken
TRIES = 5  # attempts in a row without one new byte
PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0  # after the first failure, doubled with each
LONGEST_RETRY_AFTER_S = 600.0  # a server that asks for more is an error, not a hanging program
CHUNK_BYTES = 1 << 20  # most that one read takes, and what one write to the disk gathers


class RemoteError(OSError):
    """The record's server did not give what was asked for; the message says what it gave."""


class TemporaryError(RemoteError):
    """What was asked for may come later: after `wait_s` where the server said so."""

    wait_s: float | None = None


@dataclass(frozen=True)
class Pin:
    """What one file must be, as its record describes it."""

    record: str  # number of the Zenodo record
    remote: str  # exact name there
    size: int  # bytes
    checksum: str  # "md5:..." or "sha256:..."
    url: str = ""
    resolved_at: str = ""  # UTC, ISO 8601


def check_url(url: str) -> str:
    """`url`, if it may be asked: https anywhere, plain http only on this computer; a `RemoteError` otherwise."""
    parts = urlsplit(url)
    if not parts.hostname or not (parts.scheme == "https" or (parts.scheme == "http" and LOOPBACK.fullmatch(parts.hostname))):
        raise RemoteError(f"{url!r} is refused: use https; plain http is accepted for loopback hosts only")
    return url


def api() -> str:
    """Checked address of the Zenodo API: FIGURES_PKG_ZENODO_API, else the public one."""
    return check_url(os.environ.get(API_VARIABLE, "").rstrip("/") or "https://zenodo.org/api")


class _GuardedAdapter(HTTPAdapter):
    """Checks every hop of a redirect, and never asks a proxy for this computer."""

    def send(self, request, **options):
        if LOOPBACK.fullmatch(urlsplit(check_url(request.url)).hostname):
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
        problem = f"answered {response.status_code} {response.reason}: {_words(response.raw.read(2000))}".rstrip(": ")
    if response.status_code not in TEMPORARY:
        raise RemoteError(f"{response.url} {problem}; check the record and file name in data_manifest.yaml")
    error = TemporaryError(problem)
    with suppress(urllib3.exceptions.InvalidHeader):
        error.wait_s = urllib3.Retry().get_retry_after(response.raw)  # None without the header; a number of seconds or a date
    if error.wait_s is not None and error.wait_s > LONGEST_RETRY_AFTER_S:
        raise RemoteError(f"{response.url} {problem}; it asks to wait {error.wait_s:.0f} s, try again then")
    raise error


def _words(body: bytes) -> str:
    """The beginning of an answer for a message, without HTML tags."""
    return re.sub(r"<[^>]*>|\s+", " ", body.decode("utf-8", "replace")).strip()[:200]


def _patiently(url: str, attempt: Callable, progress: Callable[[], int] = lambda: 0):
    """What an attempt returns, repeated after growing pauses until `TRIES` of them in a row have made no progress, in bytes."""
    failures, furthest = 0, progress()
    while True:
        try:
            return attempt()
        except (TemporaryError, requests.RequestException, urllib3.exceptions.HTTPError) as error:
            problem, wait_s = f"{url}: {error}", getattr(error, "wait_s", None)
            if isinstance(error, requests.exceptions.SSLError) or not isinstance(error, (TemporaryError, *BROKEN)):
                raise RemoteError(problem) from error
        failures = 0 if progress() > furthest else failures + 1
        furthest = max(furthest, progress())
        if failures >= TRIES:
            raise RemoteError(f"{problem}; gave up after {failures} attempts, try again later: a download goes on from there")
        if wait_s is None:
            wait_s = min(PAUSE_S * 2 ** max(failures - 1, 0), LONGEST_PAUSE_S)
        log.warning("%s; asking again in %.3g s", problem, wait_s)
        time.sleep(wait_s)


def read_address(url: str, **headers: str) -> bytes:
    """What an address answers, as a whole; a `RemoteError` if it does not."""

    def answer() -> bytes:
        """The body of one answer."""
        with _get(url, **headers) as response:
            return response.content

    return _patiently(url, answer)


def resolve(record: Record) -> dict[str, Pin]:
    """The files that a record, of one version, holds, by exact name; a `RemoteError` if it does not answer, or not as this record should."""
    url = f"{api()}/records/{quote(record.record, safe='')}"
    body, files = read_address(url, Accept="application/json"), {}
    try:
        described = json.loads(body)
        number, licence = str(described.get("id", record.record)), (described.get("metadata") or {}).get("license")
        for item in described["files"]:
            if "key" in item:
                name, size, link = item["key"], item["size"], item["links"]["self"]
            else:  # in October 2023 Zenodo used other keys than before and after, and no usable link
                name, size = item["filename"], item["filesize"]
                link = f"{api().removesuffix('/api')}/records/{record.record}/files/{quote(name, safe='')}?download=1"
            digits = item["checksum"].removeprefix("md5:")
            if not re.fullmatch(r"[0-9a-f]{32}", digits) or not isinstance(size, int) or size < 0:
                raise ValueError(f"{name!r} has the size {size!r} and the checksum {digits!r}; expected bytes and md5")
            files[name] = Pin(record.record, name, size, f"md5:{digits}", check_url(link), datetime.now(UTC).isoformat(timespec="seconds"))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RemoteError(f"{url} does not describe a record in a form that is understood ({error!r}): {_words(body)}") from error
    if number != record.record:
        raise RemoteError(f"{url} answered for record {number}; name the version itself in data_manifest.yaml")
    licence = licence.get("id") if isinstance(licence, dict) else licence
    if isinstance(licence, str) and licence.lower() != record.licence.lower():
        log.warning("record %s states the licence %s, the manifest %s", record.record, licence, record.licence)
    return files


def received(part: Path) -> int:
    """Bytes of a file that are here."""
    return part.stat().st_size if part.exists() else 0


def download(url: str, part: Path, size: int, label: str) -> None:
    """Gather the bytes of a file in `part` until it has `size` of them, asking only for the rest of what is there; the bar on a terminal shows `label`."""

    def transfer() -> None:
        """Append what one request delivers; the whole file where the server ignores ``Range``."""
        start = received(part)
        with _get(url, **({"Range": f"bytes={start}-"} if start else {})) as response:
            stated = response.headers.get("Content-Range", "")
            if response.status_code != 206:
                start = 0
            elif not re.fullmatch(rf"bytes {start}-\d+/({size}|\*)", stated):
                raise RemoteError(f"{response.url} answered {stated or None!r} when asked for the bytes from {start} on of {size}; "
                                  "the file on the record is not the one that was pinned")  # fmt: skip
            with open(part, "ab" if start else "wb", buffering=CHUNK_BYTES) as stream:
                bar.update(start - bar.n)
                while chunk := response.raw.read1(CHUNK_BYTES):  # whatever has arrived, so that a break loses nothing
                    stream.write(chunk)
                    bar.update(len(chunk))
                    if stream.tell() > size:
                        raise RemoteError(f"{url} sends more than the {size} bytes that its record states")
        if received(part) < size:
            raise TemporaryError(f"ended after {received(part)} of {size} bytes")

    with tqdm(total=size, desc=label, unit="B", unit_scale=True, disable=None) as bar:
        if received(part) < size:
            _patiently(url, transfer, lambda: received(part))
