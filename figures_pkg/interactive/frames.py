"""Sliders over precomputed pictures: one self-contained piece of HTML that needs no network and no kernel."""

import base64
from dataclasses import dataclass, field
from itertools import count

import numpy as np

from .frame_parts import bar_rows, colour_codes, control_rows, panel_figures, value_tables
from .page import piece

LEVELS = 255  # of the stored square roots
_numbers = count(1)
WITHOUT = "The sliders need JavaScript; the figure and the table on this page hold the same numbers."


@dataclass(frozen=True)
class Axis:
    """A slider: its name, its unit, its values in the order of the slider, and the index at which it starts."""

    name: str
    unit: str
    values: tuple
    start: int = 0


@dataclass(frozen=True)
class Panel:
    """A picture beside others.

    Attributes
    ----------
    title : str
    frames : int array
        Index of the frame for every place of the sliders, one dimension for each axis.
    turned : bool
        Whether the frames are shown turned by 180 degrees.
    colour : str
        Of the title and the bars.
    cmap : str
        A colour map of its own; by default that of the slider.
    limits : pair of floats
        Ends of its colours, positive; by default those of the slider.
    """

    title: str
    frames: np.ndarray
    turned: bool = False
    colour: str = "#3d3d3d"
    cmap: str = ""
    limits: tuple = ()


SIGNED = {"cmap": "RdBu_r", "limits": (float(np.exp(-1)), float(np.exp(1)))}  # of a panel of signed_frames


@dataclass(frozen=True)
class Bar:
    """A number between -1 and 1 for each panel and place of the sliders, shown as a bar.

    Attributes
    ----------
    name : str
    values : array, shape (panels, one length for each axis)
    windows : pair of (row, col, radius) in px, optional
        Where to count it in noisy pictures: the difference of both windows over their sum.
    floors : array, shape (frames,), optional
        Background in one window as a share of the beam, taken off before.
    """

    name: str
    values: np.ndarray
    windows: tuple = ()
    floors: np.ndarray = field(default_factory=lambda: np.zeros(0))


def frame_slider(
    frames, axes, panels=None, bars=(), doses=(), *, low=None, cmap="magma", seed=1, note="", zoom=4, name=None
) -> str:
    """
    Write sliders over a stack of pictures as HTML.

    The pictures are stored as 8-bit square roots, each scaled to its largest pixel: the step of the code is then below the
    Poisson noise up to about 10^4 counts in the brightest pixel. Colours are logarithmic. With `doses`, a further slider
    draws Poisson counts in the browser (Marsaglia's xorshift128, seeded from `seed`, the number of the draw, the panel and
    the place of the sliders, so that the same place shows the same noise until "new noise" is pressed). Every slider is a
    native one with a label; what it shows is read out. Without JavaScript a sentence points to the figure, which must stand
    on the same page, and the table of the bars stays.

    Parameters
    ----------
    frames
        Not negative, shape ``(n, h, w)``; with `doses`, shares of the incident beam per pixel.
    axes
        One to four :class:`Axis`.
    panels
        :class:`Panel` side by side; by default one without a title that shows frame after frame, the last axis fastest.
    bars
        :class:`Bar` below the pictures.
    doses
        Electrons; 0 means without noise.
    low
        Lower end of the colours; by default 5e-4 of the largest pixel.
    cmap
        A colour map of matplotlib.
    seed
        Of the noise.
    note
        A sentence below the pictures, as HTML.
    zoom
        Size of a pixel on the page.
    name
        The element's id; by default ``frames-1``, ``frames-2``, …

    Returns
    -------
    str
        HTML for ``IPython.display.HTML``; four thirds of a byte for each pixel of `frames`.

    Raises
    ------
    ValueError
        When frames are negative or not finite, or when the parts do not fit one another.

    Examples
    --------
    >>> page = frame_slider(np.ones((3, 2, 2)), [Axis("value of the channel", "", (-1, 0, 1))], name="sweep")
    >>> 'type="range"' in page and "http" not in page
    True
    """
    frames, axes, name = np.asarray(frames, np.float32), list(axes), name or f"frames-{next(_numbers)}"
    shape = tuple(len(axis.values) for axis in axes)
    panels = [Panel("", _default_index(frames, shape))] if panels is None else list(panels)
    _check(frames, shape, panels, bars, doses)
    high = float(frames.max()) or 1.0
    data = slider_data(frames, axes, panels, bars, doses, low or 5e-4 * high, cmap, seed)
    stage = [control_rows(name, axes, doses), f'<div class="frames-panels">{panel_figures(panels, frames.shape[1:], zoom)}</div>']
    stage += [bar_rows(panels, bars), f'<p aria-live="polite" class="frames-status"></p><p>{note}</p>']
    return piece("frames", name, "\n".join(stage), data, WITHOUT, more=("noise.js",), after=value_tables(axes, panels, bars))


def signed_frames(differences, limit: float) -> np.ndarray:
    """
    Pictures of both signs as frames for a ``Panel(..., **SIGNED)``: red above zero, white at zero, blue below.

    Colours of a slider are logarithmic, so the exponential of a difference is drawn linearly in the difference.

    Parameters
    ----------
    differences
        Any shape.
    limit
        The difference at the ends of the colours, positive; what is beyond is drawn like it.

    Examples
    --------
    >>> signed_frames(np.array([-9.0, 0.0, 3.0]), 3.0).round(3)
    array([0.368, 1.   , 2.718])
    """
    if not limit > 0:
        raise ValueError(f"limit is {limit}; expected the positive difference at the ends of the colours")
    return np.exp(np.clip(np.asarray(differences, float) / limit, -1, 1))


def slider_data(frames, axes, panels, bars, doses, low, cmap, seed) -> dict:
    """What the script draws: codes and scales of the frames, colours, axes, panels, bars, doses; see :func:`frame_slider`."""
    codes, scales = encode(frames)
    high = float(frames.max()) or 1.0
    looks = [(panel.limits or (low, high), colour_codes(panel.cmap or cmap)) for panel in panels]
    return {
        "shape": list(frames.shape[1:]),
        "codes": base64.b64encode(codes.tobytes()).decode(),
        "scales": [float(f"{scale:.6g}") for scale in scales],
        "axes": [{"name": a.name, "unit": a.unit, "values": [_plain(v) for v in a.values], "start": a.start} for a in axes],
        "panels": [_panel_data(panel, *look) for panel, look in zip(panels, looks, strict=True)],
        "bars": [_bar_data(bar, len(panels), len(frames)) for bar in bars],
        "doses": [int(dose) for dose in doses],
        "seed": int(seed),
    }


def encode(frames) -> tuple[np.ndarray, np.ndarray]:
    """Eight-bit square roots of frames (n, h, w), relative to the largest pixel of each, and these largest pixels (n,)."""
    scales = frames.max(axis=(1, 2)).astype(float)
    relative = frames / np.where(scales > 0, scales, 1)[:, None, None]
    return np.round(LEVELS * np.sqrt(relative)).astype(np.uint8), scales


def decode(codes, scales) -> np.ndarray:
    """Frames from what :func:`encode` gave, as the script reads them."""
    return scales[:, None, None] * (codes / LEVELS) ** 2


def _bar_data(bar: Bar, panels: int, frames: int) -> dict:
    """A bar with four decimals."""
    values = np.round(np.reshape(bar.values, (panels, -1)), 4).tolist()
    floors = np.asarray(bar.floors, float) if np.size(bar.floors) else np.zeros(frames)
    windows = [list(map(float, window)) for window in bar.windows]
    return {"name": bar.name, "values": values, "windows": windows, "floors": [float(f"{x:.5g}") for x in floors]}


def _panel_data(panel: Panel, limits: tuple, colours: str) -> dict:
    """A panel with its colours and their ends."""
    look = {"low": float(limits[0]), "high": float(limits[1]), "colours": colours}
    return {"title": panel.title, "turned": bool(panel.turned), "frames": np.ravel(panel.frames).tolist()} | look


def _default_index(frames, shape):
    if len(frames) != np.prod(shape, dtype=int):
        raise ValueError(f"{len(frames)} frames do not fill sliders of {shape} places; give one frame for each place, or panels")
    return np.arange(len(frames)).reshape(shape)


def _check(frames, shape, panels, bars, doses) -> None:
    """Refuse parts that do not fit one another."""
    if frames.ndim != 3 or not frames.size or not np.isfinite(frames).all() or frames.min() < 0:
        raise ValueError(f"frames have shape {frames.shape}; expected finite pictures (n, h, w) without negative pixels")
    for panel in panels:
        index = np.asarray(panel.frames)
        if index.shape != shape or index.min() < 0 or index.max() >= len(frames):
            raise ValueError(f"panel {panel.title!r} has indices {index.shape}; expected some below {len(frames)} of shape {shape}")
        if panel.limits and not 0 < panel.limits[0] < panel.limits[1]:
            raise ValueError(f"panel {panel.title!r} has colours from {panel.limits[0]} to {panel.limits[1]}; expected 0 < low < high")
    for bar in bars:
        expected = (len(panels), *shape)
        if np.shape(bar.values) != expected or not (np.abs(bar.values) <= 1).all():
            raise ValueError(f"bar {bar.name!r} has shape {np.shape(bar.values)}; expected numbers from -1 to 1, {expected}")
        if np.size(bar.floors) not in (0, len(frames)) or len(bar.windows) not in (0, 2):
            raise ValueError(f"bar {bar.name!r} needs two windows and one floor for each of the {len(frames)} frames, or none")
    if any(dose < 0 or dose * frames.max() > 1e6 for dose in doses):
        raise ValueError(f"doses are {list(doses)}; expected numbers from 0 up to 10^6 counts in the brightest pixel")


def _plain(value):
    """A number or word as JSON writes it shortest."""
    return value if isinstance(value, str) else float(f"{value:.6g}") if value % 1 else int(value)
