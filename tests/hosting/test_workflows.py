"""What no linter of the files on GitHub sees: they call what exists, ask for no more than they need, and agree with the pins."""

import io
import os
import re
import shutil
import subprocess
import tomllib
from contextlib import redirect_stdout, suppress
from pathlib import Path

import pytest
import yaml

import figures_pkg
from figures_pkg.book.render import BRANCH
from figures_pkg.cli import main

ROOT = Path(__file__).resolve().parents[2]
TEXTS = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("Makefile", "README.md", ".binder/postBuild", "Snakefile", "environment.yml")}
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted((ROOT / ".github" / "workflows").glob("*.yml"))}
EVENTS = {name: workflow[True] for name, workflow in WORKFLOWS.items()}  # YAML 1.1 reads the key ``on`` as true
JOBS = {f"{name}-{job}": (name, content, "\n".join(step.get("run", "") for step in content["steps"]))
        for name, workflow in WORKFLOWS.items() for job, content in workflow["jobs"].items()}  # fmt: skip
with redirect_stdout(io.StringIO()) as help_text, suppress(SystemExit):
    main(["--help"])
COMMANDS = set(re.findall(r"^    ([a-z]+)\b", help_text.getvalue(), re.MULTILINE))


@pytest.mark.parametrize("job", JOBS)
def test_a_job_calls_what_exists_and_may_do_no_more_than_it_needs(job):
    """Targets, commands, tests and scripts exist; actions are of one commit; what may write runs nothing that a pull request brings or others typed."""
    name, content, script = JOBS[job]
    assert set(re.findall(r"\bmake ([a-z]+)", script)) <= set(re.findall(r"^([a-z]+):", TEXTS["Makefile"], re.MULTILINE))
    assert set(re.findall(r"-m figures_pkg ([a-z]+)", script)) <= COMMANDS
    assert all((ROOT / path).is_file() for path in re.findall(r"(?:pytest|bash) ((?:tests|\.github)/\S+)", script))
    assert content.get("needs") in {None, *WORKFLOWS[name]["jobs"]}
    assert set(EVENTS[name].get("workflow_run", {}).get("workflows", [])) <= {workflow["name"] for workflow in WORKFLOWS.values()}
    assert content["timeout-minutes"] and content["permissions"] and WORKFLOWS[name]["permissions"] == {} and "${{" not in script
    assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", step["uses"]) for step in content["steps"] if "uses" in step)
    assert "pull_request_target" not in EVENTS[name]
    if "write" in content["permissions"].values():
        assert "pull_request" not in EVENTS[name] or content["if"] == "github.event_name == 'push'"
        assert not re.search(r"\b(make|pip|pytest|figures_pkg)\b", script)


def test_commands_named_elsewhere_exist_and_artefacts_that_are_fetched_were_kept():
    """The branch that the buttons of the pages open is pushed, with the staged notebooks in it."""
    pushes = "".join(script for _, _, script in JOBS.values())
    assert f"git push --force origin {BRANCH}" in pushes and "git add --force book/executed" in pushes
    assert set(re.findall(r"(?:-m |`)figures_pkg ([a-z]+)", "".join(TEXTS.values()))) <= COMMANDS
    steps = [step for _, job, _ in JOBS.values() for step in job["steps"]]
    kept = {step["with"]["name"].replace("${{ env.PROFILE }}", "smoke") for step in steps if "upload-artifact" in step.get("uses", "")}
    fetched = {name for _, _, script in JOBS.values() for name in re.findall(r"--name (\S+)", script)}
    fetched |= set(re.findall(r"newest (html-smoke|html-record)", (ROOT / ".github" / "site.sh").read_text(encoding="utf-8")))
    assert fetched == {"notebooks-smoke", "release", "html-smoke", "html-record"} and fetched <= kept


def test_the_pins_hold_in_the_matrix_and_on_binder():
    """The oldest and the newest Python that pyproject.toml declares, on three systems; on Binder the same torch without CUDA, and all other pins."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = [text.rsplit(" ", 1)[1] for text in project["classifiers"] if "Python :: 3." in text]
    matrix = WORKFLOWS["tests"]["jobs"]["pinned"]["strategy"]["matrix"]
    assert matrix["python"] == [declared[0], declared[-1]] and project["requires-python"] == f">={declared[0]}"
    assert [system.split("-")[0] for system in matrix["os"]] == ["ubuntu", "macos", "windows"]
    torch = re.search(r"^torch==(.+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)[1]
    assert f"pytorch={torch}=cpu*" in yaml.safe_load((ROOT / ".binder" / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    assert "-c constraints.txt" in TEXTS[".binder/postBuild"]


@pytest.mark.process
@pytest.mark.parametrize(("tag", "released"), [(f"v{figures_pkg.__version__}", True), ("v0.0.99", False)])
def test_a_tag_is_released_if_it_is_the_version(tag, released):
    bash = shutil.which("bash") or pytest.skip("no bash here")
    (step,) = [step for step in JOBS["release-build"][1]["steps"] if step.get("name") == "The tag is the version of the package"]
    done = subprocess.run([bash, "-c", step["run"]], cwd=ROOT, env=os.environ | {"GITHUB_REF_NAME": tag})
    assert (done.returncode == 0) == released
