"""A pooch downloader that goes on where the last attempt stopped, also after the program was killed."""

import errno
import logging
import os
import re
import shutil
import time
from pathlib import Path

from tqdm import tqdm

from figures_pkg.data.record import web
from figures_pkg.data.record.web import RemoteError

log = logging.getLogger(__name__)

CHUNK_BYTES = 1 << 20  # most that one read takes, and what one write to the disk gathers
SPARE_BYTES = 64 << 20  # left free on the disk


class Resuming:
    """
    Download one file into a part that survives failures and processes.

    Bytes are appended to `part`; a broken connection is followed by a ``Range`` request for the rest. A server that
    ignores ``Range`` makes it start over. When the part is complete it is handed to pooch, which checks it against
    the checksum and renames it into place.

    Parameters
    ----------
    part : path-like
        Where the bytes gather; its name should hold the checksum, so that parts of different files never mix.
    size : int
        Size of the whole file in bytes.
    patience : web.Patience, optional
        Waiting times.
    progress : bool, optional
        Whether to draw a bar on stderr. Without it: only on a terminal.
    label : str, optional
        What the bar calls the file.
    """

    def __init__(self, part, size, patience=web.Patience(), progress=None, label=""):
        self.part = Path(part)
        self.size = size
        self.patience = patience
        self.progress = progress
        self.label = label or self.part.name
        self.session = web.open_session()

    def __call__(self, url, output_file, pooch, check_only=False):
        """Fetch `url` into `output_file`; the signature is pooch's."""
        check_space(self.part.parent, self.size - self._have())
        hidden = None if self.progress is None else not self.progress
        with tqdm(total=self.size, desc=self.label, unit="B", unit_scale=True, disable=hidden) as bar:
            self._gather(url, bar)
        os.replace(self.part, output_file)

    def _have(self):
        """Return the number of bytes gathered so far."""
        return self.part.stat().st_size if self.part.exists() else 0

    def _gather(self, url, bar):
        """Ask again and again until the part is complete, as long as new bytes arrive."""
        failures, furthest = 0, self._have()
        while self._have() < self.size:
            try:
                self._transfer(url, bar)
                problem = f"{url} ended after {self._have()} of {self.size} bytes"
            except web.BROKEN as error:
                problem = f"{url} broke off after {self._have()} of {self.size} bytes: {error}"
            failures = 0 if self._have() > furthest else failures + 1
            furthest = max(furthest, self._have())
            if failures >= self.patience.tries:
                raise RemoteError(f"{problem}; gave up, the next call goes on from there")
            if self._have() < self.size:
                log.warning("%s; going on", problem)
                time.sleep(self.patience.pause(failures))

    def _transfer(self, url, bar):
        """Append what one request delivers."""
        have = self._have()
        headers = {"Range": f"bytes={have}-"} if have else {}
        with web.get(self.session, url, self.patience, headers) as response:
            start = self._start(response, have)
            with open(self.part, "r+b" if start else "wb", buffering=CHUNK_BYTES) as stream:
                stream.seek(start)
                bar.n = start
                while chunk := response.raw.read1(CHUNK_BYTES):  # whatever has arrived, so that a break loses nothing
                    stream.write(chunk)
                    bar.update(len(chunk))
                    if stream.tell() > self.size:
                        raise RemoteError(f"{url} sends more than the {self.size} bytes that its record states")

    def _start(self, response, have):
        """Return the offset at which the answer's first byte belongs."""
        if response.status_code != 206:
            return 0  # the whole file, asked for or because the server ignores Range
        stated = re.match(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if not stated or int(stated[1]) != have or stated[2] not in ("*", str(self.size)):
            raise RemoteError(
                f"{response.url} answered {response.headers.get('Content-Range')!r} when asked for the bytes from "
                f"{have} on of {self.size}; the file on the record is not the one that was pinned"
            )
        return have


def check_space(folder, needed):
    """Raise OSError (ENOSPC) unless `folder` has room for `needed` bytes and a little more."""
    free = shutil.disk_usage(folder).free
    if free < needed + SPARE_BYTES:
        raise OSError(
            errno.ENOSPC,
            f"{folder} has {free / 1e9:.2f} GB free, {(needed + SPARE_BYTES) / 1e9:.2f} GB are needed; "
            "make room or point FIGURES_PKG_DATA to a larger disk",
        )
