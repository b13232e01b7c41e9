"""A Sphinx extension that mends what the theme and its companions write into every page, so that no page complains when it is opened."""

THEBE = "THEBE_JS_URL"  # set twice by sphinx-thebe, which Jupyter Book always loads; this book starts no kernel and needs neither


def setup(app) -> dict:
    """Connect to Sphinx; named in ``extra_extensions`` of ``_config.yml``."""
    app.connect("html-page-context", mend, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def mend(app, pagename: str, templatename: str, context: dict, doctree) -> None:
    """
    Leave out the scripts of thebe, name the theme's default mode, and give the list of citations no role that its entries do not fit.

    Parameters
    ----------
    app, pagename, templatename, doctree
        As Sphinx passes them; not used.
    context
        What the template of a page is filled with; changed.
    """
    context["script_files"] = [script for script in context.get("script_files", []) if not _of_thebe(script)]
    context["default_mode"] = context.get("default_mode") or "auto"
    if "body" in context:  # docutils calls the entries doc-biblioentry, which a list must not hold
        context["body"] = context["body"].replace('<div role="list" class="citation-list">', '<div class="citation-list">')


def _of_thebe(script) -> bool:
    """Whether a script of a page is one of thebe's."""
    return THEBE in (getattr(script, "attributes", {}).get("body") or "") or "sphinx-thebe.js" in str(getattr(script, "filename", ""))
