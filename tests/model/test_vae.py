"""The variational network has the published size, a mean that does not change, and a loss whose draws and divergence are exact."""

from dataclasses import replace

import pytest
import torch
import xarray as xr
from small_training import RECIPE as AUTOENCODER
from small_training import SMALL, same_weights, small_scan
from torch.distributions import Normal, kl_divergence

from figures_pkg.model import Autoencoder, BetaVAE, NetworkConfig, Stage, embed, load_checkpoint, save_trained, train
from figures_pkg.model.autoencoder import count_parameters
from figures_pkg.model.train import DeadEmbedding
from figures_pkg.model.vae import gaussian_divergence, variational_loss

pytestmark = pytest.mark.usefixtures("one_thread")
STAGE = Stage(3, 1e-3, l1=0.0, schedule="one-cycle", peak_rate=1e-2)
RECIPE = replace(AUTOENCODER, stages=(STAGE,), beta=1e-3, start_log_variance=-3.0)


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


def test_it_learns_and_resumes_bit_for_bit(tmp_path):
    """An interrupted training ends in the same network, and the error of the reconstruction has fallen."""
    out, recipe = tmp_path / "model.safetensors", replace(RECIPE, stages=(replace(STAGE, epochs=24),))
    whole = train(small_scan(), recipe, progress=False)
    assert train(small_scan(), recipe, out, progress=False, stop=lambda history: len(history) == 5).history == whole.history[:5]
    resumed = train(small_scan(), recipe, out, progress=False)
    assert same_weights(resumed, whole) and resumed.history == whole.history and whole.history[-1]["reconstruction"] < 0.7 * whole.history[0]["reconstruction"]
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
