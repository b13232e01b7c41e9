"""The autoencoder of the paper: network, losses, training, checkpoints. The only room that imports torch."""

from . import losses
from .autoencoder import Autoencoder
from .checkpoint import load_checkpoint, save_checkpoint
from .config import NetworkConfig
from .embed import embed
from .vae import BetaVAE

__all__ = ["Autoencoder", "BetaVAE", "NetworkConfig", "embed", "load_checkpoint", "losses", "save_checkpoint"]
