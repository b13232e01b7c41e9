"""A table of diffracted intensities for one crystal state, from our multislice or from abTEM's.

The question is that of Fig. 4b of Ludacka et al., npj Comput. Mater. 10 (2024), doi 10.1038/s41524-024-01265-y, which was answered there with
py_multislice; the paper states a thickness of 75 nm, and neither tilt nor thermal motion.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.fft import next_fast_len

from figures_pkg.crystal.structure import ermno3
from figures_pkg.crystal.zone import read_crystal
from figures_pkg.diffraction.multislice import crystal_stack, frequencies, make_stack, propagate
from figures_pkg.workspace import replacing

from . import abtem_engine
from .library import reflections

STATES = {"+P": 1, "-P": -1, "−P": -1}
ENGINES = {"library": ("none", "average"), "abtem": ("none", "average", "phonons")}
SLICES = 6  # the layers of ErMnO3 along [100]; 12 change intensities by less than 2e-6
KMAX_INV_ANGSTROM = {"average": 6.8, "none": 13.6, "phonons": 9.2}  # edge of the grid (see `simulate`, Notes)
TILT_LIMIT_MRAD = 50.0  # beyond, the periodic small-angle propagator is no longer what it claims to be


def simulate(state, thickness_nm, tilt_mrad=(0.0, 0.0), crystal=None, engine="library", thermal="average", *,
             energy_kev=200.0, g_max_inv_angstrom=1.5, configurations=8, seed=0, kmax_inv_angstrom=None):
    """Intensities of the reflections 0kl of one domain for a plane wave along [100], by thickness.

    Parameters
    ----------
    state : str
        "+P" (up-up-down) or "-P" (down-down-up).
    thickness_nm : float or sequence of float
        Rounded to whole periods along the beam (0.6112 nm for ErMnO3); the table holds the rounded values.
    tilt_mrad : tuple of float
        Beam tilt along b* and along c, each within 50 mrad. A negative tilt along c excites reflections with l > 0.
    crystal : str or Path, optional
        CIF of space group P6_3cm in either polarization; by default the built-in ErMnO3.
    engine : str
        "library", the multislice behind our library, here at exactly this tilt; or "abtem".
    thermal : str
        "average": thermally averaged transmission, exact for the coherent beams of independent vibrations; both
        engines propagate through the same slices. "none": atoms at rest, in the library engine placed exactly, in abTEM by
        its own potential. "phonons": abTEM's frozen phonons, coherent part, `configurations` of them drawn from `seed`.
    kmax_inv_angstrom : float, optional
        Edge of the grid in reciprocal space; by default 6.8 for the thermal average, 13.6 at rest, 9.2 for phonons.

    Returns
    -------
    table : pandas.DataFrame
        Columns h, k, l, thickness_nm and intensity (fraction of the incident beam), for phonons also its standard error
        intensity_error. ``table.attrs`` names engine, thermal, state, tilt, energy and grid, and by thickness
        kept_intensity (sum over all beams of the grid), in_table (sum of the column) and lost_to_band_limit.

    Notes
    -----
    Against twelve slices on a grid 1.5 times as fine the thermal average is converged to 2e-5 of the beam up to 100 nm.
    Atoms at rest scatter much further: at the default grid intensities are right to 0.001 at 75 nm and a twentieth of the
    beam leaves the grid, as `lost_to_band_limit` states. With vibrations that entry compares runs with and without the cut.
    """
    if state not in STATES:
        raise ValueError(f"state is {state!r}; expected '+P' (up-up-down) or '-P' (down-down-up)")
    if engine not in ENGINES:
        raise ValueError(f"engine is {engine!r}; expected one of {', '.join(ENGINES)}")
    if thermal not in ENGINES[engine]:
        raise ValueError(f"engine {engine!r} has no thermal={thermal!r}; it offers {', '.join(ENGINES[engine])}")
    if thermal == "phonons" and configurations < 2:
        raise ValueError(f"configurations is {configurations}; the coherent part of frozen phonons needs at least 2")
    tilt = tuple(np.atleast_1d(np.asarray(tilt_mrad, float)).tolist())
    if np.shape(tilt) != (2,) or not (np.abs(tilt) <= TILT_LIMIT_MRAD).all():
        raise ValueError(f"tilt_mrad is {tilt_mrad!r}; expected two numbers, along b* and c, each within {TILT_LIMIT_MRAD:g} mrad")
    atoms = ermno3(STATES[state]) if crystal is None else read_crystal(crystal, STATES[state], needs_displacements=thermal != "none")
    asked = np.atleast_1d(np.asarray(thickness_nm, float))
    if asked.ndim != 1 or not asked.size or not (np.isfinite(asked) & (asked >= atoms.period_nm / 2)).all():
        raise ValueError(f"thickness_nm is {thickness_nm!r}; expected positive numbers of at least half a period along the beam, "
                         f"{atoms.period_nm / 2:.3f} nm")
    periods, hkl = np.unique(np.round(asked / atoms.period_nm).astype(int)), reflections(atoms, g_max_inv_angstrom)[0]
    reach = kmax_inv_angstrom or KMAX_INV_ANGSTROM[thermal]
    gpts = tuple(2 * next_fast_len(int(np.ceil(reach * length)), real=True) for length in atoms.cell_angstrom[1:])
    extra = {"configurations": configurations, "seed": seed} if thermal == "phonons" else {}
    found = _intensities(engine, thermal, atoms, gpts, energy_kev, tilt, periods, hkl[:, 1:] * atoms.orders_per_index, **extra)
    notes = {"state": state, "engine": engine, "thermal": thermal, "tilt_b_mrad": tilt[0], "tilt_c_mrad": tilt[1]}
    notes |= {"energy_kev": energy_kev, "crystal": str(crystal or "ErMnO3, built in"), "gpts": gpts, "slices_per_period": SLICES}
    return _table(hkl, periods * atoms.cell_angstrom[0] / 10, found, notes | extra | {"asked_thickness_nm": asked.tolist()})


def write_table(table, path):
    """Write a table of `simulate` as CSV, its attributes as leading comment lines (``pandas.read_csv(path, comment="#")``)."""
    path = Path(path)
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.writelines(f"# {name}: {value}\n" for name, value in table.attrs.items())
        table.to_csv(file, index=False, float_format="%.7g")
    return path


def _intensities(engine, thermal, atoms, gpts, energy_kev, tilt_mrad, periods, reflections, **phonons):
    """Intensities (t, n), by thickness the sum over all beams and what the cut of beams took; for phonons also errors."""
    if engine == "abtem" and thermal != "average":  # in abTEM's own potential
        job = (atoms, gpts, SLICES, energy_kev, tilt_mrad, periods.tolist(), reflections)
        *found, kept = abtem_engine.frozen_phonons(*job, **phonons) if thermal == "phonons" else abtem_engine.at_rest(*job)
        return dict(zip(("intensity", "intensity_error"), found)) | {"kept_intensity": kept, "lost_to_band_limit": 1 - kept}
    if thermal == "none":
        stack = crystal_stack(replace(atoms, u_iso=np.zeros_like(atoms.u_iso)), gpts, SLICES, energy_kev)
        kb, kc = frequencies(gpts, stack.cell_angstrom)
        edge = min(n / length for n, length in zip(gpts, stack.cell_angstrom, strict=True)) / 2
        aperture = np.hypot(kb, kc) < 2 / 3 * edge  # phase gratings need a margin of a third against aliasing
        beams = _all_beams(make_stack(stack.transmission, stack.cell_angstrom, stack.slice_angstrom, energy_kev, aperture), tilt_mrad, periods)
        lost = 1 - beams.sum(axis=(1, 2))
    else:  # what the cut took, from a second run without it
        stack = crystal_stack(atoms, gpts, SLICES, energy_kev)
        beams = _all_beams(stack, tilt_mrad, periods)
        lost = (_all_beams(replace(stack, attenuation=np.ones_like(stack.attenuation)), tilt_mrad, periods) - beams).sum(axis=(1, 2))
    if engine == "abtem":
        intensity, kept = (found[0] for found in abtem_engine.through_slices(stack, energy_kev, [tilt_mrad], periods.tolist(), reflections))
    else:
        intensity, kept = beams[:, reflections[:, 0], reflections[:, 1]], beams.sum(axis=(1, 2))
    return {"intensity": intensity, "kept_intensity": kept, "lost_to_band_limit": lost}


def _all_beams(stack, tilt_mrad, periods):
    """Intensities of every beam of the grid, shape (t, n_b, n_c)."""
    shape = stack.attenuation.shape
    every = np.stack(np.unravel_index(np.arange(stack.attenuation.size), shape), axis=1)
    return propagate(stack, np.array([tilt_mrad]), periods.tolist(), every)[0].astype(float).reshape(-1, *shape)


def _table(hkl, thickness_nm, found, notes):
    """The long table, thickness by thickness, and its attributes."""
    columns = dict(zip("hkl", np.tile(hkl, (len(thickness_nm), 1)).T, strict=True))
    columns["thickness_nm"] = np.repeat(thickness_nm, len(hkl))
    columns |= {name: found[name].ravel().astype(float) for name in ("intensity", "intensity_error") if name in found}
    table = pd.DataFrame(columns)
    sums = {name: found[name] for name in ("kept_intensity", "lost_to_band_limit")} | {"in_table": found["intensity"].sum(axis=1)}
    by_thickness = [f"{value:.4g}" for value in thickness_nm]
    for name, values in sums.items():
        notes[name] = {label: round(float(value), 6) for label, value in zip(by_thickness, values, strict=True)}
    table.attrs = notes
    return table
