"""An edit alone makes a figure's badge amber on rendered pages; running the chapter again takes it away. In this order."""

import json

import pytest

from .conftest import CHAPTER

pytestmark = pytest.mark.process

PUBLISHED = """
from figures_pkg.provenance import publish
from figures_pkg.plotting import use_style
"""
CALL = 'publish(fig, "paper-figure", None, profile, data, {"line": [0.0, 1.0]})\n'


def test_a_figure_of_today_is_up_to_date(copy):
    """A chapter that publishes gets a passport with what it was made of."""
    text = CHAPTER.format(title="Paper", name="paper", code=PUBLISHED).replace("plot([0, 1])\n", f"plot([0, 1])\n{CALL}")
    text = text.replace("{datasets: []}", '{datasets: [], figures: {paper-figure: "Fig. 9"}}')
    (copy.root / "notebooks" / "paper.md").write_text(text, encoding="utf-8")
    for other in ("com", "scores"):  # one chapter is enough here
        (copy.root / "notebooks" / f"{other}.md").unlink()
    (copy.root / "book/_toc.yml").write_text("format: jb-book\nroot: index\nchapters:\n- file: executed/paper\n- file: executed/gallery\n"
                                             "- file: bibliography\n")  # fmt: skip
    (copy.root / "book/index.md").write_text("# A toy book\n\n```{include} executed/figures-status.md\n```\n", encoding="utf-8")
    done = copy.run("-m", "figures_pkg", "notebook", "paper", "--profile", "smoke")
    assert done.returncode == 0, done.stderr
    passport = json.loads((copy.root / "artefacts/smoke/figures/twin/paper-figure.json").read_text(encoding="utf-8"))
    assert {"notebooks/paper.md", "constraints.txt", "figures_pkg/plotting/style.py"} <= set(passport["inputs"])
    assert "up to date" in copy.run("-m", "figures_pkg", "figures", "--profile", "smoke").stdout


def test_pages_rendered_after_an_edit_wear_the_badge(copy):
    """Figure, gallery and landing page say so, and the gallery offers the files."""
    copy.edit("figures_pkg/plotting/style.py")
    done = copy.run("-m", "figures_pkg", "render", "--profile", "smoke")
    assert done.returncode == 0, done.stdout + done.stderr
    html = copy.root / "book/_build/html"
    pages = {name: (html / name).read_text(encoding="utf-8") for name in ("index.html", "executed/paper.html", "executed/gallery.html")}
    assert all("figure-stale" in page for page in pages.values())
    assert "One figure of 1 was made from other text, code or data" in pages["index.html"]
    assert 'details class="passport"' in pages["executed/paper.html"] and pages["executed/paper.html"].count("paper-figure") >= 1
    assert "figures_pkg/plotting/style.py" in pages["executed/gallery.html"] and 'href="paper.html#paper-figure"' in pages["executed/gallery.html"]
    assert {path.name for path in (html / "_downloads").rglob("paper-figure.*")} == {f"paper-figure.{kind}" for kind in ("png", "svg", "json")}


def test_the_check_refuses_figures_of_other_code(copy):
    """Numbers of yesterday's code are not held against the references."""
    done = copy.run("-m", "figures_pkg", "figures", "--check", "--profile", "smoke")
    assert done.returncode == 1 and "paper-figure: made from other text, code or data" in done.stderr


def test_the_workflow_makes_the_figure_again(copy):
    """What wears the badge is what the workflow would run; afterwards it is of today."""
    plan = copy.run("-m", "snakemake", "--cores", "1", "--config", "profile=smoke", "data=twin", "--dry-run", "--", "notebooks")
    assert "chapter=paper" in plan.stdout + plan.stderr
    assert copy.run("-m", "figures_pkg", "notebook", "paper", "--profile", "smoke").returncode == 0
    assert "up to date" in copy.run("-m", "figures_pkg", "figures", "--profile", "smoke").stdout
