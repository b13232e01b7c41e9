"""From notebooks to pages in a small copy of the project: what is stale says so and is made again, and a failing cell keeps the pages as they were. In this order."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

CHAPTER = """---
jupytext:
  text_representation: {{extension: .md, format_name: myst}}
kernelspec: {{name: python3, display_name: Python 3, language: python}}
companion: {{datasets: [], figures: {figures}}}
---

# {title}

The mass of an electron is $m_e$; {{numref}}`{name}-figure` shows a line and {{cite:t}}`ludacka2024` a scan.

```{{code-cell}} python
:tags: [parameters]
profile = "laptop"  # smoke, laptop or paper
data = "twin"
```

```{{code-cell}} python
---
mystnb:
  image: {{alt: "a straight line"}}
  figure: {{caption: "A line.", name: {name}-figure}}
---
import matplotlib.pyplot as plt
{code}
fig, ax = plt.subplots(figsize=(2, 2))
lines = ax.plot([0, 1])
{call}
```
"""
IMPORTS = "from figures_pkg.provenance import publish\nfrom figures_pkg.plotting import use_style"
CALL = 'publish(fig, "com-figure", None, profile, data, {"line": [0.0, 1.0]})'
INDEX = "# A toy book\n\nOne equation, $E = mc^2$.\n\n```{include} executed/figures-status.md\n```\n"


class Copy:
    """The project in a folder of its own, with two toy chapters: one publishes a figure, one uses the evaluate room."""

    def __init__(self, root: Path):
        self.root, self.html = root, root / "book" / "_build" / "html"
        self.write("com", IMPORTS, CALL, '{com-figure: "Fig. 9"}')
        self.write("scores", "from figures_pkg.evaluate import area_under_curve")
        pages = "".join(f"- file: {page}\n" for page in ("executed/com", "executed/scores", "executed/gallery", "bibliography"))
        (root / "book" / "_toc.yml").write_text(f"format: jb-book\nroot: index\nchapters:\n{pages}", encoding="utf-8")
        (root / "book" / "index.md").write_text(INDEX, encoding="utf-8")

    def write(self, name: str, code: str, call: str = "", figures: str = "{}") -> None:
        text = CHAPTER.format(title=name.capitalize(), name=name, code=code, call=call, figures=figures)
        (self.root / "notebooks" / f"{name}.md").write_text(text, encoding="utf-8")

    def run(self, *words: str) -> subprocess.CompletedProcess:
        environment = os.environ | {"PYTHONPATH": str(self.root), "OMP_NUM_THREADS": "1"}
        return subprocess.run([sys.executable, "-m", *words], cwd=self.root, env=environment, capture_output=True, text=True, timeout=300)

    def planned(self) -> set[str]:
        plan = self.run("snakemake", "--cores", "1", "--config", "profile=smoke", "data=twin", "--dry-run", "--", "notebooks")
        assert plan.returncode == 0, plan.stderr
        return {chapter for chapter in ("com", "scores") if f"chapter={chapter}" in plan.stdout + plan.stderr}


@pytest.fixture(scope="module")
def copy(copy_project, tmp_path_factory) -> Copy:
    names = "Snakefile", "constraints.txt", "data_manifest.yaml", "pyproject.toml", "figures_pkg", "book", "notebooks/profiles"
    return Copy(copy_project(tmp_path_factory.mktemp("project"), *names))


def test_first_call_makes_pages_that_need_no_other_host(copy):
    done = copy.run("figures_pkg", "book", "--profile", "smoke", "--cores", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    page = (copy.html / "executed/com.html").read_text(encoding="utf-8")
    assert "smoke" in page and 'alt="a straight line"' in page and 'details class="passport"' in page
    assert (copy.html / "_static/mathjax/tex-chtml.js").is_file()
    assert (copy.root / "book/executed/figures/com-figure-small.jpg").stat().st_size < 50_000
    passport = json.loads((copy.root / "artefacts/smoke/figures/twin/com-figure.json").read_text(encoding="utf-8"))
    assert {"notebooks/com.md", "constraints.txt", "figures_pkg/plotting/style.py"} <= set(passport["inputs"])
    assert "up to date" in copy.run("figures_pkg", "figures", "--profile", "smoke").stdout
    assert copy.planned() == set()


def test_pages_rendered_after_an_edit_wear_the_badge(copy):
    """Figure, gallery and landing page say so, the gallery offers the files, and the numbers are not held against the references."""
    with open(copy.root / "figures_pkg/plotting/style.py", "a", encoding="utf-8") as file:
        file.write("\nEDITED = True\n")
    assert copy.planned() == {"com"}
    assert copy.run("figures_pkg", "render", "--profile", "smoke").returncode == 0
    pages = {name: (copy.html / name).read_text(encoding="utf-8") for name in ("index.html", "executed/com.html", "executed/gallery.html")}
    assert all("figure-stale" in page for page in pages.values())
    assert "One figure of 1 was made from other text, code or data" in pages["index.html"]
    assert "figures_pkg/plotting/style.py" in pages["executed/gallery.html"] and 'href="com.html#com-figure"' in pages["executed/gallery.html"]
    assert {path.name for path in (copy.html / "_downloads").rglob("com-figure.*")} == {f"com-figure.{kind}" for kind in ("png", "svg", "json")}
    done = copy.run("figures_pkg", "figures", "--check", "--profile", "smoke")
    assert done.returncode == 1 and "com-figure: made from other text, code or data" in done.stderr
    # Running the chapter again brings its figure up to date.
    assert copy.run("figures_pkg", "notebook", "com", "--profile", "smoke").returncode == 0
    assert "up to date" in copy.run("figures_pkg", "figures", "--profile", "smoke").stdout


def test_failing_cell_fails_the_command(copy):
    executed = copy.root / "artefacts/smoke/notebooks/twin/com.ipynb"
    before = executed.read_bytes()
    copy.write("com", "1 / 0")
    done = copy.run("figures_pkg", "notebook", "com", "--profile", "smoke")
    assert done.returncode == 1 and "com.md, cell 2: ZeroDivisionError" in done.stderr and executed.read_bytes() == before
