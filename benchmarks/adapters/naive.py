"""NumPy as one writes it down, one row of the scan at a time so that the copies fit into memory."""

import numpy as np
from common import answer, contest, masks


def prepare(path, case, threads):
    """The expressions of a textbook on an array in memory."""
    data = np.load(path)
    row, col = np.indices(data.shape[2:])

    def work():
        images = {name: np.stack([line[:, mask].sum(1) for line in data]) for name, mask in masks().items()}
        total = np.stack([line.sum((1, 2)) for line in data])
        com = [np.stack([(line * index).sum((1, 2)) for line in data]) / total for index in (row, col)]
        return answer(images, *com, data.mean((0, 1)))
    return work


contest(prepare)
