"""A small world of notebooks and artefacts, so that figures are published without running a book."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

from figures_pkg.provenance import figures, publish

CELL = '''```{{code-cell}} python
---
mystnb:
  image: {{alt: "a [100] line"}}
  figure: {{caption: "A line.", name: {name}}}
---
figure = plt.figure()
drawn = scan_map(figure.gca(), helper([1]))
publish(figure, "{name}", scan, profile, data, maps)
```
'''
START = '''---
companion: {{datasets: [], figures: {{{figures}}}}}
---

# A chapter

```{{code-cell}} python
from figures_pkg.provenance import publish
from figures_pkg.plotting import WALL, scan_map, use_style


def helper(values):
    return values
```

'''


class World:
    """Notebooks in a folder of their own, and the artefacts beside them."""

    def __init__(self, root):
        self.notebooks, self.artefacts = root / "notebooks", root / "artefacts"
        self.notebooks.mkdir()

    def chapter(self, chapter, *figures):
        """Write a notebook; a figure is a name, or its name and panel."""
        pairs = [(each, "Fig. 9") if isinstance(each, str) else each for each in figures]
        start = START.format(figures=", ".join(f'{name}: "{panel}"' for name, panel in pairs))
        (self.notebooks / f"{chapter}.md").write_text(start + "\n".join(CELL.format(name=name) for name, _ in pairs), encoding="utf-8")

    def publish(self, name, source=None, arrays=None, **settings):
        figure, ax = plt.subplots()
        ax.plot([0, 1])
        arrays = {"line": np.arange(20.0)} if arrays is None else arrays
        publish(figure, name, source, "smoke", "twin", arrays, **settings)
        plt.close(figure)
        return self.artefacts / "smoke" / "figures" / "twin" / f"{name}.json"


@pytest.fixture
def world(tmp_path, monkeypatch) -> World:
    """What the package takes for the repository's notebooks are these."""
    made = World(tmp_path)
    monkeypatch.setenv("FIGURES_PKG_ARTEFACTS", str(made.artefacts))
    monkeypatch.setattr(figures, "repository", lambda: tmp_path)
    return made


@pytest.fixture
def scan(tmp_path) -> xr.DataArray:
    """What a scan says of itself, with a file to it."""
    path = tmp_path / "ds1.hspy"
    path.write_bytes(b"counts")
    told = {"source": "twin", "path": str(path), "preset": "ds1", "size": "smoke", "seed": np.int64(3)}
    return xr.DataArray(np.zeros((1, 1, 1, 1)), dims=("scan_y", "scan_x", "det_y", "det_x"), attrs=told)
