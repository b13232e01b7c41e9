# The way from a scan to the book: dataset -> executed notebooks -> pages. Only what is stale is made again.
#
#   snakemake --cores 2 --config profile=smoke data=twin
#
# A notebook is stale when its source, the modules it imports, its profile, its data or the pins have changed.
# Snakemake compares times first and, for small files, contents, so a fresh checkout of the same text is not stale.
import sys
from pathlib import Path
from subprocess import run

sys.path.insert(0, str(Path(workflow.basedir)))
from figures_pkg.book.chapters import CHAPTERS, artefacts_of, datasets_of, load_profile
from figures_pkg.data.locate import artefacts_folder, locate
from figures_pkg.book.dependencies import modules_behind, modules_behind_notebook

PROFILE = config.get("profile", "laptop")
DATA = config.get("data", "twin")
KEPT = str(artefacts_folder(PROFILE))
PAGES = [p for p in Path("book").rglob("*") if p.is_file() and not {"_build", "executed"} & set(p.parts)]


def package(*words):
    """Run one command of the package and stop the workflow when it fails."""
    run([sys.executable, "-m", "figures_pkg", *map(str, words)], check=True)


rule book:
    input:
        expand(f"{KEPT}/notebooks/{DATA}/{{chapter}}.ipynb", chapter=CHAPTERS), PAGES, "constraints.txt",
    output: "book/_build/html/index.html"
    params: profile=PROFILE, data=DATA
    run: package("render", "--profile", params.profile, "--data", params.data)


rule notebooks:
    input: expand(f"{KEPT}/notebooks/{DATA}/{{chapter}}.ipynb", chapter=CHAPTERS)


rule notebook:
    input:
        source="notebooks/{chapter}.md",
        profile=f"notebooks/profiles/{PROFILE}.yaml",
        pins=["constraints.txt", "data_manifest.yaml"],
        modules=lambda wildcards: modules_behind_notebook(f"notebooks/{wildcards.chapter}.md"),
        scans=lambda wildcards: datasets_of(wildcards.chapter, DATA, PROFILE),
        artefacts=lambda wildcards: artefacts_of(wildcards.chapter, DATA, PROFILE),
    output: f"{KEPT}/notebooks/{DATA}/{{chapter}}.ipynb"
    params: profile=PROFILE, data=DATA
    threads: workflow.cores
    run: package("notebook", wildcards.chapter, "--profile", params.profile, "--data", params.data)


rule twin:
    input:
        modules=modules_behind("figures_pkg.twin"),
        pins="constraints.txt",
    output: f"{KEPT}/{{preset}}.hspy", f"{KEPT}/{{preset}}.truth.nc"
    params: size=load_profile(PROFILE)["twin_size"]
    threads: workflow.cores
    run: package("twin", wildcards.preset, "--size", params.size, "--out", output[0], "--overwrite")


rule model:
    input:
        modules=lambda wildcards: modules_behind("figures_pkg.model.keep"),
        pins="constraints.txt",
        scan=lambda wildcards: str(locate(wildcards.dataset, DATA, PROFILE, must_exist=False)),
    output: f"{KEPT}/models/{DATA}/{{dataset}}-{{recipe}}-seed{{seed}}.safetensors"
    params: profile=PROFILE, data=DATA
    threads: workflow.cores
    run:
        package("train", "--data", wildcards.dataset, "--source", params.data, "--profile", params.profile,
                "--recipe", wildcards.recipe, "--seed", wildcards.seed, "--out", output[0], "--overwrite")


rule embedding:
    input:
        modules=lambda wildcards: modules_behind("figures_pkg.model.embed"),
        model=f"{KEPT}/models/{DATA}/{{dataset}}-{{recipe}}-seed{{seed}}.safetensors",
        scan=lambda wildcards: str(locate(wildcards.dataset, DATA, PROFILE, must_exist=False)),
    output: f"{KEPT}/models/{DATA}/{{dataset}}-{{recipe}}-seed{{seed}}.nc"
    params: profile=PROFILE, data=DATA
    threads: workflow.cores
    run:
        package("embed", input.model, "--data", wildcards.dataset, "--source", params.data, "--profile", params.profile,
                "--out", output[0], "--overwrite")
