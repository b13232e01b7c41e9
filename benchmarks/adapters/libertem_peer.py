"""LiberTEM: six masks and the sum over the scan in one pass, with the executor named by the last argument."""

import sys

import libertem.api as lt
import numpy as np
from common import answer, contest, masks
from libertem.udf.masks import ApplyMasksUDF
from libertem.udf.sum import SumUDF

EXECUTOR = sys.argv[4]


def context(threads):
    """A context with as many workers as the others have threads."""
    if EXECUTOR == "inline":
        return lt.Context.make_with("inline")
    if EXECUTOR == "threads":
        return lt.Context.make_with("threads", cpus=threads)
    return lt.Context.make_with("dask", cpus=threads, gpus=0)


def prepare(path, case, threads):
    """A data set of the file, or of an array in memory, and the two user-defined functions."""
    ctx = context(threads)
    if case == "memory":
        dataset = ctx.load("memory", data=np.load(path), sig_dims=2)
    elif case == "gzip":
        dataset = ctx.load("hdf5", path=path, ds_path="/Experiments/__unnamed__/data")
    else:
        dataset = ctx.load("npy", path=path, sig_dims=2)
    row, col = np.indices((256, 256), dtype=np.float32)
    stack = np.stack([*masks().values(), np.ones((256, 256)), row, col]).astype(np.float32)
    udfs = [ApplyMasksUDF(mask_factories=lambda: stack, use_sparse=False, mask_count=len(stack), mask_dtype=np.float32), SumUDF()]

    def work():
        result = ctx.run_udf(dataset=dataset, udf=udfs)
        values = result[0]["intensity"].data
        images = dict(zip(masks(), np.moveaxis(values, -1, 0)))
        total = values[..., 3]
        mean = result[1]["intensity"].data / total.size
        return answer(images, values[..., 4] / total, values[..., 5] / total, mean)
    return work


if __name__ == "__main__":
    contest(prepare)
