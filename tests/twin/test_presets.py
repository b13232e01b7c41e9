"""Reading presets, and refusing those that are wrong."""

from importlib.resources import files

import pytest

from figures_pkg.twin.presets import known_presets, load_preset, parse_preset


@pytest.fixture
def text():
    """The YAML text of the preset DS1."""
    return (files("figures_pkg.twin") / "presets" / "ds1.yaml").read_text(encoding="utf-8")


def test_unknown_preset_names_the_known_ones():
    """A wrong name is answered with the list of names."""
    assert "ds1" in known_presets()
    with pytest.raises(ValueError, match="known are .*ds1"):
        load_preset("ds9")


@pytest.mark.parametrize("name", known_presets())
def test_every_preset_comes_in_the_same_sizes(name):
    """Each preset of the package can be read and has the three sizes."""
    preset = load_preset(name)
    assert set(preset.sizes) == {"smoke", "laptop", "paper"} and preset.title
    assert preset.scan_shape("smoke") <= preset.scan_shape("laptop") <= preset.scan_shape("paper")
    with pytest.raises(ValueError, match="no size 'huge'; it comes in smoke, laptop, paper"):
        preset.scan_shape("huge")


def test_based_preset_holds_what_differs():
    """A file based on another one changes single entries, adds and removes parts, and keeps the rest."""
    text = "base: ds1\ntitle: Mine\nbeam: {convergence_mrad: 0.9}\nwall: null\nterrace: {height_nm: 2.0, centre_fraction_yx: [0.5, 0.5], lean_deg: 0.0}\n"
    mine, ds1 = parse_preset("mine", text), load_preset("ds1")
    assert (mine.title, mine.beam.convergence_mrad, mine.wall, mine.terrace.height_nm) == ("Mine", 0.9, None, 2.0)
    assert mine.beam.energy_kev == ds1.beam.energy_kev and mine.specimen == ds1.specimen and mine.sizes == ds1.sizes


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("steps: [1, 1, 1, 1, 1, 1]", "steps: [1, 1, 1, 1, 1]", "one entry for each wall"),
        ("steps: [1, 1, 1, 1, 1, 1]", "steps: [1, 1, 1, 1, 1, 2]", "steps are 1 or -1"),
        ("steps: [1, 1, 1, 1, 1, 1]", "steps: [1, 1, 1, 1, 1, -1]", "add up to 4"),
        ("first_state: 1", "first_state: 6", "first_state is 0 to 5"),
        ("title:", "base: ds0\ntitle:", "choose another preset of the package"),
        ("scan:\n", "wall: {plus_side: left}\n\nscan:\n", "missing .*'lean_deg'"),
    ],
)
def test_wrong_textures_are_refused(old, new, message):
    """A texture with walls unaccounted for, or a base that does not exist, raises an error that says so."""
    text = (files("figures_pkg.twin") / "presets" / "ds2.yaml").read_text(encoding="utf-8")
    assert old in text
    with pytest.raises(ValueError, match=message):
        parse_preset("mine", text.replace(old, new, 1))


def test_own_preset_is_read_from_a_file(tmp_path, text):
    """A path to a YAML file is as good as a name."""
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace("thickness_nm: 63.0", "thickness_nm: 70.0"), encoding="utf-8")
    preset = load_preset(path)
    assert preset.name == "mine" and preset.specimen.thickness_nm == 70.0


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("  psf_sigma_px: 0.9 ", "  psf_sigma: 0.9 ", "missing \\['psf_sigma_px'\\], unknown \\['psf_sigma'\\]"),
        ("plus_side: left", "plus_side: top", "say left or right"),
        ("bragg_share: 0.11", "bragg_share: 11", "between 0 and 1"),
        ("counts: [13.38, ", "counts: [", "one for each radius"),
        ("beam:", "beam: 3\nray:", "unknown \\['ray'\\]"),
    ],
)
def test_wrong_presets_are_refused(text, old, new, message):
    """Misspelt entries and impossible values raise an error that names them."""
    assert old in text
    with pytest.raises(ValueError, match=message):
        parse_preset("mine", text.replace(old, new, 1))


def test_fingerprint_follows_every_number(text):
    """Another number or another seed gives another fingerprint; a comment does not."""
    first = parse_preset("mine", text)
    assert first.fingerprint("0") == parse_preset("mine", text + "# a comment\n").fingerprint("0")
    assert first.fingerprint("0") != first.fingerprint("1")
    assert first.fingerprint("0") != parse_preset("mine", text.replace("sag_nm: 5.0", "sag_nm: 5.1")).fingerprint("0")


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
