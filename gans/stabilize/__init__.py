"""Techniques that stabilize training, each a small class that acts at one or two places of the step."""

from gans.stabilize.base import Stabilizer, Stabilizers

__all__ = ["Stabilizer", "Stabilizers"]
