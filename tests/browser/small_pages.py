"""Pages around the pieces of the package."""

from pathlib import Path

import numpy as np

from figures_pkg.interactive.frames import Axis, Bar, Panel


def plain_page(body: str, path: Path) -> Path:
    path.write_text(f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>a piece</title>"
                    f"<meta name='viewport' content='width=device-width'></head><body><main><h1>A piece</h1>{body}</main></body></html>", encoding="utf-8")
    return path


def slider_parts():
    """Six frames on two sliders, with two panels, one of them turned, and one bar that can be counted."""
    frames = np.random.default_rng(2).random((6, 7, 5)) ** 4 * 1e-3
    index = np.arange(6).reshape(2, 3)
    panels = [Panel("+P", index, colour="#c1272d"), Panel("−P", index[:, ::-1], turned=True)]
    windows = ((1.0, 2.0, 1.2), (5.0, 2.0, 1.2))
    row, col = np.indices((7, 5))
    sums = [frames[:, np.hypot(row - r, col - c) <= radius].sum(axis=1) for r, c, radius in windows]
    plus = ((sums[0] - sums[1]) / (sums[0] + sums[1])).reshape(2, 3)
    axes = [Axis("thickness", "nm", (10.0, 75.0), 1), Axis("tilt", "mrad", (-0.5, 0.0, 0.5), 1)]
    return frames, axes, panels, [Bar("A(004)", np.stack([plus, -plus[:, ::-1]]), windows)]
