"""A small copy of the project with toy chapters, to watch what is made again and what is not."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHAPTER = """---
jupytext:
  text_representation: {{extension: .md, format_name: myst}}
kernelspec: {{name: python3, display_name: Python 3, language: python}}
companion: {{datasets: []}}
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
```
"""


def write_chapter(folder: Path, name: str, code: str) -> Path:
    """Write a toy chapter."""
    path = folder / f"{name}.md"
    path.write_text(CHAPTER.format(title=name.capitalize(), name=name, code=code), encoding="utf-8")
    return path


class Copy:
    """A copy of the project in a folder of its own."""

    def __init__(self, root: Path):
        self.root = root
        self.environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}

    def run(self, *words: str) -> subprocess.CompletedProcess:
        """Run Python in the copy and keep what it says."""
        return subprocess.run(
            [sys.executable, *words], cwd=self.root, env=self.environment, capture_output=True, text=True, timeout=300
        )

    def snakemake(self, *words: str) -> subprocess.CompletedProcess:
        """Run the copy's workflow in the smoke profile."""
        return self.run("-m", "snakemake", "--cores", "1", "--config", "profile=smoke", "data=twin", "--", *words)

    def planned(self) -> set[str]:
        """Chapters that the workflow would execute now."""
        plan = self.run("-m", "snakemake", "--cores", "1", "--config", "profile=smoke", "data=twin", "--dry-run", "--", "notebooks")
        assert plan.returncode == 0, plan.stderr
        return {chapter for chapter in ("com", "scores") if f"chapter={chapter}" in plan.stdout + plan.stderr}

    def edit(self, name: str, text: str = "\nEDITED = True\n") -> None:
        """Append to a file of the copy."""
        with open(self.root / name, "a", encoding="utf-8") as file:
            file.write(text)


@pytest.fixture(scope="module")
def copy(repository, tmp_path_factory) -> Copy:
    """The project with two toy chapters: one imports the plotting room, one the evaluate room."""
    root = tmp_path_factory.mktemp("project")
    for name in ("Snakefile", "constraints.txt", "data_manifest.yaml", "pyproject.toml"):
        shutil.copy(repository / name, root / name)
    ignored = shutil.ignore_patterns("__pycache__", "_build", "executed")
    for name in ("figures_pkg", "book"):
        shutil.copytree(repository / name, root / name, ignore=ignored)
    shutil.copytree(repository / "notebooks" / "profiles", root / "notebooks" / "profiles")
    write_chapter(root / "notebooks", "com", "from figures_pkg.plotting import use_style")
    write_chapter(root / "notebooks", "scores", "from figures_pkg.evaluate import area_under_curve")
    toc = "format: jb-book\nroot: index\nchapters:\n- file: executed/com\n- file: executed/scores\n- file: bibliography\n"
    (root / "book" / "_toc.yml").write_text(toc, encoding="utf-8")
    (root / "book" / "index.md").write_text("# A toy book\n\nOne equation, $E = mc^2$.\n", encoding="utf-8")
    return Copy(root)
