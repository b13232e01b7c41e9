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
sys.exit(subprocess.run(["jq", "--raw-output", words[words.index("--jq") + 1]], input=json.dumps(answer), text=True).returncode)
'''
FORK = {"workflow_run": {"repository_id": 1, "head_repository_id": 2, "head_branch": "main", "head_sha": "f"}}
LAPTOP = [("html-laptop", "main", "a", "2026-01-01", {}), ("html-laptop", "main", "b", "2026-02-01", {}),
          ("html-laptop", "main", "c", "2026-03-01", {"expired": True})]  # fmt: skip
SMOKE = [("html-smoke", "main", "d", "2026-03-02", {}), ("html-smoke", "main", "f", "2026-04-01", FORK)]
OTHERS = [("html-smoke", "idea", "p", "2026-03-03", {}), ("html-smoke", "closed", "q", "2026-03-04", {}),
          ("html-record", "main", "r", "2026-03-05", {}), ("html-record", "idea", "s", "2026-03-06", {})]  # fmt: skip
WHOLE = {".": "b", "latest": "d", "record": "r", "pull/9": "p"}


@pytest.mark.parametrize(("artefacts", "expected"), [(LAPTOP + SMOKE + OTHERS, WHOLE), (SMOKE, {".": "d", "latest": "d"}), (OTHERS[:1], {})],
                         ids=["each place has its newest build", "the smoke book stands in for a larger one", "nothing to publish"])  # fmt: skip
def test_the_site_is_put_together(repository, tmp_path, artefacts, expected):
    """Laptop book, main's newest, main's on the record, open pull requests; expired builds and forks' are left out, nothing gives way to an empty site."""
    for program in ("bash", "jq", "unzip"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed here")
    told = []
    for number, (name, branch, head, created, changes) in enumerate(artefacts):
        run = {"repository_id": 1, "head_repository_id": 1, "head_branch": branch, "head_sha": head}
        told.append({"id": number, "name": name, "created_at": created, "expired": False, "workflow_run": run} | changes)
        with zipfile.ZipFile(tmp_path / f"{number}.zip", "w") as archive:
            archive.writestr("index.html", head)
    pulls = [{"number": number, "headRefOid": head, "isCrossRepository": fork} for number, head, fork in ((9, "p", False), (10, "unbuilt", False), (11, "f", True))]
    for name, content in {"artifacts.json": json.dumps(told), "pulls.json": json.dumps(pulls), "gh": GH.format(python=sys.executable)}.items():
        (tmp_path / name).write_text(content)
    (tmp_path / "gh").chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "GITHUB_REPOSITORY": "owner/name"}
    done = subprocess.run(["bash", str(repository / ".github" / "site.sh"), "site"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert {str(p.parent.relative_to(tmp_path / "site")): p.read_text() for p in (tmp_path / "site").rglob("index.html")} == expected
    assert done.returncode == (0 if expected else 1), done.stderr
    assert expected or "run the workflow 'book' on main" in done.stderr
