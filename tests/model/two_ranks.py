"""Run by test_train.py: the same batches and the same training on two ranks, written by the first, which starts the second."""

import sys

import torch
from lightning_fabric import Fabric
from small_training import RECIPE, STEPS, batch, gradients, small_scan

from figures_pkg.model import train

torch.set_num_threads(1)
fabric = Fabric(accelerator="cpu", devices=2, strategy="ddp", precision="64-true")
fabric.launch()
found = {}
for name, (make, weights) in STEPS.items():
    for micro_batch in (None, 2):
        step = make(fabric, micro_batch)
        share = batch()[fabric.global_rank :: 2] if name == "β-VAE" else batch().split([7, 3])[fabric.global_rank]  # as the draws are shared; an uneven split
        losses, _ = step.backward(share, weights, number=2)
        found[f"{name} {micro_batch}"] = {"losses": fabric.all_reduce(losses, reduce_op="sum"), "gradients": gradients(step)}
found["history"] = train(small_scan(), RECIPE, fabric=fabric, progress=False).history
if fabric.is_global_zero:
    torch.save(found, sys.argv[1])
