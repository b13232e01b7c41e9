"""A change of the numbers behind a figure is named with its size; noise of the last bits and the order of channels are not."""

import numpy as np
import pytest
import yaml

from figures_pkg.book.execute import checksums_of
from figures_pkg.provenance import regression
from figures_pkg.provenance.figures import paper_figures
from figures_pkg.provenance.passports import changed_inputs, published_figure, published_figures
from figures_pkg.provenance.regression import ReferencesError, Tolerance, check_figures, compare, load_tolerances, read_references, summaries_of, summarise
from figures_pkg.provenance.writer import figures_folder

RULES = [Tolerance("f", "maps", 1e-6, "counts"), Tolerance("f", "channels", 1e-6, "a network", any_order=True),
         Tolerance("f", "pattern", 1e-3, "discs and what lies between", logarithm=True)]  # fmt: skip


@pytest.fixture
def maps():
    """An image with structure."""
    return np.random.default_rng(1).normal(5, 2, (3, 16, 20))


def changes(now, before, array="maps"):
    """What is reported when one array becomes another."""
    rule = next(rule for rule in RULES if rule.array == array)
    return compare("f", {array: rule.summary(now)}, {array: rule.summary(before)}, RULES)


def test_nothing_changed(maps):
    """The same numbers, and numbers that differ in their last bits, are the same."""
    assert changes(maps, maps) == [] == changes(maps * (1 + 1e-9), maps)


def test_a_change_is_named_with_its_size(maps):
    """A shift by 0.1 shows in the mean, with value, reference and tolerance."""
    first = changes(maps + 0.1, maps)[0]
    assert first.what == "mean" and first.value - first.reference == pytest.approx(0.1)
    assert first.allowed == pytest.approx(1e-6 * maps.std(), rel=1e-6)
    assert str(first).startswith("f, array 'maps', mean: ") and "moved by 0.1" in str(first) and "counts" in str(first)


@pytest.mark.parametrize("turn", [np.flipud, np.fliplr, lambda image: image.T], ids=["upside down", "mirrored", "transposed"])
def test_a_turned_image_is_a_change(turn):
    """The same numbers in other places show in the blocks."""
    image = np.add.outer(np.arange(16.0), 3 * np.arange(16.0) ** 1.1)
    assert {"block"} <= {change.what.split()[0] for change in changes(turn(image), image)}


def test_the_same_values_in_another_order_are_no_map():
    """Where a training decides how large a map is, it still has to be a map."""
    rule = Tolerance("f", "map", 4.0, "picked", smooth=0.1)
    image = np.add.outer(np.sin(np.arange(24.0) / 4), np.cos(np.arange(24.0) / 5))
    shuffled = np.random.default_rng(2).permutation(image.ravel()).reshape(image.shape)
    assert compare("f", {"map": rule.summary(2 * image)}, {"map": rule.summary(image)}, [rule]) == []
    (change,) = compare("f", {"map": rule.summary(shuffled)}, {"map": rule.summary(image)}, [rule])
    assert change.what == "likeness of neighbours" and "at least 0.1" in str(change)


def test_one_block_of_a_large_array_is_noticed(maps):
    """What changes in a corner alone does not drown."""
    corner = maps.copy()
    corner[0, :4, :5] += 0.01
    assert any(change.what == "block 1" for change in changes(corner, maps))


def test_the_order_of_channels_does_not_matter(maps):
    """A permutation of channels is no change; a channel with another spread is."""
    assert changes(maps[[2, 0, 1]], maps, "channels") == []
    louder = maps * np.array([1, 1, 1.1])[:, None, None]
    assert any(change.what == "channel 1" for change in changes(louder, maps, "channels"))


def test_a_silent_channel_more_is_no_change(maps):
    """A channel without spread may come or go; one with spread may not."""
    silent = np.concatenate([maps, np.full_like(maps[:1], 5.0)])
    looked_at = [change.what for change in changes(silent, maps, "channels")]
    assert not any(what.startswith(("channel", "shape")) for what in looked_at)
    assert any(change.what == "channel 3" for change in changes(maps[:2], maps, "channels"))


def test_faint_parts_of_a_pattern_count():
    """Twice the ground between bright discs is a change of the logarithm, though hardly one of the counts."""
    pattern = np.full((32, 32), 1e-7)
    pattern[16, 16] = 1.0
    assert changes(pattern, pattern, "pattern") == []
    assert changes(np.where(pattern < 1, 2e-7, pattern), pattern, "pattern")


@pytest.mark.parametrize(
    ("now", "what"),
    [(lambda a: a[:2], "shape"), (lambda a: a > 5, "kind"), (lambda a: np.where(a > 8, np.nan, a), "missing")],
)
def test_other_shape_kind_or_gaps_are_told(maps, now, what):
    """These are compared exactly."""
    assert [change.what for change in changes(now(maps), maps)] == [what]


def test_a_new_or_lost_array_is_told(maps):
    """Both ways."""
    summary = {"maps": summarise(maps)}
    assert "present, reference absent" in str(compare("f", summary, {}, RULES)[0])
    assert "absent, reference present" in str(compare("f", {}, summary, RULES)[0])


def test_an_array_without_tolerance_is_refused(maps):
    """Each array needs a kind with a reason."""
    with pytest.raises(ReferencesError, match="'other' of 'f'"):
        compare("f", {"other": summarise(maps)}, {}, RULES)


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [({"allowed": 1e-6}, "k", "needs a reason"), ({"allowed": 0, "reason": "r"}, "k", "above zero"), ({"allowed": 1, "reason": "r"}, "x", "'x'")],
)
def test_tolerances_need_reasons(tmp_path, kind, name, message):
    """A tolerance without a reason, of zero, or of an unknown kind is one clear error."""
    path = tmp_path / "tolerances.yaml"
    path.write_text(yaml.safe_dump({"kinds": {"k": kind}, "figures": {"f": {"*": name}}}))
    with pytest.raises(ReferencesError, match=message):
        load_tolerances(path)


def test_a_figure_without_reference_is_refused(world, tmp_path, monkeypatch):
    """So is a reference without its figure; an update settles both, and is then kept to."""
    monkeypatch.setattr(regression, "references_folder", lambda profile: tmp_path / "references")
    monkeypatch.setattr(regression, "load_tolerances", lambda: [Tolerance("fig-9a", "*", 1e-6, "a line")])
    world.chapter("fig-9", "fig-9a")
    world.publish("fig-9a")
    kept = published_figures(world.figures, "smoke", "twin")
    with pytest.raises(ReferencesError, match="'fig-9a' has no stored reference"):
        check_figures(kept, "smoke")
    summaries = {"fig-9a": regression.summaries_of(kept["fig-9a"], regression.load_tolerances())}
    regression.write_references("smoke", {**summaries, "fig-8": {}})
    with pytest.raises(ReferencesError, match="'fig-8' has a reference but is not made"):
        check_figures(kept, "smoke")
    regression.write_references("smoke", summaries)
    assert check_figures(kept, "smoke") == [] and list(read_references("smoke")) == ["fig-9a"]
    world.publish("fig-9a", arrays={"line": np.arange(20.0) + 1})
    assert {change.array for change in check_figures(kept, "smoke")} == {"line"}


def test_every_stored_array_has_a_tolerance():
    """References and tolerances of the book fit each other and its figures."""
    stored, rules = read_references("smoke"), load_tolerances()
    assert set(stored) == set(paper_figures()) == {rule.figure for rule in rules}
    for figure, arrays in stored.items():
        assert compare(figure, arrays, arrays, rules) == []


def test_the_figures_of_the_smoke_profile_are_as_stored():
    """The numbers behind the figures of the paper, where they were made from the text, code and data of now."""
    folder, rules, stored = figures_folder("smoke", "twin"), load_tolerances(), read_references("smoke")
    made = {name: figure for name, figure in paper_figures().items() if (folder / f"{name}.json").is_file()}
    now = {chapter: checksums_of(chapter, "twin", "smoke") for chapter in {figure.chapter for figure in made.values()}}
    found = [published_figure(figure, "smoke", "twin") for figure in made.values()]
    kept = [each for each in found if not changed_inputs(each.passport, now[each.figure.chapter])]
    if not kept:
        pytest.skip("no figure of the smoke profile is up to date here; `make book PROFILE=smoke` makes them")
    changes = [change for each in kept for change in compare(each.figure.id, summaries_of(each, rules), stored[each.figure.id], rules)]
    assert not changes, "\n".join(map(str, changes))
