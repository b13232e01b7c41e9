"""A step's losses and gradients are those of the whole batch, however it is cut; on a GPU a large network is compiled."""

from types import SimpleNamespace

import pytest
import torch
from small_training import SMALL, WEIGHTS, assert_close, batch, double_fabric, gradients, step_for

from figures_pkg.model import RECIPES, Autoencoder, BetaVAE, NetworkConfig
from figures_pkg.model.losses import LossWeights, total_loss
from figures_pkg.model.step import Step, VariationalStep, arranged, is_compiled

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


@pytest.mark.parametrize("micro_batch", [1, 4, 10])
@pytest.mark.parametrize("weights", [WEIGHTS, LossWeights(1e-2)], ids=["contrastive", "L1"])
def test_micro_batches_are_exact(micro_batch, weights):
    """Losses, spread and gradients do not depend on how a batch is cut, with the contrastive term and without."""
    whole, parts = step_for(), step_for(micro_batch)
    assert_close(parts.backward(batch(), weights), whole.backward(batch(), weights))
    assert_close(gradients(parts), gradients(whole))


def test_a_channel_that_never_changes_is_not_alive():
    """Activations above zero that are the same for all patterns have no spread; those that differ have."""
    step = step_for()
    assert (step.backward(batch(), WEIGHTS)[1] > step.flat).any()
    with torch.no_grad():
        step.plain.enc.dense.weight.zero_()
        step.plain.enc.dense.bias.fill_(0.3)
    assert step.backward(batch(), WEIGHTS)[1].tolist() == [0.0] * SMALL.channels


@pytest.mark.parametrize("micro_batch", [1, 4])
def test_variational_micro_batches_are_exact(micro_batch):
    """Losses, spread and gradients of the β-VAE do not depend on how a batch is cut."""
    whole, parts = variational_step(), variational_step(micro_batch)
    assert_close(parts.backward(batch(), number=2), whole.backward(batch(), number=2))
    assert_close(gradients(parts), gradients(whole))


def test_shares_of_ranks_add_up():
    """Two ranks' losses add up to the whole batch's, and the mean of their gradients is its gradient."""
    whole, shares = variational_step(), [variational_step(ranks=2, rank=rank) for rank in (0, 1)]
    expected = whole.backward(batch(), number=2)[0]
    losses = [step.backward(batch()[rank::2], number=2)[0] for rank, step in enumerate(shares)]
    assert_close([sum(losses)], [expected])
    assert_close([sum(pair) / 2 for pair in zip(*map(gradients, shares))], gradients(whole))
    with pytest.raises(ValueError, match="a share of 10 patterns; .* rank 0 of 2 takes 5"):
        shares[0].backward(batch())


def test_draws_follow_from_seed_and_step():
    """The same seed and step draw the same, another step or seed something else."""
    one, same, later, other = (variational_step(seed=seed).backward(batch(), number=number)[0][1].item()
                               for seed, number in ((5, 3), (5, 3), (5, 4), (6, 3)))
    assert one == same and one != later and one != other


def test_a_mean_that_hardly_moves_is_not_alive():
    """Means that differ by less than the noise drowns count as one; an autoencoder's channel would live."""
    step = variational_step()
    with torch.no_grad():
        step.plain.enc.set_mean.weight.mul_(1e-3)
    spread = step.backward(batch())[1]
    assert (spread > Step.flat).any() and not (spread > step.flat).any()


def test_only_large_networks_on_a_gpu_are_compiled():
    """The paper's is, those that train in a minute are not, and a processor compiles none."""
    assert is_compiled(NetworkConfig(), GPU) and not is_compiled(NetworkConfig(), CPU)
    assert not any(is_compiled(RECIPES[name].network, GPU) for name in ("smoke", "laptop", "recommended"))


def test_a_compiled_network_has_the_parameters_of_the_plain_one():
    """Same tensors, filters last in memory; on a processor it is the same object."""
    net = Autoencoder(NetworkConfig(128, 64, (4, 4), 3), seed=0)
    assert arranged(net, CPU) is net
    compiled = arranged(net, GPU)
    assert compiled is not net and all(a is b for a, b in zip(compiled.parameters(), net.parameters(), strict=True))
    assert net.enc.block_layer[0].cov1d_1.weight.is_contiguous(memory_format=torch.channels_last)
