"""The list of differences is complete, points at tests that exist, and becomes a readable table."""

import ast

import pytest
import yaml

from figures_pkg.chapters.differences import STATUS, differences_table, load_differences

GOOD = {"id": "a", "group": "g", "item": "i", "paper": "p", "code": "c", "weights": "–", "consequence": "q", "book": "b", "status": "open"}


@pytest.fixture
def load(tmp_path):
    """Load a small list with some rows."""

    def _load(*rows, **top):
        path = tmp_path / "differences.yaml"
        path.write_text(yaml.safe_dump({"schema": 1, "groups": {"g": "Group"}, "rows": list(rows), **top}), encoding="utf-8")
        return load_differences(path)

    return _load


def test_the_books_list_is_complete_and_each_named_test_exists(repository):
    """Rows say something of a source, what follows and what the book does; groups and statuses are used; the signs of the losses are pinned."""
    groups, rows = load_differences()
    assert {row.group for row in rows} == set(groups) and {row.status for row in rows} == set(STATUS)
    for row in rows:
        assert any(text != "–" for text in (row.paper, row.code, row.weights)) and "–" not in (row.item, row.consequence, row.book), row.id
        if row.test:
            file, name = row.test.split("::")
            tree = ast.parse((repository / file).read_text(encoding="utf-8"))
            assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, row.id
    assert {"divergence-sign", "divergence-zeros", "similarity-zero-vectors", "l1-half"} <= {row.id for row in rows if row.test}


def test_table_escapes_and_links(load):
    """Texts are escaped, silent sources are left out, and every row can be linked to."""
    html = differences_table(load(GOOD | {"paper": "a < b"})[1])
    assert "a &lt; b" in html and "id='difference-a'" in html and "Weights, notebook" not in html


@pytest.mark.parametrize("rows, message", [
    ([GOOD | {"colour": "red"}], "colour"),
    ([{key: GOOD[key] for key in GOOD if key != "book"}], "book"),
    ([GOOD | {"paper": " "}], "paper is ' '; expected text"),
    ([GOOD | {"status": "done"}], "it must be one of settled, open, harmless"),
    ([GOOD | {"group": "h"}], "it must be one of g"),
    ([GOOD | {"test": "tests/test_x.py"}], "expected a file and a test"),
    ([GOOD, GOOD], "a is given twice"),
])
def test_spoiled_rows_are_refused(load, rows, message):
    """One clear error names the row and the rule."""
    with pytest.raises(ValueError, match=message):
        load(*rows)
