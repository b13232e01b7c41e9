"""A step's losses and gradients are those of the whole batch, however it is cut; on a GPU a large network is compiled."""

from types import SimpleNamespace

import pytest
import torch
from small_training import SMALL, WEIGHTS, assert_close, batch, double_fabric, gradients, step_for

from figures_pkg.model import RECIPES, Autoencoder, BetaVAE, NetworkConfig
from figures_pkg.model.losses import LossWeights, total_loss
from figures_pkg.model.train import Step, VariationalStep, is_compiled


def variational_step(micro_batch=None, ranks=1, rank=0) -> VariationalStep:
    """A step of the β-VAE, alone or as one of several ranks that are not there."""
    step = VariationalStep(double_fabric(), BetaVAE(SMALL, seed=3), 10, 0.3, seed=5, micro_batch=micro_batch)
    if ranks > 1:
        alone = step.fabric
        step.fabric = SimpleNamespace(world_size=ranks, global_rank=rank, device=alone.device, backward=alone.backward,
                                      no_backward_sync=alone.no_backward_sync)
    return step


def test_whole_batch_is_the_loss():
    """A step's gradients are those of the loss written down plainly."""
    step, net = step_for(), Autoencoder(SMALL, seed=3).double()
    losses, _ = step.backward(batch(), WEIGHTS)
    reconstruction, z = net(batch())
    terms = total_loss(reconstruction, batch(), z, WEIGHTS, "book")
    terms.total.backward()
    assert losses.tolist() == pytest.approx([term.item() for term in terms], rel=1e-6)
    assert_close(gradients(step), [parameter.grad for parameter in net.parameters()])


@pytest.mark.parametrize("micro_batch", [1, 4])
@pytest.mark.parametrize("make, weights", [(step_for, WEIGHTS), (step_for, LossWeights(1e-2)), (variational_step, None)], ids=["contrastive", "L1", "β-VAE"])
def test_micro_batches_are_exact(make, weights, micro_batch):
    """Losses, spread and gradients do not depend on how a batch is cut, with the contrastive term, without, and for the β-VAE."""
    whole, parts = make(), make(micro_batch)
    assert_close(parts.backward(batch(), weights, number=2), whole.backward(batch(), weights, number=2))
    assert_close(gradients(parts), gradients(whole))


def test_shares_of_ranks_add_up():
    """Two ranks' losses add up to the whole batch's, and the mean of their gradients is its gradient."""
    whole, shares = variational_step(), [variational_step(ranks=2, rank=rank) for rank in (0, 1)]
    expected = whole.backward(batch(), number=2)[0]
    assert_close([sum(step.backward(batch()[rank::2], number=2)[0] for rank, step in enumerate(shares))], [expected])
    assert_close([sum(pair) / 2 for pair in zip(*map(gradients, shares))], gradients(whole))


def test_a_channel_that_hardly_changes_is_not_alive():
    """Activations that are the same for all patterns have no spread; means that differ by less than the noise of a β-VAE drowns count as one."""
    step, variational = step_for(), variational_step()
    assert (step.backward(batch(), WEIGHTS)[1] > step.flat).any()
    with torch.no_grad():
        step.plain.enc.dense.weight.zero_()
        step.plain.enc.dense.bias.fill_(0.3)
        variational.plain.enc.set_mean.weight.mul_(1e-3)
    assert step.backward(batch(), WEIGHTS)[1].tolist() == [0.0] * SMALL.channels
    spread = variational.backward(batch())[1]
    assert (spread > Step.flat).any() and not (spread > variational.flat).any()


def test_only_large_networks_on_a_gpu_are_compiled():
    """The paper's is, those that train in a minute are not, and a processor compiles none."""
    assert is_compiled(NetworkConfig(), torch.device("cuda")) and not is_compiled(NetworkConfig(), torch.device("cpu"))
    assert not any(is_compiled(RECIPES[name].network, torch.device("cuda")) for name in ("smoke", "laptop", "recommended"))
