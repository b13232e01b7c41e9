"""The presets say of every number how sure it is."""

from dataclasses import fields

import pytest

from figures_pkg.twin.confidence import MEANING, assumptions
from figures_pkg.twin.presets import OPTIONAL, PARTS, known_presets


@pytest.mark.parametrize("name", known_presets())
def test_every_entry_has_a_letter_and_a_reason(name):
    """No preset of the package holds a number without a confidence; what is read or inferred has a reason."""
    rows = assumptions(name)
    assert rows and {row["confidence"] for row in rows} <= set(MEANING)
    assert all(row["reason"] for row in rows if row["confidence"] == "A")


def test_no_entry_of_a_whole_preset_is_missing():
    """The table of DS1 holds every entry of every part that it has."""
    found = [(row["part"], row["entry"]) for row in assumptions("ds1")]
    kinds = PARTS | {"wall": OPTIONAL["wall"]}
    assert sorted(found) == sorted((part, field.name) for part, kind in kinds.items() for field in fields(kind))


def test_values_are_those_of_the_preset():
    """Value, letter and reason of one entry."""
    (row,) = [row for row in assumptions("ds1") if row["entry"] == "inclination_deg"]
    assert row["part"] == "wall" and row["value"] == 11.0 and row["confidence"] == "B"
    assert row["reason"].startswith("against the beam: the dark line")


def test_unknown_preset_lists_the_known_ones():
    """A misspelt name raises."""
    with pytest.raises(ValueError, match="'ds7'.*ds1, ds2"):
        assumptions("ds7")
