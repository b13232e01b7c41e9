"""Fig. 3 lists the stages of a network as they are, and draws each in order and to scale."""

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
import xarray as xr

from figures_pkg.chapters.fig_3 import COLOURS, describe, draw_block, draw_network, inset_map, stages
from figures_pkg.model import Autoencoder, BetaVAE, NetworkConfig


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


def test_an_inset_lies_inside_its_pattern(ax):
    """The whole map stands in the lower right corner, above the pattern."""
    image = xr.DataArray(np.eye(12, 10), {"scan_y": np.arange(12.0), "scan_x": np.arange(10.0)}, ("scan_y", "scan_x"))
    drawn = inset_map(ax, image)
    assert drawn.axes in ax.child_axes and drawn.get_array().shape == (12, 10)


SMALL = NetworkConfig(pattern=32, filters=4, pools=(4, 2), channels=3)


@pytest.fixture(scope="module")
def paper():
    """Stages of the paper's configuration, built without memory."""
    with torch.device("meta"):
        return stages(Autoencoder())


def test_the_stages_of_the_paper_hold_all_parameters(paper):
    """4,700,770, as Methods say, and no name twice."""
    assert sum(stage.parameters for stage in paper) == 4_700_770
    assert len({stage.name for stage in paper}) == len(paper)


def test_the_sides_are_those_of_the_methods(paper):
    """256, 64, 16, 8 px, an embedding of 32, and 8, 16, 64, 256 px."""
    encoder, decoder = ([stage for stage in paper if stage.part == part] for part in ("encoder", "decoder"))
    assert list(dict.fromkeys(stage.side for stage in encoder)) == [256, 64, 16, 8, 1]
    assert (encoder[-1].kind, encoder[-1].channels) == ("relu", 32)
    assert list(dict.fromkeys(stage.side for stage in decoder)) == [1, 8, 16, 64, 256]


def test_a_block_is_what_the_caption_of_fig_3_says(paper):
    """Four convolutions, two normalisations, two ReLU and one pool or upsampling, with one shortcut."""
    for name, scale, place in (("MaxPool block 2", "pool", -1), ("UpSample block 2", "upsample", 0)):
        kinds = [stage.kind for stage in paper if stage.unit == name]
        assert [kinds.count(kind) for kind in ("convolution", "norm", "relu", scale, "add")] == [4, 2, 2, 1, 1]
        assert len(kinds) == 10 and kinds[place] == scale


def test_a_shortcut_starts_where_the_block_does(paper):
    """Each addition takes in what left the stage before the block's first convolution."""
    names = [stage.name for stage in paper]
    for place, stage in enumerate(paper):
        if stage.kind == "add":
            assert stage.added == names[place - 6]
    assert sum(stage.kind == "add" for stage in paper) == 7


def test_every_stage_is_drawn(paper):
    """Each unit has a shape in Fig. 3a, and each stage a box in the drawing of its unit."""
    figure, (whole, part) = plt.subplots(2)
    units = draw_network(whole, paper)
    drawn = [name for unit in units for name in draw_block(part, [stage for stage in paper if stage.unit == unit])]
    plt.close(figure)
    assert drawn == [stage.name for stage in paper]


def test_shapes_are_those_of_a_real_pass():
    """What hooks see on the modules of a small network."""
    net, seen = Autoencoder(SMALL, seed=0), {}
    for name, module in net.named_modules():
        if not list(module.children()):
            module.register_forward_hook(lambda _, __, out, name=name: seen.update({name: tuple(out.shape[1:])}))
    net(torch.zeros(1, 32, 32))
    found = {stage.name: stage for stage in stages(net)}
    for name, shape in seen.items():
        assert shape == ((found[name].channels,) if len(shape) == 1 else (found[name].channels, *[found[name].side] * 2))


def test_the_network_is_left_as_it_was():
    """Its weights stay where they are; without gradients, where embedding takes a shortcut, the stages are the same."""
    net = Autoencoder(NetworkConfig(pattern=64, filters=16, pools=(4, 2), channels=3), seed=0)
    expected = stages(net)
    with torch.inference_mode():
        assert stages(net) == expected
    assert all(parameter.device.type == "cpu" for parameter in net.parameters())


def test_other_networks_are_refused():
    """A β-VAE is named in the message."""
    with pytest.raises(TypeError, match="BetaVAE"):
        stages(BetaVAE(SMALL, seed=0))
