"""The notebooks' text says which figures of the paper there are, and contradictions are one clear error."""

import pytest

from figures_pkg.provenance.figures import CatalogueError, figure_names, paper_figures


def test_a_published_cell_is_found_with_what_draws_it(world):
    world.chapter("fig-9", "fig-9a")
    (figure,) = world.figures.values()
    assert (figure.id, figure.panel, figure.chapter, figure.caption) == ("fig-9a", "Fig. 9", "fig-9", "A line.")
    assert figure.functions == ("fig-9.md: helper", "figures_pkg.plotting.scan_map")


def test_figures_stand_in_the_order_of_the_paper(world):
    wanted = ["Fig. 2a", "Fig. 2b", "Fig. 10", "Suppl. Fig. 1"]
    for number, panel in enumerate(reversed(wanted)):
        world.chapter(f"c{number}", (f"f{number}", panel))
    assert [figure.panel for figure in world.figures.values()] == wanted


def test_two_figures_with_one_name_are_refused(world):
    world.chapter("first", "fig-9a")
    world.chapter("second", "fig-9a")
    for read in (paper_figures, figure_names):
        with pytest.raises(CatalogueError, match=r"'fig-9a', in first\.md and second\.md"):
            read()


def test_an_announced_figure_needs_its_cell(world):
    world.chapter("fig-9", "fig-9a")
    path = world.notebooks / "fig-9.md"
    path.write_text(path.read_text().replace("name: fig-9a}", "name: fig-9b}"))
    with pytest.raises(CatalogueError, match=r"fig-9\.md announces the figure 'fig-9a'"):
        paper_figures()


def test_the_figures_of_the_book_are_all_there(repository):
    """The seven chapters publish every figure that the paper's list names, each with caption and alternative text."""
    figures = paper_figures(repository / "notebooks")
    wanted = ["1a", "1b", "1c", "1d", "2ab", "3a", "3bc", "3de", "4ab", "4cd", "5ab", "5cd", "5ef", "s1", "s2", "s3"]
    assert list(figures) == [f"fig-{name}" for name in wanted]
    assert all(figure.caption and len(figure.alt) > 40 and figure.functions for figure in figures.values())
    assert set(figures) <= set(figure_names(repository / "notebooks"))
