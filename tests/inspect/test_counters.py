"""What counters and pixels did is told from the counts alone."""

import dask.array as da
import numpy as np
import pytest
from drawn_patterns import scan_of
from scipy.ndimage import gaussian_filter

from figures_pkg.data import open_scan
from figures_pkg.data.published import chip_dead_pixels
from figures_pkg.inspect import inspect_scan
from figures_pkg.inspect.counts import KnownPixels, counter_findings, dead_and_hot, gather_statistics


def discs(brightness, dtype=np.uint16):
    """Poisson counts of four round discs of 6 px, blurred like the detector's, on an even background, (y, x, 64, 64)."""
    rows, cols = np.indices((64, 64))
    mean = np.full((64, 64), 5.0)
    for row, col in ((16, 16), (16, 48), (48, 16), (48, 48)):
        mean += brightness * np.clip(6.5 - np.hypot(rows - row, cols - col), 0, 1)
    mean = gaussian_filter(mean, 0.9)
    return np.random.default_rng(5).poisson(mean, (4, 4, 64, 64)).astype(dtype)


def found(values, bits=12, known=KnownPixels()):
    return {finding.check: finding for finding in counter_findings(gather_statistics(scan_of(values)), bits, known)}


@pytest.mark.parametrize("chunks", [None, (3, 2)])
def test_statistics_do_not_depend_on_the_blocks(chunks):
    values = np.random.default_rng(0).integers(0, 900, (5, 4, 9, 7)).astype(np.uint16)
    values[2, 1, 3, 3] = 65535
    mask = np.random.default_rng(1).random((9, 7)) > 0.5
    found = gather_statistics(scan_of(da.from_array(values, (*chunks, -1, -1)) if chunks else values), {"some": mask})
    for one, other in ((found.mean, values.mean((0, 1))), (found.mean_log, np.log1p(values.astype(float)).mean((0, 1))),
                       (found.smallest, values.min((0, 1))), (found.largest, values.max((0, 1))), (found.total, values.sum((2, 3))),
                       (found.images["some"], values[:, :, mask].sum(-1)), (found.histogram, np.bincount(values.ravel(), minlength=65536)),
                       (found.tiles[1, 2], values[2, 2])):  # fmt: skip
        np.testing.assert_allclose(one, other)


def cut(brightness, most, dtype=np.uint16):
    """Counts of a counter that stops at its largest number."""
    return np.minimum(discs(brightness, dtype=np.int64), most).astype(dtype)


ONE_AT_THE_LIMIT = cut(3300, 4000)  # and a pixel that stands there always: no pile-up
ONE_AT_THE_LIMIT[0, 0, 16, 16] = ONE_AT_THE_LIMIT[..., 60, 30] = 4095
COUNTERS = {  # counts, depth of the counter, and verdicts
    "bytes modulo 256": ((discs(260) % 256).astype(np.uint8), 12, {"wrap-around": "conflict", "counter depth": "cannot be told"}),
    "stored in 16 bits": (discs(5000) % 256, 12, {"wrap-around": "conflict", "counter depth": "cannot be told"}),
    "never wrapped": (discs(400), 16, {"wrap-around": "agrees", "saturation": "agrees"}),
    "bytes that never overflowed": (cut(200, 255, np.uint8), 12, {"wrap-around": "agrees", "saturation": "agrees"}),
    "cut off at 8 bits": (cut(400, 255, np.uint8), 12, {"saturation": "warning"}),
    "cut off at 12 bits": (cut(4300, 4095), 12, {"wrap-around": "agrees", "saturation": "warning"}),
    "one count at the limit": (ONE_AT_THE_LIMIT, 12, {"wrap-around": "agrees", "saturation": "agrees", "hot pixels": "warning"}),
    "deeper than expected": (discs(5000), 12, {"wrap-around": "agrees", "counter depth": "decided"}),
    "scaled numbers": (discs(100).astype(np.float32) / 3, 12, dict.fromkeys(("counter depth", "wrap-around", "saturation"), "cannot be told")),
}


@pytest.mark.parametrize(("values", "bits", "verdicts"), COUNTERS.values(), ids=COUNTERS.keys())
def test_what_the_counter_did_is_told(values, bits, verdicts):
    """Bright discs modulo 256 have sharply bounded holes, a counter that stops leaves plateaus, and counts that do not fit decide for a deeper one."""
    findings = found(values, bits)
    assert {check: findings[check].verdict for check in verdicts} == verdicts
    assert findings["wrap-around"].wrong == (verdicts.get("wrap-around") == "conflict")
    if verdicts.get("counter depth") == "decided":
        (decision,) = findings["counter depth"].decisions
        assert decision.value == 16 and 12 in decision.excludes


def test_dead_hot_and_stuck_pixels_are_found_where_they_are():
    """In the background, in a disc and at its edge; nothing else is called odd."""
    values = discs(100)
    values[..., 3, 60], values[..., 16, 16], values[..., 48, 54] = 0, 0, 1
    values[..., 40, 5] *= 9
    values[..., 60, 30] = 65535
    dead, hot = dead_and_hot(gather_statistics(scan_of(values)))
    assert dead == [(3, 60), (16, 16), (48, 54)] and hot == [(40, 5), (60, 30)]
    assert dead_and_hot(gather_statistics(scan_of(discs(100)))) == ([], [])


def test_dead_pixels_of_the_chip_tell_how_the_frame_lies():
    """Dead pixels that are known tell a flip, whatever the specimen is; two of three tell nothing."""
    chip = ((10, 20), (33, 7), (50, 60))
    values = discs(100)
    for place in chip:
        values[:, :, *place] = 0
    known = KnownPixels(chip, 3)
    assert found(values, known=known)["dead pixels"].verdict == "agrees"
    flipped = found(values[:, :, ::-1], known=known)["dead pixels"]
    assert flipped.wrong and "upside down" in flipped.says and "stored_orientation is camera" in flipped.says
    assert "left and right exchanged" in found(values[..., ::-1], known=known)["dead pixels"].says
    values[:, :, 10, 20] = values[:, :, 11, 20]
    few = found(values[:, :, ::-1], known=known)["dead pixels"]
    assert few.verdict == "warning" and not few.wrong


def test_files_of_the_laboratory(realdata):
    """Its .hspy is its .mib modulo 256; the 6-bit direct beam stands at 63; the table of dead pixels is what both files show, in orientation "lab"."""
    folder = realdata / "merlin_ntnu"
    look = inspect_scan(folder / "test_CL30cm.hspy", scan_shape=(1, 1))
    assert look["wrap-around"].wrong and "modulo 256" in look.contradictions[0]
    good = inspect_scan(folder / "test_CL30cm.mib", scan_shape=(1, 1))
    assert good.contradictions == [] and good["counter depth"].found == "largest count 125,336"
    finding = inspect_scan(folder / "001_4x2_6bit.mib")["saturation"]
    assert finding.verdict == "warning" and "at 63" in finding.found
    axes = {"scan_step_nm": 1.4, "det_scale_inv_angstrom": 0.01}
    frames = [open_scan(folder / name, scan_shape=shape, axes=axes, check_counts=False).values.reshape(-1, 256, 256)
              for name, shape in (("test_CL30cm.mib", (1, 1)), ("001_4x2_6bit.mib", None))]  # fmt: skip
    for row, col in chip_dead_pixels():
        around = np.concatenate([frame[:, row - 2:row + 3, col - 2:col + 3] for frame in frames]).sum(0)
        assert around[2, 2] == 0 and np.delete(around.ravel(), 12).min() > 0
