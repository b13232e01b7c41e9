"""Cells of a chapter that exist only where the truth is known, or only where the scan is measured.

A cell tagged ``truth`` says or shows what only a simulated scan can tell; one tagged ``measured`` what is said of the authors' scan
alone. The other book leaves them out. A figure that is left out leaves a card with its label, so that numbers and references are the
same in both books. Where a figure of both books needs other words for a measured scan, they stand in the metadata of its cell, as
``measured: {caption: …, alt: …}``.
"""

from __future__ import annotations

import nbformat

TRUTH, MEASURED = "truth", "measured"
CARD = """```{{figure}} ../_static/{picture}.svg
:name: {name}
:alt: A card that says: {words}
:class: not-shown

{words}: {reason} {elsewhere}
```"""
WORDS = {
    TRUTH: ("not-known", "Not known for measured scans", "this figure needs the truth at each position, which only a simulated scan has.",
            "The book on the twin shows it."),
    MEASURED: ("not-simulated", "Drawn for measured scans only", "this figure shows what the authors' networks make of the authors' scans.",
               "The book on the record shows it."),
}


def for_source(notebook: nbformat.NotebookNode, truth_known: bool) -> nbformat.NotebookNode:
    """
    The notebook without the cells that belong to the other kind of scan.

    Parameters
    ----------
    notebook
        As read from its text; changed in place.
    truth_known
        Whether the chapter reads the twin.

    Returns
    -------
    nbformat.NotebookNode
        The same notebook. Cells of the other kind are gone; those among them that draw a figure with a name became a card with this name.
    """
    absent = MEASURED if truth_known else TRUTH
    kept = []
    for cell in notebook.cells:
        _reword(cell, truth_known)
        if absent not in cell.metadata.get("tags", []):
            kept.append(cell)
        elif name := cell.metadata.get("mystnb", {}).get("figure", {}).get("name"):
            kept.append(_card(name, absent, cell.get("id")))
    notebook.cells = kept
    return notebook


def _reword(cell: nbformat.NotebookNode, truth_known: bool) -> None:
    """Take the caption and the description that a figure has on measured scans, or drop them."""
    words, shown = cell.metadata.pop(MEASURED, {}), cell.metadata.get("mystnb", {})
    if truth_known:
        return
    if "caption" in words:
        shown["figure"]["caption"] = words["caption"]
    if "alt" in words:
        shown["image"]["alt"] = words["alt"]


def _card(name: str, absent: str, identity: str | None) -> nbformat.NotebookNode:
    """A numbered figure that says why nothing is drawn."""
    picture, words, reason, elsewhere = WORDS[absent]
    text = CARD.format(picture=picture, name=name, words=words, reason=reason, elsewhere=elsewhere)
    return nbformat.v4.new_markdown_cell(text, **({"id": identity} if identity else {}))
