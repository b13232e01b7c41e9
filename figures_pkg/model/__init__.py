"""The autoencoder of the paper: network, losses, training, checkpoints. The only room that imports torch."""

from . import losses
from .autoencoder import Autoencoder
from .checkpoint import load_checkpoint, save_checkpoint
from .config import NetworkConfig
from .embed import embed
from .keep import save_trained
from .recipe import Recipe, Stage
from .recipes import RECIPES
from .rotation import rotate_steps
from .train import train
from .vae import BetaVAE

__all__ = [
    "RECIPES", "Autoencoder", "BetaVAE", "NetworkConfig", "Recipe", "Stage", "embed", "load_checkpoint", "losses", "rotate_steps",
    "save_checkpoint", "save_trained", "train",
]
