"""The third source: pictures in the authors' executed notebooks, the only measured data of the paper that can be read without its record."""

import base64
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from figures_pkg.workspace import pictures_folder, replacing

from .fetch import data_dir
from .manifest import FILE_RULES, REPOSITORY_MANIFEST, read_each, read_entry, read_yaml
from .zenodo import RemoteError, read_address


@dataclass(frozen=True)
class Picture:
    """One picture that a notebook holds as the output of a cell, as the manifest's ``pictures`` state it."""

    id: str
    notebook: str  # address of the executed notebook at the pinned commit
    file: str  # name on this computer; it says from which cell
    checksum: str  # "sha256:..." of the bytes of the PNG
    shows: str

    def find(self) -> Path | None:
        """Where it lies, fetched or in the folder that FIGURES_PKG_REALDATA names; None where it is not here or has another checksum."""
        found = [path for folder in (data_dir() / "pictures", pictures_folder()) if folder.is_dir() for path in sorted(folder.rglob(self.file))]
        return next((path for path in found if _checksum(path.read_bytes()) == self.checksum), None)


def load_pictures(path: Path = REPOSITORY_MANIFEST) -> dict[str, Picture]:
    """The pictures that a manifest lists, by id; an entry that breaks a rule is a `ManifestError`."""
    return read_each(read_yaml(path).get("pictures", {}), "pictures", lambda entry, where: read_entry(
        Picture, {"id": where.removeprefix("pictures.")} | entry, where, checksum=FILE_RULES["checksum"]))  # fmt: skip


def fetch_pictures(path: Path = REPOSITORY_MANIFEST) -> list[Path]:
    """
    Read the notebooks of the manifest's pictures and write their pictures below the data folder; returns the files.

    A picture is known by its checksum, so no cell has to be counted. A notebook that holds none of its checksum is a `RemoteError`.
    """
    pictures, written = load_pictures(path), []
    for address in dict.fromkeys(picture.notebook for picture in pictures.values()):
        outputs = [output for cell in json.loads(read_address(address))["cells"] for output in cell.get("outputs", [])]
        images = [base64.b64decode("".join(output["data"]["image/png"])) for output in outputs if "image/png" in output.get("data", {})]
        held = {_checksum(image): image for image in images}
        for picture in (each for each in pictures.values() if each.notebook == address):
            if picture.checksum not in held:
                raise RemoteError(f"{address} holds {len(images)} pictures, but none with the checksum of {picture.id} ({picture.checksum})")
            with replacing(data_dir() / "pictures" / picture.file) as temporary:
                temporary.write_bytes(held[picture.checksum])
            written.append(data_dir() / "pictures" / picture.file)
    return written


def _checksum(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
