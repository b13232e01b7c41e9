"""The public site is put together from the right builds; a stand-in for GitHub's program answers from a folder."""

import json
import os
import shutil
import subprocess
import sys
import zipfile

import pytest

pytestmark = pytest.mark.process

GH = '''#!{python}
"""Answers `gh api` and `gh pr list` from a file, with jq for the filters."""
import json, subprocess, sys
from pathlib import Path
here = Path(__file__).parent
words = sys.argv[1:]
if words[:2] == ["pr", "list"]:
    answer = json.loads((here / "pulls.json").read_text())
elif words[1].endswith("/zip"):
    sys.stdout.buffer.write((here / (words[1].split("/")[-2] + ".zip")).read_bytes())
    sys.exit()
else:
    name = words[1].split("name=")[1].split("&")[0]
    answer = {{"artifacts": [a for a in json.loads((here / "artifacts.json").read_text()) if a["name"] == name]}}
done = subprocess.run(["jq", "--raw-output", words[words.index("--jq") + 1]], input=json.dumps(answer), text=True)
sys.exit(done.returncode)
'''


@pytest.fixture
def site(repository, tmp_path):
    """Assemble a site from artefacts (id, name, branch, head, created, changes) and open pull requests."""
    for program in ("bash", "jq", "unzip"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed here")
    stand_in = tmp_path / "bin"
    stand_in.mkdir()
    (stand_in / "gh").write_text(GH.format(python=sys.executable))
    (stand_in / "gh").chmod(0o755)

    def _assemble(artefacts, pulls=()):
        told = []
        for number, name, branch, head, created, changes in artefacts:
            run = {"repository_id": 1, "head_repository_id": 1, "head_branch": branch, "head_sha": head}
            told.append({"id": number, "name": name, "created_at": created, "expired": False, "workflow_run": run} | changes)
            with zipfile.ZipFile(stand_in / f"{number}.zip", "w") as archive:
                archive.writestr("index.html", f"build {number}")
        (stand_in / "artifacts.json").write_text(json.dumps(told))
        (stand_in / "pulls.json").write_text(json.dumps(list(pulls)))
        environment = os.environ | {"PATH": f"{stand_in}{os.pathsep}{os.environ['PATH']}", "GITHUB_REPOSITORY": "owner/name"}
        done = subprocess.run(["bash", str(repository / ".github" / "site.sh"), "site"], cwd=tmp_path, env=environment,
                              capture_output=True, text=True)
        pages = {str(p.parent.relative_to(tmp_path / "site")): p.read_text() for p in (tmp_path / "site").rglob("index.html")}
        return done, pages

    return _assemble


def _pull(number: int, head: str, fork: bool = False) -> dict:
    return {"number": number, "headRefOid": head, "isCrossRepository": fork}


def test_each_place_has_its_newest_build(site):
    """The laptop book at the root, main's newest commit under latest, main's book on the record, and each open pull request of this repository."""
    fork = {"workflow_run": {"repository_id": 1, "head_repository_id": 2, "head_branch": "main", "head_sha": "f"}}
    done, pages = site([
        (1, "html-laptop", "main", "a", "2026-01-01", {}), (2, "html-laptop", "main", "b", "2026-02-01", {}),
        (3, "html-laptop", "main", "c", "2026-03-01", {"expired": True}), (4, "html-smoke", "main", "d", "2026-03-02", {}),
        (5, "html-smoke", "main", "f", "2026-04-01", fork), (6, "html-smoke", "idea", "p", "2026-03-03", {}),
        (7, "html-smoke", "closed", "q", "2026-03-04", {}), (8, "html-record", "main", "r", "2026-03-05", {}),
        (12, "html-record", "idea", "s", "2026-03-06", {}),
    ], [_pull(9, "p"), _pull(10, "unbuilt"), _pull(11, "f", fork=True)])
    assert done.returncode == 0, done.stderr
    assert pages == {".": "build 2", "latest": "build 4", "record": "build 8", "pull/9": "build 6"}


def test_smoke_book_stands_in_until_there_is_a_larger_one(site):
    """Without a laptop book the root is main's newest commit."""
    done, pages = site([(4, "html-smoke", "main", "d", "2026-03-02", {})])
    assert done.returncode == 0 and pages == {".": "build 4", "latest": "build 4"}


def test_nothing_to_publish_is_an_error(site):
    """The site that is there is not replaced by an empty one."""
    done, _ = site([(6, "html-smoke", "idea", "p", "2026-03-03", {})], [_pull(9, "p")])
    assert done.returncode == 1 and "run the workflow 'book' on main" in done.stderr
