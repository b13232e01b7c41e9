"""HyperSpy: the signal times a mask, summed over the signal axes; lazily for a file."""

import dask
import hyperspy.api as hs
import numpy as np
from common import answer, contest, masks


def prepare(path, case, threads):
    """A Signal2D in memory, or a lazy one, all of whose results are computed in one go."""
    signal = hs.signals.Signal2D(np.load(path)) if case == "memory" else hs.load(path, lazy=True, reader="hspy")
    row, col = np.indices((256, 256), dtype=np.float32)

    def summed(product):
        return product.sum(axis=product.axes_manager.signal_axes)

    def work():
        wanted = {name: summed(signal * mask) for name, mask in masks().items()}
        wanted |= {"total": summed(signal), "row": summed(signal * row), "col": summed(signal * col)}
        wanted["mean"] = signal.mean(axis=signal.axes_manager.navigation_axes)
        with dask.config.set(scheduler="threads", num_workers=threads):
            found = dict(zip(wanted, dask.compute(*[result.data for result in wanted.values()])))
        total, row_sum, col_sum, mean = (found.pop(name) for name in ("total", "row", "col", "mean"))
        return answer(found, row_sum / total, col_sum / total, mean)
    return work


contest(prepare)
