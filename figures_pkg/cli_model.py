"""The commands that train networks, apply them, and score what they find: thin calls into `model` and `evaluate`."""

from pathlib import Path

SIZES = ("smoke", "laptop", "paper")


def add_model_commands(commands) -> None:
    """Add train, embed and score to the commands of the program."""
    _add_score_command(commands)
    train = commands.add_parser("train", help="train the autoencoder on a scan; an interrupted training goes on")
    train.add_argument("--recipe", help="e.g. domains, vortex, walls (the paper's), laptop; by default the profile's")
    train.add_argument("--seed", type=int, default=0, help="of the first weights and the order of the patterns")
    train.add_argument("--out", type=Path, required=True,
                       help="the .safetensors to write; a file of this name in .stop ends it early")
    train.add_argument("--start", type=Path, metavar="MODEL", help="a trained .safetensors to start from")
    train.add_argument("--micro-batch", type=int, metavar="N", help="patterns in memory at once; the result stays the same")
    train.add_argument("--accelerator", default="auto", help="cpu, cuda or auto")
    train.add_argument("--devices", type=int, default=1, help="per node")
    train.add_argument("--nodes", type=int, default=1)
    train.set_defaults(run=_train)

    embed = commands.add_parser("embed", help="write the embedding of a scan by a trained network")
    embed.add_argument("model", help="a .safetensors of ours, a .pkl of the record, or the name of one in the manifest, e.g. ca-ds1")
    embed.add_argument("--out", type=Path, required=True, help="the .nc to write")
    embed.add_argument("--grid", type=int, metavar="N", help="on a processor, N x N evenly spaced positions at most; a GPU takes all")
    embed.set_defaults(run=_embed)
    for command in (train, embed):
        command.add_argument("--data", required=True, metavar="DATASET", help="ds1, … as in the manifest, or the path of a scan")
        command.add_argument("--source", choices=("twin", "zenodo"), default="twin", help="of a dataset given by name")
        command.add_argument("--profile", choices=SIZES, default="laptop", help="which size of the twin")
        command.add_argument("--overwrite", action="store_true", help="replace an existing file, or the state of another training")


def _add_score_command(commands) -> None:
    """score."""
    score = commands.add_parser("score", help="score all methods on a simulated scan against its truth")
    score.add_argument("scan", metavar="DATASET",
                       help="ds1, ds1-field2, … of the profile, or the path of a .hspy with its truth beside it")
    score.add_argument("--recipe", help="that the autoencoder is trained by; by default the profile's")
    score.add_argument("--seeds", type=int, nargs="+",
                       help="of the methods that depend on one; by default as many as the profile says")
    score.add_argument("--embedding", action="append", default=[], metavar="NAME=FILE",
                       help="maps of a network made elsewhere, netCDF")
    score.add_argument("--profile", choices=SIZES, default="laptop", help="which size of the twin")
    score.add_argument("--out", type=Path, required=True, help="the .csv to write")
    score.set_defaults(run=_score)


def _train(options) -> None:
    from figures_pkg.model import load_checkpoint
    from figures_pkg.model.recipes import recipe_called
    from figures_pkg.model.train import make_fabric
    from figures_pkg.model.train import train
    from figures_pkg.model.train import save_trained
    from figures_pkg.workspace import check_target, load_profile

    recipe = recipe_called(options.recipe or load_profile(options.profile)["recipe"])
    out = check_target(options.out, ".safetensors", options.overwrite)
    start = load_checkpoint(options.start) if options.start else None
    fabric = make_fabric(recipe, options.accelerator, options.devices, options.nodes)
    how = {"seed": options.seed, "start": start, "micro_batch": options.micro_batch, "overwrite": options.overwrite}
    trained = train(opened_scan(options.data, options), recipe, out, fabric=fabric, **how)
    if fabric.is_global_zero:
        print(save_trained(trained, out, overwrite=True))


def _embed(options) -> None:
    import torch

    from figures_pkg.model import embed, load_checkpoint
    from figures_pkg.model.embed import keep_freed_memory, save_embedding
    from figures_pkg.model.released import position_grid, released_attributes, released_network
    from figures_pkg.workspace import check_target

    out = check_target(options.out, ".nc", options.overwrite)
    net = load_checkpoint(options.model) if Path(options.model).suffix else released_network(options.model)
    keep_freed_memory()
    released = net.about.get("format") == "published"
    device = "cuda" if released and torch.cuda.is_available() else "cpu"
    scan = position_grid(opened_scan(options.data, options), options.grid if device == "cpu" else None)
    maps = embed(net, scan, progress=True, device=device)
    print(save_embedding(maps.assign_attrs(released_attributes(net, scan) if released else {}), out, overwrite=True))


def _score(options) -> None:
    from figures_pkg.data.datasets import locate
    from figures_pkg.evaluate.leaderboard import score_file
    from figures_pkg.workspace import load_profile

    profile = load_profile(options.profile)
    named = Path(options.scan).suffix == ""
    scan = locate(options.scan, "twin", options.profile) if named else Path(options.scan)
    seeds = options.seeds or range(profile["scored"].get(options.scan, 1))
    unclear = [text for text in options.embedding if "=" not in text]
    if unclear:
        raise ValueError(f"--embedding {unclear[0]}: expected NAME=FILE")
    made = dict(text.split("=", 1) for text in options.embedding)
    print(score_file(scan, options.out, options.recipe or profile["recipe"], seeds, made))


def opened_scan(name: str, options):
    """A dataset by its name, with the source and profile asked for, or a scan by its path."""
    from figures_pkg.data import open_scan
    from figures_pkg.data.datasets import open_dataset

    named = Path(name).suffix == ""
    return open_dataset(name, options.source, options.profile) if named else open_scan(name)
