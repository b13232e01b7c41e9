"""A step's losses and gradients are those of the whole batch, however it is cut; on a GPU a large network is compiled."""

from types import SimpleNamespace

import pytest
import torch
from small_training import SMALL, WEIGHTS, assert_close, batch, double_fabric, gradients, step_for

from figures_pkg.model import RECIPES, Autoencoder, BetaVAE, NetworkConfig
from figures_pkg.model.losses import LossWeights, total_loss
from figures_pkg.model.train import Step, VariationalStep, arranged, is_compiled

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def variational_step(micro_batch=None, ranks=1, rank=0, seed=5) -> VariationalStep:
    """A step of the β-VAE, alone or as one of several ranks that are not there."""
    step = VariationalStep(double_fabric(), BetaVAE(SMALL, seed=3), 10, 0.3, seed=seed, micro_batch=micro_batch)
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


def test_a_channel_that_never_changes_is_not_alive():
    """Activations above zero that are the same for all patterns have no spread; those that differ have."""
    step = step_for()
    assert (step.backward(batch(), WEIGHTS)[1] > step.flat).any()
    with torch.no_grad():
        step.plain.enc.dense.weight.zero_()
        step.plain.enc.dense.bias.fill_(0.3)
    assert step.backward(batch(), WEIGHTS)[1].tolist() == [0.0] * SMALL.channels


def test_shares_of_ranks_add_up():
    """Two ranks' losses add up to the whole batch's, and the mean of their gradients is its gradient."""
    whole, shares = variational_step(), [variational_step(ranks=2, rank=rank) for rank in (0, 1)]
    expected = whole.backward(batch(), number=2)[0]
    losses = [step.backward(batch()[rank::2], number=2)[0] for rank, step in enumerate(shares)]
    assert_close([sum(losses)], [expected])
    assert_close([sum(pair) / 2 for pair in zip(*map(gradients, shares))], gradients(whole))


def test_a_mean_that_hardly_moves_is_not_alive():
    """Means that differ by less than the noise drowns count as one; an autoencoder's channel would live."""
    step = variational_step()
    with torch.no_grad():
        step.plain.enc.set_mean.weight.mul_(1e-3)
    spread = step.backward(batch())[1]
    assert (spread > Step.flat).any() and not (spread > step.flat).any()


def test_only_large_networks_on_a_gpu_are_compiled():
    """The paper's is, those that train in a minute are not, and a processor compiles none."""
    net = Autoencoder(SMALL, seed=0)
    assert is_compiled(NetworkConfig(), GPU) and not is_compiled(NetworkConfig(), CPU) and arranged(net, CPU) is net
    assert not any(is_compiled(RECIPES[name].network, GPU) for name in ("smoke", "laptop", "recommended"))
