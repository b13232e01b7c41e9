"""Race a training step, an encoder pass and the losses against their published form, in interleaved rounds of one run."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from lightning_fabric import Fabric
from one_pass import machine, write_readme

from figures_pkg.data import available_cores
from figures_pkg.model import Autoencoder, NetworkConfig
from figures_pkg.model.losses import LossWeights, total_loss
from figures_pkg.model.train import Step

sys.path.insert(0, str(Path(__file__).parent / "adapters"))
import published_training as published  # noqa: E402

WEIGHTS = LossWeights(l1=5e-3, similarity=5e-5, divergence=2e-4)  # the paper's walls
RATE = 3e-5
PUBLISHED, OURS = "published form", "figures_pkg, {}"
TOLERANCE = {"32-true": 1e-4, "bf16-mixed": 2e-2}  # of the same number in both forms, relative
TF32_TOLERANCE = 5e-3  # of 32 bits on a GPU, whose convolutions PyTorch computes in TF32
MARKS = ("<!-- training measured: begin -->\n", "<!-- training measured: end -->\n")
Race = dict[str, Callable[[], float]]


def main() -> None:
    """Prepare the contestants, check that they agree, run the rounds, write the tables to stdout, and to the page if asked."""
    options = arguments()
    torch.set_num_threads(options.threads)
    config = NetworkConfig(options.pattern, options.filters, tuple(options.pools), options.channels)
    shape = (options.batch, config.pattern, config.pattern)
    patterns = torch.rand(shape, generator=torch.Generator().manual_seed(1)).to(options.device)
    forward, step = networks(config, patterns, options)
    races = {f"Encoder, batch of {options.batch}": forward, f"Training step, batch of {options.batch}": step,
             f"Losses alone, forward and backward, {options.losses_batch} vectors": losses(options.losses_batch, options)}
    text = header(config, options)
    for title, race in races.items():
        text += table(title, measure(race, options))
    sys.stdout.write(text)
    if options.write:
        write_readme(text, MARKS)


def arguments() -> argparse.Namespace:
    """The command line; the paper's network by default."""
    paper = NetworkConfig()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--pattern", type=int, default=paper.pattern)
    parser.add_argument("--filters", type=int, default=paper.filters)
    parser.add_argument("--pools", type=int, nargs="+", default=list(paper.pools))
    parser.add_argument("--channels", type=int, default=paper.channels)
    parser.add_argument("--batch", type=int, default=2, help="patterns in a step; 0.6 GB each at the paper's sizes")
    parser.add_argument("--losses-batch", type=int, default=256, help="vectors in the race of the losses alone")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--least-seconds", type=float, default=0.2, help="a contestant is called until this is over, in each round")
    parser.add_argument("--threads", type=int, default=available_cores())
    parser.add_argument("--precisions", nargs="+", choices=TOLERANCE, help="32 bits, and bf16 where the device computes in it")
    parser.add_argument("--write", action="store_true", help="put the tables into benchmarks/README.md")
    options = parser.parse_args()
    options.precisions = options.precisions or ["32-true", "bf16-mixed"][:1 + computes_in_bf16(options.device)]
    return options


def computes_in_bf16(device: str) -> bool:
    """Whether the device has instructions for bfloat16; without them it is many times slower than 32 bits."""
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported()


def networks(config: NetworkConfig, patterns: torch.Tensor, options) -> tuple[Race, Race]:
    """Encoder and step of the published form and of ours in each precision, all from the same weights."""
    start = Autoencoder(config, seed=0).to(options.device)
    plain = published.PublishedForm(start)
    optimizer = torch.optim.Adam(plain.parameters(), lr=RATE)
    forward: Race = {PUBLISHED: without_gradient(lambda: plain.encode(patterns))}
    step: Race = {PUBLISHED: lambda: published.step(plain, optimizer, patterns, WEIGHTS)}
    for precision in options.precisions:
        name = OURS.format(precision)
        forward[name], step[name] = ours(start, precision, patterns, options)
    for race in (forward, step):
        check(race)
    return forward, step


def ours(start: Autoencoder, precision: str, patterns: torch.Tensor, options) -> tuple[Callable, Callable]:
    """Encoder pass and step of a copy of the network in one precision."""
    net = Autoencoder(start.config, seed=0).to(options.device)
    fabric = Fabric(accelerator=options.device, devices=1, precision=precision)
    fabric.launch()
    stepper = Step(fabric, net, len(patterns), convention="published-code")

    def encode():
        with fabric.autocast():
            return net.encode(patterns)

    return without_gradient(encode), lambda: stepper(patterns, WEIGHTS, RATE)[0][0].item()


def without_gradient(encode: Callable[[], torch.Tensor]) -> Callable[[], float]:
    """The same pass in inference mode; returns the mean activation."""
    def run():
        with torch.inference_mode():
            return encode().float().mean().item()
    return run


def losses(count: int, options) -> Race:
    """Both forms of the three terms on the same vectors, half of whose components are 0; returns the norm of the gradient."""
    vectors = torch.randn(count, options.channels, generator=torch.Generator().manual_seed(2)).relu().to(options.device)
    blank = vectors.new_zeros(1).expand(count).reshape(count, 1, 1)

    def run(function):
        z = vectors.clone().requires_grad_()
        function(z).backward()
        return z.grad.norm().item()

    race = {PUBLISHED: lambda: run(lambda z: published.losses(z, WEIGHTS)),
            OURS.format("32-true"): lambda: run(lambda z: total_loss(blank, blank, z, WEIGHTS, "published-code").total)}
    check(race)
    return race


def check(race: Race) -> None:
    """Call every contestant once, which also warms it up; raise unless all give the number of the published form."""
    expected = race[PUBLISHED]()
    for name, run in race.items():
        if name != PUBLISHED:
            found, allowed = run(), TOLERANCE[name.rpartition(" ")[2]]
            allowed = max(allowed, TF32_TOLERANCE) if torch.cuda.is_initialized() else allowed
            if not abs(found - expected) <= allowed * abs(expected):
                raise ValueError(f"{name} gives {found}, the published form {expected}; they are not the same work")


def measure(race: Race, options) -> dict[str, list[tuple[float, float]]]:
    """For each contestant, (wall seconds, processor seconds) of a call in each round."""
    found = {name: [] for name in race}
    for _ in range(options.rounds):
        for name, run in race.items():
            found[name].append(time_one(run, options.least_seconds))
    return found


def time_one(run: Callable, least_seconds: float) -> tuple[float, float]:
    """Mean wall and processor time of a call; every call ends by fetching a number, so a GPU has finished too."""
    wall, processor, calls = time.perf_counter(), time.process_time(), 0
    while not calls or time.perf_counter() - wall < least_seconds:
        run()
        calls += 1
    return (time.perf_counter() - wall) / calls, (time.process_time() - processor) / calls


def header(config: NetworkConfig, options) -> str:
    """What was measured on what, above the tables."""
    device = torch.cuda.get_device_name() if options.device == "cuda" else f"processor, {options.threads} threads"
    return (f"Measured on {machine()}; {device}; load {os.getloadavg()[1]:.0f}; PyTorch {torch.__version__}. Patterns of {config.pattern} px, "
            f"{config.filters} filters, pools {config.pools}, {config.channels} channels; {options.rounds} interleaved rounds, medians over the rounds.\n")


def table(title: str, found: dict[str, list[tuple[float, float]]]) -> str:
    """A markdown table of one race. Ratios are taken within a round, then their median over rounds."""
    lines = [f"\n**{title}**\n", "| | time (ms) | processor time (ms) | faster than the published form | by processor time |",
             "| --- | --- | --- | --- | --- |"]
    for name, rounds in found.items():
        wall, processor = (1e3 * median(times) for times in zip(*rounds))
        factors = [median(a[k] / b[k] for a, b in zip(found[PUBLISHED], rounds)) for k in (0, 1)]
        shown = ["", ""] if name == PUBLISHED else [f"{factor:.1f} x" for factor in factors]
        lines.append(f"| {name} | {wall:.2f} | {processor:.2f} | {shown[0]} | {shown[1]} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
