"""Pages without scripts of thebe, with a mode, and with a list of citations that is none."""

from types import SimpleNamespace

from figures_pkg.book.quiet import mend


def script(filename=None, body=None):
    """As Sphinx keeps a script of a page."""
    return SimpleNamespace(filename=filename, attributes={} if body is None else {"body": body})


def test_thebe_goes_and_other_scripts_stay():
    """Both lines that declare its address twice and its file are left out, in order nothing else."""
    kept = [script("_static/a.js"), script(body="const x = 1")]
    context = {"script_files": [script(body="const THEBE_JS_URL = 1"), kept[0], script("_static/sphinx-thebe.js"), kept[1]]}
    mend(None, "index", "page.html", context, None)
    assert context["script_files"] == kept and context["default_mode"] == "auto"


def test_a_chosen_mode_stays_and_citations_lose_their_role():
    """What the configuration says is kept; only the role of docutils' list goes."""
    context = {"default_mode": "dark", "body": '<div role="list" class="citation-list"><p role="note">x</p></div>'}
    mend(None, "index", "page.html", context, None)
    assert context["default_mode"] == "dark" and context["body"] == '<div class="citation-list"><p role="note">x</p></div>'
