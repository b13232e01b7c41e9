"""A chapter shows on a measured scan what can be known of it; a kernel that is lost is no failing cell."""

import json
import re
import sys
from pathlib import Path
from unittest.mock import Mock

import jupytext
import pytest

from figures_pkg.book import execute
from figures_pkg.book.execute import for_source
from figures_pkg.book.jobs import TRY_AGAIN
from figures_pkg.cli import main
from figures_pkg.provenance.figures import paper_figures

TEXT = """---
companion:
  datasets: [ds1]
  figures: {fig-needs-truth: Fig. 9}
---

Both.

+++ {"tags": ["truth"]}

Only with a truth.

+++ {"tags": ["measured"]}

Only measured.

+++

```{code-cell} python
---
mystnb:
  figure:
    name: fig-needs-truth
    caption: "Left: COM against tilt. Right: shares."
tags: [hide-input, truth]
---
publish(figure, "fig-needs-truth", scan, profile, data, {})
```

```{code-cell} python
:tags: [truth]
without_a_name = 1
```
"""
WORDED = TEXT.replace("tags: [hide-input, truth]", "measured: {caption: as matched}\ntags: [hide-input]")


@pytest.mark.parametrize(("data", "shown", "caption"), [
    ("twin", ["Both.", "Only with a truth", "without_a_name"], "Left: COM against tilt. Right: shares."),
    ("zenodo", ["Both.", "Only measured", "{figure}", "Not known for measured scans", "simulated scan has: COM against tilt. The book"], "as matched"),
])  # fmt: skip
def test_a_chapter_shows_what_can_be_known_of_its_scan(tmp_path, data, shown, caption):
    """A card keeps the place of a figure that needs the truth, so that later ones keep their numbers; a figure of both books has a caption for each."""
    words = ("Both.", "Only with a truth", "without_a_name", "Only measured", "{figure}", "Not known for measured scans", "simulated scan has: COM against tilt. The book")
    chapter = tmp_path / "chapter.md"
    chapter.write_text(TEXT)
    assert list(paper_figures(tmp_path, data)) == (["fig-needs-truth"] if data == "twin" else []) and list(paper_figures(tmp_path)) == ["fig-needs-truth"]
    text = "\n".join(cell.source for cell in for_source(jupytext.reads(TEXT, fmt="md:myst"), data == "twin").cells)
    assert [each for each in words if each in text] == shown and text.count(":name: fig-needs-truth") == (data == "zenodo")
    chapter.write_text(WORDED)
    (cell,) = [cell for cell in for_source(jupytext.reads(WORDED, fmt="md:myst"), data == "twin").cells if "mystnb" in cell.metadata]
    assert cell.metadata["mystnb"]["figure"]["caption"] == caption == paper_figures(tmp_path, data)["fig-needs-truth"].caption
    chapter.write_text(TEXT.replace("datasets: [ds1]", "data: twin"))  # which it reads in every book
    assert [figure.source(data) for figure in paper_figures(tmp_path, data).values()] == ["twin"]


@pytest.mark.process
@pytest.mark.parametrize(("code", "kernel", "seconds"), [
    pytest.param("import os; os._exit(9)", ["-m", "ipykernel_launcher", "-f", "{connection_file}"], 600, id="it dies"),
    pytest.param("1", ["-c", "import time; time.sleep(60)"], 1, id="it is held up"),
])  # fmt: skip
def test_a_lost_kernel_asks_for_another_try(tmp_path, monkeypatch, caplog, capsys, code, kernel, seconds):
    spec = tmp_path / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text(json.dumps({"display_name": "Python 3", "language": "python", "argv": [sys.executable, *kernel]}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    monkeypatch.setattr(execute, "KERNEL_START_S", seconds)
    chapter, kept = tmp_path / "chapter.md", tmp_path / "kept"
    chapter.write_text(f'---\nkernelspec: {{name: python3, display_name: Python 3}}\n---\n\n```{{code-cell}} python\n:tags: [parameters]\ndata = "twin"\n{code}\n```\n')
    monkeypatch.setattr(execute, "make_chapter", lambda *_: execute.execute(chapter, kept / "chapter.ipynb", {"data": "twin"}))
    assert main(["notebook", "chapter"]) == TRY_AGAIN
    assert capsys.readouterr().err.splitlines()[-1].startswith("figures_pkg: chapter.md: the kernel did not start, or died")
    assert not list(kept.iterdir())


def test_too_little_memory_asks_for_another_try(monkeypatch, capsys):
    """Another program may have left more of it by then."""
    monkeypatch.setattr(execute, "make_chapter", Mock(side_effect=MemoryError("Unable to allocate 16.0 GiB")))
    assert main(["notebook", "fig-2"]) == TRY_AGAIN and capsys.readouterr().err == "figures_pkg: out of memory: Unable to allocate 16.0 GiB\n"


@pytest.mark.skipif(sys.platform == "win32", reason="files as sockets are of Unix")
def test_no_two_kernels_can_choose_the_same_sockets(tmp_path):
    """Of two kernels that started in one moment, one could not take its port, and the build waited for it or spoke with the other."""
    chapter = tmp_path / "chapter.md"
    chapter.write_text('```{code-cell} python\n:tags: [parameters]\ndata = "twin"\n```\n\n```{code-cell} python\n'
                       'from ipykernel.connect import get_connection_info\n\nprint("{transport} {ip}".format_map(get_connection_info(unpack=True)))\n```\n')
    told = [execute.execute(chapter, tmp_path / "chapter.ipynb", {}).read_text() for _ in range(2)]
    transports, places = zip(*(re.search(r"(\w+) (/\S+/)kernel", text).groups() for text in told), strict=True)
    assert transports == ("ipc", "ipc") and places[0] != places[1] and str(tmp_path) not in places[0]
    assert not any(Path(place).exists() for place in places)
