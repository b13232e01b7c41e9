"""Run by test_train.py: the same batch and the same training on two ranks, written by the first, which starts the second."""

import sys

import torch
from lightning_fabric import Fabric
from small_training import RECIPE, SMALL, WEIGHTS, batch, gradients, small_scan

from figures_pkg.model import Autoencoder, train
from figures_pkg.model.train import Step

torch.set_num_threads(1)
fabric = Fabric(accelerator="cpu", devices=2, strategy="ddp", precision="64-true")
fabric.launch()
found = {}
for micro_batch in (None, 2):
    step = Step(fabric, Autoencoder(SMALL, seed=3), 10, "book", micro_batch)
    share = slice(0, 7) if fabric.global_rank == 0 else slice(7, 10)  # an uneven split
    losses, _ = step.backward(batch()[share], WEIGHTS)
    found[str(micro_batch)] = {"losses": fabric.all_reduce(losses, reduce_op="sum"), "gradients": gradients(step)}
found["history"] = train(small_scan(), RECIPE, fabric=fabric, progress=False).history
if fabric.is_global_zero:
    torch.save(found, sys.argv[1])
