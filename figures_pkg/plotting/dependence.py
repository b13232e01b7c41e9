"""What a number depends on, drawn: shaded families of curves, cones that begin to overlap, bars of an asymmetry."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from .maps import overbar
from .reflections import ORDERS
from .style import WALL


def family(ax: Axes, x: np.ndarray, curves: dict[str, np.ndarray], colour: str) -> None:
    """
    Draw curves of one quantity for several values of a parameter, from pale and dashed to dark.

    Parameters
    ----------
    ax
        Where to draw.
    x
        Shape (n,).
    curves
        Label -> values (n,), in the order of the parameter.
    colour
        Of the middle curve.
    """
    middle = len(curves) // 2
    for place, (label, values) in enumerate(curves.items()):
        dash = "-" if place == middle else ("--", ":")[place > middle]
        ax.plot(x, values, color=_shade(colour, place - middle), ls=dash, label=label)
    ax.axhline(0, color="0.4", lw=0.8)
    ax.set(ylim=(-1, 1), xlim=(x[0], x[-1]))


def _shade(colour: str, step: int) -> tuple:
    """The colour, mixed with white for negative steps and with black for positive ones."""
    mixed = np.array(to_rgb(colour)) + 0.4 * abs(step) * ((step < 0) - np.array(to_rgb(colour)))
    return tuple(np.clip(mixed, 0, 1))


def overlap_curves(ax: Axes, convergence_mrad: np.ndarray, discs: dict, counted: dict, limit_mrad: float) -> None:
    """
    Draw asymmetries over the half angle of the cone, the range in which discs overlap in grey.

    Parameters
    ----------
    ax
        Where to draw.
    convergence_mrad
        Shape (n,).
    discs
        Order l -> asymmetry of the sums over single discs, (n,), dashed: what theory alone can separate.
    counted
        Order l -> asymmetry of what detectors in the place of the discs count, (n,).
    limit_mrad
        Where discs touch.
    """
    ax.axvspan(limit_mrad, convergence_mrad[-1], color="0.92", lw=0)
    ax.text(limit_mrad * 1.04, 0.03, "discs overlap", transform=ax.get_xaxis_transform(), fontsize=8, color="0.35")
    for order, values in discs.items():
        ax.plot(convergence_mrad, values, color=ORDERS.get(order, WALL), ls="--", lw=1.1, label=f"A(00{order}), single discs")
    for order, values in counted.items():
        ax.plot(convergence_mrad, values, color=ORDERS.get(order, WALL), marker="o", ms=3, label=f"A(00{order}), counted")
    ax.axhline(0, color="0.4", lw=0.8)
    ax.set(xscale="log", xlim=(convergence_mrad[0], convergence_mrad[-1]), ylim=(-0.7, 0.7), xticks=[0.6, 1, 2, 4, 9])
    ax.set_xticks([], minor=True)
    ax.xaxis.set_major_formatter("{x:g}")


def asymmetry_bars(ax: Axes, values: dict[int, float], colour: str) -> None:
    """
    Draw asymmetries of 00l as horizontal bars from -1 to 1 with their numbers.

    Parameters
    ----------
    ax
        Where to draw.
    values
        Order l -> asymmetry.
    colour
        Of the bars.
    """
    names = [f"A({overbar(f'00{order}')})" for order in values]
    ax.barh(names, list(values.values()), color=colour, height=0.6)
    for row, value in enumerate(values.values()):
        ax.text(-0.97, row, f"{value:+.2f}".replace("-", "−"), va="center", fontsize=8)
    ax.axvline(0, color="0.2", lw=0.8)
    ax.set(xlim=(-1, 1), xticks=[])
    ax.spines[["bottom", "left"]].set_visible(False)
    ax.tick_params(left=False)
    ax.invert_yaxis()


def electrons_curves(ax: Axes, thickness_nm: np.ndarray, curves: dict, doses: dict[str, float]) -> None:
    """
    Draw how many electrons it takes to tell two states apart, over thickness.

    Parameters
    ----------
    ax
        Where to draw.
    thickness_nm
        Shape (n,).
    curves
        Label -> (electrons (n,), colour).
    doses
        Label -> electrons, drawn as a dotted line.
    """
    for label, (electrons, colour) in curves.items():
        ax.plot(thickness_nm, electrons, color=colour, label=label)
    for label, electrons in doses.items():
        ax.axhline(electrons, color="0.35", ls=":", lw=1.2)
        ax.text(thickness_nm[-1], electrons, label, ha="right", va="bottom", fontsize=8, color="0.35")
    ax.set(yscale="log", xlabel="thickness (nm)", ylabel="electrons for 5σ", xlim=(thickness_nm[0], thickness_nm[-1]))
