"""Numbers that we measured on the published pictures of the authors' scans."""

from importlib.resources import files

import numpy as np
import yaml

from figures_pkg.workspace import pictures_folder


def mean_log_counts(dataset: str) -> np.ndarray | None:
    """
    The published scan-mean log pattern as geometric-type counts, (256, 256) in "lab" orientation; None where its picture is not at hand.

    The picture is not ours to hand on. Who has extracted it (``<DATASET>_geomean_counts_256.npz`` with an array ``counts``) names the folder
    in ``FIGURES_PKG_REALDATA``, or keeps it as ``shared/realdata`` beside the checkout; then the book draws it beside the twin.
    """
    folder = pictures_folder()
    found = sorted(folder.rglob(f"{dataset.upper()}_geomean_counts_256.npz")) if folder.is_dir() else []
    if not found:
        return None
    with np.load(found[0]) as stored:
        return stored["counts"]


def mean_pattern_numbers(dataset: str) -> dict:
    """
    Numbers measured on the published mean pattern of ``"ds1"`` or ``"ds2"``; ``mean_patterns.yaml`` holds their source.

    ``half_maximum_radius_px`` of the direct beam; ``rings_px`` (n + 1) and ``ring_counts`` (n) between the discs, measured ``clearance_px``
    away from lattice points; ``disc_sums``, ``{(k, l): counts}`` over discs of ``disc_px``. Counts are exp(mean log(1 + counts)) - 1.
    """
    known = _of_scan("mean_patterns.yaml", dataset, "mean pattern")
    return known | {"disc_sums": {(k, l): counts for k, l, counts in known["disc_sums"]}}


def box_image_numbers(dataset: str) -> dict:
    """
    Numbers measured on the published virtual images of ``"ds1"`` or ``"ds2"``; ``box_images.yaml`` holds their source.

    ``box1`` and ``box2``, each with ``mean`` (counts per pixel of the box), its ``error``, ``contrast`` between the domains and its error, and
    ``blocks``, an array (16, 16) of means over equal parts of the scan; ``dark_points_row_col``, pixels that are dark in the published mean
    pattern; of DS1 ``wall`` with ``distance_nm`` (x,), positive in +P, and ``profiles`` (x, 2) of both boxes over their values far from the wall.
    """
    known = _of_scan("box_images.yaml", dataset, "box images")
    images = {name: image | {"blocks": np.array(image["blocks"])} for name, image in known.items() if name.startswith("box")}
    if "wall" in known:
        wall = known["wall"]
        images["wall"] = {"distance_nm": np.array(wall["distance_nm"]), "profiles": np.stack([wall["box1"], wall["box2"]], axis=1)}
    return images | {"dark_points_row_col": [tuple(place) for place in known["dark_points_row_col"]]}


def channel_map_numbers(network: str) -> dict:
    """
    Numbers measured on the authors' sheet of channels ``"ds1-channels"``, ``"ds2-channels"``, ``"ds2-walls-channels"`` or ``"ds2-vae-channels"``.

    ``channel_maps.yaml`` holds their source and says what each is; values are shares of the range of a channel's colours.
    """
    return _of_scan("channel_maps.yaml", network, "sheet of channels")


def chip_dead_pixels() -> list[tuple[int, int]]:
    """Pixels (row, col) of the authors' detector that count nothing, in "lab" orientation; ``detector.yaml`` holds their source."""
    return [tuple(place) for place in _table("detector.yaml")["dead_pixels_row_col"]]


def _of_scan(name: str, dataset: str, what: str) -> dict:
    known = _table(name)
    if dataset not in known:
        raise ValueError(f"no published {what} of {dataset!r}; there are those of {', '.join(known)}")
    return known[dataset]


def _table(name: str) -> dict:
    return yaml.safe_load((files(__name__) / name).read_text(encoding="utf-8"))
