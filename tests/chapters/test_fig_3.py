"""Fig. 3 lists the stages of a network as they are, and draws each in order and to scale."""

import pytest
import torch

from figures_pkg.chapters.fig_3 import draw_block, draw_network, stages
from figures_pkg.model import Autoencoder, NetworkConfig


@pytest.fixture(scope="module")
def paper():
    """Stages of the paper's configuration, built without memory."""
    with torch.device("meta"):
        return stages(Autoencoder())


def test_the_stages_are_those_of_the_methods(paper):
    assert sum(stage.parameters for stage in paper) == 4_700_770
    encoder, decoder = ([stage for stage in paper if stage.part == part] for part in ("encoder", "decoder"))
    assert list(dict.fromkeys(stage.side for stage in encoder)) == [256, 64, 16, 8, 1]
    assert (encoder[-1].kind, encoder[-1].channels) == ("relu", 32)
    assert list(dict.fromkeys(stage.side for stage in decoder)) == [1, 8, 16, 64, 256]
    for name, scale, place in (("MaxPool block 2", "pool", -1), ("UpSample block 2", "upsample", 0)):
        kinds = [stage.kind for stage in paper if stage.unit == name]
        assert [kinds.count(kind) for kind in ("convolution", "norm", "relu", scale, "add")] == [4, 2, 2, 1, 1]
        assert len(kinds) == 10 and kinds[place] == scale
    assert [stage.added for stage in paper if stage.kind == "add"] == [paper[i - 6].name for i, stage in enumerate(paper) if stage.kind == "add"]


def test_shapes_are_those_of_a_real_pass():
    """What hooks see on the modules of a small network; without gradients, where embedding takes a shortcut, the stages are the same."""
    net, seen = Autoencoder(NetworkConfig(pattern=64, filters=16, pools=(4, 2), channels=3), seed=0), {}
    for name, module in net.named_modules():
        if not list(module.children()):
            module.register_forward_hook(lambda _, __, out, name=name: seen.update({name: tuple(out.shape[1:])}))
    net(torch.zeros(1, 64, 64))
    with torch.inference_mode():
        found = {stage.name: stage for stage in stages(net)}
    for name, shape in seen.items():
        assert shape == ((found[name].channels,) if len(shape) == 1 else (found[name].channels, *[found[name].side] * 2))


def test_the_drawing_shows_every_stage_in_order_and_to_scale(ax, paper):
    """The encoder runs to the right, the decoder back below it; a cell for each channel of the embedding; a block's stages from left to right."""
    shapes = draw_network(ax, paper)
    assert list(shapes) == list(dict.fromkeys(stage.unit for stage in paper))
    centres = {name: shape.get_xy()[:-1].mean(axis=0) for name, shape in shapes.items()}
    (x, y), (later, _) = centres["MaxPool block 1"], centres["MaxPool block 2"]
    (back, below), (left, _) = centres["UpSample block 1"], centres["UpSample block 2"]
    assert x < later and left < back and below < y
    assert sum(type(patch).__name__ == "Rectangle" for patch in ax.patches) == 32
    assert {"64 × 64", "embedding, 32 channels"} <= {line for text in ax.texts for line in text.get_text().split("\n")}
    block = [stage for stage in paper if stage.unit == "MaxPool block 1"]
    left = [box.get_x() for box in draw_block(ax, block).values()]
    assert left == sorted(left) and {f"{stage.parameters:,}" for stage in block if stage.parameters} <= {text.get_text() for text in ax.texts}
