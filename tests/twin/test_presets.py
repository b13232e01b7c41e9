"""Reading presets, and refusing those that are wrong."""

from importlib.resources import files

import pytest

from figures_pkg.twin.presets import known_presets, load_preset, parse_preset


def text_of(name):
    return (files("figures_pkg.twin") / "presets" / f"{name}.yaml").read_text(encoding="utf-8")


def test_every_preset_comes_in_the_same_sizes():
    for preset in map(load_preset, known_presets()):
        assert set(preset.sizes) == {"smoke", "laptop", "paper"} and preset.title
        assert preset.scan_shape("smoke") <= preset.scan_shape("laptop") <= preset.scan_shape("paper")


def test_presets_of_ones_own(tmp_path):
    path, ds1 = tmp_path / "mine.yaml", load_preset("ds1")
    path.write_text(text_of("ds1").replace("thickness_nm: 63.0", "thickness_nm: 70.0"), encoding="utf-8")
    assert load_preset(path).name == "mine" and load_preset(path).specimen.thickness_nm == 70.0
    mine = parse_preset("mine", "base: ds1\ntitle: Mine\nbeam: {convergence_mrad: 0.9}\nwall: null\n"
                                "terrace: {height_nm: 2.0, centre_fraction_yx: [0.5, 0.5], lean_deg: 0.0}\n")
    assert (mine.title, mine.beam.convergence_mrad, mine.wall, mine.terrace.height_nm) == ("Mine", 0.9, None, 2.0)
    with pytest.warns(UserWarning, match=r"discs of 9 mrad overlap; they touch from a convergence of 2\.20 mrad"):  # the paper's number
        parse_preset("mine", "base: ds1\nbeam: {convergence_mrad: 9.0}\n")
    assert mine.beam.energy_kev == ds1.beam.energy_kev and mine.specimen == ds1.specimen and mine.sizes == ds1.sizes


STEPS = "steps: [1, 1, 1, 1, 1, 1]"


@pytest.mark.parametrize("base, old, new, message", [
    ("ds1", "  psf_sigma_px: 0.9 ", "  psf_sigma: 0.9 ", r"missing \['psf_sigma_px'\], unknown \['psf_sigma'\]"),
    ("ds1", "plus_side: left", "plus_side: top", "say left or right"),
    ("ds1", "bragg_share: 0.11", "bragg_share: 11", "between 0 and 1"),
    ("ds1", "counts: [13.38, ", "counts: [", "one for each radius"),
    ("ds1", "beam:", "beam: 3\nray:", r"unknown \['ray'\]"),
    ("ds2", STEPS, "steps: [1, 1, 1, 1, 1]", "one entry for each wall"),
    ("ds2", STEPS, "steps: [1, 1, 1, 1, 1, 2]", "steps are 1 or -1"),
    ("ds2", STEPS, "steps: [1, 1, 1, 1, 1, -1]", "add up to 4"),
    ("ds2", "first_state: 1", "first_state: 6", "first_state is 0 to 5"),
    ("ds2", "title:", "base: ds0\ntitle:", "choose another preset of the package"),
    ("ds2", "scan:\n", "wall: {plus_side: left}\n\nscan:\n", "missing .*'lean_deg'"),
    ("control", "strain: 0.0", "strain: 0.5", "strain within"),
    ("ds1", "thickness_nm: 63.0", "thickness_nm: 2.0", "thinnest place"),
    ("ds1", "energy_kev: 200.0", "energy_kev: -200.0", "beam.energy_kev is -200"),
])  # fmt: skip
def test_wrong_presets_are_refused(base, old, new, message):
    assert old in text_of(base)
    with pytest.raises(ValueError, match=message):
        parse_preset("mine", text_of(base).replace(old, new, 1))


def test_fingerprint_follows_every_number():
    text = text_of("ds1")
    others = (text + "# a comment\n", text.replace("sag_nm: 5.0", "sag_nm: 5.1"))
    first, comment, number = (parse_preset("mine", each).fingerprint("0") for each in (text, *others))
    assert first == comment != number and first != parse_preset("mine", text).fingerprint("1")
