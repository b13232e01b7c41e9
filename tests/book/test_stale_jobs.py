"""What makes which jobs of the smoke book stale: the workflow's own list of jobs, with the fingerprints of the code behind each."""

import os
import re
import shutil
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from figures_pkg.book.build import OPTIONS
from figures_pkg.code import Code

pytestmark = pytest.mark.process

JOB = re.compile(r"^rule (\w+):\n    input: (.*)\n    output: (.*)$", re.MULTILINE)
CODE = "\nEDITED = True\n"
TEXT = '\n# a comment\n"""A text that nothing reads."""\n'


class Book:
    """A copy of the project whose artefacts are empty files, made in the order of the workflow: a finished book."""

    def __init__(self, root: Path):
        self.root, self.code = root, root / "artefacts" / "smoke" / "code"
        self.jobs = self.planned("--forceall")
        makers = {path: name for name, (_, outputs) in self.jobs.items() for path in outputs}
        graph = {name: {makers[path] for path in inputs if path in makers} for name, (inputs, _) in self.jobs.items()}
        for path in (path for name in TopologicalSorter(graph).static_order() for path in self.jobs[name][1]):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).touch()
        self.before = Code(root)
        self.parts = {path: self._part(Path(path)) for inputs, _ in self.jobs.values() for path in inputs if Path(path).is_relative_to(self.code)}

    def planned(self, *words: str, targets: tuple[str, ...] = ("notebooks",)) -> dict[str, tuple[set[str], set[str]]]:
        """Jobs that the workflow would run now: rule and file -> inputs and outputs."""
        command = [sys.executable, "-m", "snakemake", "--cores", "1", *OPTIONS, "--config", "profile=smoke", "data=twin", "--dry-run", *words, "--", *targets]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FIGURES_PKG_")} | {"PYTHONPATH": str(self.root)}
        done = subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr
        found = [(rule, set(inputs.split(", ")), set(outputs.split(", "))) for rule, inputs, outputs in JOB.findall(done.stdout + done.stderr)]
        return {f"{rule} {Path(min(outputs)).name.split('.')[0]}": (inputs, outputs) for rule, inputs, outputs in found}

    def stale(self, file: str, text: str, old: str | None = None) -> set[str]:
        """Jobs that are stale after text was added to a file, or put in the place of another."""
        path, before, found = self.root / file, self.before, set()
        known, when = path.read_bytes(), path.stat().st_mtime_ns
        changed = {file} if file not in before.data and not file.endswith(".py") else set()
        parts = {each: (part, before.fingerprint(part)) for each, part in self.parts.items() if part.partition("::")[0] == file}
        edited = known + text.encode() if old is None else known.replace(old.encode(), text.encode(), 1)
        assert edited != known
        path.write_bytes(edited)
        after = Code(self.root)
        changed |= {each for each, (part, mark) in parts.items() if after.fingerprint(part) != mark}
        path.write_bytes(known)
        os.utime(path, ns=(when, when))
        while new := {name for name, (inputs, _) in self.jobs.items() if name not in found and inputs & changed}:
            found |= new
            changed |= {path for name in new for path in self.jobs[name][1]}
        return found

    def of(self, names: set[str]) -> set[str]:
        """The jobs that names of jobs and rules stand for."""
        if "everything" in names:
            return set(self.jobs) - self.of({name[1:] for name in names if name[0] == "-"})
        found = {name: {job for job in self.jobs if name in (job, job.partition(" ")[0])} for name in names}
        assert all(found.values()), found
        return set().union(*found.values())

    def _part(self, path: Path) -> str:
        """The part that a fingerprint file is of."""
        name = path.relative_to(self.code).as_posix().removesuffix(".sha256")
        return name if (self.root / name).is_file() else "::".join(name.rsplit("/", 1))


@pytest.fixture(scope="module")
def book(copy_project, tmp_path_factory) -> Book:
    names = "Snakefile", "claims.yaml", "constraints.txt", "data_manifest.yaml", "figures_pkg", "notebooks", "book"
    return Book(copy_project(tmp_path_factory.mktemp("finished"), *names))


def jobs(*rules: str, notebooks: str = "") -> set[str]:
    """All jobs of some rules, and the chapters named."""
    return {*rules, *(f"notebook {name}" for name in notebooks.split())}


def everything_but(*rules: str, notebooks: str = "") -> set[str]:
    return {"everything", *(f"-{name}" for name in jobs(*rules, notebooks=notebooks))}


MODELS, TABLES = jobs("model", "embedding"), jobs("scan_scores", "scores", "claims")
SCANLESS = "another-crystal conventions losses trust"
MEASURED = "explorer fig-1cd fig-2 fig-4 matching realism scores the-data the-twin your-own-scan conventions does-it-hold"
TRAINED = "authors-maps explorer fig-3 fig-4 fig-5 generator matching recipes scores supplement your-own-scan does-it-hold"
OF_DS2 = {f"{rule} ds2-{recipe}-seed0" for rule in ("model", "embedding") for recipe in ("smoke", "small-walls", "small-whitened", "beta-vae")}
CONTROLS = {f"{rule} {name}" for rule in ("twin", "scan_scores") for name in ("ds2", "control", "control-plain", "control-inclined")}


@pytest.mark.parametrize(("file", "text", "old", "expected"), [
    pytest.param("figures_pkg/record/zenodo.py", '"""In other words: ', '"""', set(), id="a docstring"),
    pytest.param("figures_pkg/record/zenodo.py", CODE, None, everything_but(
        "twin", notebooks=f"{SCANLESS} differences structure thickness-tilt-dose walls"), id="the way to the record"),
    pytest.param("figures_pkg/data/convert.py", CODE, None, jobs(notebooks="conventions your-own-scan"), id="converting"),
    pytest.param("figures_pkg/data/__init__.py", CODE, None, set(), id="a room's __init__"),
    pytest.param("figures_pkg/cli.py", CODE, None, set(), id="a name at the top that no command uses"),
    pytest.param("figures_pkg/cli.py", "out=options.out.resolve()", "out=options.out", everything_but(
        notebooks=f"{SCANLESS} differences structure thickness-tilt-dose walls"), id="the command that makes scans"),
    pytest.param("figures_pkg/imaging/kernels.py", CODE, None, TABLES | jobs("explorer", notebooks=f"{MEASURED} recipes"), id="a kernel of the one pass"),
    pytest.param("figures_pkg/model/train.py", CODE, None, MODELS | TABLES | jobs("explorer", notebooks=TRAINED), id="training"),
    pytest.param("figures_pkg/plotting/style.py", CODE, None, everything_but("twin", *MODELS, *TABLES, notebooks="differences"), id="the style of figures"),
    pytest.param("figures_pkg/chapters/structure.py", CODE, None, jobs(notebooks="structure"), id="what one chapter draws"),
    pytest.param("figures_pkg/claims/rows.py", CODE, None, jobs("claims", notebooks="does-it-hold"), id="a helper of the claims"),
    pytest.param("figures_pkg/twin/presets/control-plain.yaml", "# 1\n", None, {"twin control-plain", "scan_scores control-plain"} | jobs(
        "scores", "claims", notebooks="scores does-it-hold"), id="a preset"),
    pytest.param("figures_pkg/twin/presets/ds2.yaml", "# 1\n", None, OF_DS2 | CONTROLS | jobs("scores", "claims", notebooks=(
        "authors-maps conventions does-it-hold fig-5 realism recipes scores supplement the-twin walls")), id="a preset that others are based on"),
    pytest.param("figures_pkg/crystal/crystals/PbTiO3.cif", "# 1\n", None, jobs(notebooks="another-crystal"), id="a crystal"),
    pytest.param("figures_pkg/diffraction/phonon_background.npz", "1", None, jobs(notebooks="matching-robustness"), id="an array"),
    pytest.param("figures_pkg/chapters/published/ds1_rings.csv", "# 1\n", None, jobs(notebooks="the-data"), id="a published table"),
    pytest.param("figures_pkg/data/published/channel_maps.yaml", "# 1\n", None, jobs("claims", notebooks="authors-maps does-it-hold"), id="the authors' maps"),
    pytest.param("figures_pkg/book/template.py", CODE, None, set(), id="what forks jobs"),
    pytest.param("figures_pkg/interactive/explorer.js", "// 1\n", None, jobs("explorer", notebooks="explorer"), id="the explorer's script"),
    pytest.param("figures_pkg/interactive/viewer.css", "/**/", None, jobs(notebooks="structure"), id="the crystal viewer's style"),
    pytest.param("book/differences.yaml", "# 1\n", None, jobs(notebooks="differences"), id="the list of differences"),
    pytest.param("notebooks/losses.md", "One more sentence.\n", None, jobs(notebooks="losses"), id="a chapter"),
    pytest.param("notebooks/profiles/smoke.yaml", "# 1\n", None, jobs("notebook", *TABLES), id="the profile"),
    pytest.param("constraints.txt", "# 1\n", None, everything_but(), id="the pins"),
])  # fmt: skip
def test_a_change_makes_exactly_its_users_stale(book, file, text, old, expected):
    assert book.stale(file, text, old) == book.of(expected)


def test_the_workflow_plans_the_same(book):
    """Presets to come, words and unused files make nothing stale; a leaf, a script and a measure in a new module do."""
    for file, text in [
        ("figures_pkg/twin/presets/another.yaml", "base: ds1\ntitle: Another\n"),
        ("figures_pkg/record/zenodo.py", TEXT),
        ("figures_pkg/crystal/crystals/GaAs.cif", "# 1\n"),
        ("figures_pkg/twin/presets/control-plain.yaml", "# 1\n"),
        ("figures_pkg/interactive/explorer.js", "// 1\n"),
        ("figures_pkg/claims/another.py", "from figures_pkg.claims.measures import com_auc\n\n\ndef another(made, dataset):\n    return com_auc(made, dataset)\n"),
    ]:
        with (book.root / file).open("a", encoding="utf-8") as stream:
            stream.write(text)
    rows = book.root / "claims.yaml"
    before, text = rows.stat().st_mtime_ns, rows.read_text(encoding="utf-8")
    rows.write_text(text.replace("measure: figures_pkg.claims.measures.com_auc\n", "measure: figures_pkg.claims.another.another\n"), encoding="utf-8")
    os.utime(rows, ns=(before, before))  # so that the new module alone makes the claims stale
    expected = {"twin control-plain", "scan_scores control-plain"} | jobs("explorer", "scores", "claims", notebooks="explorer scores does-it-hold")
    assert set(book.planned()) == book.of(expected)


def test_two_scans_are_planned_in_a_checkout_without_artefacts(book):
    """The fingerprints of the second are written after the workflow has looked into the folder for those of the first."""
    shutil.rmtree(book.root / "artefacts")
    names = "control-plain", "overview"
    assert set(book.planned(targets=tuple(str(book.root / "artefacts" / "smoke" / f"{name}.hspy") for name in names))) == {f"twin {name}" for name in names}
