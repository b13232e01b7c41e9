# The way from a scan to the book: dataset -> executed notebooks -> pages. Only what is stale is made again.
#
#   snakemake --cores 2 --config profile=smoke data=twin
#
# A job is stale when what it uses has changed: the code behind its command or notebook, module by module, and the data files that this
# code reads (figures_pkg/code.py says how both are found), its profile, its data or the pins. A scan uses its own preset
# and the preset's base. What executes and renders notebooks does not count as code behind them. artefacts/PROFILE/code holds a
# fingerprint of each part of the code, written when the workflow starts; comments, docstrings and layout leave it as it is.
# Jobs run side by side on a core each, which costs less than one job on all cores. What others wait for goes first, then what takes long.
# On Linux they are forked from a process that has the large libraries imported (figures_pkg/book/template.py); elsewhere each starts anew.
# Snakemake compares times first and, for small files, contents; a fresh checkout of the same code leaves the fingerprints as they are.
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir)))
from figures_pkg.book.chapters import CHAPTERS, artefacts_of, claims_inputs, dataset_pattern, datasets_of, executed_path, fingerprint_files, measures
from figures_pkg.book.jobs import Jobs, job_name
from figures_pkg.book.template import Template
from figures_pkg.code import installed_code
from figures_pkg.workspace import artefacts_folder, book_folder, load_profile
from figures_pkg.record.manifest import manifest_of
from figures_pkg.record.fetch import locate

PROFILE = config.get("profile", "laptop")
DATA = config.get("data", "twin")
KEPT = str(artefacts_folder(PROFILE))
BOOK = book_folder()
PAGES = [p for p in BOOK.rglob("*") if p.is_file() and not {"_build", "executed"} & set(p.parts)] + [*Path().glob("claims.yaml")]
CODE = installed_code()
JOBS = Jobs(Path(KEPT) / "logs")
NOTEBOOKS = [str(executed_path(chapter, DATA, PROFILE)) for chapter in CHAPTERS]


ONE_THREAD = os.environ | {"OMP_NUM_THREADS": "1"}


def package(rule, wildcards, *words):
    """Run the command of a job on one thread."""
    command = [sys.executable, "-m", "figures_pkg", *map(str, words)]
    JOBS.run(job_name(rule, wildcards), "-".join([rule, *wildcards]), command, ONE_THREAD)


onstart:
    nodes = workflow.resource_settings.nodes  # of a cluster
    JOBS.plan(workflow.dag, nodes or workflow.cores)
    if not nodes and len(JOBS.above) > 3 and sys.platform == "linux":  # for fewer jobs the imports of the template cost what they save
        JOBS.template = Template(ONE_THREAD)


def order(rule):
    """When the jobs of a rule start among those that are ready."""
    return lambda wildcards: JOBS.priority(rule, dict(wildcards.items()))


def scan(wildcards):
    """The scan that a job is about, whether it is there already or not."""
    return str(locate(wildcards.dataset, wildcards.source, PROFILE, must_exist=False))


def code(parts):
    """Fingerprints of parts of the code, as files that are newer than a result only if what they stand for is."""
    return fingerprint_files(CODE, parts, PROFILE)


wildcard_constraints:
    dataset=dataset_pattern(),
    preset=r"[\w-]+",
    field=r"[1-9]\d*",
    seed=r"\d+",
    source="twin|zenodo",


rule book:
    input:
        NOTEBOOKS, PAGES, "constraints.txt",
        sorted(map(str, Path("figures_pkg").rglob("*.py"))),  # the files themselves: their docstrings are the reference
    output: f"{BOOK}/_build/html/index.html"
    params: profile=PROFILE, data=DATA
    run: package(rule, wildcards, "render", "--profile", params.profile, "--data", params.data)


rule notebooks:
    input: NOTEBOOKS


rule notebook:
    input:
        text="notebooks/{chapter}.md",
        profile=f"notebooks/profiles/{PROFILE}.yaml",
        pins=lambda wildcards: ["constraints.txt", str(manifest_of(wildcards.source))],
        code=lambda wildcards: code(CODE.behind_notebook(f"notebooks/{wildcards.chapter}.md")),
        scans=lambda wildcards: datasets_of(wildcards.chapter, wildcards.source, PROFILE),
        artefacts=lambda wildcards: artefacts_of(wildcards.chapter, wildcards.source, PROFILE),
    output: f"{KEPT}/notebooks/{{source}}/{{chapter}}.ipynb"
    params: profile=PROFILE
    priority: order("notebook")
    run: package(rule, wildcards, "notebook", wildcards.chapter, "--profile", params.profile, "--data", wildcards.source)


rule twin:
    input:
        code=lambda wildcards: code(CODE.behind_command("twin", wildcards.preset)),
        pins="constraints.txt",
    output: f"{KEPT}/{{preset}}.hspy", f"{KEPT}/{{preset}}.truth.nc"
    wildcard_constraints: preset=r"(?![\w-]*-field\d)[\w-]+"
    params: size=load_profile(PROFILE)["twin_size"]
    priority: order("twin")
    run: package(rule, wildcards, "twin", wildcards.preset, "--size", params.size, "--out", output[0], "--libraries", KEPT, "--overwrite")


# The same specimen with other random bend, thickness, wall courses and counts.
rule twin_field:
    input:
        code=lambda wildcards: code(CODE.behind_command("twin", wildcards.preset)),
        pins="constraints.txt",
    output: f"{KEPT}/{{preset}}-field{{field}}.hspy", f"{KEPT}/{{preset}}-field{{field}}.truth.nc"
    params: size=load_profile(PROFILE)["twin_size"]
    priority: order("twin_field")
    run:
        package(rule, wildcards, "twin", wildcards.preset, "--size", params.size, "--seed", wildcards.field, "--out", output[0],
                "--libraries", KEPT, "--overwrite")


rule model:
    input:
        code=lambda wildcards: code(CODE.behind_command("train")),
        pins="constraints.txt",
        scan=scan,
    output: f"{KEPT}/models/{{source}}/{{dataset}}-{{recipe}}-seed{{seed}}.safetensors"
    params: profile=PROFILE
    priority: order("model")
    run:
        package(rule, wildcards, "train", "--data", wildcards.dataset, "--source", wildcards.source, "--profile", params.profile,
                "--recipe", wildcards.recipe, "--seed", wildcards.seed, "--out", output[0], "--overwrite")


rule embedding:
    input:
        code=lambda wildcards: code(CODE.behind_command("embed")),
        model=f"{KEPT}/models/{{source}}/{{dataset}}-{{recipe}}-seed{{seed}}.safetensors",
        scan=scan,
    output: f"{KEPT}/models/{{source}}/{{dataset}}-{{recipe}}-seed{{seed}}.nc"
    params: profile=PROFILE
    priority: order("embedding")
    run:
        package(rule, wildcards, "embed", input.model, "--data", wildcards.dataset, "--source", wildcards.source, "--profile", params.profile,
                "--out", output[0], "--overwrite")


# The authors' networks on the authors' scans. Only the last epoch of their β-VAE is needed.
RELEASED = {"ds1-published": "ca-ds1", "ds2-published": "ca-ds2-domains", "ds2-published-walls": "ca-ds2-walls", "ds2-published-vae": "vae-27"}


rule released_embedding:
    input:
        code=lambda wildcards: code(CODE.behind_command("embed")),
        pins=["constraints.txt", str(manifest_of("zenodo"))],
        weights=lambda wildcards: str(locate(RELEASED[wildcards.network], "zenodo", PROFILE)),
        scan=lambda wildcards: str(locate(wildcards.network[:3], "zenodo", PROFILE)),
    output: f"{KEPT}/models/zenodo/{{network}}.nc"
    wildcard_constraints: network="|".join(RELEASED)
    params: profile=PROFILE, grid=load_profile(PROFILE)["released_grid"]
    priority: order("released_embedding")
    run:
        grid = ["--grid", params.grid] if params.grid else []
        package(rule, wildcards, "embed", RELEASED[wildcards.network], "--data", wildcards.network[:3], "--source", "zenodo", "--profile", params.profile,
                *grid, "--out", output[0], "--overwrite")


# What stands in for the truth of a measured scan: its domains, found by matching, with their sign and evidence.
rule domains:
    input:
        code=lambda wildcards: code(CODE.behind_command("domains")),
        pins=lambda wildcards: ["constraints.txt", str(manifest_of(wildcards.source))],
        scan=scan,
    output: f"{KEPT}/domains/{{source}}/{{dataset}}.nc"
    params: profile=PROFILE
    priority: order("domains")
    run:
        package(rule, wildcards, "domains", wildcards.dataset, "--source", wildcards.source, "--profile", params.profile, "--out", output[0], "--overwrite")


# A scan packed for the page that a reader looks through it with.
rule explorer:
    input:
        code=lambda wildcards: code(CODE.behind_command("explore")),
        pins="constraints.txt",
        scan=scan,
        embedding=f"{KEPT}/models/{{source}}/{{dataset}}-{load_profile(PROFILE)['recipe']}-seed0.nc",
        known=lambda wildcards: [] if wildcards.source == "twin" else f"{KEPT}/domains/{wildcards.source}/{wildcards.dataset}.nc",
    output: f"{KEPT}/explorer/{{source}}/{{dataset}}.js"
    params: profile=PROFILE
    priority: order("explorer")
    run:
        package(rule, wildcards, "explore", wildcards.dataset, "--source", wildcards.source, "--profile", params.profile,
                "--embedding", input.embedding, "--out", output[0], "--overwrite")


# Every method against the truth of one simulated scan; an interrupted run goes on with the next scan.
rule scan_scores:
    input:
        code=lambda wildcards: code(CODE.behind_command("score")),
        pins="constraints.txt",
        profile=f"notebooks/profiles/{PROFILE}.yaml",
        scan=f"{KEPT}/{{dataset}}.hspy",
        truth=f"{KEPT}/{{dataset}}.truth.nc",
    output: f"{KEPT}/scores/twin/{{dataset}}.csv"
    params: profile=PROFILE
    priority: order("scan_scores")
    run: package(rule, wildcards, "score", wildcards.dataset, "--profile", params.profile, "--out", output[0])


# What the paper claims against what was made; an interrupted evaluation goes on with the next claim.
rule claims:
    input:
        code=lambda wildcards: code({*CODE.behind_command("claims"), *CODE.behind(*measures())}),
        rows="claims.yaml",
        pins="constraints.txt",
        profile=f"notebooks/profiles/{PROFILE}.yaml",
        made=lambda wildcards: claims_inputs(wildcards.source, PROFILE),
    output: f"{KEPT}/claims/{{source}}/claims.json"
    params: profile=PROFILE
    priority: order("claims")
    run: package(rule, wildcards, "claims", "--profile", params.profile, "--data", wildcards.source, "--out", output[0])


rule scores:
    input: expand(f"{KEPT}/scores/twin/{{dataset}}.csv", dataset=load_profile(PROFILE)["scored"])
    output: f"{KEPT}/scores/twin/table.csv"
    priority: order("scores")
    run:
        import pandas

        tables = [pandas.read_csv(path, dtype=str, keep_default_na=False) for path in input]  # "null" is the name of a scan
        pandas.concat(tables).to_csv(output[0], index=False)
