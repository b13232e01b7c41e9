"""What counters and pixels did is told from the counts alone."""

import dask.array as da
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from figures_pkg.data import open_scan
from figures_pkg.data.axes import Axes, build_scan
from figures_pkg.data.published import chip_dead_pixels
from figures_pkg.inspect import inspect_scan
from figures_pkg.inspect.counts import KnownPixels, counter_findings, dead_and_hot, gather_statistics

AXES = Axes(scan_step_nm=1.4, det_scale_inv_angstrom=0.01, origin_row_col=(32, 32), beam_energy_kev=200.0)


def scan_of(values, chunks=None):
    """A scan in memory, or in blocks."""
    data = values if chunks is None else da.from_array(values, (*chunks, *values.shape[2:]))
    return build_scan(data, AXES, orientation="lab", source="user", path="", title="", format="")


def discs(brightness, dtype=np.uint16, positions=(4, 4), background=5.0):
    """Poisson counts of four round discs of 6 px, blurred like the detector's, on an even background, (y, x, 64, 64)."""
    rows, cols = np.indices((64, 64))
    mean = np.full((64, 64), background)
    for row, col in ((16, 16), (16, 48), (48, 16), (48, 48)):
        mean += brightness * np.clip(6.5 - np.hypot(rows - row, cols - col), 0, 1)
    mean = gaussian_filter(mean, 0.9)
    return np.random.default_rng(5).poisson(mean, (*positions, 64, 64)).astype(dtype)


def found(values, bits=12, known=KnownPixels()):
    """Findings by check."""
    return {finding.check: finding for finding in counter_findings(gather_statistics(scan_of(values)), bits, known)}


@pytest.mark.parametrize("chunks", [None, (3, 2)])
def test_statistics_do_not_depend_on_the_blocks(chunks):
    """Sums, extremes and the histogram are those of the whole array."""
    values = np.random.default_rng(0).integers(0, 900, (5, 4, 9, 7)).astype(np.uint16)
    values[2, 1, 3, 3] = 65535
    mask = np.random.default_rng(1).random((9, 7)) > 0.5
    statistics = gather_statistics(scan_of(values, chunks), {"some": mask})
    np.testing.assert_allclose(statistics.mean, values.mean((0, 1)))
    np.testing.assert_allclose(statistics.mean_log, np.log1p(values.astype(float)).mean((0, 1)))
    np.testing.assert_array_equal(statistics.smallest, values.min((0, 1)))
    np.testing.assert_array_equal(statistics.largest, values.max((0, 1)))
    np.testing.assert_array_equal(statistics.total, values.sum((2, 3)))
    np.testing.assert_array_equal(statistics.images["some"], values[:, :, mask].sum(-1))
    np.testing.assert_array_equal(statistics.histogram, np.bincount(values.ravel(), minlength=65536))
    np.testing.assert_allclose(statistics.tiles[1, 2], values[2:3, 2:3].mean((0, 1)))
    assert statistics.tiles.shape == (4, 4, 9, 7)


@pytest.mark.parametrize("brightness", [260, 400, 5000])
def test_wrapped_counts_are_noticed(brightness):
    """Bright discs modulo 256 have sharply bounded holes, also when stored in 16 bits; unwrapped they have none."""
    for dtype in (np.uint8, np.uint16):
        wrong = found((discs(brightness) % 256).astype(dtype))
        assert wrong["wrap-around"].wrong and "modulo 256" in wrong["wrap-around"].says
        assert wrong["counter depth"].verdict == "cannot be told"
    right = found(discs(brightness), bits=16)
    assert right["wrap-around"].verdict == "agrees" and not right["wrap-around"].wrong
    assert [decision.excludes for decision in right["counter depth"].decisions] == [(8,)]


@pytest.mark.parametrize(("values", "saturated"), [
    (np.minimum(discs(200), 255).astype(np.uint8), False), (np.minimum(discs(400), 255).astype(np.uint8), True),
    (np.minimum(discs(4300, dtype=np.int64), 4095).astype(np.uint16), True),
], ids=["bytes that never overflowed", "cut off at 8 bits", "cut off at 12 bits"])  # fmt: skip
def test_a_pile_up_is_saturation_and_no_wrap(values, saturated):
    """A counter that stops leaves plateaus, but no holes; one count at the limit, and a pixel that stands there always, are no pile-up."""
    findings = found(values)
    assert not findings["wrap-around"].wrong and (findings["saturation"].verdict == "warning") == saturated
    few = discs(3300, dtype=np.int64)
    few[few > 4095] = 4000
    few[0, 0, 16, 16] = 4095
    few[..., 60, 30] = 4095
    findings = found(few.astype(np.uint16))
    assert findings["saturation"].verdict == "agrees" and findings["hot pixels"].found == "1"


def test_a_deeper_counter_than_expected_changes_the_manifest():
    """5000 counts do not fit 12 bits: the file decides for a deeper counter."""
    finding = found(discs(5000))["counter depth"]
    (decision,) = finding.decisions
    assert finding.verdict == "decided" and decision.value == 16 and 12 in decision.excludes


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


def test_real_numbers_are_not_taken_for_counts():
    """Scaled data say nothing about a counter, and that is what they say."""
    findings = found(discs(100).astype(np.float32) / 3)
    assert {findings[check].verdict for check in ("counter depth", "wrap-around", "saturation")} == {"cannot be told"}


def test_files_of_the_laboratory(realdata):
    """Its own .hspy is its .mib modulo 256; the .mib is not wrapped; the 6-bit direct beam stands at 63 in hundreds of pixels a pattern."""
    folder = realdata / "merlin_ntnu"
    look = inspect_scan(folder / "test_CL30cm.hspy", scan_shape=(1, 1))
    assert look["wrap-around"].wrong and "modulo 256" in look.contradictions[0]
    good = inspect_scan(folder / "test_CL30cm.mib", scan_shape=(1, 1))
    assert good.contradictions == [] and good["counter depth"].found == "largest count 125,336"
    finding = inspect_scan(folder / "001_4x2_6bit.mib")["saturation"]
    assert finding.verdict == "warning" and "at 63" in finding.found


def test_dead_pixels_of_the_chip_count_nothing_in_its_files(realdata):
    """The table of dead pixels is what both files of the detector show, in the orientation that the package calls "lab"."""
    frames = [open_scan(realdata / "merlin_ntnu" / name, scan_shape=shape, axes=AXES, check_counts=False).values.reshape(-1, 256, 256)
              for name, shape in (("test_CL30cm.mib", (1, 1)), ("001_4x2_6bit.mib", None))]  # fmt: skip
    for row, col in chip_dead_pixels():
        around = np.concatenate([frame[:, row - 2:row + 3, col - 2:col + 3] for frame in frames]).sum(0)
        assert around[2, 2] == 0 and np.delete(around.ravel(), 12).min() > 0
