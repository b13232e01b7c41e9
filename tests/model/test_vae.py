"""The variational network has the published size, a mean that does not change, and a loss whose draws and divergence are exact."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import xarray as xr
from lightning_fabric import Fabric
from torch.distributions import Normal, kl_divergence

from figures_pkg.data.axes import DIMS
from figures_pkg.model import embed, load_checkpoint, save_trained
from figures_pkg.model.autoencoder import Autoencoder, count_parameters
from figures_pkg.model.config import NetworkConfig
from figures_pkg.model.recipe import Recipe, Stage
from figures_pkg.model.step import Step
from figures_pkg.model.train import DeadEmbedding, train
from figures_pkg.model.vae import BetaVAE, gaussian_divergence, variational_loss
from figures_pkg.model.variational_step import VariationalStep

@pytest.fixture(autouse=True)
def one_thread():
    """Bits are compared, so sums must not be split differently from run to run."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


SMALL = NetworkConfig(pattern=8, filters=3, pools=(2,), channels=4)
STAGE = Stage(3, 1e-3, l1=0.0, schedule="one-cycle", peak_rate=1e-2)
RECIPE = Recipe("test", "Test", SMALL, (STAGE,), "anscombe-whitened", 10, components=3, beta=1e-3, start_log_variance=-3.0,
                start_bias=0.3, precision="32-true")


def small_scan() -> xr.DataArray:
    """A scan of 6 x 6 patterns of 16 x 16 px, two domains that differ in one disc."""
    mean = np.full((6, 6, 16, 16), 50.0)
    mean[:, :3, 2:6, 2:6] += 40
    mean[..., 10:14, 10:14] += 10 * np.arange(6).reshape(6, 1, 1, 1)
    return xr.DataArray(np.random.default_rng(0).poisson(mean).astype(np.uint16), dims=DIMS)


def batch() -> torch.Tensor:
    """Ten patterns in double precision."""
    return torch.from_numpy(np.random.default_rng(4).normal(size=(10, 8, 8)))


def step_for(micro_batch=None, ranks=1, rank=0) -> VariationalStep:
    """A step in double precision, alone or as one of several ranks that are not there."""
    fabric = Fabric(accelerator="cpu", devices=1, precision="64-true")
    step = VariationalStep(fabric, BetaVAE(SMALL, seed=3), 10, 0.3, seed=5, micro_batch=micro_batch)
    if ranks > 1:
        alone = step.fabric
        step.fabric = SimpleNamespace(world_size=ranks, global_rank=rank, backward=alone.backward,
                                      no_backward_sync=alone.no_backward_sync)
    return step


def gradients(step: VariationalStep) -> list[torch.Tensor]:
    """Gradients of all parameters."""
    return [parameter.grad for parameter in step.plain.parameters()]


def assert_close(found, expected) -> None:
    """Equal to the rounding of float32, which Fabric brings in."""
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6 * float(other.abs().max()) + 1e-12)


def test_it_has_two_linear_layers_more():
    """4,702,882 parameters at the paper's sizes: 2 (32 x 32 + 32) more than the autoencoder."""
    net = BetaVAE()
    assert count_parameters(net) == 4_702_882
    assert net.enc.set_mean.weight.shape == net.enc.set_std.weight.shape == (32, 32)


def test_noise_decides_the_draw_and_the_mean_has_none():
    """The same noise gives the same reconstruction, other noise does not; encode gives the mean."""
    net, patterns, noise = BetaVAE(SMALL, seed=1), torch.rand(3, 8, 8), torch.randn(2, 3, 4)
    draws = [net(patterns, noise[k]) for k in (0, 0, 1)]
    assert torch.equal(draws[0][0], draws[1][0]) and not torch.equal(draws[0][0], draws[2][0])
    assert torch.equal(draws[0][1], net.encode(patterns)) and draws[0][2].shape == (3, 4)
    assert not torch.equal(net(patterns)[0], net(patterns)[0])


def test_without_variance_the_reconstruction_is_that_of_the_mean():
    """A log-variance of -80 leaves no noise."""
    net, patterns = BetaVAE(SMALL, seed=1), torch.rand(3, 8, 8)
    with torch.no_grad():
        net.enc.set_std.weight.zero_()
        net.enc.set_std.bias.fill_(-80.0)
    reconstruction, mean, _ = net(patterns)
    torch.testing.assert_close(reconstruction, net.decode(mean))


def test_divergence_is_that_of_torch_distributions():
    """Value and gradient equal the library's, and the standard normal distribution has none."""
    mean, log_variance = (torch.randn(7, 4, dtype=torch.float64, requires_grad=True) for _ in range(2))
    found = gaussian_divergence(mean, log_variance)
    expected = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(torch.zeros_like(mean), torch.ones_like(mean))).sum(1)
    torch.testing.assert_close(found, expected)
    for one, other in zip(*(torch.autograd.grad(value.sum(), (mean, log_variance)) for value in (found, expected))):
        torch.testing.assert_close(one, other)
    assert gaussian_divergence(torch.zeros(2, 4), torch.zeros(2, 4)).tolist() == [0, 0]


def test_gradient_by_differences():
    """The loss has the gradient that finite differences find, through the draw too."""
    net, noise = BetaVAE(NetworkConfig(pattern=4, filters=1, pools=(2,), channels=2), seed=0).double(), torch.randn(3, 2).double()
    patterns = torch.randn(3, 4, 4).double()
    names = ("enc.set_mean.weight", "enc.set_std.weight", "enc.dense.bias", "dec.cov2d_1.weight")

    def loss(*values):
        output = torch.func.functional_call(net, dict(zip(names, values)), (patterns, noise))
        return variational_loss(output[0], patterns, *output[1:], beta=0.7).total

    torch.nn.init.constant_(net.enc.dense.bias, 1.0)  # away from the corner of the ReLU
    values = [net.get_parameter(name).detach().clone().requires_grad_() for name in names]
    assert torch.autograd.gradcheck(loss, values, fast_mode=True)


def test_shapes_that_do_not_fit():
    """The message has all four shapes."""
    with pytest.raises(ValueError, match=r"\(2, 8, 8\), \(2, 8, 8\), \(2, 3\), \(2, 4\)"):
        variational_loss(torch.zeros(2, 8, 8), torch.zeros(2, 8, 8), torch.zeros(2, 3), torch.zeros(2, 4), 1.0)


@pytest.mark.parametrize("micro_batch", [1, 4])
def test_micro_batches_are_exact(micro_batch):
    """Losses, spread and gradients do not depend on how a batch is cut."""
    whole, parts = step_for(), step_for(micro_batch)
    assert_close(parts.backward(batch(), number=2), whole.backward(batch(), number=2))
    assert_close(gradients(parts), gradients(whole))


def test_shares_of_ranks_add_up():
    """Two ranks' losses add up to the whole batch's, and the mean of their gradients is its gradient."""
    whole, shares = step_for(), [step_for(ranks=2, rank=rank) for rank in (0, 1)]
    expected = whole.backward(batch(), number=2)[0]
    losses = [step.backward(batch()[rank::2], number=2)[0] for rank, step in enumerate(shares)]
    assert_close([sum(losses)], [expected])
    assert_close([sum(pair) / 2 for pair in zip(*map(gradients, shares))], gradients(whole))
    with pytest.raises(ValueError, match="a share of 10 patterns; .* rank 0 of 2 takes 5"):
        shares[0].backward(batch())


def test_draws_follow_from_seed_and_step():
    """The same step draws the same, another step or seed something else."""
    one, same, other = step_for()._noise(3), step_for()._noise(3), step_for()._noise(4)
    assert torch.equal(one, same) and not torch.equal(one, other) and one.shape == (10, 4)
    reseeded = step_for()
    reseeded.seed = 6
    assert not torch.equal(reseeded._noise(3), one)


def test_it_learns_and_resumes_bit_for_bit(tmp_path):
    """An interrupted training ends in the same network, and the error of the reconstruction has fallen."""
    out, recipe = tmp_path / "model.safetensors", replace(RECIPE, stages=(replace(STAGE, epochs=24),))
    whole = train(small_scan(), recipe, progress=False)
    assert train(small_scan(), recipe, out, progress=False, stop=lambda history: len(history) == 5).history == whole.history[:5]
    resumed = train(small_scan(), recipe, out, progress=False)
    assert all(torch.equal(a, b) for a, b in zip(resumed.net.parameters(), whole.net.parameters(), strict=True))
    assert resumed.history == whole.history and whole.history[-1]["reconstruction"] < 0.7 * whole.history[0]["reconstruction"]
    assert set(whole.history[0]) == {"total", "reconstruction", "kl", "live_channels", "learning_rate"}


def test_saved_and_loaded(tmp_path):
    """The file says what it holds; what is loaded is a β-VAE and embeds the scan as the mean, of both signs."""
    trained = train(small_scan(), RECIPE, progress=False)
    net = load_checkpoint(save_trained(trained, tmp_path / "model.safetensors"))
    assert type(net) is BetaVAE and net.about["kind"] == "beta-vae" and net.about["recipe"]["beta"] == 1e-3
    maps, again = embed(net, small_scan()), embed(trained.net, small_scan(), trained.transform, device="cpu")
    xr.testing.assert_identical(maps, again)
    assert maps.shape == (6, 6, 4) and maps.min() < 0 < maps.max()


def test_collapse_is_said():
    """A divergence so heavy that every mean is the prior's ends the training with the remedy."""
    with pytest.raises(DeadEmbedding, match="lower Recipe.beta"):
        train(small_scan(), replace(RECIPE, beta=1e4, start_log_variance=0.0, stages=(replace(STAGE, epochs=20),)), progress=False)


def test_a_mean_that_hardly_moves_is_not_alive():
    """Means that differ by less than the noise drowns count as one; an autoencoder's channel would live."""
    step = step_for()
    with torch.no_grad():
        step.plain.enc.set_mean.weight.mul_(1e-3)
    spread = step.backward(batch())[1]
    assert (spread > Step.flat).any() and not (spread > step.flat).any()


@pytest.mark.parametrize("wrong, says", [
    ({"beta": -1.0}, "not negative"), ({"stages": (Stage(1, 1e-3, l1=0.1),)}, "set them to 0"), ({"beta": None}, "without beta"),
])
def test_impossible_recipes_are_refused(wrong, says):
    """A negative β, the autoencoder's terms beside one, and a variance without one."""
    with pytest.raises(ValueError, match=says):
        replace(RECIPE, **wrong)


def test_start_from_the_other_kind():
    """An autoencoder is no start for a β-VAE."""
    with pytest.raises(ValueError, match="is Autoencoder .* needs BetaVAE"):
        train(small_scan(), RECIPE, start=Autoencoder(SMALL, seed=0), progress=False)
