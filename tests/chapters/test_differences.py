"""The list of differences is complete, points at tests that exist, and becomes a readable table."""

import ast

import pytest
import yaml

from figures_pkg.chapters.differences import STATUS, DifferencesError, differences_table, load_differences

GROUPS, ROWS = load_differences()


GOOD = {"id": "a", "group": "g", "item": "i", "paper": "p", "code": "c", "weights": "–", "consequence": "q", "book": "b", "status": "open"}


@pytest.fixture
def load(tmp_path):
    """Load a small list with some rows."""

    def _load(*rows, **top):
        path = tmp_path / "differences.yaml"
        path.write_text(yaml.safe_dump({"schema": 1, "groups": {"g": "Group"}, "rows": list(rows), **top}), encoding="utf-8")
        return load_differences(path)

    return _load


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_each_row_sets_sources_against_each_other(row):
    """A row has at least one source that says something, and says what follows and what the book does."""
    assert sum(text != "–" for text in (row.paper, row.code, row.weights)) >= 1
    assert "–" not in (row.item, row.consequence, row.book)


@pytest.mark.parametrize("row", [row for row in ROWS if row.test], ids=lambda row: row.id)
def test_each_named_test_exists(row, repository):
    """The test that a row names is a function of that file."""
    file, name = row.test.split("::")
    tree = ast.parse((repository / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_groups_and_statuses_are_used():
    """Each group and each status has rows; each row has a group."""
    assert {row.group for row in ROWS} == set(GROUPS)
    assert {row.status for row in ROWS} == set(STATUS)


def test_the_signs_of_the_losses_are_in_the_list():
    """The rows that decide what is trained are there and pinned by a test."""
    pinned = {row.id for row in ROWS if row.test}
    assert {"divergence-sign", "divergence-zeros", "similarity-zero-vectors", "l1-half"} <= pinned


def test_table_escapes_and_links(load):
    """Texts are escaped, silent sources are left out, and every row can be linked to."""
    html = differences_table(load(GOOD | {"paper": "a < b"})[1])
    assert "a &lt; b" in html and "id='difference-a'" in html and "Weights, notebook" not in html


@pytest.mark.parametrize("rows, message", [
    ([GOOD | {"colour": "red"}], "colour"),
    ([{key: GOOD[key] for key in GOOD if key != "book"}], "book"),
    ([GOOD | {"paper": " "}], "paper is ' '; expected text"),
    ([GOOD | {"paper": 377}], "paper is 377; expected text"),
    ([GOOD | {"status": "done"}], "it must be one of settled, open, harmless"),
    ([GOOD | {"group": "h"}], "it must be one of g"),
    ([GOOD | {"test": "tests/test_x.py"}], "expected a file and a test"),
    ([GOOD, GOOD], "a is given twice"),
    (["text"], "a row is 'text'"),
])
def test_spoiled_rows_are_refused(load, rows, message):
    """One clear error names the row and the rule."""
    with pytest.raises(DifferencesError, match=message):
        load(*rows)


def test_unknown_keys_at_the_top_are_refused(load):
    """The file has three keys and no others."""
    with pytest.raises(DifferencesError, match="notes"):
        load(GOOD, notes="x")
