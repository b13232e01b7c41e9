"""Polite HTTP: named, patient, https only, and a pooch downloader that goes on where the last attempt stopped."""

import errno
import ipaddress
import logging
import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from tqdm import tqdm

import figures_pkg

log = logging.getLogger(__name__)

USER_AGENT = f"figures_pkg/{figures_pkg.__version__} (+https://doi.org/10.1038/s41524-024-01265-y)"
TEMPORARY = {408, 425, 429, 500, 502, 503, 504}
BROKEN = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError, urllib3.exceptions.HTTPError)
CHUNK_BYTES = 1 << 20  # most that one read takes, and what one write to the disk gathers
SPARE_BYTES = 64 << 20  # left free on the disk


class RemoteError(OSError):
    """The record's server did not give what was asked for; the message says what it gave."""


@dataclass(frozen=True)
class Patience:
    """How long to wait for a server. Times in seconds."""

    connect_s: float = 10.0
    silence_s: float = 60.0  # a connection that sends nothing for so long counts as broken
    tries: int = 5  # attempts in a row without one new byte
    pause_s: float = 1.0  # after the first failure; doubles with each
    longest_pause_s: float = 60.0
    longest_retry_after_s: float = 600.0  # a server that asks for more is an error, not a hanging program
    corrupt_tries: int = 2  # whole transfers whose checksum may be wrong before giving up
    lock_s: float = 6 * 3600.0  # another process may be fetching the same file over a slow line

    def pause(self, failures: int) -> float:
        """The pause after the given number of failures in a row, in seconds."""
        return min(self.pause_s * 2 ** max(failures - 1, 0), self.longest_pause_s)


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


class _GuardedAdapter(HTTPAdapter):
    """Checks every hop of a redirect, and never asks a proxy for this computer."""

    def send(self, request, **options):
        if _is_loopback(urlsplit(check_url(request.url)).hostname):
            options["proxies"] = {}
        return super().send(request, **options)


def get(url: str, patience: Patience, **headers: str) -> requests.Response:
    """
    Ask for a URL until it answers, as long as waiting can help.

    Broken connections and temporary statuses (429 and the like) are tried again after a growing pause or after what
    the server's ``Retry-After`` says; other errors, such as 403 and 404, end at once.

    Returns
    -------
    requests.Response
        With a status below 400 and its body not yet read; to be closed by the caller.

    Raises
    ------
    RemoteError
        If the answer is an error, or none came.
    """
    session = requests.Session()
    for prefix in ("https://", "http://"):
        session.mount(prefix, _GuardedAdapter())
    # Zenodo answers 403 to clients without a name of their own; "identity" keeps byte offsets meaningful.
    headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"} | headers
    check_url(url)
    for failures in range(1, patience.tries + 1):
        wait_s = patience.pause(failures)
        try:
            response = session.get(url, headers=headers, stream=True, timeout=(patience.connect_s, patience.silence_s))
        except BROKEN as error:
            if isinstance(error, requests.exceptions.SSLError):
                raise RemoteError(f"{url}: no trusted connection: {error}") from error
            problem = f"{url}: {error}"
        except requests.RequestException as error:
            raise RemoteError(f"{url}: {error}") from error
        else:
            if response.status_code < 400:
                return response
            problem, wait_s = _refusal(response, patience, wait_s)
        if failures < patience.tries:
            log.warning("%s; asking again in %.3g s", problem, wait_s)
            time.sleep(wait_s)
    raise RemoteError(f"{problem}; gave up after {patience.tries} attempts, try again later")


def _refusal(response: requests.Response, patience: Patience, pause_s: float) -> tuple[str, float]:
    """What an error status said, without HTML tags, and how long to wait after it; raises if waiting is no help."""
    with response:
        try:
            body = next(response.iter_content(2000), b"")
        except requests.RequestException:
            body = b""
        words = re.sub(r"<[^>]*>|\s+", " ", body.decode("utf-8", "replace")).strip()[:200]
        problem = f"{response.url} answered {response.status_code} {response.reason}" + (f": {words}" if words else "")
    if response.status_code not in TEMPORARY:
        raise RemoteError(f"{problem}; check the record and file name in data_manifest.yaml")
    try:
        wait_s = urllib3.Retry().get_retry_after(response.raw)  # None without the header; a number of seconds or a date
    except urllib3.exceptions.InvalidHeader:
        wait_s = None
    if wait_s is not None and wait_s > patience.longest_retry_after_s:
        raise RemoteError(f"{problem}; it asks to wait {wait_s:.0f} s, try again then")
    return problem, pause_s if wait_s is None else wait_s


class Resuming:
    """
    A pooch downloader of one file into a part that survives failures and processes.

    Bytes are appended to `part`; a broken connection is followed by a ``Range`` request for the rest. A server that
    ignores ``Range`` makes it start over. When the part is complete it is handed to pooch, which checks it against
    the checksum and renames it into place.

    Parameters
    ----------
    part
        Where the bytes gather; its name should hold the checksum, so that parts of different files never mix.
    size
        Size of the whole file in bytes.
    patience
        Waiting times.
    progress
        Whether to draw a bar on stderr; None: only on a terminal.
    label
        What the bar calls the file.
    """

    def __init__(self, part: Path, size: int, patience: Patience, progress: bool | None, label: str):
        self.part, self.size, self.patience, self.progress, self.label = part, size, patience, progress, label

    def __call__(self, url, output_file, pooch, check_only=False):
        """Fetch `url` into `output_file`; the signature is pooch's."""
        check_space(self.part.parent, self.size - self._received())
        hidden = None if self.progress is None else not self.progress
        with tqdm(total=self.size, desc=self.label, unit="B", unit_scale=True, disable=hidden) as bar:
            failures, furthest = 0, self._received()
            while self._received() < self.size:
                try:
                    self._transfer(url, bar)
                    problem = f"{url} ended after {self._received()} of {self.size} bytes"
                except BROKEN as error:
                    problem = f"{url} broke off after {self._received()} of {self.size} bytes: {error}"
                failures = 0 if self._received() > furthest else failures + 1
                furthest = max(furthest, self._received())
                if failures >= self.patience.tries:
                    raise RemoteError(f"{problem}; gave up, the next call goes on from there")
                if self._received() < self.size:
                    log.warning("%s; going on", problem)
                    time.sleep(self.patience.pause(failures))
        os.replace(self.part, output_file)

    def _received(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _transfer(self, url: str, bar: tqdm) -> None:
        """Append what one request delivers; the whole file where the server ignores ``Range``."""
        start = self._received()
        with get(url, self.patience, **({"Range": f"bytes={start}-"} if start else {})) as response:
            if response.status_code != 206:
                start = 0
            else:
                stated = response.headers.get("Content-Range", "")
                if not re.fullmatch(rf"bytes {start}-\d+/({self.size}|\*)", stated):
                    raise RemoteError(
                        f"{response.url} answered {stated or None!r} when asked for the bytes from {start} on of {self.size}; "
                        "the file on the record is not the one that was pinned"
                    )
            with open(self.part, "r+b" if start else "wb", buffering=CHUNK_BYTES) as stream:
                stream.seek(start)
                bar.n = start
                while chunk := response.raw.read1(CHUNK_BYTES):  # whatever has arrived, so that a break loses nothing
                    stream.write(chunk)
                    bar.update(len(chunk))
                    if stream.tell() > self.size:
                        raise RemoteError(f"{url} sends more than the {self.size} bytes that its record states")


def check_space(folder: Path, needed: int) -> None:
    """Raise OSError (ENOSPC) unless `folder` has room for `needed` bytes and a little more."""
    free = shutil.disk_usage(folder).free
    if free < needed + SPARE_BYTES:
        raise OSError(
            errno.ENOSPC,
            f"{folder} has {free / 1e9:.2f} GB free, {(needed + SPARE_BYTES) / 1e9:.2f} GB are needed; "
            "make room or point FIGURES_PKG_DATA to a larger disk",
        )
