"""The variational network has the published size, a mean that does not change, and a loss whose draws and divergence are exact."""

from dataclasses import replace

import pytest
import torch
import xarray as xr
from small_training import RECIPE as AUTOENCODER
from small_training import SMALL, same_weights, small_scan
from torch.distributions import Normal, kl_divergence

from figures_pkg.model import Autoencoder, BetaVAE, Stage, embed, load_checkpoint, save_trained, train
from figures_pkg.model.autoencoder import count_parameters
from figures_pkg.model.losses import gaussian_divergence, variational_loss
from figures_pkg.model.train import DeadEmbedding

pytestmark = pytest.mark.usefixtures("one_thread")
STAGE = Stage(12, 1e-3, l1=0.0, schedule="one-cycle", peak_rate=2e-2)
RECIPE = replace(AUTOENCODER, stages=(STAGE,), beta=1e-3, start_log_variance=-3.0)


def test_it_has_two_linear_layers_more():
    """4,702,882 parameters at the paper's sizes: 2 (32 x 32 + 32) more than the autoencoder."""
    net = BetaVAE()
    assert count_parameters(net) == 4_702_882
    assert net.enc.set_mean.weight.shape == net.enc.set_std.weight.shape == (32, 32)


def test_noise_decides_the_draw_and_the_mean_has_none():
    """The same noise gives the same reconstruction, other noise does not; encode gives the mean, and without variance the reconstruction is its."""
    net, patterns, noise = BetaVAE(SMALL, seed=1), torch.rand(3, 8, 8), torch.randn(2, 3, 4)
    draws = [net(patterns, noise[k]) for k in (0, 0, 1)]
    assert torch.equal(draws[0][0], draws[1][0]) and not torch.equal(draws[0][0], draws[2][0])
    assert torch.equal(draws[0][1], net.encode(patterns)) and draws[0][2].shape == (3, 4)
    assert not torch.equal(net(patterns)[0], net(patterns)[0])
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


def test_it_learns_resumes_bit_for_bit_and_comes_back(tmp_path):
    """An interrupted training ends in the same network, with a smaller error; the file holds a β-VAE that embeds a scan as the mean."""
    out = tmp_path / "model.safetensors"
    whole = train(small_scan(), RECIPE, progress=False)
    assert train(small_scan(), RECIPE, out, progress=False, stop=lambda history: len(history) == 3).history == whole.history[:3]
    resumed = train(small_scan(), RECIPE, out, progress=False)
    assert same_weights(resumed, whole) and resumed.history == whole.history
    assert whole.history[-1]["reconstruction"] < 0.8 * whole.history[0]["reconstruction"]
    assert set(whole.history[0]) == {"total", "reconstruction", "kl", "live_channels", "learning_rate"}
    net = load_checkpoint(save_trained(resumed, out))
    assert type(net) is BetaVAE and net.about["kind"] == "beta-vae" and net.about["recipe"]["beta"] == 1e-3
    maps = embed(net, small_scan())
    xr.testing.assert_identical(maps, embed(resumed.net, small_scan(), resumed.transform, device="cpu"))
    assert maps.shape == (6, 6, 4) and maps.min() < 0 < maps.max()


def test_collapse_is_said():
    """A divergence so heavy that every mean is the prior's ends the training with the remedy."""
    with pytest.raises(DeadEmbedding, match="lower Recipe.beta"):
        train(small_scan(), replace(RECIPE, beta=1e4, start_log_variance=0.0), progress=False)


@pytest.mark.parametrize("wrong, says", [
    ({"beta": -1.0}, "not negative"), ({"stages": (Stage(1, 1e-3, l1=0.1),)}, "set them to 0"), ({"beta": None}, "without beta")])
def test_impossible_recipes_are_refused(wrong, says):
    """A negative β, the autoencoder's terms beside one, and a variance without one."""
    with pytest.raises(ValueError, match=says):
        replace(RECIPE, **wrong)


def test_what_does_not_fit_is_refused():
    """An autoencoder is no start for a β-VAE, and the loss names all four shapes."""
    with pytest.raises(ValueError, match="is Autoencoder .* needs BetaVAE"):
        train(small_scan(), RECIPE, start=Autoencoder(SMALL, seed=0), progress=False)
    with pytest.raises(ValueError, match=r"\(2, 8, 8\), \(2, 8, 8\), \(2, 3\), \(2, 4\)"):
        variational_loss(torch.zeros(2, 8, 8), torch.zeros(2, 8, 8), torch.zeros(2, 3), torch.zeros(2, 4), 1.0)
