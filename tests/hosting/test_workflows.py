"""What no linter of the files on GitHub sees: they call what exists, ask for no more than they need, and agree with the pins."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

import figures_pkg
from figures_pkg.cli import _parser

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted((ROOT / ".github" / "workflows").glob("*.yml"))}
JOBS = {f"{name}-{job}": (name, content) for name, workflow in WORKFLOWS.items() for job, content in workflow["jobs"].items()}
EVENTS = {name: workflow[True] for name, workflow in WORKFLOWS.items()}  # YAML 1.1 reads the key ``on`` as true
COMMANDS = next(set(action.choices) for action in _parser()._actions if action.choices and not action.option_strings)


def text_of(name: str) -> str:
    """A file of the repository."""
    return (ROOT / name).read_text(encoding="utf-8")


def scripts(job: dict) -> str:
    """Everything that a job runs in a shell."""
    return "\n".join(step.get("run", "") for step in job["steps"])


@pytest.mark.parametrize("job", JOBS)
def test_what_a_job_calls_exists(job):
    """Targets of make, commands of the package, tests and scripts; a job waits for one that is there, and a workflow for one of that name."""
    name, content = JOBS[job]
    text = scripts(content)
    assert set(re.findall(r"\bmake ([a-z]+)", text)) <= set(re.findall(r"^([a-z]+):", text_of("Makefile"), re.MULTILINE))
    assert set(re.findall(r"-m figures_pkg ([a-z]+)", text)) <= COMMANDS
    assert all((ROOT / path).is_file() for path in re.findall(r"(?:pytest|bash) ((?:tests|\.github)/\S+)", text))
    assert content.get("needs") in {None, *WORKFLOWS[name]["jobs"]}
    assert set(EVENTS[name].get("workflow_run", {}).get("workflows", [])) <= {workflow["name"] for workflow in WORKFLOWS.values()}


@pytest.mark.parametrize("job", JOBS)
def test_a_job_may_do_no_more_than_it_needs(job):
    """It ends in time, runs actions of one commit, and what may write runs nothing that a pull request brings or that others have typed."""
    name, content = JOBS[job]
    assert content["timeout-minutes"] and content["permissions"] and WORKFLOWS[name]["permissions"] == {} and "${{" not in scripts(content)
    assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", step["uses"]) for step in content["steps"] if "uses" in step)
    assert "pull_request_target" not in EVENTS[name]
    if "write" in content["permissions"].values():
        assert "pull_request" not in EVENTS[name] or content["if"] == "github.event_name == 'push'"
        assert not re.search(r"\b(make|pip|pytest|figures_pkg)\b", scripts(content))


@pytest.mark.parametrize("file", ["Makefile", "README.md", ".binder/postBuild", "Snakefile", "environment.yml"])
def test_commands_named_elsewhere_exist(file):
    assert set(re.findall(r"(?:-m |`)figures_pkg ([a-z]+)", text_of(file))) <= COMMANDS


def test_artefacts_that_are_fetched_were_kept():
    """Names of artefacts agree between the jobs that keep and those that fetch them."""
    steps = [step for _, job in JOBS.values() for step in job["steps"]]
    kept = {step["with"]["name"].replace("${{ env.PROFILE }}", "smoke") for step in steps if "upload-artifact" in step.get("uses", "")}
    fetched = {name for _, job in JOBS.values() for name in re.findall(r"--name (\S+)", scripts(job))}
    fetched |= set(re.findall(r"newest (html-smoke|html-record)", text_of(".github/site.sh")))
    assert fetched == {"notebooks-smoke", "release", "html-smoke", "html-record"} and fetched <= kept


def test_the_pins_hold_in_the_matrix_and_on_binder():
    """The oldest and the newest Python that pyproject.toml declares, on three systems; on Binder the same torch without CUDA, and all other pins."""
    project = tomllib.loads(text_of("pyproject.toml"))["project"]
    declared = [text.rsplit(" ", 1)[1] for text in project["classifiers"] if "Python :: 3." in text]
    matrix = WORKFLOWS["tests"]["jobs"]["pinned"]["strategy"]["matrix"]
    assert matrix["python"] == [declared[0], declared[-1]] and project["requires-python"] == f">={declared[0]}"
    assert [system.split("-")[0] for system in matrix["os"]] == ["ubuntu", "macos", "windows"]
    torch = re.search(r"^torch==(.+)$", text_of("constraints.txt"), re.MULTILINE)[1]
    assert f"pytorch={torch}=cpu*" in yaml.safe_load(text_of(".binder/environment.yml"))["dependencies"]
    assert "-c constraints.txt" in text_of(".binder/postBuild")


@pytest.mark.process
@pytest.mark.parametrize(("tag", "released"), [(f"v{figures_pkg.__version__}", True), ("v0.0.99", False)])
def test_a_tag_is_released_if_it_is_the_version(tag, released):
    """The step that compares both finds the version where it is stated, and refuses another."""
    bash = shutil.which("bash") or pytest.skip("no bash here")
    (step,) = [step for step in JOBS["release-build"][1]["steps"] if step.get("name") == "The tag is the version of the package"]
    done = subprocess.run([bash, "-c", step["run"]], cwd=ROOT, env=os.environ | {"GITHUB_REF_NAME": tag})
    assert (done.returncode == 0) == released
