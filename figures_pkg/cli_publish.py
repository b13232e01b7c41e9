"""Commands around the finished book: what a chapter needs, the PDF, the course and the files of a release."""

from pathlib import Path

ARCHIVE = "companion"  # how the files of a release begin


def add_publish_commands(commands) -> None:
    """Add prepare, pdf, course and release to the commands of the program."""
    prepare = commands.add_parser("prepare", help="make the scans and artefacts that chapters read, without running them")
    prepare.add_argument("chapters", nargs="+", metavar="CHAPTER")
    prepare.add_argument("--cores", type=int, help="all that this process may use by default")
    prepare.add_argument("--data", default="twin", choices=("twin", "zenodo"))
    prepare.set_defaults(run=_prepare)
    pdf = commands.add_parser("pdf", help="the built book as one PDF")
    pdf.add_argument("--engine", default="auto", choices=("auto", "tex", "chromium"), help="auto: TeX if it is there, else Chromium")
    pdf.add_argument("--out", type=Path, metavar="FILE.pdf", help="book/_build/pdf/companion.pdf by default")
    pdf.set_defaults(run=_pdf)
    course = commands.add_parser("course", help="notebooks for students and teachers, in one archive")
    course.add_argument("--out", type=Path, metavar="FILE.zip", help="dist/companion-VERSION-course.zip by default")
    course.set_defaults(run=_course)
    release = commands.add_parser("release", help="gather pages, PDF and notebooks of the built book, with checksums")
    release.add_argument("--out", type=Path, metavar="FOLDER", help="dist by default")
    release.set_defaults(run=_release)
    for command, profile in ((prepare, "laptop"), (pdf, "laptop"), (course, "smoke")):
        command.add_argument("--profile", default=profile, help="smoke, laptop or paper")


def _prepare(options) -> None:
    from figures_pkg import book

    asked = (options.data, options.profile)
    wanted = [path for chapter in options.chapters for of in (book.datasets_of, book.artefacts_of) for path in of(chapter, *asked)]
    if not wanted:
        print(f"{', '.join(options.chapters)}: nothing to prepare")
        return
    book.make(options.profile, options.data, options.cores, wanted)
    print("\n".join(dict.fromkeys(wanted)))


def _pdf(options) -> None:
    import figures_pkg
    from figures_pkg.book.pdf import make_pdf

    folder = _book_folder()
    cover = [_title(folder), "The executable companion of Ludacka et al., npj Computational Materials 10 (2024)",
             "doi.org/10.1038/s41524-024-01265-y", f"Version {figures_pkg.__version__}, built in the {options.profile} profile"]
    print(make_pdf(folder, options.out or _default_pdf(), cover, options.engine))


def _course(options) -> None:
    from figures_pkg.book.course import write_course

    print(write_course(options.out or _dist() / f"{_stem()}-course.zip", _book_folder() / "_toc.yml", options.profile))


def _release(options) -> None:
    from figures_pkg.book.bundle import write_release

    print(*write_release(options.out or _dist(), _stem(), _book_folder(), _default_pdf()), sep="\n")


def _book_folder() -> Path:
    """The folder of the book's text and its builds."""
    from figures_pkg.workspace import book_folder

    return book_folder()


def _dist() -> Path:
    """Where files for others to take away are put."""
    from figures_pkg.workspace import repository

    return repository() / "dist"


def _default_pdf() -> Path:
    """Where the PDF lies unless it is told otherwise."""
    return _book_folder() / "_build" / "pdf" / f"{ARCHIVE}.pdf"


def _stem() -> str:
    """How the names of a release begin."""
    import figures_pkg

    return f"{ARCHIVE}-{figures_pkg.__version__}"


def _title(folder: Path) -> str:
    """The book's title."""
    import yaml

    return yaml.safe_load((folder / "_config.yml").read_text(encoding="utf-8"))["title"]
