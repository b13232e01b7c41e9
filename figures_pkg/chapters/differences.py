"""Where the paper, the published code and the released weights disagree: read from YAML, shown as tables."""

from collections import Counter
from dataclasses import dataclass, fields
from html import escape
from pathlib import Path

from figures_pkg.record.manifest import check_keys, read_yaml
from figures_pkg.workspace import repository

STATUS = {
    "settled": "the evidence decides, and the book follows it",
    "open": "only the authors, or their files, can decide",
    "harmless": "different, without effect on a result",
}
ABSENT = "–"  # a source that says nothing
SAYS = {"paper": "Paper", "code": "Code", "weights": "Weights, notebook"}
STYLE = (
    "<style>table.differences {width:100%; table-layout:fixed; font-size:0.85em; border-collapse:collapse}"
    "table.differences td, table.differences th {vertical-align:top; text-align:left; padding:0.5em 0.7em; overflow-wrap:break-word;"
    "white-space:normal; border-bottom:1px solid rgba(128,128,128,0.4)}"
    "table.differences p {margin:0 0 0.35em 0}"
    "table.differences code {font-size:0.92em; background:none; border:none; padding:0; color:inherit; overflow-wrap:anywhere}</style>"
)


@dataclass(frozen=True)
class Difference:
    """One point on which the sources differ; every text is a sentence or two, ``"–"`` where a source says nothing."""

    id: str
    group: str
    item: str
    paper: str
    code: str
    weights: str
    consequence: str
    book: str
    status: str
    test: str | None = None  # pytest's name of the test that pins what the book does


def load_differences(path: str | Path | None = None) -> tuple[dict[str, str], list[Difference]]:
    """Read and check the list of differences, by default ``book/differences.yaml``: titles of the groups by id, and the rows in order."""
    path = Path(path or repository() / "book" / "differences.yaml")
    try:
        content = read_yaml(path)
        check_keys(content, ("schema", "groups", "rows"), (), "top level")
        if content["schema"] != 1 or not isinstance(content["rows"], list):
            raise ValueError("schema must be 1 and rows a list")
        rows = [_row(entry, content["groups"]) for entry in content["rows"]]
        if twice := [name for name, number in Counter(row.id for row in rows).items() if number > 1]:
            raise ValueError(f"{', '.join(twice)} is given twice; ids must differ")
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return content["groups"], rows


def differences_table(rows: list[Difference]) -> str:
    """HTML of one table with the rows of one group; texts are escaped, and a row can be linked to as ``#difference-`` and its id."""
    html = f"{STYLE}<table class='differences'><colgroup><col style='width:19%'><col style='width:41%'><col style='width:40%'></colgroup>"
    html += "<thead><tr><th>What differs</th><th>Who says what</th><th>What follows</th></tr></thead><tbody>"
    for row in rows:
        said = [f"<p><strong>{label}:</strong> {escape(getattr(row, name))}</p>" for name, label in SAYS.items() if getattr(row, name) != ABSENT]
        follows = f"<p>{escape(row.consequence)}</p><p><strong>This book:</strong> {escape(row.book)}</p>"
        if row.test:
            follows += f"<p>Test: <code>{escape(row.test.split('::')[1])}</code></p>"
        first = f"<strong>{escape(row.item)}</strong><p><em>{row.status}</em></p>"
        html += f"<tr id='difference-{row.id}'><td>{first}</td><td>{''.join(said)}</td><td>{follows}</td></tr>"
    return html + "</tbody></table>"


def _row(entry, groups: dict[str, str]) -> Difference:
    if not isinstance(entry, dict):
        raise ValueError(f"a row is {entry!r}; expected a mapping with the keys of a difference")
    where = f"row {entry.get('id', entry)!r}"
    names = [field.name for field in fields(Difference)]
    check_keys(entry, tuple(names[:-1]), ("test",), where)
    for name, text in entry.items():
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"{where}, {name} is {text!r}; expected text, or {ABSENT!r} where a source says nothing")
    for name, allowed in {"group": groups, "status": STATUS}.items():
        if entry[name] not in allowed:
            raise ValueError(f"{where}, {name} is {entry[name]!r}; it must be one of {', '.join(allowed)}")
    if entry.get("test") and "::" not in entry["test"]:
        raise ValueError(f"{where}, test is {entry['test']!r}; expected a file and a test, 'tests/…/test_x.py::test_y'")
    return Difference(**entry)
