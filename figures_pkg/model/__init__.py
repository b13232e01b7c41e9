"""The autoencoder of the paper: network, losses, training, checkpoints."""

from . import losses
from .autoencoder import Autoencoder, BetaVAE, NetworkConfig
from .checkpoint import load_checkpoint, save_checkpoint
from .embed import embed
from .linear import rotate_steps
from .recipes import RECIPES, Recipe, Stage
from .train import save_trained, train

__all__ = [
    "RECIPES", "Autoencoder", "BetaVAE", "NetworkConfig", "Recipe", "Stage", "embed", "load_checkpoint", "losses", "rotate_steps",
    "save_checkpoint", "save_trained", "train",
]
