"""A change of the numbers behind a figure is named with its size; noise of the last bits and the order of channels are not."""

import numpy as np
import pytest

from figures_pkg.provenance import regression
from figures_pkg.provenance.figures import paper_figures, published_figures
from figures_pkg.provenance.regression import ReferencesError, Tolerance, check_figures, compare, load_tolerances, read_references, summaries_of, summarise

RULES = {
    "maps": Tolerance("f", "maps", 1e-6, "counts"),
    "channels": Tolerance("f", "channels", 1e-6, "a network", any_order=True),
    "pattern": Tolerance("f", "pattern", 1e-3, "discs and what lies between", logarithm=True),
    "picked": Tolerance("f", "picked", 4.0, "a network", smooth=0.1),
}
MAPS = np.random.default_rng(1).normal(5, 2, (3, 16, 20))
WAVES = np.add.outer(np.sin(np.arange(24.0) / 4), np.cos(np.arange(24.0) / 5))
SHUFFLED = np.random.default_rng(2).permutation(WAVES.ravel()).reshape(WAVES.shape)
SLOPE = np.add.outer(np.arange(16.0), 3 * np.arange(16.0) ** 1.1)
PATTERN = np.where(np.arange(1024).reshape(32, 32) == 528, 1.0, 1e-7)
CORNER = MAPS + 0.01 * (np.indices(MAPS.shape).max(axis=0) < 4) * (np.indices(MAPS.shape)[0] == 0)


def changes(now, before, array="maps"):
    """What is reported when one array becomes another."""
    rule = RULES[array]
    return compare("f", {array: rule.summary(now)}, {array: rule.summary(before)}, list(RULES.values()))


@pytest.mark.parametrize("array, now, before, what", [
    ("maps", MAPS * (1 + 1e-9), MAPS, None),  # noise of the last bits
    ("channels", MAPS[[2, 0, 1]], MAPS, None),  # a permutation of channels
    ("picked", 2 * WAVES, WAVES, None),  # where a training decides how large a map is, it still has to be a map
    ("picked", SHUFFLED, WAVES, "likeness of neighbours"),
    ("maps", np.flipud(SLOPE), SLOPE, "block"),  # the same numbers in other places
    ("maps", SLOPE.T, SLOPE, "block"),
    ("maps", CORNER, MAPS, "block 1"),  # what changes in a corner alone does not drown
    ("maps", MAPS[:2], MAPS, "shape"),
    ("maps", MAPS > 5, MAPS, "kind"),
    ("maps", np.where(MAPS > 8, np.nan, MAPS), MAPS, "missing"),
    ("channels", MAPS * np.array([1, 1, 1.1])[:, None, None], MAPS, "channel 1"),  # another spread
    ("channels", MAPS[:2], MAPS, "channel 3"),  # one with spread has gone
    ("pattern", np.where(PATTERN < 1, 2e-7, PATTERN), PATTERN, "mean"),  # the faint ground counts
])  # fmt: skip
def test_a_change_is_named(array, now, before, what):
    """And nothing else is."""
    found = changes(now, before, array)
    assert any(change.what.startswith(what) for change in found) if what else found == []


def test_a_change_has_its_size_and_its_tolerance():
    """With value and reference; a channel without spread may come or go; a new and a lost array are told, and one without tolerance is refused."""
    first, summary, rules = changes(MAPS + 0.1, MAPS)[0], {"maps": summarise(MAPS)}, list(RULES.values())
    assert (first.what, first.value - first.reference) == ("mean", pytest.approx(0.1)) and first.allowed == pytest.approx(1e-6 * MAPS.std(), rel=1e-6)
    assert str(first).startswith("f, array 'maps', mean: ") and "moved by 0.1" in str(first) and "counts" in str(first)
    silent = np.concatenate([MAPS, np.full_like(MAPS[:1], 5.0)])
    assert not any(change.what.startswith(("channel", "shape")) for change in changes(silent, MAPS, "channels"))
    assert "present, reference absent" in str(compare("f", summary, {}, rules)[0])
    assert "absent, reference present" in str(compare("f", {}, summary, rules)[0])
    with pytest.raises(ReferencesError, match="'other' of 'f'"):
        compare("f", {"other": summarise(MAPS)}, {}, rules)


def test_a_figure_without_reference_is_refused(world, tmp_path, monkeypatch):
    """So is a reference without its figure; an update settles both, and is then kept to."""
    monkeypatch.setattr(regression, "references_folder", lambda profile: tmp_path / "references")
    monkeypatch.setattr(regression, "load_tolerances", lambda: [Tolerance("fig-9a", "*", 1e-6, "a line")])
    world.chapter("fig-9", "fig-9a")
    world.publish("fig-9a")
    kept = published_figures(paper_figures(), "smoke", "twin")
    with pytest.raises(ReferencesError, match="'fig-9a' has no stored reference"):
        check_figures(kept, "smoke")
    summaries = {"fig-9a": summaries_of(kept["fig-9a"], regression.load_tolerances())}
    regression.write_references("smoke", summaries | {"fig-8": {}})
    with pytest.raises(ReferencesError, match="'fig-8' has a reference but is not made"):
        check_figures(kept, "smoke")
    regression.write_references("smoke", summaries)
    assert check_figures(kept, "smoke") == [] and list(read_references("smoke")) == ["fig-9a"]
    world.publish("fig-9a", arrays={"line": np.arange(20.0) + 1})
    assert {change.array for change in check_figures(kept, "smoke")} == {"line"}


def test_every_stored_array_has_a_tolerance():
    stored, rules = read_references("smoke"), load_tolerances()
    assert set(stored) == set(paper_figures()) == {rule.figure for rule in rules}
    for figure, arrays in stored.items():
        assert compare(figure, arrays, arrays, rules) == []
