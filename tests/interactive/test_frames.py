"""Sliders over pictures: self-contained HTML whose data, tables and script say the same numbers."""

import base64
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from figures_pkg.interactive.frames import Axis, Bar, Panel, decode, encode, frame_slider, signed

pytestmark = pytest.mark.process

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
NODE = shutil.which("node")
QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--virtual-time-budget=8000", "--dump-dom"]  # fmt: skip


class Page(HTMLParser):
    """Tags left open, attributes of all tags, and texts by tag."""

    VOID = {"input", "meta"}

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.texts = [], [], {}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)


def parts():
    """Six frames on two sliders, with two panels, one of them turned, and one bar that can be counted."""
    frames = np.random.default_rng(2).random((6, 7, 5)) ** 4 * 1e-3
    index = np.arange(6).reshape(2, 3)
    panels = [Panel("+P", index, colour="#c1272d"), Panel("−P", index[:, ::-1], turned=True)]
    windows = ((1.0, 2.0, 1.2), (5.0, 2.0, 1.2))
    row, col = np.indices((7, 5))
    sums = [frames[:, np.hypot(row - r, col - c) <= radius].sum(axis=1) for r, c, radius in windows]
    plus = ((sums[0] - sums[1]) / (sums[0] + sums[1])).reshape(2, 3)
    bar = Bar("A(004)", np.stack([plus, -plus[:, ::-1]]), windows)
    axes = [Axis("thickness", "nm", (10.0, 75.0), 1), Axis("tilt", "mrad", (-0.5, 0.0, 0.5), 1)]
    return frames, axes, panels, [bar]


@pytest.fixture(scope="module")
def html():
    """One set of sliders with a dose."""
    return frame_slider(*parts(), doses=(0, 10**6, 1000), name="dials")


def stored(html):
    """The JSON inside."""
    return json.loads(re.search(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)[1])


def test_nothing_is_fetched(html):
    """No address, no import, no source: the page needs no other file and no network."""
    assert not re.search(r"(https?:)?//[a-z0-9-]+\.[a-z]", html, re.IGNORECASE)
    assert not re.search(r"\b(src|href|srcset)\s*=|@import|url\(|\bfetch\(|XMLHttpRequest|\bimport\b", html)


def test_html_is_balanced_and_every_slider_has_a_label(html):
    """Tags close; sliders are native, named, and bounded by their values; what they do is read out; ids occur once."""
    page = Page(html)
    assert page.open == []
    sliders = [attrs for tag, attrs in page.tags if tag == "input"]
    assert [(one["max"], one["value"]) for one in sliders] == [("1", "1"), ("2", "1"), ("2", "0")]
    assert {one["type"] for one in sliders} == {"range"}
    labels = {attrs["for"] for tag, attrs in page.tags if tag == "label"}
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert labels == {one["id"] for one in sliders} and len(ids) == len(set(ids))
    assert any(attrs.get("aria-live") == "polite" for _, attrs in page.tags)
    assert all("aria-label" in attrs for tag, attrs in page.tags if tag == "canvas")
    assert 'class="companion-stage" hidden' in html and "<noscript><p>" in html  # nothing empty where scripts are off


def test_frames_and_bars_come_back_from_the_page(html):
    """Frames to half a step of the square root, bars to four decimals, panels and axes exactly."""
    frames, axes, panels, bars = parts()
    data = stored(html)
    codes = np.frombuffer(base64.b64decode(data["codes"]), np.uint8).reshape(-1, *data["shape"])
    back = decode(codes, np.array(data["scales"]))
    top = np.sqrt(frames.max(axis=(1, 2), keepdims=True))
    assert (np.abs(np.sqrt(back) - np.sqrt(frames)) <= top * (0.5 / 255 + 1e-5)).all()
    np.testing.assert_allclose(data["bars"][0]["values"], bars[0].values.reshape(2, -1), atol=5.1e-5)
    assert [p["frames"] for p in data["panels"]] == [panel.frames.ravel().tolist() for panel in panels]
    assert [tuple(a["values"]) for a in data["axes"]] == [axis.values for axis in axes] and data["doses"] == [0, 10**6, 1000]


def test_tables_hold_the_bars(html):
    """Each cell of the fold-out is the number of the array with two decimals, in its order, and each table has a caption."""
    cells = [text for text in Page(html).texts["td"] if text.strip()]
    assert cells == [signed(value) for value in parts()[3][0].values.ravel()]
    captions = [f"A(004) of {panel}; rows: thickness (nm), columns: tilt (mrad)" for panel in ("+P", "−P")]
    assert Page(html).texts["caption"] == captions


def test_signs_are_written_as_the_script_writes_them():
    """A number that rounds to zero is +0.00."""
    assert [signed(x) for x in (-0.004, 0.004, -0.006, -1)] == ["+0.00", "+0.00", "−0.01", "−1.00"]


@given(arrays(np.float64, (2, 3, 4), elements=st.floats(0, 1e6)))
def test_the_code_is_finer_than_counting_noise(counts):
    """Up to 10⁴ counts in the brightest pixel a decoded number is within 0.45 standard deviations, or half a count."""
    counts = counts / max(counts.max() / 1e4, 1)
    codes, scales = encode(counts)
    error = np.abs(decode(codes, scales) - counts)
    assert (error <= np.maximum(0.45 * np.sqrt(counts), 0.5)).all()


def test_plain_frames_need_one_axis_only():
    """A sweep of one slider, as of a decoder: no bars, no table, no dose."""
    html = frame_slider(np.ones((3, 2, 2)), [Axis("value", "", (-1, 0, 1))])
    assert html.count("<input") == 1 and "<details>" not in html and "new noise" not in html
    assert stored(html)["panels"][0]["frames"] == [0, 1, 2]


def test_a_panel_can_have_colours_of_its_own():
    """A signed panel has its palette and ends, the other those of the slider; zero is drawn in the middle of the palette."""
    frames = np.stack([np.ones((2, 2)), np.exp([[-1.0, 0.0], [0.5, 1.0]])])
    panels = [Panel("pattern", np.array([0])), Panel("difference", np.array([1]), cmap="RdBu_r", limits=(float(np.exp(-1)), float(np.exp(1))))]
    plain, signed_panel = stored(frame_slider(frames, [Axis("channel", "", (0,))], panels))["panels"]
    assert plain["colours"] != signed_panel["colours"] and plain["high"] == pytest.approx(frames.max())
    low, high = np.log([signed_panel["low"], signed_panel["high"]])
    places = (np.log(frames[1]) - low) / (high - low)
    np.testing.assert_allclose(places, [[0, 0.5], [0.75, 1]], atol=1e-12)


def test_names_differ_and_text_cannot_end_the_script():
    """Two sliders on one page share no id, and a title with markup is escaped."""
    first, second = (frame_slider(np.ones((2, 2, 2)), [Axis("</script><b>", "", (0, 1))]) for _ in range(2))
    assert "</script><b>" not in first
    names = [re.search(r'<div id="([^"]+)"', text)[1] for text in (first, second)]
    assert names[0] != names[1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frames": -np.ones((6, 7, 5))}, "without negative pixels"),
        ({"frames": np.full((6, 7, 5), np.nan)}, "finite pictures"),
        ({"panels": None, "frames": np.ones((5, 7, 5)), "bars": ()}, "one frame for each place"),
        ({"panels": [Panel("x", np.full((2, 3), 9))], "bars": ()}, "below 6"),
        ({"bars": [Bar("A", np.zeros((2, 3)))]}, "numbers from -1 to 1"),
        ({"bars": [Bar("A", np.full((2, 2, 3), 2.0))]}, "numbers from -1 to 1"),
        ({"bars": [Bar("A", np.zeros((2, 2, 3)), ((0, 0, 1),))]}, "two windows"),
        ({"panels": [Panel("x", np.zeros((2, 3), int), limits=(1.0, 1.0))], "bars": ()}, "0 < low < high"),
        ({"doses": (10**12,)}, "brightest pixel"),
        ({"doses": (-1,)}, "brightest pixel"),
    ],
)
def test_parts_that_do_not_fit_are_refused(change, message):
    """Negative or missing pixels, wrong shapes, doses no browser counts: one clear error each."""
    whole = dict(zip(("frames", "axes", "panels", "bars"), parts()))
    with pytest.raises(ValueError, match=message):
        frame_slider(**whole | change)


@pytest.mark.skipif(NODE is None, reason="node is not installed")
def test_noise_is_poisson_and_repeatable():
    """At means from 0.01 to 1000 the browser's counts have Poisson mean and variance; the same key gives the same counts."""
    code = f"""const noise = ({files("figures_pkg.interactive").joinpath("noise.js").read_text(encoding="utf-8")})();
    const draw = (mean, ...key) => {{ noise.seed(...key); return Array.from({{length: 20000}}, () => noise.poisson(mean)); }};
    console.log(JSON.stringify({{draws: [0, 0.01, 1, 15, 17, 1000].map((mean) => [mean, draw(mean, 1, 1, 0, 3, 2)]),
      same: JSON.stringify(draw(3, 1, 2)) === JSON.stringify(draw(3, 1, 2)),
      other: JSON.stringify(draw(3, 1, 2)) === JSON.stringify(draw(3, 1, 3)),
      uniform: (noise.seed(5), Array.from({{length: 20000}}, noise.uniform))}}));"""
    found = json.loads(subprocess.run([NODE, "-e", code], capture_output=True, text=True, check=True).stdout)
    for mean, counts in found["draws"]:
        error = np.sqrt(mean / 20000)
        assert abs(np.mean(counts) - mean) <= 4 * error
        assert abs(np.var(counts) - mean) <= 5 * np.sqrt((mean + 2 * mean**2) / 20000)
    uniform = np.array(found["uniform"])
    assert found["same"] and not found["other"] and 0 <= uniform.min() and uniform.max() < 1
    assert np.histogram(uniform, 10, (0, 1))[0].min() > 1800 and abs(np.corrcoef(uniform[1:], uniform[:-1])[0, 1]) < 0.03


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium to run the page")
def test_the_page_shows_the_numbers_of_the_arrays(html, tmp_path):
    """In a browser: the read-out after moving all three sliders has the values of that place, and a count within 5 sigma."""
    moves = "document.querySelectorAll('input').forEach((s, i) => {"
    moves += "s.value = [0, 2, 1][i]; s.dispatchEvent(new Event('input')); });"
    page = tmp_path / "page.html"
    page.write_text(f"<!doctype html><meta charset='utf-8'><body>{html}<script>{moves}</script></body>", encoding="utf-8")
    words = [CHROMIUM, *QUIET, f"--user-data-dir={tmp_path / 'profile'}", page.as_uri()]
    shown = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True).stdout
    status = re.search(r'class="frames-status">(.*?)</p>', shown)[1]
    values = parts()[3][0].values[:, 0, 2]
    numbers = ", ".join(f"A(004) of {name} {signed(value)}" for name, value in zip(("+P", "−P"), values))
    assert status == f"thickness 10 nm, tilt 0.5 mrad, 1,000,000 electrons: {numbers}."
    counted = re.findall(r"counted ([+−])([\d.]+) ± ([\d.]+)", shown)
    assert len(counted) == 2
    for (sign, number, sigma), value in zip(counted, values):
        assert abs(float(number) * (1 if sign == "+" else -1) - value) <= 5 * float(sigma) + 0.02
    assert '<div class="companion-stage">' in shown and not list(Path(tmp_path).glob("*.png"))
