"""Run by test_train.py under torchrun: the same batch and the same training on two ranks, written by the first."""

import sys

import torch
from lightning_fabric import Fabric
from small_training import RECIPE, SMALL, WEIGHTS, batch, gradients, small_scan

from figures_pkg.model import Autoencoder, train
from figures_pkg.model.step import Step


def shared_batch(fabric: Fabric, micro_batch: int | None) -> dict:
    """Losses summed over ranks, and the gradients."""
    step = Step(fabric, Autoencoder(SMALL, seed=3), 10, "book", micro_batch)
    share = slice(0, 7) if fabric.global_rank == 0 else slice(7, 10)  # an uneven split
    losses, _ = step.backward(batch()[share], WEIGHTS)
    return {"losses": fabric.all_reduce(losses, reduce_op="sum"), "gradients": gradients(step)}


torch.set_num_threads(1)
double, single = (Fabric(accelerator="cpu", devices=2, strategy="ddp", precision=p) for p in ("64-true", "32-true"))
double.launch()
found = {str(micro): shared_batch(double, micro) for micro in (None, 2)}
single.launch()
found["history"] = train(small_scan(), RECIPE, fabric=single, progress=False).history
if double.is_global_zero:
    torch.save(found, sys.argv[1])
