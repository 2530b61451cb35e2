"""Ways to sample from a trained GAN."""

from gans.sampling.base import Sampling

__all__ = ["Sampling"]
