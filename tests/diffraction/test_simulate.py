"""The table of intensities: agreement of the two engines, symmetry, bookkeeping of lost intensity, and refusals."""

import numpy as np
import pandas as pd
import pytest

from figures_pkg.chapters.structure import cif_text
from figures_pkg.cli import main
from figures_pkg.diffraction.abtem_engine import coherent_intensity
from figures_pkg.diffraction.simulate import simulate, write_table

pytestmark = pytest.mark.physics

SMALL = {"g_max_inv_angstrom": 1.0, "kmax_inv_angstrom": 4.2}
TILT = (1.0, -3.5)


def matrix(table, value="intensity"):
    return table.pivot_table(index="thickness_nm", columns=["k", "l"], values=value)


@pytest.fixture(scope="module")
def plus():
    """+P at three thicknesses by our engine, thermally averaged."""
    return simulate("+P", [10, 40, 75], TILT, **SMALL)


def test_table_holds_fractions_of_the_incident_beam(plus):
    """Each reflection once for each thickness; thicknesses are multiples of 0.6112 nm, and the asked ones are kept."""
    assert list(plus.columns) == ["h", "k", "l", "thickness_nm", "intensity"]
    assert not plus.duplicated(["k", "l", "thickness_nm"]).any() and (plus.h == 0).all() and (plus.l % 2 == 0).all()
    assert (plus.intensity >= 0).all()
    sums = plus.groupby("thickness_nm").intensity.sum().to_numpy()
    np.testing.assert_allclose(sums, list(plus.attrs["in_table"].values()), atol=1e-6)
    kept = np.array(list(plus.attrs["kept_intensity"].values()))
    assert (sums < kept).all() and (kept < 1).all() and kept[-1] > 0.3
    given = plus.thickness_nm.unique()
    np.testing.assert_allclose(given / 0.6112, np.round(given / 0.6112), atol=1e-9)
    assert np.abs(given - plus.attrs["asked_thickness_nm"]).max() <= 0.3056


def test_both_engines_agree_on_the_same_slices(plus):
    theirs = simulate("+P", [10, 40, 75], TILT, engine="abtem", **SMALL)
    np.testing.assert_allclose(matrix(theirs), matrix(plus), atol=1e-4)
    np.testing.assert_allclose(*(list(table.attrs["kept_intensity"].values()) for table in (plus, theirs)), atol=1e-3)


def test_frozen_phonons_give_the_thermal_average():
    """Of atoms at rest, abTEM's own potential, which places them bilinearly, gives what exact phases give within 0.01."""
    grid = {"g_max_inv_angstrom": 0.6, "kmax_inv_angstrom": 9.2}
    phonons = simulate("+P", 10, TILT, engine="abtem", thermal="phonons", configurations=6, seed=1, **grid)
    average, rest = (matrix(simulate("+P", 10, TILT, thermal=thermal, **grid)) for thermal in ("average", "none"))
    np.testing.assert_allclose(matrix(simulate("+P", 10, TILT, engine="abtem", thermal="none", **grid)), rest, atol=0.01)
    error = np.hypot(matrix(phonons, "intensity_error"), 0.02 * average)  # 2 % for abTEM's placing of atoms
    assert (np.abs(matrix(phonons) - average) < 4 * error + 0.001).to_numpy().all()
    assert (np.abs(rest - average) > 4 * error + 0.001).to_numpy().any()  # so the comparison could have failed


def test_coherent_intensity_has_no_bias():
    """For noise around a known mean it is right on average, where the plain square is a noise variance too large; its error equals the scatter."""
    rng, mean = np.random.default_rng(5), 8.0
    noise = rng.normal(size=(4, 20000)) + 1j * rng.normal(size=(4, 20000))
    value, error = coherent_intensity(mean + noise)
    assert abs(value.mean() - mean**2) < 5 * value.std() / np.sqrt(20000) < (np.abs((mean + noise).mean(axis=0)) ** 2).mean() - mean**2
    assert 0.97 < np.sqrt((error**2).mean()) / value.std() < 1.05


def test_what_the_band_limit_takes_shrinks_on_a_finer_grid():
    """The stated loss to the band limit falls when the grid reaches further, and at rest it is one minus what is kept."""
    for thermal, reach in (("none", (4.5, 6.8)), ("average", (2.2, 4.5))):
        coarse, fine = (simulate("+P", 20, thermal=thermal, g_max_inv_angstrom=0.4, kmax_inv_angstrom=k).attrs for k in reach)
        (lost_coarse,), (lost_fine,) = (attrs["lost_to_band_limit"].values() for attrs in (coarse, fine))
        assert 0 < lost_fine < lost_coarse < 0.5
        assert thermal == "average" or lost_fine == pytest.approx(1 - next(iter(fine["kept_intensity"].values())), abs=2e-6)


def test_bad_requests_are_refused(capsys, tmp_path):
    for change, message in (({"state": "P+"}, "state is 'P.'"), ({"thickness_nm": [10, -5]}, "positive"), ({"thickness_nm": float("nan")}, "positive"),
                            ({"tilt_mrad": (0, 51)}, "within 50 mrad"), ({"tilt_mrad": 3}, "two numbers"), ({"engine": "bloch"}, "one of library, abtem"),
                            ({"thermal": "phonons"}, "offers none, average"), ({"crystal": "nowhere.cif"}, "not a file"),
                            ({"engine": "abtem", "thermal": "phonons", "configurations": 1}, "at least 2")):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            simulate(**({"state": "+P", "thickness_nm": 10} | change))
    out = tmp_path / "table.csv"
    assert main(["simulate", "--state=+P", "--thickness-nm=20", "--tilt-mrad=1", "--out", str(out)]) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "expected two numbers" in line and not out.exists()


def test_a_table_from_the_cif_is_the_same_and_reads_back(plus, tmp_path):
    cif = tmp_path / "plus.cif"
    cif.write_text(cif_text(+1), encoding="utf-8")
    table = simulate("+P", [10, 40, 75], TILT, crystal=cif, **SMALL)
    np.testing.assert_allclose(matrix(table), matrix(plus), atol=1e-5)
    path = write_table(plus, tmp_path / "deep" / "table.csv")
    read = pd.read_csv(path, comment="#")
    np.testing.assert_allclose(read, plus, rtol=1e-6, atol=1e-12)
    assert "# engine: library" in path.read_text() and [file.name for file in path.parent.iterdir()] == ["table.csv"]
