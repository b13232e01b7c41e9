"""Presets that no experiment has are refused, and discs that overlap are announced."""

import pytest

from figures_pkg.cli import main
from figures_pkg.twin.presets import parse_preset


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("specimen: {thickness_nm: -70.0}", "thinnest place"),
        ("specimen: {thickness_nm: 10.0, wedge_nm: 30.0}", "thinnest place"),
        ("beam: {convergence_mrad: 0.0}", "beam.convergence_mrad is 0"),
        ("beam: {energy_kev: -200.0}", "beam.energy_kev is -200"),
        ("beam: {electrons_per_pattern: 0.0}", "beam.electrons_per_pattern"),
    ],
)
def test_impossible_numbers_are_refused(part, message):
    """Negative thickness anywhere on the wedge, no cone, no energy, no electrons: one error that names the entry."""
    with pytest.raises(ValueError, match=message):
        parse_preset("mine", f"base: ds1\n{part}\n")


def test_overlapping_discs_are_announced():
    """9 mrad, the paper's number, gives a warning with the angle at which discs touch."""
    with pytest.warns(UserWarning, match=r"discs of 9 mrad overlap; they touch from a convergence of 2\.20 mrad"):
        parse_preset("mine", "base: ds1\nbeam: {convergence_mrad: 9.0}\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--thickness-nm=-5"], "expected positive numbers"),
        (["--thickness-nm=20", "--tilt-mrad=1"], "expected two numbers"),
        (["--thickness-nm=20", "--tilt-mrad=0,60"], "within 50 mrad"),
        (["--thickness-nm=20", "--cif", "nowhere.cif"], "not a file"),
    ],
)
def test_command_line_says_one_line(words, message, capsys, tmp_path):
    """Bad input of `simulate` ends with status 1 and one line on stderr, and writes nothing."""
    out = tmp_path / "table.csv"
    assert main(["simulate", "--state=+P", *words, "--out", str(out)]) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert message in line and not out.exists()


def test_words_are_not_numbers(capsys, tmp_path):
    """Letters where numbers belong are named by argparse."""
    with pytest.raises(SystemExit):
        main(["simulate", "--state=+P", "--thickness-nm=thick", "--out", str(tmp_path / "x.csv")])
    assert "'thick' is not a number" in capsys.readouterr().err
