"""Sliders and blinking pictures: self-contained HTML whose data, tables and pictures say the numbers of the arrays."""

import base64
import io
import json
import re

import matplotlib.image
import numpy as np
import pytest
from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from small_pages import slider_parts

from figures_pkg.interactive.frames import LEVELS, Axis, Bar, Panel, encode, frame_slider, signed
from figures_pkg.interactive.page import Picture, blink


@pytest.fixture(scope="module")
def html():
    return frame_slider(*slider_parts(), doses=(0, 10**6, 1000), name="dials")


def pair(**change):
    first = {"title": "simulated", "values": np.arange(6.0).reshape(2, 3), "alt": "a ramp", "limits": (0, 5), "cmap": "gray"}
    return Picture(**first), Picture(**first | {"title": "measured"} | change)


def stored(html):
    return json.loads(re.search(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)[1])


@pytest.mark.parametrize("write", [lambda title: frame_slider(np.ones((2, 2, 2)), [Axis(title, "", (0, 1))]), lambda title: blink(*pair(title=title))])
def test_names_differ_and_text_cannot_end_the_script(write):
    texts = [write("</script><b>") for _ in range(2)]
    assert "</script><b>" not in texts[0]
    assert len({re.search(r'<div id="([^"]+)"', text)[1] for text in texts}) == 2


def decode(codes, scales):
    return scales[:, None, None] * (codes / LEVELS) ** 2


def test_frames_and_bars_come_back_from_the_page(html):
    """Frames to half a step of the square root, bars to four decimals, panels and axes exactly; the tables show two decimals."""
    frames, axes, panels, bars = slider_parts()
    data = stored(html)
    codes = np.frombuffer(base64.b64decode(data["codes"]), np.uint8).reshape(-1, *data["shape"])
    back = decode(codes, np.array(data["scales"]))
    top = np.sqrt(frames.max(axis=(1, 2), keepdims=True))
    assert (np.abs(np.sqrt(back) - np.sqrt(frames)) <= top * (0.5 / 255 + 1e-5)).all()
    np.testing.assert_allclose(data["bars"][0]["values"], bars[0].values.reshape(2, -1), atol=5.1e-5)
    assert [p["frames"] for p in data["panels"]] == [panel.frames.ravel().tolist() for panel in panels]
    assert [tuple(a["values"]) for a in data["axes"]] == [axis.values for axis in axes] and data["doses"] == [0, 10**6, 1000]
    tables = BeautifulSoup(html, "html.parser").select(".frames-scroll table")
    assert [table.caption.text for table in tables] == [f"A(004) of {panel}; rows: thickness (nm), columns: tilt (mrad)" for panel in ("+P", "−P")]
    shown = [cell.text for table in tables for cell in table.tbody.find_all("td")]
    assert shown == [signed(value) for value in bars[0].values.ravel()]
    assert [signed(x) for x in (-0.004, 0.004, -0.006, -1)] == ["+0.00", "+0.00", "−0.01", "−1.00"]


@given(arrays(np.float64, (2, 3, 4), elements=st.floats(0, 1e6)))
def test_the_code_is_finer_than_counting_noise(counts):
    """Up to 10⁴ counts in the brightest pixel a decoded number is within 0.45 standard deviations, or half a count."""
    counts = counts / max(counts.max() / 1e4, 1)
    error = np.abs(decode(*encode(counts)) - counts)
    assert (error <= np.maximum(0.45 * np.sqrt(counts), 0.5)).all()


@pytest.mark.parametrize(("change", "message"), [
    ({"frames": -np.ones((6, 7, 5))}, "without negative pixels"),
    ({"frames": np.full((6, 7, 5), np.nan)}, "finite pictures"),
    ({"panels": None, "frames": np.ones((5, 7, 5)), "bars": ()}, "one frame for each place"),
    ({"panels": [Panel("x", np.full((2, 3), 9))], "bars": ()}, "below 6"),
    ({"bars": [Bar("A", np.zeros((2, 3)))]}, "numbers from -1 to 1"),
    ({"bars": [Bar("A", np.zeros((2, 2, 3)), ((0, 0, 1),))]}, "two windows"),
    ({"panels": [Panel("x", np.zeros((2, 3), int), limits=(1.0, 1.0))], "bars": ()}, "0 < low < high"),
    ({"doses": (10**12,)}, "brightest pixel"),
])  # fmt: skip
def test_parts_that_do_not_fit_are_refused(change, message):
    whole = dict(zip(("frames", "axes", "panels", "bars"), slider_parts()))
    with pytest.raises(ValueError, match=message):
        frame_slider(**whole | change)


def test_pixels_of_a_picture_have_the_colours_of_their_values():
    """Linear and logarithmic, one pixel for each value, what is beyond the limits drawn like the ends. A signed panel of a slider has its palette
    and ends, the other those of the slider; zero is drawn in the middle of the palette."""
    frames = np.stack([np.ones((2, 2)), np.exp([[-1.0, 0.0], [0.5, 1.0]])])
    panels = [Panel("pattern", np.array([0])), Panel("difference", np.array([1]), cmap="RdBu_r", limits=(float(np.exp(-1)), float(np.exp(1))))]
    plain, signed_panel = stored(frame_slider(frames, [Axis("channel", "", (0,))], panels))["panels"]
    low, high = np.log([signed_panel["low"], signed_panel["high"]])
    assert plain["colours"] != signed_panel["colours"] and plain["high"] == pytest.approx(frames.max())
    np.testing.assert_allclose((np.log(frames[1]) - low) / (high - low), [[0, 0.5], [0.75, 1]], atol=1e-12)
    html = blink(*pair(values=10.0 ** np.arange(6).reshape(2, 3), limits=(10, 1000), logarithmic=True))
    found = re.findall(r"base64,([A-Za-z0-9+/=]+)", html)
    linear, logarithmic = (matplotlib.image.imread(io.BytesIO(base64.b64decode(text)), format="png")[..., 0] for text in found)
    np.testing.assert_allclose(linear, np.arange(6).reshape(2, 3) / 5, atol=0.003)
    np.testing.assert_allclose(logarithmic, [[0, 0, 0.5], [1, 1, 1]], atol=0.003)


@pytest.mark.parametrize(("change", "message"), [
    ({"values": np.zeros((3, 2))}, r"shapes \(2, 3\) and \(3, 2\)"), ({"values": np.full((2, 3), np.nan)}, "missing values"),
    ({"limits": (1, 1)}, "low < high"), ({"logarithmic": True}, "positive on a logarithm"),
])  # fmt: skip
def test_pictures_that_cannot_be_laid_on_each_other_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        blink(*pair(**change))
