"""The data manifest of the repository, and the rules that any manifest must keep."""

import pytest
import yaml

from figures_pkg.record import load_manifest
from figures_pkg.record import manifest as manifest_module
from figures_pkg.record.manifest import ManifestError

FACT = {"value": [1, 10], "basis": "paper", "source": "Methods"}
ENTRY = {"id": "scan", "role": "measured", "record": "sed", "remote": "a scan.hspy", "local": "scan/scan.hspy", "pin": "resolve",
         "expected_bytes": FACT, "used_by": ["fig1d"], "substitute": None}  # fmt: skip
SMALL = {"schema": 1, "bases": {"paper": "a paper"}, "figures": {"fig1d": {"shows": "VDF"}}, "datasets": [ENTRY],
         "records": {"sed": {"doi": "10.5281/zenodo.1", "record": "1", "licence": "BSD-2-Clause", "title": "scans"}}}  # fmt: skip


@pytest.fixture(scope="module")
def ours():
    """The repository's manifest."""
    return load_manifest()


def test_our_manifest_names_the_files_of_both_records(ours, repository):
    """Five files of the scans' record and 28 epochs of the variational autoencoder, by their exact names; without ids, those that figures need."""
    sed, vae = ([dataset.remote for dataset in ours.of_record(record)] for record in ("sed", "vae"))
    assert len(sed) == 5 and "256p_3w_step1k4_a5_cl12_50ms_nmf_4-001.hspy" in sed
    assert len(vae) == 28 and all(f"epoch:00{n:02d}_" in name for n, name in enumerate(vae))
    assert vae[27] == "Weight_epoch:0027_l1coef:0.0000_lr:0.00003_trainloss:0.7317.pkl"
    used = {figure for dataset in ours.datasets.values() for figure in dataset.used_by}
    assert used == {name for name, figure in ours.figures.items() if figure["data"] == "record"}
    assert [one.id for one in ours.select()] == [one.id for one in ours.datasets.values() if one.used_by]
    assert len(ours.select(["vae"])) == 28 and [one.id for one in ours.select(["ds2", "sed", "ds2"])][:2] == ["ds2", "ds1"]
    twins = {one.id: one.substitute for one in ours.datasets.values() if one.role == "measured"}
    assert twins == {"ds1": "ds1", "ds2": "ds2"} and all((repository / "figures_pkg" / "twin" / "presets" / f"{one}.yaml").is_file() for one in twins)


def test_conflicts_are_kept_beside_the_value(ours):
    """The paper's 9 mrad and the notebook's scan field stand beside the values that the code uses."""
    step, convergence = ours["ds1"].axes["scan_step_nm"], ours["ds1"].acquisition["convergence_mrad"]
    assert step.value == 1.4 and [other.value for other in step.conflicts] == [0.977]
    assert convergence.value == 1.24 and ("paper", 9) in [(other.basis, other.value) for other in convergence.conflicts]


@pytest.mark.parametrize("id", ["ds1", "ds2"])
def test_lattice_boxes_and_scale_agree(ours, id):
    """Origin + k g(010) + l g(002)/2 lies in the box that names (0, k, l); |g(002)| and |g(010)| times the scale give 2/c and 2/(sqrt(3) a) to 2 %."""
    axes = {name: fact.value for name, fact in ours[id].axes.items()}
    for box in (fact.value for fact in ours[id].boxes.values()):
        _, k, l = box["reflection"]
        vectors = zip(axes["origin_row_col_px"], axes["g010_row_col_px"], axes["g002_row_col_px"], strict=True)
        row, col = (origin + k * g010 + l / 2 * g002 for origin, g010, g002 in vectors)
        assert box["rows"][0] <= row < box["rows"][1] and box["cols"][0] <= col < box["cols"][1]
    for vector, inverse in (("g002_row_col_px", 2 / 11.42), ("g010_row_col_px", 2 / (3**0.5 * 6.112))):
        length = sum(part**2 for part in axes[vector]) ** 0.5
        assert length * axes["det_scale_inv_angstrom"] == pytest.approx(inverse, rel=0.02)


def test_what_is_not_there_is_told_with_the_next_step(ours, monkeypatch, tmp_path):
    with pytest.raises(ManifestError, match="did you mean ds1|did you mean ds2"):
        ours["ds3"]
    monkeypatch.setattr(manifest_module, "REPOSITORY_MANIFEST", tmp_path / "data_manifest.yaml")
    with pytest.raises(FileNotFoundError, match="pip install -e"):
        load_manifest()


UNSAFE = ["/etc/passwd", "../up", "a/../../up", "a/./b", "a//b", "a/", "", "C:/x", "C:x", "a:b", "a b", "a%20b", "a\\b", "aux.pkl", "x/NUL", "com1.txt", "NUL/x",
          "name.", "..", ".hidden", ".fetch/x", "data_lock.yaml", "Data_Lock.yaml", "é", "a\nb", "a" * 101, "a\n"]  # fmt: skip
DIGEST = "md5:" + "0" * 32
SPOILED = {f"local {local!r}": {"local": local} for local in UNSAFE} | {
    "a key nobody knows": {"colour": "red"},
    "no checksum": {"pin": "given", "size": 5},
    "no size": {"pin": "given", "checksum": DIGEST},
    "resolve and checksum": {"size": 5, "checksum": DIGEST},
    "a short checksum": {"pin": "given", "size": 5, "checksum": "md5:0123"},
    "an unknown algorithm": {"pin": "given", "size": 5, "checksum": "crc32:" + "0" * 8},
    "a negative size": {"pin": "given", "size": -5, "checksum": DIGEST},
    "an unknown pin": {"pin": "trust"},
    "an unknown role": {"role": "song"},
    "an unknown record": {"record": "other"},
    "a figure that is not there": {"used_by": ["fig9"]},
    "figures that are no list": {"used_by": "fig1d"},
    "a substitute that is no name": {"substitute": {"preset": "ds1"}},
    "a bracket upside down": {"expected_bytes": FACT | {"value": [10, 1]}},
    "a bracket that is text": {"expected_bytes": FACT | {"value": ["1e9", "2e9"]}},
    "a fact without source": {"axes": {"scan_step_nm": {"value": 1.4, "basis": "paper"}}},
    "a fact of unknown basis": {"axes": {"scan_step_nm": FACT | {"basis": "hearsay"}}},
    "a conflict without basis": {"axes": {"scan_step_nm": FACT | {"conflicts": [{"value": 1, "source": "x"}]}}},
    "an id with capitals": {"id": "Scan"},
    "an id that is a device": {"id": "nul"},
    "an id that is a record": {"id": "sed"},
    "a remote name that is a number": {"remote": 5},
}
NAMES = {  # two entries that share one
    "id": {"local": "b.hspy", "remote": "b"},
    "remote": {"id": "b", "local": "b.hspy"},
    "local": {"id": "b", "remote": "b"},
    "local but for case": {"id": "b", "remote": "b", "local": "Scan/SCAN.hspy"},
    "file that is a folder": {"id": "b", "remote": "b", "local": "scan/scan.hspy/b"},
}
ENTRIES = {name: ([ENTRY | changes], "data_manifest.yaml: ") for name, changes in SPOILED.items()}
ENTRIES |= {f"no {left}": ([{key: value for key, value in ENTRY.items() if key != left}], f"missing {left}") for left in ENTRY}
ENTRIES |= {f"the same {name}": ([ENTRY, ENTRY | changes], "occurs twice") for name, changes in NAMES.items()}
REFUSED = {name: (SMALL | {"datasets": entries}, words) for name, (entries, words) in ENTRIES.items()} | {
    "nothing": ("", "a mapping"), "a list": ("- a\n", "a mapping"), "cut": ("a: [", "YAML"), "a key given twice": ("schema: 1\nschema: 1\n", "given twice"),
    "another schema": (SMALL | {"schema": 2}, "schema: expected 1"),
    **{f"numbers as {key}": (SMALL | {key: 5}, f"{key}: expected") for key in ("bases", "figures", "records", "datasets")},
}  # fmt: skip


@pytest.mark.parametrize(("content", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_spoiled_manifests_are_refused(tmp_path, content, words):
    """No unsafe name, no silent default (a missing `substitute` is an error, an explicit null is not), nothing twice."""
    path = tmp_path / "data_manifest.yaml"
    path.write_text(yaml.safe_dump(SMALL))
    assert load_manifest(path)["scan"].expected_bytes.value == (1, 10)
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    with pytest.raises(ManifestError, match=words):
        load_manifest(path)
