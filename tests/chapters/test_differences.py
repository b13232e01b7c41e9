"""The list of differences is complete, points at tests that exist, and becomes a readable table."""

import pytest
import yaml

from figures_pkg.chapters.differences import STATUS, differences_table, load_differences

GOOD = {"id": "a", "group": "g", "item": "i", "paper": "p", "code": "c", "weights": "–", "consequence": "q", "book": "b", "status": "open"}


def load(folder, *rows):
    (folder / "differences.yaml").write_text(yaml.safe_dump({"schema": 1, "groups": {"g": "Group"}, "rows": list(rows)}), encoding="utf-8")
    return load_differences(folder / "differences.yaml")


def test_the_books_list_is_complete_and_each_named_test_exists(repository):
    """Rows say something of a source, what follows and what the book does; groups and statuses are used; the signs of the losses are pinned."""
    groups, rows = load_differences()
    assert {row.group for row in rows} == set(groups) and {row.status for row in rows} == set(STATUS)
    for row in rows:
        assert any(text != "–" for text in (row.paper, row.code, row.weights)) and "–" not in (row.item, row.consequence, row.book), row.id
        file, name = (row.test or "::").split("::")
        assert not file or f"\ndef {name}(" in (repository / file).read_text(encoding="utf-8"), row.id
    assert {"divergence-sign", "divergence-zeros", "similarity-zero-vectors", "l1-half"} <= {row.id for row in rows if row.test}


def test_table_escapes_and_links(tmp_path):
    html = differences_table(load(tmp_path, GOOD | {"paper": "a < b"})[1])
    assert "a &lt; b" in html and "id='difference-a'" in html and "Weights, notebook" not in html


@pytest.mark.parametrize("rows, message", [
    ([GOOD | {"colour": "red"}], "colour"),
    ([GOOD | {"paper": " "}], "paper is ' '; expected text"),
    ([GOOD | {"status": "done"}], "it must be one of settled, open, harmless"),
    ([GOOD, GOOD], "a is given twice"),
])
def test_spoiled_rows_are_refused(tmp_path, rows, message):
    with pytest.raises(ValueError, match=message):
        load(tmp_path, *rows)
