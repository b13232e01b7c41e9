"""Fig. 3a-c shows every stage that it is given, in order and to scale; no torch is needed to draw it."""

import subprocess
import sys
from dataclasses import dataclass

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

from figures_pkg.plotting.network import COLOURS, describe, draw_block, draw_network


@dataclass(frozen=True)
class Plain:
    """The attributes that the drawing reads."""

    name: str
    kind: str
    part: str
    channels: int
    side: int
    unit: str
    parameters: int = 0
    size: int = 0
    added: str = ""


CHAIN = [
    Plain("pattern", "input", "encoder", 1, 64, "pattern"),
    Plain("a.conv", "convolution", "encoder", 8, 64, "MaxPool block 1", 80, 3),
    Plain("a.norm", "norm", "encoder", 8, 64, "MaxPool block 1", 128),
    Plain("a.add", "add", "encoder", 8, 64, "MaxPool block 1", added="pattern"),
    Plain("a.pool", "pool", "encoder", 8, 16, "MaxPool block 1", size=4),
    Plain("b.dense", "dense", "encoder", 5, 1, "dense b.dense", 55),
    Plain("b.relu", "relu", "encoder", 5, 1, "dense b.dense"),
    Plain("c.dense", "dense", "decoder", 64, 1, "dense c.dense", 65),
    Plain("c.up", "upsample", "decoder", 1, 64, "UpSample block 1", size=8),
]


@pytest.fixture
def ax():
    """Fresh axes, closed afterwards."""
    figure, ax = plt.subplots(figsize=(9, 5))
    yield ax
    plt.close(figure)


def texts(ax) -> list[str]:
    """All words on the axes."""
    return [text.get_text() for text in ax.texts]


def test_every_unit_is_drawn_in_order(ax):
    """The encoder runs to the right, the decoder back to the left, below it."""
    shapes = draw_network(ax, CHAIN)
    assert list(shapes) == list(dict.fromkeys(stage.unit for stage in CHAIN))
    centres = {name: shape.get_xy()[:-1].mean(axis=0) for name, shape in shapes.items()}
    assert centres["pattern"][0] < centres["MaxPool block 1"][0] < centres["dense b.dense"][0]
    assert centres["dense c.dense"][0] > centres["UpSample block 1"][0]
    assert centres["pattern"][1] > centres["UpSample block 1"][1]


def test_a_pool_narrows_and_an_upsampling_widens(ax):
    """Two octaves less in side cost as much height as is drawn for two octaves; sizes stand beside the shapes."""
    shapes = draw_network(ax, CHAIN)
    x, y = shapes["MaxPool block 1"].get_xy()[:-1].T
    left, right = np.ptp(y[x == x.min()]), np.ptp(y[x == x.max()])
    assert left - right == pytest.approx(2 * 0.3)
    assert "8 ×\n16 × 16" in texts(ax) and "1 ×\n64 × 64" in texts(ax) and "dense +\nReLU" in texts(ax)


def test_the_embedding_has_a_cell_for_each_channel(ax):
    """As many cells as channels leave the encoder."""
    draw_network(ax, CHAIN)
    assert sum(type(patch).__name__ == "Rectangle" for patch in ax.patches) == 5 and "embedding, 5 channels" in texts(ax)


def test_every_stage_of_a_block_is_drawn(ax):
    """Boxes from left to right in order, parameters below those that have any, a shortcut for each addition."""
    block = CHAIN[1:5]
    boxes = draw_block(ax, block)
    assert list(boxes) == [stage.name for stage in block]
    left = [box.get_x() for box in boxes.values()]
    assert left == sorted(left) and texts(ax).count("shortcut") == 1
    assert "80" in texts(ax) and "128" in texts(ax)


def test_every_kind_has_a_colour_and_words():
    """No stage is drawn blank."""
    assert all(stage.kind in COLOURS and describe(stage) for stage in CHAIN)


def test_a_part_of_a_network_and_an_empty_block_are_refused(ax):
    """The message says what to give."""
    with pytest.raises(ValueError, match="without an encoder and a decoder"):
        draw_network(ax, CHAIN[:3])
    with pytest.raises(ValueError, match="no stages"):
        draw_block(ax, [])


def test_no_torch_is_imported():
    """The drawing runs where torch is not installed."""
    code = "import sys, figures_pkg.plotting.network; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
