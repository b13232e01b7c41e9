"""Fixtures shared by every room's tests."""

import dataclasses
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

REPOSITORY = Path(__file__).resolve().parents[1]

# The same examples at every run, so that a green build stays green; HYPOTHESIS_PROFILE=explore looks for new ones.
settings.register_profile("repeatable", derandomize=True)
settings.register_profile("explore", derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


def pytest_collection_modifyitems(config, items):
    """Side by side, files that simulate, train or start programs go first: none of them is left for the end, when the other workers are idle."""
    if hasattr(config, "workerinput"):
        long = {item.path for item in items if any(item.get_closest_marker(mark) for mark in ("physics", "process", "browser"))}
        items.sort(key=lambda item: item.path not in long)


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def copy_project(repository):
    """Copies files and folders of the checkout to another root, without what a build leaves in them, and returns the root."""

    def _copy(root: Path, *names: str) -> Path:
        for name in names:
            if (repository / name).is_dir():
                shutil.copytree(repository / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "_build", "executed"))
            else:
                shutil.copy(repository / name, root / name)
        return root

    return _copy


@pytest.fixture(scope="session")
def realdata() -> Path:
    """The folder of real detector files, which are not ours to publish; tests skip without it."""
    folder = Path(os.environ.get("FIGURES_PKG_REALDATA", REPOSITORY.parent / "shared" / "realdata"))
    if not folder.is_dir():
        pytest.skip(f"real detector files are not at {folder} (set FIGURES_PKG_REALDATA)")
    return folder


@pytest.fixture(scope="session")
def from_notebook(repository):
    """Gives a function that a chapter defines in one of its cells, with the names that the chapter imports for it."""
    import ast

    from figures_pkg.code import code_cells

    def _function(chapter: str, name: str):
        text = (repository / "notebooks" / f"{chapter}.md").read_text(encoding="utf-8")
        tree = ast.parse("\n".join(source for _, source in code_cells(text)))
        (definition,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
        used, names = {node.id for node in ast.walk(definition) if isinstance(node, ast.Name)}, {}
        imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        needed = [node for node in imports if used & {alias.asname or alias.name for alias in node.names}]
        exec(compile(ast.Module([*needed, definition], []), chapter, "exec"), names)
        return names[name]

    return _function


@pytest.fixture
def built(repository) -> Path:
    """The built book: ``FIGURES_PKG_HTML``, by default where ``make book`` puts it."""
    named = os.environ.get("FIGURES_PKG_HTML")
    folder = Path(named) if named else repository / "book" / "_build" / "html"
    if not (folder / "index.html").is_file():
        assert not named, f"FIGURES_PKG_HTML is {named}, and there is no index.html"
        pytest.skip(f"no built book at {folder} (make book builds it; FIGURES_PKG_HTML names another)")
    return folder


@pytest.fixture
def ax():
    """Fresh axes, closed afterwards."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


B_STAR, C_STAR = 1 / 5.293, 1 / 11.42  # 1/Angstrom


def analytic_library(intensity, reflections):
    """Library sampled from ``intensity(tilt_b, tilt_c, thickness, hkl)``; no simulation."""
    from figures_pkg.diffraction.library import Library, spline_coefficients

    hkl = np.array([(0, k, l) for k, l in reflections])
    tilt, thickness = np.arange(-8.0, 8.01, 0.5), np.arange(40.0, 90.01, 2.0)
    b, c, t, r = np.meshgrid(tilt, tilt, thickness, np.arange(len(hkl)), indexing="ij")
    samples = intensity(b, c, t, hkl[r]).astype(np.float32)
    fields = {
        "hkl": hkl,
        "g_b": hkl[:, 1] * B_STAR,
        "g_c": hkl[:, 2] * C_STAR,
        "thickness_nm": thickness,
        "tilt_b_mrad": tilt,
        "tilt_c_mrad": tilt,
        "coefficients": spline_coefficients(samples),
        "energy_kev": 200.0,
    }
    return Library(**fields)


def rocking(tilt_b, tilt_c, thickness, hkl):
    """Intensities with the gross features of diffraction: rocking curves, and a difference between +l and -l."""
    g_b, g_c = hkl[..., 1] * B_STAR, hkl[..., 2] * C_STAR
    excitation = -(g_b**2 + g_c**2) * 0.0125 - (g_b * tilt_b + g_c * tilt_c) * 1e-3
    polar = 1 + 0.3 * np.sin(thickness / 5 + 9 * g_c)
    return 0.3 * np.exp(-np.hypot(g_b, g_c) / 0.3) * np.sinc(3 * excitation * thickness) ** 2 * polar


@pytest.fixture(scope="session")
def preset():
    """The preset DS1."""
    from figures_pkg.twin.presets import load_preset

    return load_preset("ds1")


@pytest.fixture(scope="session")
def make_library():
    return analytic_library


@pytest.fixture(scope="session")
def rocking_library():
    """Sixty-three reflections with rocking curves."""
    return analytic_library(rocking, [(k, l) for k in range(-4, 5) for l in range(-6, 7, 2)])


@pytest.fixture(scope="session")
def plain_preset(preset):
    """DS1 without blur, background and dead pixels, every incident electron a count in a disc."""
    detector = dataclasses.replace(preset.detector, psf_sigma_px=0.0, dead_pixels=(), bragg_share=1.0, counts_per_electron=1.0)
    return dataclasses.replace(preset, detector=detector)
