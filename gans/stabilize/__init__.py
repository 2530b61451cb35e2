"""Techniques that stabilize training: small classes that act at one or two places of the training step."""

from gans.stabilize.base import Stabilizer, Stabilizers

__all__ = ["Stabilizer", "Stabilizers"]
