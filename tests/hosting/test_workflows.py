"""The files that run on GitHub are well formed, ask for no more than they need, and call what exists."""

import copy
import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import jsonschema
import pytest
import yaml

import figures_pkg
from figures_pkg.cli import _parser

pytestmark = pytest.mark.process

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SCHEMA = json.loads(Path(__file__).with_name("workflow_schema.json").read_text(encoding="utf-8"))


def load(path: Path) -> dict:
    """A workflow; YAML 1.1 reads the key ``on`` as true."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    content["on"] = content.pop(True)
    return content


WORKFLOWS = {path.stem: load(path) for path in FILES}
JOBS = [(name, job, content) for name, workflow in WORKFLOWS.items() for job, content in workflow["jobs"].items()]
IDS = [f"{name}-{job}" for name, job, _ in JOBS]


def scripts(job: dict) -> str:
    """Everything that a job runs in a shell."""
    return "\n".join(step.get("run", "") for step in job["steps"])


@pytest.mark.parametrize("name", WORKFLOWS)
def test_workflow_follows_the_schema(name):
    """Known keys only; every job has a time limit and its own permissions, every action a full commit."""
    jsonschema.Draft7Validator(SCHEMA).validate(WORKFLOWS[name])


def _without_timeout(workflow):
    del workflow["jobs"]["build"]["timeout-minutes"]


def _without_permissions(workflow):
    del workflow["jobs"]["build"]["permissions"]


def _with_a_moving_action(workflow):
    workflow["jobs"]["build"]["steps"][0]["uses"] = "actions/checkout@v6"


def _with_all_permissions(workflow):
    workflow["permissions"] = "write-all"


def _with_the_dangerous_event(workflow):
    workflow["on"]["pull_request_target"] = None


SPOILERS = [_without_timeout, _without_permissions, _with_a_moving_action, _with_all_permissions, _with_the_dangerous_event]


@pytest.mark.parametrize("spoil", SPOILERS)
def test_schema_refuses_spoiled_workflows(spoil):
    """Each rule bites: the same file with one thing wrong is refused."""
    workflow = copy.deepcopy(WORKFLOWS["book"])
    spoil(workflow)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(SCHEMA).validate(workflow)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_action_says_its_version(path):
    """Behind the commit of an action stands the version that it is, for the reader and for the updates."""
    uses = re.findall(r"\buses: (\S+)(.*)", path.read_text(encoding="utf-8"))
    assert all(re.fullmatch(r" # v\d+\.\d+\.\d+", version) for _, version in uses), uses


def test_one_commit_for_one_action():
    """All workflows use the same version of an action."""
    used = {use.split("@")[0]: set() for _, _, job in JOBS for step in job["steps"] if (use := step.get("uses"))}
    for _, _, job in JOBS:
        for step in job["steps"]:
            if use := step.get("uses"):
                used[use.split("@")[0]].add(use)
    assert used and all(len(commits) == 1 for commits in used.values())


@pytest.mark.parametrize("name, job, content", JOBS, ids=IDS)
def test_who_may_write_does_not_run_what_a_pull_request_brings(name, job, content):
    """A job with a right to write runs after a push, a tag or on main's own files, and never on a pull request itself."""
    if "write" not in content["permissions"].values():
        return
    events = set(WORKFLOWS[name]["on"])
    assert "pull_request" not in events or content["if"] == "github.event_name == 'push'"
    assert not re.search(r"\b(make|pip|pytest|figures_pkg)\b", scripts(content))


@pytest.mark.parametrize("name, job, content", JOBS, ids=IDS)
def test_no_text_of_others_reaches_a_shell(name, job, content):
    """Branch names and titles come through the environment, never through the text of a script."""
    assert "${{" not in scripts(content)


@pytest.mark.parametrize("name, job, content", JOBS, ids=IDS)
def test_what_a_job_calls_exists(name, job, content):
    """Targets of make, commands of the package, tests and scripts that a job names are there; a job waits for one that is."""
    text = scripts(content)
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)", text)) <= targets
    assert set(re.findall(r"-m figures_pkg ([a-z]+)", text)) <= commands()
    paths = re.findall(r"(?:pytest|bash) ((?:tests|\.github)/\S+)", text)
    assert all((ROOT / path).is_file() for path in paths)
    assert content.get("needs", job) in WORKFLOWS[name]["jobs"]


def commands() -> set[str]:
    """Every command of the package."""
    (actions,) = [action for action in _parser()._actions if getattr(action, "choices", None) and not action.option_strings]
    return set(actions.choices)


@pytest.mark.parametrize("file", ["Makefile", "README.md", ".binder/postBuild", "Snakefile", "environment.yml"])
def test_commands_named_elsewhere_exist(file):
    """What the Makefile, the README and Binder call is a command of the package."""
    named = set(re.findall(r"(?:-m |`)figures_pkg ([a-z]+)", (ROOT / file).read_text(encoding="utf-8")))
    assert named <= commands()


def test_workflows_wait_for_workflows_that_exist():
    """A workflow that follows another names it as it calls itself."""
    names = {workflow["name"] for workflow in WORKFLOWS.values()}
    followed = {name for workflow in WORKFLOWS.values() for name in workflow["on"].get("workflow_run", {}).get("workflows", [])}
    assert followed and followed <= names


def test_artefacts_that_are_fetched_were_kept():
    """Names of artefacts agree between the jobs that keep and those that fetch them."""
    kept = {step["with"]["name"] for _, _, job in JOBS for step in job["steps"] if "upload-artifact" in step.get("uses", "")}
    assert all(step["with"]["path"] for _, _, job in JOBS for step in job["steps"] if "upload-artifact" in step.get("uses", ""))
    smoke = {name.replace("${{ env.PROFILE }}", "smoke") for name in kept}
    fetched = set(re.findall(r"--name (\S+)", "\n".join(scripts(job) for _, _, job in JOBS)))
    fetched |= set(re.findall(r"newest (html-smoke|html-record)", (ROOT / ".github" / "site.sh").read_text(encoding="utf-8")))
    assert fetched == {"notebooks-smoke", "release", "html-smoke", "html-record"} and fetched <= smoke


def test_oldest_and_newest_python_are_tested():
    """The matrix has the oldest and the newest Python that pyproject.toml declares, on three systems."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = [text.rsplit(" ", 1)[1] for text in project["classifiers"] if "Python :: 3." in text]
    matrix = WORKFLOWS["tests"]["jobs"]["pinned"]["strategy"]["matrix"]
    assert matrix["python"] == [declared[0], declared[-1]] and project["requires-python"] == f">={declared[0]}"
    assert [system.split("-")[0] for system in matrix["os"]] == ["ubuntu", "macos", "windows"]


def test_updates_cover_pins_and_actions():
    """Dependabot proposes both kinds of pins."""
    content = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text(encoding="utf-8"))
    assert content["version"] == 2
    assert {update["package-ecosystem"] for update in content["updates"]} == {"pip", "github-actions"}
    assert all((ROOT / update["directory"].lstrip("/")).is_dir() and update["schedule"]["interval"] for update in content["updates"])


def test_binder_has_the_pins_and_no_cuda():
    """Binder installs the same torch as the pins, as a CPU build, and everything else from the pins."""
    wanted = yaml.safe_load((ROOT / ".binder" / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    torch = re.search(r"^torch==(.+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)[1]
    assert f"pytorch={torch}=cpu*" in wanted
    assert "-c constraints.txt" in (ROOT / ".binder" / "postBuild").read_text(encoding="utf-8")


@pytest.mark.parametrize(("tag", "released"), [(f"v{figures_pkg.__version__}", True), ("v0.0.99", False)])
def test_a_tag_is_released_if_it_is_the_version(tag, released):
    """The step that compares both finds the version where it is stated, and refuses another."""
    bash = shutil.which("bash") or pytest.skip("no bash here")
    (step,) = [step for step in WORKFLOWS["release"]["jobs"]["build"]["steps"] if step.get("name") == "The tag is the version of the package"]
    done = subprocess.run([bash, "-c", step["run"]], cwd=ROOT, env=os.environ | {"GITHUB_REF_NAME": tag})
    assert (done.returncode == 0) == released


def test_shell_scripts_parse():
    """Bash accepts the scripts and every step that it is to run."""
    bash = shutil.which("bash") or pytest.skip("no bash here")
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / ".github" / "site.sh", ROOT / ".binder" / "postBuild")]
    for text in texts + [scripts(job) for _, _, job in JOBS]:
        done = subprocess.run([bash, "-n"], input=text, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_actionlint_finds_nothing():
    """The linter of workflow files, where it is installed; GitHub runs it at every change."""
    program = shutil.which("actionlint") or pytest.skip("actionlint is not installed here")
    done = subprocess.run([program, "-no-color", *map(str, FILES)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
