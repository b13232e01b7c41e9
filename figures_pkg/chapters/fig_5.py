"""What the chapter on Fig. 5 alone needs: an ideal vortex, drawn, with a slider, and as states of the twin's patterns."""

import numpy as np
from matplotlib.axes import Axes

from figures_pkg.evaluate.walls import vortex_charges
from figures_pkg.interactive.page import piece
from figures_pkg.plotting import MINUS_P, PLUS_P
from figures_pkg.twin.domains import NEUTRAL_BELOW
from figures_pkg.twin.presets import Preset

DEGREES = range(0, 181, 15)  # of the slider; beyond half a turn all charges have the other sign
WITHOUT = "The slider needs JavaScript; the figure above shows four of its places."
ARROW = '<g transform="translate({:.1f} {:.1f})"><path data-turn="{}" d="M-11 0H7M3 -4L11 0L3 4" fill="none" style="stroke: var({})" stroke-width="2"/></g>'


def direction(degrees) -> np.ndarray:
    """Unit vectors (..., 2) as (y, x) at angles that count clockwise from the right."""
    return np.stack([np.sin(np.radians(degrees)), np.cos(np.radians(degrees))], axis=-1)


ENDS = direction(60 * np.arange(6))  # of the walls, clockwise from the right; +P lies before the first


def draw_vortex(ax: Axes, colours: list, widths, c_deg: float) -> None:
    """Draw six straight walls in their colours and widths, their numbers, and an arrow for the polarization in each domain."""
    for number, (end, colour, width) in enumerate(zip(ENDS, colours, widths)):
        ax.plot([0, end[1]], [0, end[0]], color=colour, lw=width, solid_capstyle="round")
        ax.text(*1.14 * end[::-1], str(number), ha="center", va="center", fontsize=8)
        place, sign = 0.72 * direction(60 * number + 30), -1 if number % 2 == 0 else 1  # the domain after the wall
        along = 0.17 * sign * direction(c_deg)
        style = {"arrowstyle": "->", "color": PLUS_P if sign > 0 else MINUS_P, "lw": 1.4}
        ax.annotate("", (place + along)[::-1], (place - along)[::-1], arrowprops=style)
    ax.set(xlim=(-1.25, 1.25), ylim=(1.25, -1.25), aspect="equal")
    ax.axis("off")


def vortex_slider(name: str = "vortex") -> str:
    """HTML of an ideal vortex, walls coloured by charge and by mirror variant, with a slider that turns c; a figure with four places stands above it."""
    panels = []
    for title, x, wall in (("by charge", -125, '<line data-wall="{}" {}/>'), ("by mirror variant", 125, '<line style="stroke: var({})" stroke-width="4" {}/>')):
        shapes = [f'<text y="-112" text-anchor="middle" font-weight="bold">{title}</text>']
        for number, end in enumerate(ENDS):
            reach, key = f'x2="{90 * end[1]:.1f}" y2="{90 * end[0]:.1f}"', number if "data" in wall else ("--first", "--second")[number % 2]
            (y, x_), minus = 62 * direction(60 * number + 30), number % 2 == 0
            shapes += [wall.format(key, reach), ARROW.format(x_, y, 180 if minus else 0, "--minus" if minus else "--plus"),
                       f'<text x="{102 * end[1]:.1f}" y="{102 * end[0] + 4:.1f}" text-anchor="middle">{number}</text>']  # fmt: skip
        panels.append(f'<g transform="translate({x} 0)" stroke-linecap="round">{"".join(shapes)}</g>')
    stage = (f'<div class="companion-control"><label for="{name}-c">c against wall 0</label><input type="range" id="{name}-c" data-part="c" '
             f'min="0" max="{len(DEGREES) - 1}" step="1" value="2"><output for="{name}-c"></output></div><svg viewBox="-245 -128 490 240" role="img" '
             f'aria-label="two vortices of six straight walls; the charge of each wall is written below">{"".join(panels)}</svg>'
             '<p aria-live="polite" data-part="said"></p>')  # fmt: skip
    charges = np.round(vortex_charges(ENDS, direction(DEGREES)), 3) + 0.0
    return piece("vortex", name, stage, {"degrees": list(DEGREES), "charges": charges.tolist(), "neutral": NEUTRAL_BELOW}, WITHOUT)


def on_walls(preset: Preset, c_deg: float, turn: int, inclination_deg: float) -> np.ndarray:
    """
    States (6, 11) of the twin's patterns with the probe on the walls of an ideal vortex, at the mean thickness and tilt of a preset.

    ``turn`` is the sense of the vortex: +1 where the phase of the trimerization grows clockwise, −1 for all mirror variants reversed.
    """
    specimen, charge, variant = preset.specimen, vortex_charges(ENDS, direction(c_deg)), turn * (-1) ** np.arange(6)
    normal_b = vortex_charges(ENDS, direction(c_deg + 90))  # b* is a quarter turn clockwise from c, and the normal the same
    row = [0.0, specimen.thickness_nm, specimen.tilt_b_mrad, specimen.tilt_c_mrad, 0.0, 0.0, 0.0, inclination_deg]
    return np.array([[*row, *wall] for wall in zip(charge, variant, normal_b)])
