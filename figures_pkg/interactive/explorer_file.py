"""The explorer's data file: one script that a page loads when it is asked to, and what the browser reads from it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from figures_pkg.data.axes import DIMS
from figures_pkg.workspace import replacing

UNIT = 1 / 128  # of the decoded counts: sums of multiples of it are exact, in the browser as here
LINE = '(self.companionData = self.companionData || {{}})["{key}"] = "{text}";\n'


class ExplorerFileError(ValueError):
    """A data file of the explorer that is truncated, damaged, or none."""


@dataclass(frozen=True)
class Packed:
    """The compressed data, what they are called in the page, and what stands in their head."""

    payload: bytes
    head: dict

    @property
    def key(self) -> str:
        """First digits of the SHA-256 of the compressed data: page and file must agree on it."""
        return hashlib.sha256(self.payload).hexdigest()[:16]

    def script(self) -> str:
        """The file's text: it assigns the data to a name of the page."""
        return LINE.format(key=self.key, text=base64.b64encode(self.payload).decode())


def write_script(packed: Packed, path: str | Path) -> Path:
    """Write the data file (``.js``), under a temporary name first."""
    with replacing(path) as temporary:
        temporary.write_text(packed.script(), encoding="ascii")
    return Path(path)


def read_script(path: str | Path) -> Packed:
    """
    Read a data file back.

    Raises
    ------
    ExplorerFileError
        When it is truncated, damaged or of another kind.
    """
    text = Path(path).read_text(encoding="ascii", errors="replace")
    found = re.fullmatch(r'.*\["([0-9a-f]{16})"\] = "([A-Za-z0-9+/=]*)";\n', text)
    payload = base64.b64decode(found[2]) if found else b""
    if not found or hashlib.sha256(payload).hexdigest()[:16] != found[1]:
        raise ExplorerFileError(f"{path} is no whole data file of the explorer ({len(text)} letters); make it again with `figures_pkg explore`")
    return Packed(payload, _inflated(payload)[1])


def unpack(packed: Packed) -> xr.DataArray:
    """
    The scan as the browser sees it: decoded counts with coordinates, in memory.

    Returns
    -------
    xarray.DataArray
        float64 (scan_y, scan_x, det_y, det_x); every count is a multiple of 1/128. Takes `MOST_CODES` times 8 bytes at most.
    """
    body, head = _inflated(packed.payload)
    shape = head["shape"]
    positions, pixels = shape[0] * shape[1], shape[2] * shape[3]
    codes = np.frombuffer(body, np.uint8, pixels * positions, pixels).reshape(pixels, positions)
    codes = codes + np.frombuffer(body, np.uint8, pixels)[:, None]
    counts = (np.array(head["table"]) * UNIT)[codes].T.reshape(shape)
    coordinates = {dim: (dim, head["start"][i] + head["pitch"][i] * np.arange(shape[i])) for i, dim in enumerate(DIMS)}
    return xr.DataArray(counts, coordinates, DIMS, name="counts", attrs={"source": head["words"]["source"]})


def map_values(packed: Packed) -> dict[str, np.ndarray]:
    """The maps as the browser sees them, by key, (scan_y, scan_x): 65536 steps between least and most."""
    body, head = _inflated(packed.payload)
    ny, nx, h, w = head["shape"]
    stored = np.frombuffer(body, "<u2", len(head["maps"]) * ny * nx, h * w * (1 + ny * nx)).reshape(-1, ny, nx)
    return {m["key"]: m["least"] + code * ((m["most"] - m["least"]) / 65535) for m, code in zip(head["maps"], stored, strict=True)}


def _inflated(payload: bytes) -> tuple[memoryview, dict]:
    """Everything behind the head, and the head."""
    try:
        whole = memoryview(zlib.decompress(payload, 31))
        size = int.from_bytes(whole[:4], "little")
        return whole[4 + size :], json.loads(bytes(whole[4 : 4 + size]))
    except (zlib.error, ValueError) as error:
        raise ExplorerFileError(f"the packed data are damaged ({error}); make the file again with `figures_pkg explore`") from error
